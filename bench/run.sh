#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: run.sh [entry] [exit] [typed] [probe] [attach] [index] [peers]
#
# Run by `make bench` in the build directory: prints the tables.  What each
# part measures, and against which floor, is told in the head of its source;
# why ratios of one run are what counts, in measure.h.
set -eu

build() {
	$MAKE -s --no-print-directory "$1" >"$1.log" 2>&1
}

# $1: entry or patch.
xray() {
	if [ -z "$CLANG" ]; then
		printf '\nSKIP XRay: no clang\n'
	elif ! build bench/xray; then
		printf '\nSKIP XRay: not built, most likely for want of its runtime (bench/xray.log)\n'
	else
		bench/xray "$1" bench
	fi
}

# With XRay beside it where that can be had.
exits() {
	if [ -z "$CLANG" ]; then
		bench/exit
		printf '\nSKIP XRay: no clang\n'
	elif ! build bench/exit_xray; then
		bench/exit
		printf '\nSKIP XRay: not built, most likely for want of its runtime (bench/exit_xray.log)\n'
	else
		bench/exit_xray
	fi
}

# Where its own libraries are missing uftrace waits for ever.
uftrace_records() {
	rm -rf bench/uftrace.data
	timeout 30 uftrace record --force -d bench/uftrace.data bench/recorded >bench/uftrace.log 2>&1 &&
		rm -rf bench/uftrace.data && grep -Eq '^ +[0-9.]+ +[0-9.]+$' bench/uftrace.log
}

uftrace_peer() {
	if ! command -v uftrace >/dev/null; then
		printf '\nSKIP uftrace: not installed\n'
	elif ! build bench/recorded || ! uftrace_records; then
		printf '\nSKIP uftrace: it did not record (bench/uftrace.log)\n'
	else
		printf '\npeers, uftrace: ns a call, entry and exit recorded: min, median\n'
		printf '  %-40s %s\n' uftrace "$(grep -E '^ +[0-9.]+ +[0-9.]+$' bench/uftrace.log)"
	fi
}

machine() {
	printf 'libftr %s on %s\n' "$VERSION" \
		"$(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)"
	printf 'Linux %s, %s CPUs, load %s\n' "$(uname -r)" "$(getconf _NPROCESSORS_ONLN)" \
		"$(cut -d' ' -f1 /proc/loadavg)"
	printf 'Floors are hand-written code for the same job, measured in the same run, in turn.\n'
	printf 'Compare the ratios: they hold on another machine, or on a busy one; times do not.\n'
}

machine
for part in "$@"; do
	case $part in
	entry | index) "bench/$part" bench ;;
	exit) exits ;;
	typed) bench/typed ;;
	probe) bench/probe ;;
	attach) bench/attach bench; xray patch ;;
	peers) xray entry; uftrace_peer ;;
	*) echo "bench: no part '$part': entry, exit, typed, probe, attach, index, peers" >&2; exit 2 ;;
	esac
done
