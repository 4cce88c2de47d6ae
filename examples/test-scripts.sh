#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The shell scripts hold to what shellcheck says.

command -v shellcheck >/dev/null || { echo "SKIP: no shellcheck"; exit 77; }
cd "${srcdir:-.}" || exit 1
status=0
# SC1091: files that are made by the build.
for script in quickstart .ci/run examples/*.sh man/*.sh; do
	# A source archive has no .ci/.
	[ ! -f "$script" ] || shellcheck -e SC1091 "$script" || status=1
done
for script in tests/*.sh tests/*/*.sh bench/*.sh; do
	[ ! -f "$script" ] || shellcheck -S error -e SC2148 "$script" || status=1
done
exit $status
