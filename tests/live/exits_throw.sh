#!/bin/sh
# SPDX-License-Identifier: MIT
# R4: a C++ program prints the same whether all its functions have return hooks
# or none: made by g++ and by clang++, with libgcc's unwinder and with LLVM's.
build=$(pwd)
here=$srcdir/tests/live
passed=0 failed=0

[ -f .libs/libftr.so ] || { echo "SKIP: no shared library"; exit 77; }
work=$(mktemp -d "$build/throw.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
machine=
[ "$FTR_BACKEND" != i386 ] || machine=-m32
library="-L$build/.libs -Wl,-rpath,$build/.libs -lftr"
common="$machine -Wall -Wextra -Wno-unused-parameter -I$srcdir/include"

fail() {
	failed=$((failed + 1))
	echo "FAIL: $1"
	sed 's/^/    /' "$work/log" | tail -n 40
}

# make_program COMPILER FLAGS: $program of the compiler
make_program() {
	program=$work/program
	$CC $machine -std=gnu11 -O2 -fPIC $SANITIZE_CFLAGS -I"$srcdir/include" -Wno-unused-parameter \
		-c "$here/exits_throw_hooks.c" -o "$work/hooks.o" >"$work/log" 2>&1 &&
	$1 $common -std=c++17 -fpatchable-function-entry=5 $2 -fPIC -shared \
		"$here/exits_throw_lib.cc" -o "$work/libthrow.so" >"$work/log" 2>&1 &&
	$1 $common -std=c++17 -fpatchable-function-entry=5 $2 -rdynamic $SANITIZE_CFLAGS \
		"$here/exits_throw.cc" "$work/hooks.o" -o "$program" \
		-L"$work" -Wl,-rpath,"$work" -lthrow $library -lpthread >"$work/log" 2>&1
}

# one_run HOW PRELOAD: a transcript.  LLVM's unwinder does not pass a signal's frame
# in any program.
one_run() {
	ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS} LD_PRELOAD=$2 \
		"$program" "$1" >"$work/$1.out" 2>"$work/log"
	status=$?
	[ -z "$2" ] || sed -i '/^--- signal/,/^status/d' "$work/$1.out"
	return $status
}

# compare NAME PRELOAD
compare() {
	one_run plain "$2"
	[ "$(grep -c '^status' "$work/plain.out")" -ge 16 ] || fail "$1: plain"
	for how in args regs all unwound toggle; do
		one_run $how "$2"
		status=$?
		if [ $status = 77 ]; then
			echo "SKIP: the kernel has no membarrier(2) with SYNC_CORE"
			exit 77
		elif [ $status != 0 ]; then
			fail "$1: $how: status $status"
		elif ! cmp -s "$work/plain.out" "$work/$how.out"; then
			diff "$work/plain.out" "$work/$how.out" >>"$work/log"
			fail "$1: $how: another transcript"
		else
			passed=$((passed + 1))
		fi
	done
}

# The linker's name for it is not installed; its soname is, in the same place
# as libgcc's.
llvm_unwinder() {
	unwinder=$($CC $machine -print-file-name=libunwind.so.1)
	case $unwinder in /*) [ -z "$SANITIZE_CFLAGS" ] ;; *) return 1 ;; esac
}

# Sanitizers of two compilers do not go together in one process.
[ -z "$SANITIZE_CFLAGS" ] || CLANG=
for compiler in "$CXX" "${CLANG:+$CLANG --driver-mode=g++}"; do
	[ -n "$compiler" ] || { echo "no clang, or sanitizers: left out"; continue; }
	for flags in -O0 -O2; do
		name="$compiler $flags"
		make_program "$compiler" "$flags" || { fail "$name: building"; continue; }
		compare "$name" ""
		if [ "$flags" != -O2 ]; then
			continue
		elif llvm_unwinder; then
			compare "$name, LLVM's libunwind" "$unwinder"
		else
			echo "$name: LLVM's libunwind is not here, or sanitizers are"
		fi
	done
done
echo "$passed transcripts the same, $failed failures"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
