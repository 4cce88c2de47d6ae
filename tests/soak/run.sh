#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh SECONDS: the soak, half of the time with the strategy auto, half with
# int3 alone.  Run by `make soak SECONDS=n` at the top of the build tree.
#
# Lua's source is what ./quickstart fetched into this tree; where it is not
# there, the program's own functions are all that is traced.
#
# Environment: CC, srcdir.

set -u
seconds=$1
program=tests/soak/soak
plugin=tests/live/.libs/plugin_a.so
lua=()

# The interpreter as a shared object with a site in each function.
build_library() {
	local source=lua/src/lua.h dir=tests/soak/lua file
	[ -f $source ] || return 1
	mkdir -p $dir
	[ ! -f $dir/liblua.so ] || return 0
	for file in lua/src/*.c; do
		case $file in */lua.c | */luac.c) continue ;; esac
		$CC -O2 -fPIC -fpatchable-function-entry=5 -DLUA_USE_POSIX -c "$file" \
			-o "$dir/$(basename "$file" .c).o" || return 1
	done
	$CC -shared -o $dir/liblua.so $dir/*.o -lm
}

if build_library; then
	lua=(--lua tests/soak/lua/liblua.so "$srcdir/tests/soak/work.lua")
else
	echo "soak: no source of Lua in this tree (./quickstart fetches it): without it"
fi

# So that what malloc(3) counts as used is what was not freed.
export GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1

for strategy in "" --int3; do
	$program $strategy ${lua[@]+"${lua[@]}"} --plugin $plugin $((seconds / 2)) || exit 1
done
