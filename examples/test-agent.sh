#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The agent in a program that knows nothing of it: the program prints what it
# prints alone, and the agent's counts are exact, also with several threads.

. ./examples/env.sh
work=./examples/work
agent=$PWD/examples/.libs/agent.so

fail() {
	echo "$*"
	[ ! -f "$dir/report" ] || cat "$dir/report"
	exit 1
}

# An address sanitizer has to come first in a process, before any preload.
[ -z "$SANITIZE_CFLAGS" ] || { echo "SKIP: a sanitized library cannot be preloaded"; exit 77; }
[ -e "$agent" ] || { echo "SKIP: no shared library was built"; exit 77; }

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# traced ROUNDS THREADS ENVIRONMENT...: run work alone and traced, and compare.
traced() {
	rounds=$1 threads=$2
	shift 2
	$work "$rounds" "$threads" >"$dir/alone" || fail "work ended with status $?"
	env "$@" LD_PRELOAD="$agent" FTR_AGENT_OUT="$dir/report" \
		$work "$rounds" "$threads" >"$dir/traced" 2>"$dir/stderr" ||
		fail "work, traced, ended with status $?"
	cmp "$dir/alone" "$dir/traced" || fail "traced, the program printed something else"
	[ ! -s "$dir/stderr" ] || fail "something was written to stderr: $(cat "$dir/stderr")"
	! grep '^error' "$dir/report" || fail "the agent met an error"
	# shellcheck disable=SC2154 # from env.sh
	grep -q "^libftr $version traced this program" "$dir/report" || fail "another version"
}

# calls FUNCTION: how often the report says that it was called.
calls() {
	tr -d , <"$dir/report" | awk -v name="$1" '$3 == name { print $1 }'
}

# The same of a report with times; microseconds.
calls_timed() {
	tr -d , <"$dir/report" | awk -v name="$1" '$4 == name { print $2 }'
}
micros() {
	tr -d , <"$dir/report" | awk -v name="$1" '$4 == name { print $1 }'
}

# Attached before main() and never taken off: nothing is missed.
traced 150 2 FTR_AGENT_EARLY=1 FTR_AGENT_OFF_MS=0
words=$(awk '/words counted/ { print $1 }' "$dir/traced")
[ "$words" = 1200000 ] || fail "work counted $words words"
for function in count_word make_word hash_word find_word; do
	[ "$(calls $function)" = "$words" ] || fail "$function: $(calls $function), not $words"
done
[ "$(calls evaluate_sums)" = 300 ] || fail "evaluate_sums: $(calls evaluate_sums), not 300"
grep -Eq ' make_word +count_text 100%$' "$dir/report" || fail "make_word has another caller"
grep -Eq '^batches +2: 1 times attached, 1 detached' "$dir/report" || fail "not two batches"

# With times: all that was called returned, but what is under way at the end; what
# is outermost took longest, a function that calls itself no longer than it.
traced 150 2 FTR_AGENT_EARLY=1 FTR_AGENT_OFF_MS=0 FTR_AGENT_TIMES=1
[ "$(calls_timed count_word)" = "$words" ] || fail "count_word: $(calls_timed count_word), not $words"
seen=$(tr -d , <"$dir/report" | awk '/^calls seen/ { print $3 }')
returns=$(tr -d , <"$dir/report" | awk '/^returns seen/ { print $3 }')
case $((seen - returns)) in
0 | 1) ;;
*) fail "$seen calls, $returns returns" ;;
esac
[ "$(micros run_job)" -ge "$(micros count_text)" ] || fail "run_job took less than count_text"
[ "$(micros count_text)" -gt "$(micros count_word)" ] || fail "count_text took less than count_word"
[ "$(micros evaluate_sums)" -ge "$(micros parse_sum)" ] || fail "parse_sum counts its own calls"

# On and off as fast as it goes, with times.
traced 300 3 FTR_AGENT_ON_MS=1 FTR_AGENT_OFF_MS=1 FTR_AGENT_TIMES=1
grep -Eq '^returns seen +[1-9]' "$dir/report" || fail "no return was seen"

# On and off as fast as it goes, in three threads.
traced 1000 3 FTR_AGENT_ON_MS=1 FTR_AGENT_OFF_MS=1
grep -Eq '^calls seen +[1-9]' "$dir/report" || fail "no call was seen"
grep -Eq '^batches +[1-9][0-9]*: ' "$dir/report" || fail "no batch was carried out"

# Only what the filter names.
traced 5 1 FTR_AGENT_EARLY=1 FTR_AGENT_OFF_MS=0 FTR_AGENT_FILTER='work:parse_*'
grep -q '^calls seen .* of 3 functions' "$dir/report" || fail "more than the three parsers"
[ "$(calls parse_product)" -gt "$(calls parse_sum)" ] || fail "fewer products than sums"
cat "$dir/report"
