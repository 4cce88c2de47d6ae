#!/bin/sh
# SPDX-License-Identifier: MIT
# Modules without a symbol table (functions from .eh_frame, names from the
# offset), and modules without section headers, which register themselves by
# FTR_MODULE.
. "$srcdir/tests/forms/lib.sh"

flags5=-fpatchable-function-entry=5
registered="$flags5 -DFORMS_REGISTERED"
fentry="-pg -mfentry -mrecord-mcount"
opt_choices=2

# For gcc and clang: flags, then what else the driver is told.
both() {
	outs=$1 flags=$2
	shift 2
	compiler=$GCC
	form "$outs" "$gcc5 $*"
	[ -n "$CLANG" ] || return
	compiler=$CLANG
	form "$outs" "$clang5 $*"
}

# Registered and with section headers: found twice, known once.
both "so pie nopie static" "$registered"
both "so pie" "$registered" scan=no

prepare() { run strip "$1"; }
both "so pie nopie" "$flags5" names=stripped
both "so" "$registered" names=stripped
both so -fpatchable-function-entry=7,2 names=stripped
compiler=$GCC flags=$fentry
form "$fentry_pic" "kind=call before=ff15........ length=6 pad=6 names=stripped"
form nopie "kind=call before=e8........ length=5 pad=5 names=stripped"

prepare() { run strip "$1" && run "$work/noheaders" "$1"; }
both "so pie nopie" "$registered" names=offsets
both "so pie" "$registered" names=offsets scan=no
compiler=$GCC flags="$fentry -DFORMS_REGISTERED"
form "${fentry_pic% pie}" "kind=call before=ff15........ length=6 pad=6 names=offsets"

# A static program has no .eh_frame_hdr but on demand; without it nothing says
# that functions begin where the table's entries point.
link_flags=-Wl,--eh-frame-hdr
both static "$registered" names=offsets
link_flags=
both static "$registered" sites=none refused=14 "reason=where_the_function_begins"

# Nothing says where the table is: no sites, and no harm.
both "so pie" "$flags5" sites=none "reason=section_headers"

forms_end
