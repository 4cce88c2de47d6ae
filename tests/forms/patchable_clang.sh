#!/bin/sh
# SPDX-License-Identifier: MIT
# clang's -fpatchable-function-entry=N[,M]: nops as long as they come.
. "$srcdir/tests/forms/lib.sh"

[ -n "$CLANG" ] || skip_all "no clang"
compiler=$CLANG

patchable 5    "before=0f1f4400.. pad=5"
patchable 8    "before=0f1f8400........ pad=8"
patchable 16   "before=2e660f1f8400........660f1f4400.. pad=16" "so nopie"
patchable 7,2  "before=0f1f4400.. pad=5"
patchable 3    "before=0f1f.. $refused" "so nopie"
patchable 5,5  "$refused" "so nopie"

forms_end
