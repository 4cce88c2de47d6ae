/* SPDX-License-Identifier: MIT */
/*
 * P7: SIGTRAP is shared.  What is not the library's reaches the handler that
 * was there before, as it would have without the library; applications that
 * own SIGTRAP call ftr_handle_trap().
 */
#include "arch.h"
#include "lib/batch.h"
#include "tests/live/visitor.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static __thread unsigned ran_a;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_a++;
	return 0;
}

/* --- handlers of the application ------------------------------------------ */

static _Atomic unsigned long foreign;
static sigset_t mask_seen;
static int code_seen;
static uintptr_t ip_seen;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	atomic_fetch_add(&foreign, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mask_seen);
	code_seen = info->si_code;
	ip_seen = (uintptr_t)uc->uc_mcontext.gregs[ARCH_IP];
}

static void on_plain_trap(int sig)
{
	if (sig == SIGTRAP)
		atomic_fetch_add(&foreign, 1);
}

static unsigned long mine; /* traps that ftr_handle_trap() took */

static void on_trap_of_owner(int sig, siginfo_t *info, void *context)
{
	if (ftr_handle_trap(sig, info, context))
		mine++;
	else
		on_trap(sig, info, context);
}

static void own_sigtrap(void (*handler)(int, siginfo_t *, void *), int flags, int also_blocked)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&action.sa_mask);
	if (also_blocked)
		sigaddset(&action.sa_mask, also_blocked);
	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
}

/** Take over SIGTRAP and have the site attached, as in real use. */
static struct ftr_group *start(void)
{
	ck_ok(ftr_init(NULL));
	return live_attach("a", handler_a, NULL, 0, live_sites[0]);
}

static void own_breakpoint(void)
{
	__asm__ volatile("int3" ::: "memory");
}

/* --- the handler that was there before ------------------------------------- */

START_TEST(test_raise_reaches_predecessor)
{
	struct ftr_group *a;
	sigset_t after;

	own_sigtrap(on_trap, 0, SIGUSR1);
	a = start();
	raise(SIGTRAP);
	raise(SIGTRAP);
	raise(SIGTRAP);
	ck_assert_uint_eq(foreign, 3);
	ck_assert_int_eq(code_seen, SI_TKILL);
	ck_assert_int_eq(sigismember(&mask_seen, SIGUSR1), 1);
	ck_assert_int_eq(sigismember(&mask_seen, SIGTRAP), 1);
	ck_assert_int_eq(sigismember(&mask_seen, SIGUSR2), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(sigismember(&after, SIGUSR1), 0);
	ck_assert_int_eq(sigismember(&after, SIGTRAP), 0);
	ck_assert_uint_eq(live_stats().traps_foreign, 3);
	live_drop(a);
}
END_TEST

START_TEST(test_own_breakpoint_reaches_predecessor)
{
	struct ftr_group *a;

	own_sigtrap(on_trap, 0, 0);
	a = start();
	own_breakpoint();
	ck_assert_uint_eq(foreign, 1);
	ck_assert_int_eq(code_seen, SI_KERNEL);
	ck_assert_uint_eq(*(const unsigned char *)(ip_seen - 1), 0xcc);
	ck_assert_uint_eq(live_stats().traps, 0);
	live_drop(a);
}
END_TEST

/** What the interrupted code had blocked stays blocked in the predecessor. */
START_TEST(test_predecessor_inherits_callers_mask)
{
	struct ftr_group *a;
	sigset_t blocked;

	own_sigtrap(on_trap, 0, 0);
	a = start();
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	own_breakpoint();
	ck_assert_uint_eq(foreign, 1);
	ck_assert_int_eq(sigismember(&mask_seen, SIGUSR2), 1);
	ck_assert_int_eq(sigismember(&mask_seen, SIGUSR1), 0);
	live_drop(a);
}
END_TEST

START_TEST(test_predecessor_with_nodefer)
{
	struct ftr_group *a;

	own_sigtrap(on_trap, SA_NODEFER, 0);
	a = start();
	raise(SIGTRAP);
	ck_assert_uint_eq(foreign, 1);
	ck_assert_int_eq(sigismember(&mask_seen, SIGTRAP), 0);
	live_drop(a);
}
END_TEST

START_TEST(test_predecessor_without_siginfo)
{
	struct ftr_group *a;

	ck_assert_ptr_ne(signal(SIGTRAP, on_plain_trap), SIG_ERR);
	a = start();
	raise(SIGTRAP);
	own_breakpoint();
	ck_assert_uint_eq(foreign, 2);
	live_drop(a);
}
END_TEST

START_TEST(test_shutdown_gives_sigtrap_back)
{
	struct sigaction now;
	struct ftr_group *a;

	own_sigtrap(on_trap, SA_NODEFER, SIGUSR1);
	a = start();
	ck_assert_int_eq(sigaction(SIGTRAP, NULL, &now), 0);
	ck_assert(now.sa_sigaction != on_trap);
	ck_assert_int_eq(now.sa_flags & (SA_SIGINFO | SA_ONSTACK), SA_SIGINFO | SA_ONSTACK);
	ck_assert_int_eq(sigismember(&now.sa_mask, SIGUSR2), 1);
	ck_ok(ftr_shutdown());
	ck_assert_int_eq(sigaction(SIGTRAP, NULL, &now), 0);
	ck_assert(now.sa_sigaction == on_trap);
	ck_assert(now.sa_flags & SA_NODEFER);
	ck_assert_int_eq(sigismember(&now.sa_mask, SIGUSR1), 1);
	ck_assert_int_eq(sigismember(&now.sa_mask, SIGUSR2), 0);
	raise(SIGTRAP);
	ck_assert_uint_eq(foreign, 1);
	ck_ok(ftr_group_free(a));
}
END_TEST

/* --- dispositions that are no handlers ------------------------------------- */

/* Written by a child that is to die. */
static volatile int *reached;

/** The signal that fn(), run in a child with SIGTRAP at `disposition`, dies of. */
static int death_of(void (*fn)(void), void (*disposition)(int), int flags)
{
	struct sigaction action = { .sa_handler = disposition, .sa_flags = flags };
	pid_t child;
	int status;

	reached = mmap(NULL, sizeof(*reached), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne((void *)reached, MAP_FAILED);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		sigaction(SIGTRAP, &action, NULL);
		start();
		*reached = 1;
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_ge(*reached, 1);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void raise_trap(void)
{
	raise(SIGTRAP);
}

static void raise_and_go_on(void)
{
	raise(SIGTRAP);
	*reached = 2;
	_exit(7);
}

static void raise_twice(void)
{
	raise(SIGTRAP);
	*reached = 2;
	raise(SIGTRAP);
}

START_TEST(test_default_disposition_kills)
{
	ck_assert_int_eq(death_of(raise_trap, SIG_DFL, 0), SIGTRAP);
	ck_assert_int_eq(death_of(own_breakpoint, SIG_DFL, 0), SIGTRAP);
}
END_TEST

/* The kernel ignores a sent SIGTRAP, and kills for an instruction's. */
START_TEST(test_ignored_sigtrap)
{
	ck_assert_int_eq(death_of(raise_and_go_on, SIG_IGN, 0), -7);
	ck_assert_int_eq(*reached, 2);
	ck_assert_int_eq(death_of(own_breakpoint, SIG_IGN, 0), SIGTRAP);
}
END_TEST

START_TEST(test_predecessor_with_resethand)
{
	ck_assert_int_eq(death_of(raise_twice, on_plain_trap, SA_RESETHAND), SIGTRAP);
	ck_assert_int_eq(*reached, 2);
}
END_TEST

/* --- applications that own SIGTRAP ----------------------------------------- */

static struct visitor visitor;
static live_fn visited;
static unsigned visit_ran;
static long visit_result;

static void call_visit(void *arg)
{
	ran_a = 0;
	visit_result = visited(1);
	visit_ran = ran_a;
}

static void own_and_visit(enum ftr__batch_phase phase)
{
	if (phase == FTR__PHASE_BREAKPOINTS)
		own_sigtrap(on_trap_of_owner, SA_ONSTACK, 0);
	if (phase == FTR__PHASE_TAILS)
		visitor_call(&visitor, call_visit, NULL);
}

/** The application takes SIGTRAP in the middle of a batch. */
START_TEST(test_handle_trap)
{
	struct ftr_group *a;

	ck_ok(ftr_init(NULL));
	visitor_start(&visitor);
	visited = live_sites[3];
	a = live_group("a", handler_a, NULL, 0);
	live_hold(a, &visited, 1);
	ftr__batch_hold = own_and_visit;
	ck_ok(ftr_group_attach(a));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(mine, 1);
	ck_assert_int_eq(visit_result, 2);
	ck_assert_uint_eq(visit_ran, 1);
	raise(SIGTRAP);
	ck_assert_uint_eq(foreign, 1);
	ck_assert_uint_eq(mine, 1);
	visitor_stop(&visitor);
	live_drop(a);
}
END_TEST

static void visit_in_tails(enum ftr__batch_phase phase)
{
	if (phase == FTR__PHASE_TAILS)
		visitor_call(&visitor, call_visit, NULL);
}

/** The application replaced our handler and does not call us: the next batch
 *  puts ours in front of it. */
START_TEST(test_replaced_handler_is_chained)
{
	struct ftr_group *a;

	ck_ok(ftr_init(NULL));
	visitor_start(&visitor);
	visited = live_sites[4];
	a = live_group("a", handler_a, NULL, 0);
	live_hold(a, &visited, 1);
	own_sigtrap(on_trap, 0, 0);
	ftr__batch_hold = visit_in_tails;
	ck_ok(ftr_group_attach(a));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(foreign, 0);
	ck_assert_uint_eq(live_stats().traps, 1);
	ck_assert_uint_eq(visit_ran, 1);
	raise(SIGTRAP);
	ck_assert_uint_eq(foreign, 1);
	visitor_stop(&visitor);
	live_drop(a);
}
END_TEST

START_TEST(test_handle_trap_of_a_stranger)
{
	siginfo_t info = { .si_signo = SIGTRAP };
	ucontext_t context;

	ck_ok(ftr_init(NULL));
	memset(&context, 0, sizeof(context));
	ck_assert_int_eq(ftr_handle_trap(SIGTRAP, &info, &context), 0);
	ck_assert_int_eq(context.uc_mcontext.gregs[ARCH_IP], 0);
	context.uc_mcontext.gregs[ARCH_IP] = (greg_t)(uintptr_t)test_handle_trap_of_a_stranger_fn;
	ck_assert_int_eq(ftr_handle_trap(SIGTRAP, &info, &context), 0);
	ck_assert_int_eq(ftr_handle_trap(SIGTRAP, NULL, NULL), 0);
}
END_TEST

/* --- a flood ---------------------------------------------------------------- */

static void flood_turn(struct live_worker *worker)
{
	worker->counts[7] = (unsigned long)live_tid();
	ran_a = 0;
	if (live_sites[0](5) != 6 || ran_a > 1)
		worker->bad++;
	worker->counts[ran_a]++;
}

static struct live_worker callers[2], sender;

static void send_turn(struct live_worker *worker)
{
	syscall(SYS_tgkill, getpid(), callers[worker->turns % 2].counts[7], SIGTRAP);
	worker->counts[0]++;
	sched_yield();
}

START_TEST(test_flood_of_foreign_traps)
{
	unsigned long rounds = live_rounds(2000), i;
	struct ftr_group *a;

	own_sigtrap(on_trap, 0, 0);
	a = start();
	for (i = 0; i < 2; i++)
		live_worker_start(&callers[i], flood_turn, NULL);
	live_worker_start(&sender, send_turn, NULL);
	/* On a loaded machine the callers may sleep in every window: go on then. */
	for (i = 0; i < rounds || !live_stats().traps || !foreign; i++) {
		ck_ok(ftr_group_detach(a));
		if (i % 64 == 0)
			live_worker_await(&callers[i / 64 % 2], 2);
		ck_ok(ftr_group_attach(a));
		if (i % 64 == 32)
			live_worker_await(&callers[i / 64 % 2], 2);
	}
	live_worker_stop(&sender);
	live_worker_stop(&callers[0]);
	live_worker_stop(&callers[1]);
	ck_assert_uint_eq(callers[0].bad + callers[1].bad, 0);
	ck_assert_uint_gt(callers[0].counts[0] + callers[1].counts[0], 0);
	ck_assert_uint_gt(callers[0].counts[1] + callers[1].counts[1], 0);
	ck_assert_uint_gt(foreign, 0);
	ck_assert_uint_le(foreign, sender.counts[0]);
	ck_assert_uint_eq(live_stats().traps_foreign, foreign);
	ck_assert_uint_gt(live_stats().traps, 0);
	live_drop(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trap");

	live_poke("int3"); /* traps are what is tested */
	LIVE_CASE(suite, test_raise_reaches_predecessor, 30);
	LIVE_CASE(suite, test_own_breakpoint_reaches_predecessor, 30);
	LIVE_CASE(suite, test_predecessor_inherits_callers_mask, 30);
	LIVE_CASE(suite, test_predecessor_with_nodefer, 30);
	LIVE_CASE(suite, test_predecessor_without_siginfo, 30);
	LIVE_CASE(suite, test_shutdown_gives_sigtrap_back, 30);
	LIVE_CASE(suite, test_default_disposition_kills, 30);
	LIVE_CASE(suite, test_ignored_sigtrap, 30);
	LIVE_CASE(suite, test_predecessor_with_resethand, 30);
	LIVE_CASE(suite, test_handle_trap, 30);
	LIVE_CASE(suite, test_replaced_handler_is_chained, 30);
	LIVE_CASE(suite, test_handle_trap_of_a_stranger, 30);
	LIVE_CASE(suite, test_flood_of_foreign_traps, 60);
	return live_main(suite);
}
