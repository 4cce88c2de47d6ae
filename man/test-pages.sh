#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual agrees with the headers: each public function has a page, with the
# prototype and all errors of the header; and the version is the same wherever
# it is written.

srcdir=$(cd "${srcdir:-.}" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

complain() {
	echo "$*"
	failed=1
}

cd "$srcdir" || exit 1
awk -f man/prototypes.awk include/ftr/*.h | sort >"$dir/headers"
awk -f man/prototypes.awk man/*.3 | sort >"$dir/pages"
[ "$(grep -c '|ftr_' "$dir/headers")" -ge 40 ] || complain "found too few functions in the headers"
diff -u "$dir/headers" "$dir/pages" || complain "headers (-) and pages (+) differ"

cut -d '|' -f 2 "$dir/headers" >"$dir/names"
while read -r name; do
	[ -f "man/$name.3" ] || { complain "no page man/$name.3"; continue; }
	target=$(sed -n '1s/^\.so man3\///p' "man/$name.3")
	page=man/${target:-$name.3}
	grep -Eq "^\.Nm $name( ,)?$" "$page" || complain "$page does not name $name"
	grep -q "man/$name\.3" man/*.mk || complain "man/*.mk lack man/$name.3"
	echo "$name $page" >>"$dir/where"
done <"$dir/names"
for page in man/*.3; do
	grep -qx "$(basename "$page" .3)" "$dir/names" || complain "$page is about no function"
done

awk -v errors=1 -f man/prototypes.awk include/ftr/*.h >"$dir/errors"
[ "$(wc -l <"$dir/errors")" -ge 40 ] || complain "found too few errors in the headers"
while read -r name error; do
	page=$(awk -v name="$name" '$1 == name { print $2 }' "$dir/where")
	grep -q -- "\\\\-$error" "$page" || complain "$page lacks $error of $name"
	grep -q -- "^\.It .*\\\\-$error" man/ftr.7 || complain "man/ftr.7 lacks $error"
done <"$dir/errors"

version=$(sed -n 's/^AC_INIT(\[libftr\], \[\([0-9.]*\)\].*/\1/p' configure.ac)
header=$(awk '/^#define FTR_VERSION_(MAJOR|MINOR|PATCH) / { v = v "." $3 } END { print substr(v, 2) }' \
	include/ftr/common.h)
[ "${version:-none}" = "$header" ] ||
	complain "configure.ac says $version, common.h says $header"
grep -q "^FTR_${version%.*} {" lib/libftr.map || complain "lib/libftr.map has no node FTR_${version%.*}"
grep -q "^${version%.*} has" README.md || complain "README.md is about another version"
exit $failed
