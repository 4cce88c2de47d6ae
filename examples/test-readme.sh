#!/bin/sh
# SPDX-License-Identifier: MIT
#
# README's program is the one in examples/, README's command builds it, and it
# prints what README says.

. ./examples/env.sh
srcdir=$(cd "$srcdir" && pwd)
top=$PWD

fail() {
	echo "$*"
	exit 1
}

[ -e .libs/libftr.so ] || { echo "SKIP: no shared library was built"; exit 77; }
[ -n "$PKG_CONFIG" ] || { echo "SKIP: no pkg-config"; exit 77; }

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
readme=$srcdir/README.md

# The first two commands that a reader meets.
commands=$(sed -n 's/^    \(\.\/[a-z]*[^#]*[^ #]\) *\(#.*\)*$/\1/p' "$readme" | head -n 2 | tr '\n' ';')
[ "$commands" = "./quickstart;./quickstart check;" ] || fail "README's commands: $commands"

# shellcheck disable=SC2016 # the backquotes are Markdown's
sed -n '/^```c$/,/^```$/{/^```/d;p}' "$readme" >hello.c
sed 1d "$srcdir/examples/hello.c" >expected.c
diff -u expected.c hello.c || fail "README's program is not examples/hello.c"
sed -n '/^It prints:$/,/^The handler/s/^    //p' "$readme" >expected.out
[ -s expected.out ] || fail "README does not say what its program prints"

# The library as it is installed, but below a directory of its own.
(cd "$top" && MAKEFLAGS='' MAKELEVEL='' $MAKE install DESTDIR="$dir/root") >install.log 2>&1 || {
	cat install.log
	fail "make install failed"
}
pc=$(find root -name ftr.pc)
[ -n "$pc" ] || fail "ftr.pc is not installed"
system=$($PKG_CONFIG --variable=pc_path pkg-config)
export PKG_CONFIG_LIBDIR="$dir/${pc%/ftr.pc}:$system" PKG_CONFIG_SYSROOT_DIR="$dir/root"
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export LD_LIBRARY_PATH="$dir/${pc%/pkgconfig/ftr.pc}"

cc() {
	# shellcheck disable=SC2086 # each is a list of words
	$CC $SANITIZE_CFLAGS "$@"
}
pkg_config=$PKG_CONFIG
command=$(sed -n 's/^    \(cc .*pkg-config.*\)$/\1/p' "$readme" | sed "s|pkg-config|$pkg_config|")
[ -n "$command" ] || fail "README has no command that builds its program"
echo "$command"
eval "$command" || fail "README's command failed"
./hello >hello.out || fail "README's program ended with status $?"
diff -u expected.out hello.out || fail "README's program prints something else"
