#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A sample of the differential test (B4), for `make check`.  Odd instructions are
# probed on odd stacks, too, where a struct ftr_regs lies as the stack does: no place
# for a sanitizer of alignment.
odd=odd
[ -z "$SANITIZE_CFLAGS" ] || odd=

# shellcheck disable=SC2086 # nothing, not an empty word
exec tests/differential/differential -q 100 $odd zlib libc
