#!/bin/sh
# SPDX-License-Identifier: MIT
# R4: real programs with all their functions hooked from before main() on print what
# they print alone, and each call that began ended, by a return or unwound past.
#
#	exits_programs.sh            Lua, where ./quickstart has built it
#	exits_programs.sh COMMAND... that program
build=$(pwd)
books=$build/tests/live/.libs/exits_books.so
failed=0 passed=0

skip() {
	echo "SKIP: $1"
	exit 77
}

# An address sanitizer has to come first in a process, before any preload.
[ -z "$SANITIZE_CFLAGS" ] || skip "a sanitized library cannot be preloaded"
[ -e "$books" ] || skip "no shared library was built"
work=$(mktemp -d "$build/programs.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# A number of the report.
seen() {
	sed "s/.*$1 \([0-9]*\).*/\1/;q" "$work/report"
}

fail() {
	failed=$((failed + 1))
	echo "FAIL: $1"
	[ ! -e "$work/report" ] || cat "$work/report"
}

# hook FLAGS COMMAND...
hook() {
	flags=$1
	shift
	rm -f "$work/report"
	FTR_BOOKS_OUT=$work/report FTR_BOOKS_FLAGS=$flags LD_PRELOAD=$books "$@" \
		<"$work/input" >"$work/hooked" 2>&1
	hooked=$?
	[ $hooked = $alone ] || fail "$*: status $hooked, not $alone"
	[ -s "$work/report" ] || { fail "$*: no report"; return; }
	cmp "$work/alone" "$work/hooked" || fail "$*: another output"
	[ "$(seen wrong)" = 0 ] || fail "$*: exits that were not the last call's"
	[ "$(seen missed)" = 0 ] || fail "$*: calls were missed"
	[ "$(seen entries)" = $(($(seen exits) + $(seen unwound) + $(seen open))) ] ||
		fail "$*: entries and exits do not agree"
	[ "$(seen entries)" -gt 10000 ] || fail "$*: nothing was hooked"
	cat "$work/report"
	passed=$((passed + 1))
}

# program KINDS COMMAND...
program() {
	kinds=$1
	shift
	"$@" <"$work/input" >"$work/alone" 2>&1
	alone=$?
	for kind in $kinds; do
		hook $kind "$@"
	done
}

cat >"$work/input" </dev/null
if [ $# -gt 0 ]; then
	cat >"$work/input"
	program "args regs all" "$@"
else
	lua=$build/lua/src/lua
	[ -x "$lua" ] || skip "no Lua in lua/src: ./quickstart fetches it"
	program "args regs all" "$lua" "$srcdir/tests/live/errors.lua"
fi
echo "$passed runs right, $failed failures"
[ $failed -eq 0 ]
