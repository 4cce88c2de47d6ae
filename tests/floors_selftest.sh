#!/bin/sh
# SPDX-License-Identifier: MIT
# Does floors.sh see what it is there for?  A small tree, once in order and once
# with each mistake.
here=$(pwd)
case $srcdir in /*) floors=$srcdir/tests/floors.sh ;; *) floors=$here/$srcdir/tests/floors.sh ;; esac
tree=$(mktemp -d "$here/floors.XXXXXX") || exit 99
trap 'rm -rf "$tree"' EXIT
trap 'exit 99' HUP INT TERM
wrong=0

# A tree in order: tools.h (1) < backend.h (2) < batch.c (3), and an arch folder.
make_tree() {
	rm -rf "$tree/lib" "$tree/backends"
	mkdir -p "$tree/lib" "$tree/backends/x86" "$tree/include/ftr"
	printf '#include <libelf.h>\n#include "tools.h"\n' >"$tree/lib/tools.c"
	printf '#include <ftr/ftr.h>\n' >"$tree/lib/tools.h"
	printf '#include "lib/tools.h"\n' >"$tree/lib/backend.h"
	printf '#include "lib/backend.h"\n# include "lib/tools.h"\n' >"$tree/lib/batch.c"
	printf '#include "../../lib/backend.h"\n#include "config.h"\n' >"$tree/backends/x86/insn.c"
	cat >"$tree/lib/floors.txt" <<-LIST
		# floor path
		1 lib/tools.c
		1 lib/tools.h

		2 lib/backend.h   # the contract
		2 backends/x86/insn.c
		3 lib/batch.c
	LIST
}

# expect STATUS WORDS: what floors.sh is to say of the tree.
expect() {
	said=$(sh "$floors" "$tree" 2>&1)
	status=$?
	if [ $status -ne "$1" ] || ! echo "$said" | grep -q -e "$2"; then
		echo "FAIL: status $status, expected $1 and \"$2\"; it said:"
		echo "$said"
		wrong=1
	fi
	make_tree
}

make_tree
expect 0 '5 files, 5 includes among them, 0 wrong'

echo '#include "lib/backend.h"' >>"$tree/lib/tools.h"
expect 1 'lib/tools.h:2 on floor 1 includes lib/backend.h of floor 2'

echo '	#	include "backend.h"' >>"$tree/lib/tools.c"
expect 1 'lib/tools.c:3 on floor 1 includes lib/backend.h of floor 2'

echo '#include <lib/batch.c>' >>"$tree/backends/x86/insn.c"
expect 1 'backends/x86/insn.c:3 on floor 2 includes lib/batch.c of floor 3'

echo 'int x;' >"$tree/lib/new.c"
expect 1 'lib/new.c is not in the list'

echo ' ' >"$tree/backends/x86/entry.S"
expect 1 'backends/x86/entry.S is not in the list'

rm "$tree/lib/batch.c"
expect 1 'listed, but no file: lib/batch.c'

echo '#include <libelf.h>' >>"$tree/lib/batch.c"
expect 1 'more than one file sees libelf'

echo '#include <gelf.h>' >>"$tree/lib/batch.c"
expect 1 'more than one file sees libelf'

echo '#include <ffi.h>' | tee -a "$tree/lib/batch.c" >>"$tree/lib/tools.c"
expect 1 'more than one file sees libffi'

echo '#include <Zydis/Zydis.h>' | tee -a "$tree/lib/tools.c" >>"$tree/lib/batch.c"
expect 1 'more than one file sees Zydis'

echo '#include "lib/gone.h"' >>"$tree/lib/batch.c"
expect 1 'lib/batch.c:3 includes lib/gone.h, which is no file'

echo '2 lib/tools.h' >>"$tree/lib/floors.txt"
expect 1 'listed twice: lib/tools.h'

echo 'top lib/tools.h' >>"$tree/lib/floors.txt"
expect 1 'not a floor in the list'

echo 'lib/tools.h' >>"$tree/lib/floors.txt"
expect 1 'not "floor path"'

rm "$tree/lib/floors.txt"
expect 1 'no .*floors.txt'

[ $wrong -eq 0 ] && echo "15 trees, each judged right"
exit $wrong
