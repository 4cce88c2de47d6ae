/* SPDX-License-Identifier: MIT */
/*
 * usage: probe
 *
 * What a probe costs when its instruction is reached, and what it takes to enable
 * many.
 *
 * Floor: one SIGTRAP.  A breakpoint in the function, and a hand-written handler that
 * returns; the kernel goes on behind the breakpoint.  Whatever is done by a
 * breakpoint costs this.  A probe by a site needs none.
 *
 * Both handlers take turns: the library's is put aside while the floor's is there.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <ftr/ftr.h>

#include "bench/measure.h"

enum { ROUNDS = 60, CALLS = 400, MANY = 10000, MANY_ROUNDS = 20 };

void bench_plain(void), bench_breakpoint(void), bench_probed(void), bench_site(void),
	bench_many(void);

enum { PLAIN, FLOOR, PRE, POST, BOTH, SITE, VARIANTS };

static struct {
	const char *name;
	void (*fn)(void);
	struct ftr_probe *probe;
	struct bench_series ns;
} variants[VARIANTS] = {
	[PLAIN] = { .name = "a call, no probe", .fn = bench_plain },
	[FLOOR] = { .name = "floor: a breakpoint and a handler", .fn = bench_breakpoint },
	[PRE] = { .name = "probe, breakpoint, pre", .fn = bench_probed },
	[POST] = { .name = "probe, breakpoint, post", .fn = bench_probed },
	[BOTH] = { .name = "probe, breakpoint, pre and post", .fn = bench_probed },
	[SITE] = { .name = "probe, site, pre", .fn = bench_site },
};

static unsigned long pres, posts;

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	return 0;
}

static void post(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
}

static struct ftr_probe *new_probe(uintptr_t addr, ftr_pre_fn before, ftr_post_fn behind)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe = NULL;

	options.addr = addr;
	options.pre = before;
	options.post = behind;
	bench_check(ftr_probe_new(&probe, &options), "ftr_probe_new");
	return probe;
}

static void on_breakpoint(int sig, siginfo_t *info, void *context)
{
}

static double time_calls(void (*fn)(void))
{
	uint64_t start;
	int i;

	fn();
	start = bench_now();
	for (i = 0; i < CALLS; i++)
		fn();
	return (double)(bench_now() - start) / CALLS;
}

static void measure(int i)
{
	struct sigaction ours = { .sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO }, kept;

	if (i == FLOOR && sigaction(SIGTRAP, &ours, &kept))
		bench_fail("sigaction");
	if (variants[i].probe)
		bench_check(ftr_probe_enable(variants[i].probe), "enable");
	bench_add(&variants[i].ns, time_calls(variants[i].fn));
	if (variants[i].probe)
		bench_check(ftr_probe_disable(variants[i].probe), "disable");
	if (i == FLOOR)
		sigaction(SIGTRAP, &kept, NULL);
}

/* As measured with kernel 6.18, 64 bits, on another machine, where a trap with its
 * SIGTRAP took 1,700 ns (i386: 7,700): uprobes take the trap alone. */
static void print_others(void)
{
	static const struct {
		const char *name;
		double ns;
	} others[] = {
		{ "there: a SIGTRAP, 64 bits", 1700 },
		{ "there: kernel uprobe, on a nop of 5 bytes", 393 },
		{ "there: kernel uprobe, emulated", 566 },
		{ "there: kernel uprobe, single-stepped", 10100 },
		{ "there: a SIGTRAP, 32 bits", 7700 },
	};
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		printf("  %-40s %8.0f\n", others[i].name, others[i].ns);
}

static void print_hits(void)
{
	double base = bench_min(&variants[PLAIN].ns);
	double floor = bench_min(&variants[FLOOR].ns) - base;
	int i;

	printf("\nprobe: ns a hit over a call; %d rounds of %d calls\n", ROUNDS, CALLS);
	printf("  %-40s %8s %8s   %s\n", "", "min", "median", "min, over the floor");
	for (i = FLOOR; i < VARIANTS; i++) {
		double low = bench_min(&variants[i].ns) - base;
		printf("  %-40s %8.0f %8.0f", variants[i].name, low,
		       bench_median(&variants[i].ns) - base);
		if (i != FLOOR)
			printf("   %5.2f x", low / floor);
		putchar('\n');
	}
	print_others();
}

static void measure_many(void)
{
	static struct ftr_probe *probes[MANY];
	struct bench_series on = { 0 }, off = { 0 };
	uint64_t start = bench_now();
	int i;

	for (i = 0; i < MANY; i++)
		probes[i] = new_probe((uintptr_t)bench_many + 2 * (uintptr_t)i, pre, NULL);
	printf("\nprobe: %d in one batch, ms: min, median; %d rounds\n", MANY, MANY_ROUNDS);
	printf("  %-40s %8.2f\n", "made", (double)(bench_now() - start) / 1e6);
	for (i = 0; i < MANY_ROUNDS; i++) {
		start = bench_now();
		bench_check(ftr_probe_enable_many(probes, MANY), "enable");
		bench_add(&on, (double)(bench_now() - start) / 1e6);
		start = bench_now();
		bench_check(ftr_probe_disable_many(probes, MANY), "disable");
		bench_add(&off, (double)(bench_now() - start) / 1e6);
	}
	printf("  %-40s %8.2f %8.2f\n", "enabled", bench_min(&on), bench_median(&on));
	printf("  %-40s %8.2f %8.2f\n", "disabled", bench_min(&off), bench_median(&off));
}

int main(void)
{
	int round, i;

	bench_check(ftr_init(NULL), "ftr_init");
	variants[PRE].probe = new_probe((uintptr_t)bench_probed, pre, NULL);
	variants[POST].probe = new_probe((uintptr_t)bench_probed, NULL, post);
	variants[BOTH].probe = new_probe((uintptr_t)bench_probed, pre, post);
	variants[SITE].probe = new_probe((uintptr_t)bench_site, pre, NULL);
	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < VARIANTS; i++)
			measure(i);
	if (pres != 3ul * ROUNDS * (CALLS + 1) || posts != 2ul * ROUNDS * (CALLS + 1))
		bench_fail("%lu and %lu handlers were called", pres, posts);
	print_hits();
	measure_many();
	return 0;
}
