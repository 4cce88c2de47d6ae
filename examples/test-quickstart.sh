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
grep -qx "${*: -1}" "$STATE/installed" || exit 1
case ${*: -1} in
*:i386) echo i386 installed ;;
both) printf '%s installed\n' amd64 i386 ;;
foreign) echo i386 installed ;;
*) echo all installed ;;
esac
S
stand_in dpkg <<'S'
case $1 in
--print-architecture) echo amd64 ;;
--print-foreign-architectures) cat "$STATE/foreign" ;;
--add-architecture) echo "$2" >>"$STATE/foreign" ;;
esac
S
: >"$build/foreign"
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

printf '%s\n' aa both foreign >installed
try both --
check "installed for two architectures" "" "$(cat calls)"
try foreign --
check "installed for another one alone" 1 "$(grep -c 'install.*foreign' calls)"

# shellcheck disable=SC2034 # for the functions of quickstart
for_i386=(bb:i386 unknown:i386)
(i386_ready >said 2>&1)
check "without packages for i386 its tests are skipped, loudly" "1 1 # SKIP:  1" \
	"$? $(grep -c 'SKIP: ALL TESTS ON i386.*unknown:i386' said) $(cat skipped-i386.log)"
check "its architecture was added" i386 "$(cat foreign)"
(CI=true i386_ready >said 2>&1)
check "in CI that is an error" "1 1" "$? $(grep -c 'cannot be had: unknown:i386' said)"
# shellcheck disable=SC2034 # for the functions of quickstart
for_i386=(bb:i386)
(i386_ready >said 2>&1)
check "with them they are run" 0 $?

# arguments WHAT EXPECTED ARCH FTR_CONFIGURE
arguments() {
	# shellcheck disable=SC2034 # for the functions of quickstart
	check "$1" "$2" "$(arch=$3 FTR_CONFIGURE=$4 && configure_arguments | tr '\n' ' ')"
}
arguments "configure's arguments" "--x CC=clang " native "CC=clang --x"
arguments "none" "" native ""
arguments "those of i386" "--host=i686-linux-gnu CC=clang -m32 CXX=g++ -m32 \
PKG_CONFIG_LIBDIR=/usr/lib/i386-linux-gnu/pkgconfig:/usr/share/pkgconfig " i386 CC=clang

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
