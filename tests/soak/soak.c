/* SPDX-License-Identifier: MIT */
/*
 * The library under everything at once, for as long as asked.
 *
 * usage: soak [--int3] [--seed N] [--lua LIBRARY PROGRAM] --plugin FILE SECONDS
 *
 * Four threads run a real program, a timer interrupts them a thousand times a
 * second with a handler that blocks all signals and calls traced functions, one
 * thread blocks all signals itself, one starts and ends threads, one loads and
 * unloads a traced library, one forks; meanwhile groups are attached, detached,
 * exchanged and filtered at random.  --int3 sets the poke strategy, and leaves
 * out the two that block SIGTRAP, for they are its known limit (P6).
 *
 * It fails on a wrong result, a call missed or doubled, a handler that runs
 * after detach, bytes of text that are not as they were, and whatever the second
 * half of the time has more of than the first: mappings, descriptors, memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <ftr/ftr.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/live/plugin.h"
#include "tests/soak/account.h"
#include "tests/soak/soak.h"

static bool int3_only, with_lua;
static const char *plugin_path;
static atomic_bool stop;
static _Atomic unsigned long signals, threads_run, loads, forks, rounds;

void soak_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("soak: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	abort();
}

void soak_ok(const char *what, int result)
{
	if (result)
		soak_fail("%s: %s: %s", what, ftr_strerror(result), ftr_last_error());
}

uint32_t soak_random(struct soak_random *random, uint32_t below)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return (uint32_t)((random->state >> 16) % below);
}

/* --- the threads ------------------------------------------------------------------- */

static void on_timer(int signal)
{
	int error = errno;

	account_work(3);
	atomic_fetch_add(&signals, 1);
	errno = error;
}

static void *run_program(void *arg)
{
	while (!atomic_load(&stop)) {
		if (with_lua)
			lua_work();
		account_work(1000);
		atomic_fetch_add(&rounds, 1);
	}
	account_check("a worker");
	return NULL;
}

static void *block_all(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (!atomic_load(&stop))
		account_work(200);
	account_check("the thread that blocks all signals");
	return NULL;
}

static void *short_life(void *arg)
{
	account_work(10);
	account_check("a short thread");
	return NULL;
}

static void *start_threads(void *arg)
{
	while (!atomic_load(&stop)) {
		pthread_t threads[4];

		for (int i = 0; i < 4; i++)
			if (pthread_create(&threads[i], NULL, short_life, NULL))
				soak_fail("no thread can be made");
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		atomic_fetch_add(&threads_run, 4);
		account_work(5);
	}
	account_check("the one that starts threads");
	return NULL;
}

static void *load_libraries(void *arg)
{
	while (!atomic_load(&stop)) {
		void *handle = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
		const struct plugin *plugin = handle ? dlsym(handle, "plugin") : NULL;

		if (!plugin)
			soak_fail("%s: %s", plugin_path, dlerror());
		for (long i = 0; i < 2000; i++)
			if (plugin->call[PLUGIN_ONE](i) != i + 1)
				soak_fail("the loaded library's result is wrong");
		if (dlclose(handle))
			soak_fail("dlclose: %s", dlerror());
		atomic_fetch_add(&loads, 1);
	}
	account_check("the one that loads libraries");
	return NULL;
}

/* The child has the library for itself, with all that was attached. */
static void in_child(void)
{
	account_work(50);
	account_check("a child");
	_exit(0);
}

static void *fork_children(void *arg)
{
	while (!atomic_load(&stop)) {
		pid_t child = fork();
		int status;

		if (child == 0)
			in_child();
		if (child < 0)
			soak_fail("fork: %s", strerror(errno));
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		if (status)
			soak_fail("a child ended with status %#x", (unsigned)status);
		atomic_fetch_add(&forks, 1);
		usleep(2000);
	}
	account_check("the one that forks");
	return NULL;
}

/* --- the course ---------------------------------------------------------------------- */

static void set_timer(long microseconds)
{
	struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

static void take_timer(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_timer;
	action.sa_flags = SA_RESTART;
	if (!int3_only)
		sigfillset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
}

static void run_for(double seconds, struct soak_random *random)
{
	void *(*const mains[])(void *) = { run_program, run_program, run_program, run_program,
					   start_threads, load_libraries, fork_children,
					   block_all };
	int n = (int)(sizeof(mains) / sizeof(*mains)) - int3_only;
	pthread_t threads[8];
	time_t until = time(NULL) + (time_t)seconds;

	atomic_store(&stop, false);
	account_start();
	changes_start();
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, mains[i], NULL))
			soak_fail("no thread can be made");
	set_timer(1000);
	while (time(NULL) < until)
		changes_one(random);
	atomic_store(&stop, true);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	set_timer(0);
	changes_stop();
	account_check("the one that changes groups");
	account_stop();
}

/* All sites are idle: what they hold, summed up. */
static int add_bytes(const struct ftr_site *site, void *arg)
{
	const unsigned char *bytes = (const unsigned char *)ftr_site_ip(site);
	uint64_t *sum = arg;

	for (int i = 0; i < 5; i++)
		*sum = *sum * 31 + bytes[i];
	return 0;
}

static uint64_t text_now(void)
{
	uint64_t sum = 0;

	soak_ok("ftr_sites_refresh", ftr_sites_refresh());
	soak_ok("ftr_site_for_each", ftr_site_for_each(add_bytes, &sum));
	return sum;
}

static int touch(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	return 0;
}

/* What is not normal yet of the sites becomes so at its first use (P9). */
static void touch_all(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.entry = touch;
	soak_ok("ftr_group_new", ftr_group_new(&group, &options));
	if (ftr_group_filter(group, "*", 0) < 1)
		soak_fail("no sites: %s", ftr_last_error());
	soak_ok("ftr_group_attach", ftr_group_attach(group));
	soak_ok("ftr_group_detach", ftr_group_detach(group));
	soak_ok("ftr_group_free", ftr_group_free(group));
}

/* What waits for late threads is bounded: by this, whatever the time. */
enum { SLOTS_MAX = 50000 };

static void report(struct soak_usage before, struct soak_usage after)
{
	struct ftr_stats stats = FTR_STATS_INIT;

	soak_ok("ftr_stats_get", ftr_stats_get(&stats));
	printf("program %lu rounds, signals %lu, threads %lu, libraries %lu, children %lu\n"
	       "attached %lu, detached %lu, exchanged %lu, filters %lu; again %lu, put off %lu\n"
	       "batches %llu, pokes int3 %llu atomic %llu skip %llu, traps %llu, missed %llu\n"
	       "calls accounted for %llu\n"
	       "first half, second half: mappings %ld, %ld; descriptors %ld, %ld; "
	       "bytes %ld, %ld; slots %ld, %ld; their mappings %ld, %ld\n",
	       rounds, signals, threads_run, loads, forks, soak_changes.attached,
	       soak_changes.detached, soak_changes.updates, soak_changes.filters,
	       soak_changes.again, soak_changes.put_off, (unsigned long long)stats.batches,
	       (unsigned long long)stats.pokes_int3, (unsigned long long)stats.pokes_atomic,
	       (unsigned long long)stats.pokes_skip, (unsigned long long)stats.traps,
	       (unsigned long long)stats.missed, (unsigned long long)account_calls(),
	       before.mappings, after.mappings, before.descriptors, after.descriptors,
	       before.bytes, after.bytes, before.slots, after.slots, before.trampolines,
	       after.trampolines);
	fflush(stdout);
}

/* Slots that a thread may be late in wait for it, and new ones are made meanwhile:
 * mappings, too, for those.  Of memory a few sets and names may be between the two. */
static void compare_usage(struct soak_usage before, struct soak_usage after)
{
	if (after.slots > SLOTS_MAX)
		soak_fail("slots do not serve again: %ld, then %ld", before.slots, after.slots);
	if (after.mappings - after.trampolines > before.mappings - before.trampolines)
		soak_fail("mappings were left: %ld, then %ld, of trampolines %ld, then %ld",
			  before.mappings, after.mappings, before.trampolines,
			  after.trampolines);
	if (after.descriptors != before.descriptors)
		soak_fail("descriptors were left: %ld, then %ld", before.descriptors,
			  after.descriptors);
	if (after.bytes > before.bytes + 16 * 1024)
		soak_fail("memory was left: %ld, then %ld bytes", before.bytes, after.bytes);
}

static int parse(int argc, char **argv, uint64_t *seed)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--int3"))
			int3_only = true;
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			*seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--plugin") && i + 1 < argc)
			plugin_path = argv[++i];
		else if (!strcmp(argv[i], "--lua") && i + 2 < argc)
			with_lua = lua_open(argv[i + 1], argv[i + 2]), i += 2;
		else
			return 0;
	}
	return i + 1 == argc && plugin_path ? atoi(argv[i]) : 0;
}

int main(int argc, char **argv)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	uint64_t seed = (uint64_t)time(NULL);
	int seconds = parse(argc, argv, &seed);
	struct soak_random random = { seed | 1 };
	struct soak_usage before, after;
	uint64_t text;

	if (seconds < 2) {
		fputs("usage: soak [--int3] [--seed N] [--lua LIBRARY PROGRAM] --plugin FILE"
		      " SECONDS\n", stderr);
		return 2;
	}
	printf("strategy %s, %s, seed %llu\n", int3_only ? "int3" : "auto",
	       with_lua ? "Lua" : "no Lua", (unsigned long long)seed);
	fflush(stdout);
	/* A busy machine may keep a thread from its processor for seconds. */
	options.detach_timeout_ms = 60000;
	options.poke = int3_only ? FTR_POKE_INT3 : FTR_POKE_AUTO;
	soak_ok("ftr_init", ftr_init(&options));
	mallopt(M_MXFAST, 0); /* no bins that mallinfo2() takes for used */
	if (with_lua)
		lua_work(); /* untraced: what is expected */
	touch_all();
	take_timer();
	run_for(seconds / 2.0, &random);
	text = text_now();
	before = usage_now();
	run_for(seconds - seconds / 2, &random);
	if (text_now() != text)
		soak_fail("the text of idle sites has changed");
	after = usage_now();
	report(before, after);
	compare_usage(before, after);
	soak_ok("ftr_shutdown", ftr_shutdown());
	puts("soak: all is well");
	return 0;
}
