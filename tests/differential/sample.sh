#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A sample of the differential test (B4), for `make check`.

exec tests/differential/differential -q 100 odd zlib libc
