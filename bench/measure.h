/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks share: the clock, series of measurements, measuring in a
 * child of its own, and the generated modules.
 *
 * A claim printed by a benchmark is a ratio to something measured in the same
 * run: floors (the least that hand-written code needs for the job) and the
 * library take turns, round by round, so that a slow phase of the machine
 * meets both.  The minimum is what the code costs, the median what it cost
 * here with all that happened meanwhile.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 128

/** Measurements of one thing, in rounds.  No pointers: it may lie in memory
 *  that a child shares with its parent. */
struct bench_series {
	unsigned n;
	double value[BENCH_ROUNDS_MAX];
};

void bench_add(struct bench_series *series, double value);
double bench_min(const struct bench_series *series);
double bench_median(const struct bench_series *series);

/** CLOCK_MONOTONIC, ns. */
uint64_t bench_now(void);

/** Say what went wrong and end the program: a number that cannot be had is an
 *  error, never a blank. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Fail, with the library's sentence, if a call of it returned an error. */
void bench_check(int result, const char *what);

/** Zeroed memory that children share with this process. */
void *bench_shared(size_t size);

/** Run fn in a child of its own, so that it finds the library not started and
 *  every page as the file has it; fails if the child does. */
void bench_child(void (*fn)(void *arg), void *arg);

/** A generated module (generate.sh): its sites and its floors' entry points. */
struct bench_module {
	const uintptr_t *sites, *sites_end;
	uintptr_t text, text_end;
	uintptr_t floor_gpr, floor_xmm, floor_ymm, floor_zmm, floor_pt_regs;
};

/** Load DIR/FORM-COUNT.so.  form: "nop" or "pad". */
const struct bench_module *bench_load(const char *dir, const char *form, size_t count);

static inline size_t bench_count(const struct bench_module *module)
{
	return (size_t)(module->sites_end - module->sites);
}

/** Call every function of the module once. */
void bench_call_all(const struct bench_module *module);

#endif /* BENCH_MEASURE_H */
