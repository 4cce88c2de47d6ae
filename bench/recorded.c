/* SPDX-License-Identifier: MIT */
/*
 * A program for tracers that start their victim (uftrace): calls a traced
 * function many times and prints ns a call over a call of an untraced one.
 */
#include "bench/measure.h"

#include <stdio.h>

enum { CALLS = 100000, ROUNDS = 15 };

__attribute__((noinline, noclone, no_instrument_function)) static int plain(int n)
{
	__asm__ volatile("" ::: "memory");
	return n + 1;
}

__attribute__((noinline, noclone)) static int traced(int n)
{
	__asm__ volatile("" ::: "memory");
	return n + 1;
}

__attribute__((no_instrument_function)) static double time_calls(int (*fn)(int n))
{
	uint64_t start = bench_now();

	for (int i = 0; i < CALLS; i++)
		fn(i);
	return (double)(bench_now() - start) / CALLS;
}

__attribute__((no_instrument_function)) int main(void)
{
	static struct bench_series base, ns;

	for (int round = 0; round < ROUNDS; round++) {
		bench_add(&base, time_calls(plain));
		bench_add(&ns, time_calls(traced));
	}
	printf("%8.2f %8.2f\n", bench_min(&ns) - bench_min(&base),
	       bench_median(&ns) - bench_median(&base));
	return 0;
}
