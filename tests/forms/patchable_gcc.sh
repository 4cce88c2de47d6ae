#!/bin/sh
# SPDX-License-Identifier: MIT
# gcc's -fpatchable-function-entry=N[,M]: N single nops, M of them before the
# function.
. "$srcdir/tests/forms/lib.sh"

[ -n "$GCC" ] || skip_all "no gcc"

five=9090909090
patchable 5    "before=$five pad=5"
patchable 8    "before=${five}909090 pad=8"
patchable 16   "before=${five}${five}${five}90 pad=16" "so nopie"
patchable 7,2  "before=$five pad=5"
patchable 12,4 "before=${five}909090 pad=8" "so nopie"
patchable 3    "before=909090 $refused" "so nopie"
patchable 5,5  "$refused" "so nopie"
patchable 8,4  "before=90909090 $refused" "so"

forms_end
