/* SPDX-License-Identifier: MIT */
/*
 * What attaching, detaching and exchanging costs, for 1,000 to 400,000 sites.
 *
 * usage: attach MODULE-DIRECTORY [exits]
 *
 * Beside each number stands the floor: the int3 protocol written by hand over
 * the same sites (protocol.c), which verifies nothing, builds no trampoline
 * and waits for no handler to end.  "first" is measured in fresh processes,
 * where each page is still the file's and is copied when written; "again" in
 * one process where the pages are private, floor and library in turn.
 *
 * Poke strategies: each by itself, beside the least for stores alone (one pass of
 * aligned stores, one sync).
 *
 * The first batch of all: in fresh processes too, with the pages made private by
 * ftr_init() (FTR_TEXT_POPULATE) or by the batch itself.
 *
 * With exits: a group with an exit handler, whose sites jump to a stub each, beside
 * one without, in turn.  `exits`: this part alone.
 *
 * With threads: two threads run all the sites, one after the other, without a
 * pause.
 */
#include "bench/handler.h"
#include "bench/measure.h"
#include "bench/protocol.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROCESSES = 5, ROUNDS = 9, THREADS = 2, TRIES = 1000 };

enum change { FIRST, ATTACH, DETACH, EXCHANGE, CHANGES };

static const char *const change_name[CHANGES] = {
	[FIRST] = "first attach",
	[ATTACH] = "attach again",
	[DETACH] = "detach",
	[EXCHANGE] = "exchange A for B",
};

static const char *module_dir;

/* How often each thread has run all sites. */
static unsigned passes[THREADS];
static const struct bench_module *running;

/* One measurement: a module, alone or with threads.  Children fill it. */
struct run {
	const char *form;
	size_t sites;
	int threads;
	struct bench_series floor[CHANGES], library[CHANGES];
	struct ftr_stats last;   /* of the last child */
	uint64_t tries;          /* first attaches tried, -EAGAIN included */
};

_Noreturn static void *run_sites(void *arg)
{
	for (;;) {
		bench_call_all(running);
		__atomic_fetch_add((unsigned *)arg, 1, __ATOMIC_RELAXED);
	}
}

/* Sleep until every thread has run all sites since: a change that follows
 * another at once would find the threads where that one left them. */
static void await_passes(const struct run *run)
{
	for (int i = 0; i < run->threads; i++) {
		unsigned seen = __atomic_load_n(&passes[i], __ATOMIC_RELAXED);
		while (__atomic_load_n(&passes[i], __ATOMIC_RELAXED) == seen)
			usleep(50);
	}
}

static void start_threads(const struct run *run, const struct bench_module *module)
{
	pthread_t thread;

	running = module;
	for (int i = 0; i < run->threads; i++)
		if (pthread_create(&thread, NULL, run_sites, &passes[i]))
			bench_fail("no thread");
	await_passes(run);
}

static double floor_ms(const struct run *run, const struct bench_module *module, uintptr_t target)
{
	uint64_t start;
	double ms;

	await_passes(run);
	bench_traps_take();
	start = bench_now();
	bench_protocol(module, target);
	ms = (double)(bench_now() - start) / 1e6;
	bench_traps_give();
	return ms;
}

/* The floor's first change, in a process of its own.  A breakpoint that is met
 * late finds the handler still there: it is not given back. */
static void child_floor_first(void *arg)
{
	struct run *run = arg;
	const struct bench_module *module = bench_load(module_dir, run->form, run->sites);
	uint64_t start;

	bench_protocol_start(module, 0);
	bench_traps_take();
	start_threads(run, module);
	start = bench_now();
	bench_protocol(module, module->floor_gpr);
	bench_add(&run->floor[FIRST], (double)(bench_now() - start) / 1e6);
}

static struct ftr_group *new_group(const char *name)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = name;
	options.entry = bench_entry;
	options.flags = FTR_GROUP_NO_SIMD;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	return group;
}

static void hold_all(struct ftr_group *group, const struct run *run)
{
	char pattern[64];
	int matched;

	snprintf(pattern, sizeof pattern, "%s-%zu.so:*", run->form, run->sites);
	matched = ftr_group_filter(group, pattern, 0);
	bench_check(matched, pattern);
	if ((size_t)matched != run->sites)
		bench_fail("%s matched %d of %zu sites", pattern, matched, run->sites);
}

static void check_sites(const struct bench_module *module, unsigned char head)
{
	for (const uintptr_t *site = module->sites; site < module->sites_end; site++)
		if (*(const volatile unsigned char *)*site != head)
			bench_fail("site %zu does not begin with %02x", (size_t)(site - module->sites),
				   head);
}

/* Pads of several nops can be busy under running threads: try again. */
static double library_first_ms(struct run *run, struct ftr_group *group)
{
	uint64_t start = bench_now();
	int result, tries = 0;

	do {
		result = ftr_group_attach(group);
	} while (result == -EAGAIN && ++tries < TRIES);
	bench_check(result, "the first attach");
	run->tries += (uint64_t)tries + 1;
	return (double)(bench_now() - start) / 1e6;
}

static double library_ms(const struct run *run, struct ftr_group *attach, struct ftr_group *detach)
{
	uint64_t start;
	int result;

	await_passes(run);
	start = bench_now();
	if (attach && detach)
		result = ftr_group_update(&attach, 1, &detach, 1);
	else
		result = attach ? ftr_group_attach(attach) : ftr_group_detach(detach);
	bench_check(result, "a batch");
	return (double)(bench_now() - start) / 1e6;
}

static void measure_round(struct run *run, const struct bench_module *module, struct ftr_group *a,
			  struct ftr_group *b)
{
	bench_add(&run->floor[ATTACH], floor_ms(run, module, module->floor_gpr));
	bench_add(&run->floor[EXCHANGE], floor_ms(run, module, module->floor_xmm));
	bench_add(&run->floor[DETACH], floor_ms(run, module, 0));
	bench_add(&run->library[ATTACH], library_ms(run, a, NULL));
	bench_add(&run->library[EXCHANGE], library_ms(run, b, a));
	bench_add(&run->library[DETACH], library_ms(run, NULL, b));
}

/* SIGTRAP is taken before the library is started, so that it hands on what is
 * not its own: a breakpoint of the floor that is met late, when the library has
 * SIGTRAP back and the floor's next round is under way. */
static void child_library(void *arg)
{
	struct run *run = arg;
	const struct bench_module *module = bench_load(module_dir, run->form, run->sites);
	struct ftr_group *a, *b;

	bench_traps_take();
	bench_check(ftr_init(NULL), "ftr_init");
	a = new_group("A");
	b = new_group("B");
	hold_all(a, run);
	hold_all(b, run);
	start_threads(run, module);
	bench_add(&run->library[FIRST], library_first_ms(run, a));
	check_sites(module, 0xe8);
	library_ms(run, NULL, a);
	check_sites(module, 0x0f);
	bench_protocol_start(module, 0);
	for (int round = 0; round < ROUNDS; round++)
		measure_round(run, module, a, b);
	run->last = (struct ftr_stats)FTR_STATS_INIT;
	bench_check(ftr_stats_get(&run->last), "ftr_stats_get");
}

static void print_number(const struct bench_series *series)
{
	if (series->n)
		printf(" %9.3f (%8.3f)", bench_min(series), bench_median(series));
	else
		printf(" %9s  %8s ", "-", "");
}

static void print_run(const struct run *run)
{
	char sites[32];

	snprintf(sites, sizeof sites, "%zu%s", run->sites, strcmp(run->form, "pad") ? "" : " pads");
	for (int c = 0; c < CHANGES; c++) {
		printf("  %-11s %-18s", c ? "" : sites, change_name[c]);
		print_number(&run->floor[c]);
		print_number(&run->library[c]);
		if (run->floor[c].n)
			printf(" %7.2f", bench_min(&run->library[c]) / bench_min(&run->floor[c]));
		else
			printf(" %7s", "");
		printf(" %8.1f\n", bench_min(&run->library[c]) * 1e6 / (double)run->sites);
	}
	printf("  %-11s %.1f syncs a batch; %llu traps met in %llu batches", "",
	       (double)run->last.syncs / (double)run->last.batches,
	       (unsigned long long)run->last.traps, (unsigned long long)run->last.batches);
	if (run->tries > PROCESSES)
		printf("; the first attach took %.1f tries", (double)run->tries / PROCESSES);
	putchar('\n');
}

/* A thread may stand inside a pad of several nops, so the floor, which looks
 * at nobody, has no first change there. */
static struct run *measure(const char *form, size_t sites, int threads)
{
	struct run *run = bench_shared(sizeof *run);

	run->form = form;
	run->sites = sites;
	run->threads = threads;
	for (int i = 0; i < PROCESSES; i++) {
		if (!strcmp(form, "nop"))
			bench_child(child_floor_first, run);
		bench_child(child_library, run);
	}
	print_run(run);
	return run;
}

static double growth(const struct bench_series *small, const struct bench_series *large,
		     double factor)
{
	return bench_min(large) / bench_min(small) / factor;
}

static void measure_all(int threads)
{
	static const size_t sizes[] = { 1000, 10000, 40000, 100000, 400000 };
	struct run *runs[5];

	if (threads)
		printf("\nattach, while %d threads run all sites: ms, min (median)\n", threads);
	else
		printf("\nattach, no other thread: ms, min (median)\n");
	printf("  %-11s %-18s %20s %20s %7s %8s\n", "sites", "", "floor", "libftr", "ratio",
	       "ns/site");
	for (int i = 0; i < 5; i++)
		runs[i] = measure("nop", sizes[i], threads);
	measure("pad", 40000, threads);
	printf("  growth from 40,000 to 400,000 sites, over ten times:\n");
	for (int c = 0; c < CHANGES; c++)
		printf("  %-11s %-18s %20.2f %20.2f\n", "", change_name[c],
		       growth(&runs[2]->floor[c], &runs[4]->floor[c], 10),
		       growth(&runs[2]->library[c], &runs[4]->library[c], 10));
	if (!threads)
		printf("  goal: 40,000 sites again at most 2 x the floor: attach %.2f, detach %.2f\n",
		       bench_min(&runs[2]->library[ATTACH]) / bench_min(&runs[2]->floor[ATTACH]),
		       bench_min(&runs[2]->library[DETACH]) / bench_min(&runs[2]->floor[DETACH]));
}

/* --- poke strategies ------------------------------------------------------------- */

enum { STRATEGY_SITES = 40000 };

/* Children fill it. */
struct strategy {
	const char *name; /* of FTR_POKE */
	int threads;
	struct bench_series stores, protocol, attach, detach, exchange;
	struct ftr_stats last;
};

static void stores_round(struct strategy *s, const struct run *run,
			 const struct bench_module *module)
{
	const uintptr_t targets[] = { module->floor_gpr, 0 };

	for (int i = 0; i < 2; i++) {
		uint64_t start;

		await_passes(run);
		start = bench_now();
		bench_stores(module, targets[i]);
		bench_add(&s->stores, (double)(bench_now() - start) / 1e6);
	}
	bench_add(&s->protocol, floor_ms(run, module, module->floor_gpr));
	bench_add(&s->protocol, floor_ms(run, module, 0));
}

/* From call to call there is no skip. */
static void strategy_round(struct strategy *s, const struct run *run,
			   const struct bench_module *module, struct ftr_group *a,
			   struct ftr_group *b)
{
	stores_round(s, run, module);
	bench_add(&s->attach, library_ms(run, a, NULL));
	if (strcmp(s->name, "skip")) {
		bench_add(&s->exchange, library_ms(run, b, a));
		bench_add(&s->exchange, library_ms(run, a, b));
	}
	bench_add(&s->detach, library_ms(run, NULL, a));
}

static void child_strategy(void *arg)
{
	struct strategy *s = arg;
	struct run run = { .form = "nop", .sites = STRATEGY_SITES, .threads = s->threads };
	const struct bench_module *module = bench_load(module_dir, run.form, run.sites);
	struct ftr_group *a, *b;

	bench_traps_take();
	setenv("FTR_POKE", s->name, 1);
	bench_check(ftr_init(NULL), "ftr_init");
	a = new_group("A");
	b = new_group("B");
	hold_all(a, &run);
	hold_all(b, &run);
	start_threads(&run, module);
	library_ms(&run, a, NULL);
	library_ms(&run, NULL, a);
	bench_protocol_start(module, 0);
	for (int round = 0; round < ROUNDS; round++)
		strategy_round(s, &run, module, a, b);
	s->last = (struct ftr_stats)FTR_STATS_INIT;
	bench_check(ftr_stats_get(&s->last), "ftr_stats_get");
}

static void print_strategy(const struct strategy *s)
{
	const struct ftr_stats *last = &s->last;
	double floor = bench_min(strcmp(s->name, "int3") && strcmp(s->name, "skip") ? &s->stores
										     : &s->protocol);

	printf("  %-16s", s->name);
	print_number(&s->attach);
	print_number(&s->detach);
	print_number(&s->exchange);
	printf(" %7.2f\n", bench_min(&s->attach) / floor);
	printf("  %-16s int3 %llu, atomic %llu, skip %llu; %.1f syncs a batch, %llu traps met\n", "",
	       (unsigned long long)last->pokes_int3, (unsigned long long)last->pokes_atomic,
	       (unsigned long long)last->pokes_skip, (double)last->syncs / (double)last->batches,
	       (unsigned long long)last->traps);
}

static void measure_strategies(int threads)
{
	static const char *const names[] = { "int3", "atomic", "skip", "auto" };
	struct strategy *s = NULL;

	printf("\npoke strategies, %d sites, %s: ms, min (median)\n", STRATEGY_SITES,
	       threads ? "while 2 threads run all sites" : "no other thread");
	printf("  %-16s %20s %20s %20s %7s\n", "", "attach again", "detach", "exchange A for B",
	       "ratio");
	for (int i = 0; i < 4; i++) {
		s = bench_shared(sizeof *s);
		s->name = names[i];
		s->threads = threads;
		for (int p = 0; p < PROCESSES; p++)
			bench_child(child_strategy, s);
		print_strategy(s);
	}
	printf("  floor: one pass of aligned stores and one sync %.3f (atomic, auto),\n"
	       "  three passes and three syncs %.3f (int3, skip); ratio: attach again to its floor\n",
	       bench_min(&s->stores), bench_min(&s->protocol));
	printf("  goal: auto at most 1.3 x the floor of stores: %.2f\n",
	       bench_min(&s->attach) / bench_min(&s->stores));
}

/* --- the first batch of all -------------------------------------------------------- */

/* Children fill it. */
struct first {
	int threads, populate;
	struct bench_series stores, init, batch, both;
};

static void child_first_stores(void *arg)
{
	struct first *f = arg;
	struct run run = { .form = "nop", .sites = STRATEGY_SITES, .threads = f->threads };
	const struct bench_module *module = bench_load(module_dir, run.form, run.sites);
	uint64_t start;

	bench_protocol_start(module, 0);
	start_threads(&run, module);
	start = bench_now();
	bench_stores(module, module->floor_gpr);
	bench_add(&f->stores, (double)(bench_now() - start) / 1e6);
}

static void child_first(void *arg)
{
	struct first *f = arg;
	struct run run = { .form = "nop", .sites = STRATEGY_SITES, .threads = f->threads };
	const struct bench_module *module = bench_load(module_dir, run.form, run.sites);
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_group *group;
	uint64_t start;
	double init, batch;

	options.flags = f->populate ? FTR_TEXT_POPULATE : 0;
	start_threads(&run, module);
	start = bench_now();
	bench_check(ftr_init(&options), "ftr_init");
	init = (double)(bench_now() - start) / 1e6;
	group = new_group("A");
	hold_all(group, &run);
	batch = library_ms(&run, group, NULL);
	bench_add(&f->init, init);
	bench_add(&f->batch, batch);
	bench_add(&f->both, init + batch);
}

static void measure_first(int threads, int populate)
{
	struct first *f = bench_shared(sizeof *f);
	char name[40];

	f->threads = threads;
	f->populate = populate;
	for (int i = 0; i < PROCESSES; i++) {
		bench_child(child_first_stores, f);
		bench_child(child_first, f);
	}
	snprintf(name, sizeof name, "%s, %s", threads ? "2 threads" : "alone",
		 populate ? "populated" : "not populated");
	printf("  %-26s", name);
	print_number(&f->stores);
	print_number(&f->init);
	print_number(&f->batch);
	print_number(&f->both);
	printf(" %7.2f\n", bench_min(&f->batch) / bench_min(&f->stores));
}

static void measure_firsts(void)
{
	printf("\nthe first batch of all, %d sites: ms, min (median)\n"
	       "  the floor, one pass of stores, copies the text's pages; ftr_init has the index to make\n",
	       STRATEGY_SITES);
	printf("  %-26s %20s %20s %20s %20s %7s\n", "", "floor", "ftr_init", "the batch", "both",
	       "ratio");
	for (int threads = 0; threads <= THREADS; threads += THREADS)
		for (int populate = 0; populate < 2; populate++)
			measure_first(threads, populate);
}

/* --- exits -------------------------------------------------------------------------- */

enum { EXITS_ROUNDS = 5 };

/* Children fill it.  [1]: with exits. */
struct exits {
	int threads;
	struct bench_series changes[2][CHANGES]; /* EXCHANGE: from and to a group without */
};

static struct ftr_group *new_exit_group(int exits, const struct run *run)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.entry = bench_entry;
	options.exit = exits ? bench_exit : NULL;
	options.flags = FTR_GROUP_NO_SIMD;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	hold_all(group, run);
	return group;
}

static void exits_round(struct exits *e, const struct run *run, struct ftr_group *base,
			struct ftr_group *groups[2])
{
	for (int i = 0; i < 2; i++) {
		bench_add(&e->changes[i][ATTACH], library_ms(run, groups[i], NULL));
		bench_add(&e->changes[i][DETACH], library_ms(run, NULL, groups[i]));
	}
	library_ms(run, base, NULL);
	for (int i = 0; i < 2; i++) {
		bench_add(&e->changes[i][EXCHANGE], library_ms(run, groups[i], base));
		bench_add(&e->changes[i][EXCHANGE], library_ms(run, base, groups[i]));
	}
	library_ms(run, NULL, base);
}

static void exits_in(struct exits *e, int exits)
{
	struct run run = { .form = "nop", .sites = STRATEGY_SITES, .threads = e->threads };
	const struct bench_module *module = bench_load(module_dir, run.form, run.sites);
	struct ftr_group *base, *groups[2];

	bench_check(ftr_init(NULL), "ftr_init");
	base = new_exit_group(0, &run);
	groups[0] = new_exit_group(0, &run);
	groups[1] = new_exit_group(1, &run);
	start_threads(&run, module);
	bench_add(&e->changes[exits][FIRST], library_ms(&run, groups[exits], NULL));
	check_sites(module, exits ? 0xe9 : 0xe8);
	library_ms(&run, NULL, groups[exits]);
	check_sites(module, 0x0f);
	for (int round = 0; round < EXITS_ROUNDS; round++)
		exits_round(e, &run, base, groups);
}

static void child_without_exits(void *arg)
{
	exits_in(arg, 0);
}

static void child_with_exits(void *arg)
{
	exits_in(arg, 1);
}

static void measure_exits(int threads)
{
	struct exits *e = bench_shared(sizeof *e);

	e->threads = threads;
	for (int i = 0; i < PROCESSES; i++) {
		bench_child(child_without_exits, e);
		bench_child(child_with_exits, e);
	}
	printf("\nexits, %d sites, %s: ms, min (median)\n", STRATEGY_SITES,
	       threads ? "while 2 threads run all sites" : "no other thread");
	printf("  %-26s %20s %20s %7s\n", "", "without exits", "with exits", "ratio");
	for (int c = 0; c < CHANGES; c++) {
		const struct bench_series *none = &e->changes[0][c], *exits = &e->changes[1][c];
		printf("  %-26s", change_name[c]);
		print_number(none);
		print_number(exits);
		printf(" %7.2f\n", bench_min(exits) / bench_min(none));
	}
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "exits")))
		bench_fail("usage: attach MODULE-DIRECTORY [exits]");
	module_dir = argv[1];
	measure_exits(0);
	measure_exits(THREADS);
	if (argc == 3)
		return 0;
	measure_strategies(0);
	measure_strategies(THREADS);
	measure_firsts();
	measure_all(0);
	measure_all(THREADS);
	return 0;
}
