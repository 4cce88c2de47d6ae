#!/bin/bash
# SPDX-License-Identifier: MIT
#
# quickstart's parts, with stand-ins for the package manager: what it does on a
# machine that lacks something, and that it notices a program gone wrong.

# shellcheck source=quickstart
. "${srcdir:-.}/quickstart"
build=$(mktemp -d) || exit 1
trap 'rm -rf "$build"' EXIT
# shellcheck disable=SC2034 # for the functions of quickstart
log=$build/log
mkdir "$build/bin"
cd "$build" || exit 1
failed=0

# check WHAT EXPECTED GOT
check() {
	[ "$2" = "$3" ] && return
	printf '%s: expected "%s", got "%s"\n' "$1" "$2" "$3"
	failed=1
}

# Stand-ins: what is installed stands in a file; each call leaves a line.
stand_in() {
	{ echo '#!/bin/bash'; cat; } >"$build/bin/$1"
	chmod +x "$build/bin/$1"
}
export STATE=$build
stand_in dpkg-query <<'S'
grep -qx "${*: -1}" "$STATE/installed" && printf installed
S
stand_in apt-get <<'S'
echo "$*" >>"$STATE/calls"
case "$*" in
*indextargets*none*) ;;
*indextargets*)
	printf 'deb-src http://mirror.invalid/debian/ %s main\n' suite-b suite-a suite-a ;;
*update*) exit 100 ;;
*unknown*) exit 100 ;;
*install*)
	for name; do
		case $name in -* | install) ;; *) echo "$name" >>"$STATE/installed" ;; esac
	done ;;
esac
S
stand_in sudo <<'S'
exec "$@"
S
PATH=$build/bin:$PATH
unset CI

try() {
	: >"$build/calls"
	(packages_ready "$@" >"$build/said" 2>&1)
	status=$?
}

printf '%s\n' aa bb >installed
try aa bb --
check "nothing missing: no apt call" "" "$(cat calls)"
check "nothing missing: nothing was installed" 1 $status
try aa cc -- dd
check "missing ones come, though the update fails" "0 aa bb cc dd" \
	"$status $(sort -u installed | tr '\n' ' ' | sed 's/ $//')"
try aa -- unknown
check "a wanted one that cannot be had is no error" 0 $status
try aa unknown --
check "a required one is" "1 quickstart: cannot be had: unknown" \
	"$status $(grep -o 'quickstart: cannot be had: [a-z]*' said)"
CI=true try aa -- unknown
check "in CI a wanted one is an error, too" 1 $status

check "source entries, each once" "2 suite-a suite-b" "$(source_entries "" | wc -l) $(
	source_entries "" | awk '{ print $(NF - 1) }' | tr '\n' ' ' | sed 's/ $//')"

printf '# TOTAL: 9\n# PASS:  3\n# SKIP:  2\n# XFAIL: 1\n# FAIL:  0\n# XPASS: 0\n# ERROR: 0\n' >good.log
check "totals" "4 passed, 0 failed, 2 skipped 0" "$(print_totals good.log) $?"
printf '# PASS:  3\n# SKIP:  0\n# FAIL:  1\n# XPASS: 1\n# ERROR: 1\n' >bad.log
check "totals of failures" "3 passed, 3 failed, 0 skipped" "$(print_totals bad.log)"
print_totals bad.log >/dev/null
check "failures are an error" 1 $?
: >empty.log
print_totals empty.log >/dev/null
check "no test at all is an error" 1 $?

run_program untraced printf 'a\nb\n'
run_program traced printf 'a\nb\n'
(same_output out) 2>/dev/null
check "the same output" 0 $?
run_program traced printf 'a\nB\n'
(same_output out) 2>said
check "another output" "1 1" "$? $(grep -c 'PRINTED SOMETHING ELSE' said)"
(run_program traced sh -c 'kill -TRAP $$') 2>said
check "a program that dies" "1 1" "$? $(grep -c 'ended with status 133' said)"

report() {
	printf '%s\n' "$@" >report.txt
	(check_report) >/dev/null 2>&1
}
report "sites found     3" "calls seen      12"
check "a good report" 0 $?
report "sites found     3" "calls seen      0"
check "no calls" 1 $?
report "error           attach: no" "calls seen      12"
check "an error in the report" 1 $?
exit $failed
