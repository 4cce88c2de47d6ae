#!/bin/sh
# SPDX-License-Identifier: MIT
# The public headers, each alone and all in headers.c, as every language and
# compiler that may include them sees them.  headers.c is also run.
build=$(pwd)
source=$srcdir/tests/compile/headers.c
warnings="-Wall -Wextra -pedantic -Werror"
passed=0 failed=0

work=$(mktemp -d "$build/compile.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM

if [ -f .libs/libftr.so ]; then
	library="-L$build/.libs -Wl,-rpath,$build/.libs -lftr"
else
	library="$build/.libs/libftr.a -lelf -lffi"
fi

# try NAME COMMAND...
try() {
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL: $name"
		sed 's/^/    /' "$work/log"
	fi
}

# language COMPILER -std LANGUAGE
language() {
	compiler=$1 std=$2 as=$3
	for header in "$srcdir"/include/ftr/*.h; do
		base=${header##*/}
		echo "#include <ftr/$base>" >"$work/alone.c"
		try "$compiler $std: $base alone" $compiler -x "$as" $std $warnings \
			-I"$srcdir/include" -fsyntax-only "$work/alone.c"
	done
	# A program may stand in front with either of the system's two headers.
	for system in asm/ptrace.h sys/ptrace.h; do
		printf '#include <%s>\n#include <ftr/ftr.h>\n' "$system" >"$work/alone.c"
		try "$compiler $std: after $system" $compiler -x "$as" $std $warnings \
			-I"$srcdir/include" -fsyntax-only "$work/alone.c"
		printf '#include <ftr/ftr.h>\n#include <%s>\n' "$system" >"$work/alone.c"
		try "$compiler $std: before $system" $compiler -x "$as" $std $warnings \
			-I"$srcdir/include" -fsyntax-only "$work/alone.c"
	done
	try "$compiler $std: headers.c" $compiler -x "$as" $std $warnings -O2 \
		-I"$srcdir/include" -c "$source" -o "$work/headers.o"
	try "$compiler $std: linking" $CC $SANITIZE_CFLAGS "$work/headers.o" \
		-o "$work/headers" $library
	try "$compiler $std: running" "$work/headers"
	rm -f "$work/headers.o" "$work/headers"
}

for compiler in "$CC" "$CLANG"; do
	[ -n "$compiler" ] || { echo "no clang: left out"; continue; }
	for std in c99 c11 c17; do
		language "$compiler" "-std=$std" c
	done
done
for compiler in "$CXX" "${CLANG:+$CLANG --driver-mode=g++}"; do
	[ -n "$compiler" ] || continue
	for std in c++98 c++11 c++17; do
		language "$compiler" "-std=$std" c++
	done
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
