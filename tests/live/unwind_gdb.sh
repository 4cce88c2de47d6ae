#!/bin/sh
# SPDX-License-Identifier: MIT
# H11: gdb's bt, at each instruction of slot, caller and handler; R4: and of stub
# and cell, and in handlers of hooked calls inside each other.
skip() {
	echo "SKIP: $1"
	exit 77
}

gdb="gdb -nx -batch"
command -v gdb >/dev/null || skip "no gdb"
$gdb -ex 'python print("can")' 2>/dev/null | grep -q '^can$' || skip "gdb has no Python"

# A program made by libtool is a script around the real one in a shared build.
program=tests/live/.libs/unwind_debuggee
[ -x $program ] || program=tests/live/unwind_debuggee
LD_LIBRARY_PATH=$(pwd)/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

# Without the debugger it must run; under it anything must.
out=$($program 2>&1) || {
	echo "$out"
	case $out in *SYNC_CORE*) skip "the kernel has no membarrier(2) with SYNC_CORE" ;; esac
	exit 1
}
$gdb -ex run --args /bin/true 2>&1 | grep -q 'exited normally' || skip "gdb can't run programs here"

# Leaks can't be looked for under a debugger.
ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export ASAN_OPTIONS

log=$($gdb -x "${srcdir:-.}/tests/live/unwind_gdb.py" $program 2>&1)
if echo "$log" | grep -q '^all rounds right$' && echo "$log" | grep -q '^debuggee: 24 calls, 20 returns$' &&
	! echo "$log" | grep -Eq '^(wrong:|Python Exception|Traceback)'; then
	echo "$log" | grep '^stops:'
	exit 0
fi
echo "$log" | tail -n 60
exit 1
