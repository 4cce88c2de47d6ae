#!/bin/sh
# SPDX-License-Identifier: MIT
# floors.sh [TREE]: holds the #include lines of lib/ and backends/ against the
# list lib/floors.txt ("floor path" a line).  A file includes only its own floor
# or lower ones; every file is listed, and every line of the list is a file; one
# file at most sees libelf, one libffi, one Zydis.
tree=${1:-${srcdir:-.}}
list=$tree/lib/floors.txt

if [ ! -f "$list" ]; then
	echo "floors: no $list"
	exit 1
fi

files=$(cd "$tree" && find lib backends -type f \( -name '*.c' -o -name '*.h' -o -name '*.S' \) |
	LC_ALL=C sort) || exit 1

# Prints "file line name" of each include, in quotes or in angles.
includes() {
	for file in $files; do
		sed -n -e '/^[ \t]*#[ \t]*include[ \t]*["<]/{' -e '=' \
			-e 's/^[^"<]*["<]\([^">]*\)[">].*/\1/p' -e '}' "$tree/$file" |
			while read -r line && read -r name; do
				echo "$file $line $name"
			done
	done
}

{
	sed -e 's/#.*//' -e 's/^/list /' "$list"
	echo "$files" | sed 's/^/file /'
	includes | sed 's/^/include /'
} | awk '
function bad(text) { print "floors: " text; wrong++ }

function directory(path) { sub(/\/?[^\/]*$/, "", path); return path }

# As the compiler looks: beside the including file, then from the top.
function resolve(from, name,    beside) {
	beside = directory(from) "/" name
	while (sub(/[^\/]+\/\.\.\//, "", beside))
		;
	if (beside in exists)
		return beside
	return name in exists ? name : ""
}

function alone(seers, library,    path, names, n) {
	for (path in seers) {
		n++
		names = names " " path
	}
	if (n > 1)
		bad("more than one file sees " library ":" names)
}

$1 == "list" && NF == 3 {
	if ($2 !~ /^[0-9]+$/)
		bad("not a floor in the list: " $2 " " $3)
	if ($3 in floor)
		bad("listed twice: " $3)
	floor[$3] = $2 + 0
}
$1 == "list" && NF != 1 && NF != 3 { bad("not \"floor path\": " $0) }
$1 == "file" && NF == 2 {
	exists[$2] = 1
	files++
	if (!($2 in floor))
		bad($2 " is not in the list")
}
$1 == "include" {
	if ($4 == "libelf.h" || $4 == "gelf.h")
		elf[$2] = 1
	if ($4 == "ffi.h")
		ffi[$2] = 1
	if ($4 ~ /^Zydis\//)
		zydis[$2] = 1
	target = resolve($2, $4)
	if (target == "" && $4 ~ /^(lib|backends)\//)
		bad($2 ":" $3 " includes " $4 ", which is no file")
	if (target == "" || !(target in floor) || !($2 in floor))
		next
	edges++
	if (floor[target] > floor[$2])
		bad($2 ":" $3 " on floor " floor[$2] " includes " target " of floor " floor[target])
}
END {
	for (path in floor)
		if (!(path in exists))
			bad("listed, but no file: " path)
	alone(elf, "libelf")
	alone(ffi, "libffi")
	alone(zydis, "Zydis")
	if (!files || !edges)
		bad("nothing to check: " files + 0 " files, " edges + 0 " includes")
	print "floors: " files + 0 " files, " edges + 0 " includes among them, " wrong + 0 " wrong"
	exit wrong ? 1 : 0
}'
