#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: functions.sh COUNT
#
# Writes a C file of COUNT small functions and of bench_fn_xray, for XRay.
set -eu

awk -v n="$1" '
BEGIN {
	print "int bench_fn_xray(int n);\nint bench_fn_xray(int n) { return n + 1; }"
	for (i = 1; i < n; i++)
		printf "int bench_x%d(int n);\nint bench_x%d(int n) { return n + %d; }\n", i, i, i
}'
