#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages are formatted without a warning.

srcdir=$(cd "${srcdir:-.}" && pwd)
command -v man >/dev/null || { echo "SKIP: no man"; exit 77; }
man --help 2>/dev/null | grep -q -e --warnings || { echo "SKIP: man has no --warnings"; exit 77; }
failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$srcdir/man" || exit 1
for page in *.3 *.7; do
	# A link (.so) is followed where pages are installed; test-pages.sh sees to it.
	! head -n 1 "$page" | grep -q '^\.so ' || continue
	man --warnings -E UTF-8 -Tutf8 -Z -l "$page" >"$dir/out" 2>"$dir/warnings" || {
		echo "$page cannot be formatted"
		failed=1
	}
	[ "$(wc -l <"$dir/out")" -ge 100 ] || {
		echo "$page is empty"
		failed=1
	}
	[ ! -s "$dir/warnings" ] || {
		echo "$page: $(cat "$dir/warnings")"
		failed=1
	}
	! command -v mandoc >/dev/null || mandoc -T lint -W warning "$page" || failed=1
done
exit $failed
