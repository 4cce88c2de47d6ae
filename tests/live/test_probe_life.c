/* SPDX-License-Identifier: MIT */
/*
 * H8, P6, P7, P11: probes and threads: a disable that waits, or does not; who blocks
 * SIGTRAP; signals, forks, and modules that come and go.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "tests/live/load.h"
#include "tests/live/probed.h"
#include "tests/live/visitor.h"

static _Atomic unsigned long pres, posts;

static int pre_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	atomic_fetch_add(&pres, 1);
	return 0;
}

static void post_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	atomic_fetch_add(&posts, 1);
}

/* --- the promise --------------------------------------------------------------- */

static sem_t entered, leave;

static int pre_stay(struct ftr_probe *probe, struct ftr_regs *regs)
{
	sem_post(&entered);
	while (sem_wait(&leave))
		;
	atomic_fetch_add(&pres, 1);
	return 0;
}

static void visit_add(void *arg)
{
	ck_assert_int_eq(probed_add(1), 4);
}

static void sem_start(void)
{
	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
}

static void await_entered(void)
{
	while (sem_wait(&entered))
		;
}

/* A thread that stays inside: named, and waited for again. */
START_TEST(test_disable_waits_for_a_handler)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct visitor visitor;
	struct ftr_probe *probe;

	options.detach_timeout_ms = 20;
	ck_ok(ftr_init(&options));
	sem_start();
	probe = probe_on(probed_add_middle, pre_stay, NULL, NULL);
	visitor_start(&visitor);
	visitor.visit = visit_add;
	sem_post(&visitor.go);
	await_entered();
	ck_fails(ftr_probe_disable(probe), -ETIMEDOUT);
	ck_assert_uint_ne(probed_byte(probed_add_middle), 0xcc);
	ck_fails(ftr_probe_free(probe), -EBUSY);
	ck_assert_int_eq(probed_add(1), 4);
	sem_post(&leave);
	sem_wait(&visitor.done);
	ck_ok(ftr_probe_disable(probe));
	ck_assert_uint_eq(pres, 1);
	ck_ok(ftr_probe_free(probe));
	visitor_stop(&visitor);
}
END_TEST

static int disabled_inside;

static int pre_disable(struct ftr_probe *probe, struct ftr_regs *regs)
{
	disabled_inside = ftr_probe_disable(probe);
	return 0;
}

START_TEST(test_disable_from_inside)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_disable, NULL, NULL);

	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_int_eq(disabled_inside, -EDEADLK);
	ck_assert_uint_ne(probed_byte(probed_add_middle), 0xcc);
	ck_fails(ftr_probe_free(probe), -EBUSY);
	probe_off(probe);
}
END_TEST

static struct ftr_probe *other;

static int pre_enable_other(struct ftr_probe *probe, struct ftr_regs *regs)
{
	ck_ok(ftr_probe_enable(other));
	return 0;
}

START_TEST(test_enable_from_inside)
{
	struct ftr_probe *probe;

	other = probe_at(probed_add_next, pre_count, NULL, NULL, 0);
	probe = probe_on(probed_add_middle, pre_enable_other, NULL, NULL);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	probe_off(probe);
	probe_off(other);
}
END_TEST

static int fds[2];

static _Atomic pid_t reader;

static void visit_read(void *arg)
{
	char byte;

	reader = live_tid();

	ck_assert_int_eq(probed_read(fds[0], &byte, 1), 1);
}

/* A thread that sleeps in the displaced instruction is outside: nobody waits for
 * it, its handler behind it is not called, and its code stays. */
START_TEST(test_thread_that_sleeps_in_the_copy)
{
	struct visitor visitor;
	struct ftr_probe *probe;

	ck_assert_int_eq(pipe(fds), 0);
	probe = probe_on(probed_read_insn, pre_count, _i ? post_count : NULL, NULL);
	visitor_start(&visitor);
	visitor.visit = visit_read;
	sem_post(&visitor.go);
	while (!pres)
		sched_yield();
	while (!live_waits_in(reader, SYS_read))
		sched_yield();
	probe_off(probe);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	sem_wait(&visitor.done);
	ck_assert_uint_eq(posts, 0);
	/* And with the probe there. */
	probe = probe_on(probed_read_insn, pre_count, _i ? post_count : NULL, NULL);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	visit_read(NULL);
	ck_assert_uint_eq(posts, (unsigned)_i);
	probe_off(probe);
	visitor_stop(&visitor);
}
END_TEST

/* Toggled while another thread is there all the time. */
static void turn_add(struct live_worker *worker)
{
	worker->bad += probed_add(1) != 4;
	worker->bad += probed_mixed(5) != 6;
}

START_TEST(test_toggle_while_it_runs)
{
	struct live_worker worker;
	struct ftr_probe *probes[] = {
		probe_at(probed_add_middle, pre_count, NULL, NULL, 0),
		probe_at(probed_add_next, pre_count, post_count, NULL, 0),
		probe_at(probed_begins[2], pre_count, post_count, NULL, 0),
		probe_at(probed_begins[0], NULL, post_count, NULL, 0),
	};
	unsigned long round, rounds = live_rounds(500);
	size_t i;

	live_worker_start(&worker, turn_add, NULL);
	for (round = 0; round < rounds; round++) {
		ck_ok(ftr_probe_enable_many(probes, 4));
		if (round % 16 == 0)
			live_worker_await(&worker, 1);
		ck_ok(ftr_probe_disable_many(probes, 1 + round % 4));
		if (round % 4 != 3)
			ck_ok(ftr_probe_disable_many(probes + 1 + round % 4, 3 - round % 4));
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_assert_uint_gt(pres, 0);
	ck_assert_uint_gt(posts, 0);
	for (i = 0; i < 4; i++)
		ck_ok(ftr_probe_free(probes[i]));
	ck_assert_uint_eq(live_stats().traps_foreign, 0);
}
END_TEST

/* --- who blocks SIGTRAP --------------------------------------------------------- */

static void block_trap(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	pthread_sigmask(how, &set, NULL);
}

static void on_signal(int sig)
{
}

/* P6 */
START_TEST(test_blocked_sigtrap)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct ftr_probe *probe = probe_at(probed_add_middle, pre_count, NULL, NULL, 0);
	struct ftr_probe *forced =
		probe_at(probed_add_middle, pre_count, NULL, NULL, FTR_PROBE_FORCE);

	block_trap(SIG_BLOCK);
	ck_fails(ftr_probe_enable(probe), -EAGAIN);
	ck_assert_uint_ne(probed_byte(probed_add_middle), 0xcc);
	ck_ok(ftr_probe_enable(forced));
	block_trap(SIG_UNBLOCK);
	ck_assert_uint_eq(live_stats().probes_forced, 1);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	ck_ok(ftr_probe_disable(forced));
	sigfillset(&action.sa_mask);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_fails(ftr_probe_enable(probe), -EAGAIN);
	ck_ok(ftr_probe_enable(forced));
	ck_ok(ftr_probe_disable(forced));
	signal(SIGUSR1, SIG_DFL);
	ck_ok(ftr_probe_enable(probe));
	probe_off(probe);
	ck_ok(ftr_probe_free(forced));
	ck_assert_uint_eq(live_stats().probes_forced, 2);
}
END_TEST

/* --- SIGTRAP shared ----------------------------------------------------------------- */

static unsigned long traps;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	traps++;
}

static void on_trap_hand_over(int sig, siginfo_t *info, void *context)
{
	traps += !ftr_handle_trap(sig, info, context);
}

/* P7: what is not a probe's goes to who had SIGTRAP before. */
START_TEST(test_foreign_traps)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	struct ftr_probe *probe;

	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	probe = probe_on(probed_add_middle, pre_count, NULL, NULL);
	raise(SIGTRAP);
	__asm__ volatile("int3");
	ck_assert_uint_eq(traps, 2);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(traps, 2);
	ck_assert_uint_eq(pres, 1);
	/* The program takes it back, and hands ours over. */
	action.sa_sigaction = on_trap_hand_over;
	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	ck_assert_int_eq(probed_add(1), 4);
	__asm__ volatile("int3");
	ck_assert_uint_eq(traps, 3);
	ck_assert_uint_eq(pres, 2);
	probe_off(probe);
}
END_TEST

static void on_trap_step_over(int sig, siginfo_t *info, void *context)
{
	greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;

	traps += (uintptr_t)gregs[ARCH_IP] == (uintptr_t)probed_branch_next + 1;
	gregs[ARCH_IP] = (greg_t)probed_branch_target;
}

/* A debugger's breakpoint where a probe once was is no probe's. */
START_TEST(test_breakpoint_where_a_probe_was)
{
	struct sigaction action = { .sa_sigaction = on_trap_step_over, .sa_flags = SA_SIGINFO };
	unsigned char found = probed_byte(probed_branch_next);

	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	probe_off(probe_on(probed_branch_next, pre_count, NULL, NULL));
	live_write_text(probed_branch_next, 0xcc);
	ck_assert_int_eq(probed_branch(1), 1);
	ck_assert_uint_eq(traps, 1);
	ck_assert_uint_eq(pres, 0);
	live_write_text(probed_branch_next, found);
	ck_assert_int_eq(probed_branch(1), 2);
}
END_TEST

/* --- processes ------------------------------------------------------------------------ */

START_TEST(test_fork)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_count, post_count, NULL);
	pid_t child = fork();
	int status;

	if (!child) {
		bool good = probed_add(1) == 4 && pres == 1 && posts == 1;
		good = good && !ftr_probe_disable(probe) && probed_add(1) == 4 && pres == 1;
		good = good && !ftr_probe_enable(probe) && probed_add(1) == 4 && pres == 2;
		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	probe_off(probe);
}
END_TEST

START_TEST(test_vfork)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_count, post_count, NULL);
	pid_t child = vfork();
	int status;

	if (!child)
		_exit(probed_add(1) == 4 ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_uint_eq(pres, 1);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 2);
	probe_off(probe);
}
END_TEST

/* --- modules -------------------------------------------------------------------------- */

/* The first instruction behind the site of a plugin's first function. */
static uintptr_t body_of(const struct loaded *l)
{
	return ftr_site_ip(ftr_site_find((uintptr_t)l->plugin->call[0])) + 5;
}

static struct ftr_probe *probe_by_symbol(const struct loaded *l)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	const struct ftr_site *site = ftr_site_find((uintptr_t)l->plugin->call[0]);
	struct ftr_probe *probe;
	char symbol[256];

	snprintf(symbol, sizeof(symbol), "%s:%s", l->module, ftr_site_name(site));
	options.symbol = symbol;
	options.offset = body_of(l) - ftr_site_function(site);
	options.pre = pre_count;
	ck_ok(ftr_probe_new(&probe, &options));
	return probe;
}

/* P11: unloaded with a breakpoint in it, and loaded again at the same place, or
 * elsewhere.  What is probed by address is gone; a symbol is found again. */
START_TEST(test_module_that_goes)
{
	struct ftr_probe *by_address, *by_symbol;
	struct loaded first, second;

	load(&first, load_path("a"));
	ck_ok(ftr_sites_refresh());
	by_address = probe_at((void *)body_of(&first), pre_count, NULL, NULL, 0);
	by_symbol = probe_by_symbol(&first);
	ck_assert_int_eq(ftr_probe_kind(by_symbol), FTR_PROBE_BREAKPOINT);
	ck_assert_uint_eq(ftr_probe_addr(by_symbol), ftr_probe_addr(by_address));
	ck_ok(ftr_probe_enable_many((struct ftr_probe *[]){ by_address, by_symbol }, 2));
	load_call_all(&first);
	ck_assert_uint_eq(pres, 2);
	unload(&first);
	if (_i)
		load_elsewhere(&second, load_path("a"), &first);
	else
		load_again_at(&second, load_path("a"), &first);
	load_call_all(&second);
	ck_assert_uint_eq(pres, 2);
	ck_ok(ftr_probe_disable(by_symbol));
	load_call_all(&second);
	ck_ok(ftr_probe_enable(by_symbol));
	ck_assert_uint_eq(ftr_probe_addr(by_symbol), body_of(&second));
	load_call_all(&second);
	ck_assert_uint_eq(pres, 3);
	ck_ok(ftr_probe_disable(by_address));
	ck_fails(ftr_probe_enable(by_address), -ENOENT);
	ck_ok(ftr_probe_free(by_address));
	unload(&second);
	ck_ok(ftr_probe_disable(by_symbol));
	ck_fails(ftr_probe_enable(by_symbol), -ENOENT);
	ck_ok(ftr_probe_free(by_symbol));
}
END_TEST

static struct ftr_module_record record = { .size = sizeof(record) };

/* A module is read anew when it is registered: its breakpoints stay its own. */
START_TEST(test_module_that_is_read_anew)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_probe *probe;

	options.flags = FTR_NO_SCAN;
	ck_ok(ftr_init(&options));
	probe = probe_on(probed_add_middle, pre_count, NULL, NULL);
	ck_assert_int_eq(probed_add(1), 4);
	ck_ok(ftr_module_register(&record));
	ck_ok(ftr_sites_refresh());
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 2);
	ck_ok(ftr_module_unregister(&record));
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 3);
	ck_ok(ftr_probe_disable(probe));
	ck_assert_uint_ne(probed_byte(probed_add_middle), 0xcc);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 3);
	ck_ok(ftr_probe_free(probe));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe life");
	TCase *both = tcase_create("both");

	LIVE_CASE(suite, test_disable_waits_for_a_handler, 10);
	LIVE_CASE(suite, test_disable_from_inside, 10);
	LIVE_CASE(suite, test_enable_from_inside, 10);
	tcase_set_timeout(both, 20);
	tcase_add_loop_test(both, test_thread_that_sleeps_in_the_copy, 0, 2);
	tcase_add_loop_test(both, test_module_that_goes, 0, 2);
	suite_add_tcase(suite, both);
	LIVE_CASE(suite, test_toggle_while_it_runs, 60);
	LIVE_CASE(suite, test_blocked_sigtrap, 20);
	LIVE_CASE(suite, test_foreign_traps, 10);
	LIVE_CASE(suite, test_breakpoint_where_a_probe_was, 10);
	LIVE_CASE(suite, test_fork, 10);
	LIVE_CASE(suite, test_vfork, 10);
	LIVE_CASE(suite, test_module_that_is_read_anew, 20);
	return live_main(suite);
}
