# SPDX-License-Identifier: MIT
# Sourced by the form tests: builds tests/forms/fixture.c in one form after the
# other and runs the driver on each.
#
# From the environment: srcdir, CC, CLANG, SANITIZE_CFLAGS, FTR_BACKEND; the
# current directory is the top of the build tree.
#
# Words used here
#   output   so: a shared object, opened by the driver; pie, nopie, static: the
#            driver and the fixture linked as one program
#   case     one output, run once

forms=$srcdir/tests/forms
build=$(pwd)
passed=0 failed=0 skipped=0
gcc5="before=9090909090 pad=5"
. "$forms/$FTR_BACKEND.sh"
# The forms of gcc come from gcc, also where another compiler builds the library.
GCC=$CC
case $($CC --version) in
*clang*) GCC=$(command -v gcc) || GCC= ;;
esac
[ "$GCC" = "$CC" ] || [ -z "$GCC" ] || GCC="$GCC $machine"
compiler=$GCC flags= link_flags= extra= model= linker_driver=
cf_choices="none full"
opt_choices="0 2"

skip_all() {
	echo "SKIP: $1"
	exit 77
}

work=$(mktemp -d "$build/forms.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM

# The library as it lies in the build tree.
if [ -f .libs/libftr.so ]; then
	library="-L$build/.libs -Wl,-rpath,$build/.libs -lftr"
else
	library="$build/.libs/libftr.a -lelf -lffi -lZydis"
fi
include="-I$forms -I$srcdir/include"
warnings="-Wall -Wextra -Wno-unused-parameter"

run() {
	"$@" >"$work/log" 2>&1
}

broken() {
	echo "FAIL: $1"
	cat "$work/log"
	exit 1
}

run $CC -std=gnu11 -D_GNU_SOURCE $warnings $SANITIZE_CFLAGS -O2 -fPIE $include \
	-c "$forms/driver.c" -o "$work/driver.o" || broken "driver.c"
run $CC $SANITIZE_CFLAGS -pie -rdynamic "$work/driver.o" -o "$work/driver" \
	$library -ldl -lpthread || broken "linking the driver"
run $CC -O2 -fPIC -c "$forms/fentry.c" -o "$work/fentry.o" || broken "fentry.c"
run $CC -O2 "$forms/noheaders.c" -o "$work/noheaders" || broken "noheaders.c"

# Whether the compiler makes a program with these options (a linker that is
# not installed, a plugin that is missing).
can() {
	echo 'int main(void) { return 0; }' >"$work/can.c"
	run "$@" "$work/can.c" -o "$work/can" && run "$work/can"
}

# Static programs need static libraries of all that libftr stands on; Debian has
# none of Zydis.
static_libraries="$build/.libs/libftr.a"
find_static_libraries() {
	[ -f "$build/.libs/libftr.a" ] || return 1
	[ -z "$SANITIZE_CFLAGS" ] || return 1
	for more in "" "-lz" "-lz -lzstd"; do
		can $CC -static -Wl,--whole-archive -lelf -lffi -lZydis -Wl,--no-whole-archive $more || continue
		static_libraries="$build/.libs/libftr.a -lelf -lffi -lZydis $more"
		return 0
	done
	return 1
}
if find_static_libraries; then have_static=yes; else have_static=no; fi

# compile COMPILER FLAGS...: sets $object.  What was built once is used again.
compile() {
	key=$(echo "$*" | tr -c 'A-Za-z0-9\n' _)
	object=$work/$key.o
	[ -f "$object" ] && return 0
	"$@" -std=gnu11 $warnings $include -c "$forms/fixture.c" -o "$object" >"$work/log" 2>&1
}

# link_case OUTPUT COMPILER LINK-FLAGS...: $object and $extra become $module.
link_case() {
	output=$1 linker=$2
	shift 2
	module=$work/case.$output
	case $output in
	so)
		run $linker -shared "$object" $extra -o "$module" "$@" $library ;;
	pie)
		run $linker $SANITIZE_CFLAGS -pie "$work/driver.o" "$object" $extra \
			-o "$module" "$@" $library -lpthread ;;
	nopie)
		run $linker $SANITIZE_CFLAGS -no-pie "$work/driver.o" "$object" $extra \
			-o "$module" "$@" $library -lpthread ;;
	static)
		run $linker -static "$work/driver.o" "$object" $extra \
			-o "$module" "$@" $static_libraries -lpthread ;;
	esac
}

# Position-independent code for what is, the compiler's shortest for the rest.
code_model() {
	case $1 in
	so) echo -fPIC ;;
	pie) echo -fPIE ;;
	*) echo -fno-pie ;;
	esac
}

drive() {
	if [ "$output" = so ]; then
		"$work/driver" module="$module" "$@"
	else
		"$module" "$@"
	fi >"$work/log" 2>&1
}

pass() { passed=$((passed + 1)); }
skip() { skipped=$((skipped + 1)); echo "SKIP: $1"; }
fail() {
	failed=$((failed + 1))
	echo "FAIL: $1"
	sed 's/^/    /' "$work/log"
	if [ $failed -ge 8 ]; then
		echo "that is enough: the other cases are left out"
		forms_end
	fi
}

# What stands between linking and running; a test may give another.
prepare() { :; }

# one_case NAME OUTPUT ENDBR: with $compiler $flags $link_flags $expect set.
one_case() {
	case_name=$1
	if [ "$2" = static ] && [ $have_static = no ]; then
		skip "$case_name: no static libraries, or sanitizers"
		return
	fi
	if ! compile $compiler $flags $case_flags ${model:-$(code_model "$2")}; then
		fail "$case_name: compiling"
	elif ! link_case "$2" "${linker_driver:-${GCC:-$CC}}" $link_flags; then
		fail "$case_name: linking"
	elif ! prepare "$module"; then
		fail "$case_name: preparing"
	elif drive endbr="$3" $expect; then
		pass
	else
		fail "$case_name"
	fi
}

# form OUTPUTS EXPECT: all combinations of output, endbr and optimisation.
# Reads $compiler $flags; may read $link_flags $extra $model.
form() {
	for out in $1; do
		for cf in $cf_choices; do
			for opt in $opt_choices; do
				case_flags="-fcf-protection=$cf -O$opt"
				expect=$2
				endbr=0
				[ "$cf" = full ] && endbr=1
				one_case "$compiler $flags $model $case_flags $out $link_flags" \
					"$out" "$endbr"
			done
		done
	done
}

# patchable N[,M] EXPECT [OUTPUTS]
patchable() {
	flags="-fpatchable-function-entry=$1"
	form "${3:-so pie nopie static}" "$2"
}

# What is expected where no function has room for a site.
refused="sites=none refused=14 pad=0 reason=fewer_than_five_bytes"

forms_end() {
	echo "$passed cases passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] || exit 1
	[ "$passed" -gt 0 ] || exit 77
	exit 0
}
