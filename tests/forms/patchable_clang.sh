#!/bin/sh
# SPDX-License-Identifier: MIT
# clang's -fpatchable-function-entry=N[,M]: nops as long as they come.
. "$srcdir/tests/forms/lib.sh"

[ -n "$CLANG" ] || skip_all "no clang"
compiler=$CLANG

patchable 5    "$clang5"
patchable 8    "$clang8"
patchable 16   "$clang16" "so nopie"
patchable 7,2  "$clang7_2"
patchable 3    "$clang3 $refused" "so nopie"
patchable 5,5  "$refused" "so nopie"

forms_end
