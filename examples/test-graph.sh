#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The graph of programs with recursion, jumps, exceptions and threads, line for
# line but for durations and ids of threads.

. ./examples/env.sh
graph=$PWD/examples/.libs/graph.so

# An address sanitizer has to come first in a process, before any preload.
[ -z "$SANITIZE_CFLAGS" ] || { echo "SKIP: a sanitized library cannot be preloaded"; exit 77; }
[ -e "$graph" ] || { echo "SKIP: no shared library was built"; exit 77; }

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

# graph_of COMPILER SOURCE ENVIRONMENT...: graph.out; standard input: what is expected
graph_of() {
	compiler=$1 source=$2
	shift 2
	cat >"$dir/expected"
	$compiler -O1 -fno-inline -fno-optimize-sibling-calls -fpatchable-function-entry=5 \
		"$dir/$source" -o "$dir/program" -lpthread || exit 1
	"$dir/program" >"$dir/alone" || { echo "FAIL: $source alone"; exit 1; }
	env "$@" LD_PRELOAD="$graph" FTR_GRAPH_OUT="$dir/graph" "$dir/program" >"$dir/traced" || {
		echo "FAIL: $source: status $?"
		failed=1
	}
	cmp "$dir/alone" "$dir/traced" || failed=1
	sed -E 's/^ *[0-9]+\) +//; s/^[0-9]+\.[0-9]{3} us/time/' "$dir/graph" >"$dir/stripped"
	if ! diff "$dir/expected" "$dir/stripped"; then
		echo "FAIL: $source: another graph"
		cat "$dir/graph"
		failed=1
	fi
}

cat >"$dir/plain.c" <<'END'
#include <setjmp.h>
#include <stdio.h>
static jmp_buf out;
static volatile int sink;
int leaf(int n) { return n + 1; }
int recurse(int n) { return n ? recurse(n - 1) + leaf(n) : 0; }
void jumps(void) { longjmp(out, 1); }
void calls_jumps(void) { sink = leaf(1); jumps(); puts("never"); }
void after(void) { sink = 3; }
int main(void)
{
	printf("%d\n", recurse(2));
	if (!setjmp(out))
		calls_jumps();
	after();
	return 0;
}
END
graph_of "$CC" plain.c FTR_GRAPH_FILTER='*' <<'END'
|  main() {
|    recurse() {
|      recurse() {
time |        recurse();
time |        leaf();
time |      }
time |      leaf();
time |    }
|    calls_jumps() {
time |      leaf();
time |      jumps(); /* jumps: did not return */
time |    } /* calls_jumps: did not return */
time |    after();
time |  }
END

graph_of "$CC" plain.c FTR_GRAPH_DEPTH=2 FTR_GRAPH_FILTER='[mr]*' <<'END'
|  main() {
|    recurse() {
time |    }
time |  }
END

cat >"$dir/throws.cc" <<'END'
#include <cstdio>
extern "C" {
int throws(int n) { if (n % 2) throw n; return n; }
int passes(int n) { return throws(n) + 1; }
int catches(int n) { try { return passes(n); } catch (int thrown) { return -thrown; } }
}
int main()
{
	int thrown = catches(1);
	std::printf("%d %d\n", thrown, catches(2));
	return 0;
}
END
graph_of "$CXX" throws.cc FTR_GRAPH_FILTER='*' <<'END'
|  main() {
|    catches() {
|      passes() {
time |        throws(); /* throws: did not return */
time |      } /* passes: did not return */
time |    }
|    catches() {
|      passes() {
time |        throws();
time |      }
time |    }
time |  }
END

[ $failed = 0 ]
