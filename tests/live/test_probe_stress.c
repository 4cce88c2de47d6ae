/* SPDX-License-Identifier: MIT */
/*
 * B2, P2, P7, H8: a thousand probes anywhere in zlib come and go in batches while
 * two threads compress and decompress with it, and a third interrupts them by
 * signals: data goes round, no signal is astray.  It goes on for FTR_TEST_SECONDS, if
 * that is set (make probe-stress SECONDS=60), and for FTR_TEST_ROUNDS per cent of its
 * rounds.
 */
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/live/probed.h"

enum { AT_ONCE = 1000, PROBES_MAX = 20000, SIZE = 1800 };

static int (*z_compress)(unsigned char *, unsigned long *, const unsigned char *, unsigned long);
static int (*z_uncompress)(unsigned char *, unsigned long *, const unsigned char *, unsigned long);

static struct ftr_probe *probes[PROBES_MAX];
static size_t n_probes;
static _Atomic unsigned long pres, posts, astray, interruptions;
static _Atomic bool promised; /* no handler may run */

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	astray += promised;
	pres++;
	return 0;
}

static void post(struct ftr_probe *probe, struct ftr_regs *regs)
{
	astray += promised;
	posts++;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	astray++;
}

static void on_interruption(int sig)
{
	interruptions++;
}

static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	if (!info->dlpi_name || !strstr(info->dlpi_name, "libz.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		*(uintptr_t *)arg = start;
		((uintptr_t *)arg)[1] = start + p->p_memsz;
	}
	return 1;
}

/* At every instruction of the library's code: elsewhere it is refused. */
static void make_probes(void)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	uintptr_t range[2] = { 0, 0 }, at;

	dl_iterate_phdr(find_text, range);
	ck_assert(range[1] > range[0]);
	for (at = range[0]; at < range[1] && n_probes < PROBES_MAX; at++) {
		options.addr = at;
		options.pre = n_probes % 3 == 2 ? NULL : pre;
		options.post = n_probes % 3 ? post : NULL;
		n_probes += !ftr_probe_new(&probes[n_probes], &options);
	}
	ck_assert_uint_gt(n_probes, 5000);
}

/* One of the two does this with other data than the other. */
static void turn(struct live_worker *worker)
{
	unsigned char text[SIZE], packed[2 * SIZE], unpacked[SIZE];
	unsigned long n = sizeof(packed), m = sizeof(unpacked);
	unsigned long seed = worker->turns + (worker->arg != NULL);
	size_t i;

	for (i = 0; i < SIZE; i++)
		text[i] = (unsigned char)(i % 61 < 40 ? 'a' + i * seed % 13 : seed * i * i >> 7);
	worker->bad += z_compress(packed, &n, text, sizeof(text)) != 0;
	worker->bad += z_uncompress(unpacked, &m, packed, n) != 0;
	worker->bad += m != sizeof(text) || memcmp(text, unpacked, sizeof(text)) != 0;
}

static struct live_worker workers[2];
static atomic_bool stop;

static void *interrupt(void *arg)
{
	const struct timespec pause = { 0, 200000 };

	while (!stop) {
		for (int i = 0; i < 2; i++)
			pthread_kill(workers[i].thread, SIGUSR1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void choose(struct ftr_probe **chosen, unsigned long round)
{
	size_t step = n_probes / AT_ONCE, i;

	for (i = 0; i < AT_ONCE; i++)
		chosen[i] = probes[(i * step + round) % n_probes];
}

static bool is_over(time_t until)
{
	return time(NULL) >= until;
}

START_TEST(test_probes_come_and_go_in_zlib)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	unsigned long round, rounds = live_rounds(40);
	const char *seconds = getenv("FTR_TEST_SECONDS");
	time_t until = time(NULL) + (seconds ? atol(seconds) : 0);
	struct ftr_probe *chosen[AT_ONCE];
	pthread_t interrupter;
	size_t i;

	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	action.sa_handler = on_interruption;
	action.sa_flags = SA_RESTART;
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	make_probes();
	live_worker_start(&workers[0], turn, NULL);
	live_worker_start(&workers[1], turn, workers);
	ck_assert_int_eq(pthread_create(&interrupter, NULL, interrupt, NULL), 0);
	for (round = 0; round < rounds || !is_over(until); round++) {
		choose(chosen, round);
		ck_ok(ftr_probe_enable_many(chosen, AT_ONCE));
		if (round % 4 == 0)
			live_worker_await(&workers[round / 4 % 2], 1);
		ck_ok(ftr_probe_disable_many(chosen, AT_ONCE));
		promised = true;
		sched_yield();
		promised = false;
	}
	stop = true;
	pthread_join(interrupter, NULL);
	for (i = 0; i < 2; i++)
		live_worker_stop(&workers[i]);
	ck_assert_uint_eq(workers[0].bad + workers[1].bad, 0);
	ck_assert_uint_eq(astray, 0);
	ck_assert_uint_eq(live_stats().traps_foreign, 0);
	ck_assert_uint_gt(pres, 0);
	ck_assert_uint_gt(posts, 0);
	ck_assert_uint_gt(interruptions, 0);
	printf("%lu rounds of %d probes of %zu; %lu hits before and %lu behind; %lu and %lu turns\n",
	       round, AT_ONCE, n_probes, pres, posts, workers[0].turns, workers[1].turns);
	for (i = 0; i < n_probes; i++)
		ck_ok(ftr_probe_free(probes[i]));
}
END_TEST

int main(void)
{
	void *handle = dlopen("libz.so.1", RTLD_NOW);
	Suite *suite = suite_create("probe stress");
	const char *seconds = getenv("FTR_TEST_SECONDS");

	if (!handle) {
		printf("SKIP: no libz.so.1 (zlib1g)\n");
		return 77;
	}
	z_compress = (__typeof__(z_compress))dlsym(handle, "compress");
	z_uncompress = (__typeof__(z_uncompress))dlsym(handle, "uncompress");
	/* Its time, and more. */
	LIVE_CASE(suite, test_probes_come_and_go_in_zlib, seconds ? 600 + atof(seconds) : 600);
	return live_main(suite);
}
