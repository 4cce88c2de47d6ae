#!/bin/sh
# SPDX-License-Identifier: MIT
# gcc's -pg -mfentry -mrecord-mcount: calls of __fentry__, made nops when their
# module is adopted; and -mnop-mcount, nops from the start.  Position-independent
# code calls through the GOT, in six bytes, and its table needs relocations in
# read-only memory (the linker warns).
. "$srcdir/tests/forms/lib.sh"

echo 'int f(void) { return 0; }' >"$work/probe.c"
run $GCC -fno-pie -pg -mfentry -mrecord-mcount -c "$work/probe.c" -o "$work/probe.o" ||
	skip_all "$GCC has no -mrecord-mcount"

fentry="-pg -mfentry -mrecord-mcount"
through_got="kind=call before=ff15........ length=6 pad=6"
relaxed="kind=call before=67e8........ length=6 pad=6"
direct="kind=call before=e8........ length=5 pad=5"
nops="kind=nop before=0f1f440000 length=5 pad=5"

flags=$fentry
form "$fentry_pic" "$through_got"
form "nopie static" "$direct"

if [ -n "$fentry_pic" ]; then
	model=-fPIE
	form nopie "$through_got"
	form static "$relaxed"
	model=
fi

# An __fentry__ of the module's own.
extra=$work/fentry.o
form "$fentry_pic" "$relaxed"
if [ -n "$fentry_pic" ]; then
	model=-fPIE
	form nopie "$relaxed"
	model=
fi
form nopie "$direct"
extra=

flags="$fentry -mnop-mcount"
form "nopie static" "$nops"

forms_end
