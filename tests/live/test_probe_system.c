/* SPDX-License-Identifier: MIT */
/*
 * B2: displaced instructions that enter the kernel or leave by it: system calls that
 * are interrupted, that return twice or never; the return of a signal's handler, of
 * an interrupt, and a trap flag.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/live/probed.h"
#include "tests/live/visitor.h"

static _Atomic unsigned long pres, posts, signals;
static struct pt_regs post_regs;

static int pre_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	return 0;
}

static void post_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
	post_regs = *ftr_regs_pt_regs(regs);
}

static struct ftr_probe *probe_it(const char *insn, bool behind)
{
	return probe_on(insn, pre_count, behind ? post_count : NULL, NULL);
}

/* --- where handlers run ----------------------------------------------------------------- */

static char alternate[64 << 10];
static unsigned outside;

/* On the thread's own stack, with the mask that it has. */
static void look_around(const struct ftr_regs *regs)
{
	uintptr_t depth = ftr_regs_sp(regs) - (uintptr_t)__builtin_frame_address(0);
	stack_t stack;
	sigset_t mask;

	sigaltstack(NULL, &stack);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	outside += !(stack.ss_flags & SS_ONSTACK) && depth < 16 << 10 &&
		   sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGTRAP) &&
		   !sigismember(&mask, SIGUSR1);
}

static int pre_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	look_around(regs);
	raise(SIGUSR1);
	return 0;
}

static void post_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	look_around(regs);
	raise(SIGUSR1);
}

static void on_signal(int sig)
{
	signals++;
}

/* B2: in no signal's context: signals come as they do elsewhere. */
START_TEST(test_handlers_run_outside_of_signals)
{
	struct ftr_probe *probe;
	sigset_t mask;

	sigaltstack(&(stack_t){ .ss_sp = alternate, .ss_size = sizeof(alternate) }, NULL);
	signal(SIGUSR1, on_signal);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	probe = probe_on(probed_add_middle, pre_look, post_look, NULL);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(outside, 2);
	ck_assert_uint_eq(signals, 2);
	probe_off(probe);
}
END_TEST

/* --- interrupted ------------------------------------------------------------------- */

static int fds[2];
static pid_t reader;

static void visit_read(void *arg)
{
	char byte;

	reader = live_tid();
	*(long *)arg = probed_read(fds[0], &byte, 1);
}

static void start_reader(struct visitor *visitor, long *result, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pipe(fds), 0);
	visitor_start(visitor);
	visitor->visit = visit_read;
	visitor->arg = result;
	reader = 0;
	sem_post(&visitor->go);
	while (!*(volatile pid_t *)&reader || !live_waits_in(reader, SYS_read))
		sched_yield();
}

/* A signal without SA_RESTART ends the call; with it the call is made again, where the
 * displaced instruction is, unseen by the probe's handlers. */
START_TEST(test_interrupted_call)
{
	bool behind = _i & 1, restart = _i & 2;
	struct ftr_probe *probe = probe_it(probed_read_insn, behind);
	struct visitor visitor;
	long result = 0;

	start_reader(&visitor, &result, restart ? SA_RESTART : 0);
	ck_assert_uint_eq(pres, 1);
	pthread_kill(visitor.thread, SIGUSR1);
	while (!signals)
		sched_yield();
	if (restart) {
		while (!live_waits_in(reader, SYS_read))
			sched_yield();
		ck_assert_int_eq(write(fds[1], "x", 1), 1);
	}
	sem_wait(&visitor.done);
	ck_assert_int_eq(result, restart ? 1 : -EINTR);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, behind);
	if (behind)
		ck_assert_uint_eq((uintptr_t)post_regs.PT_IP, (uintptr_t)probed_read_next);
	probe_off(probe);
	visitor_stop(&visitor);
}
END_TEST

/* A thread that sleeps in the original comes to the breakpoint when its call is to be
 * made again. */
START_TEST(test_probe_at_a_call_that_sleeps)
{
	struct visitor visitor;
	struct ftr_probe *probe;
	long result = 0;

	start_reader(&visitor, &result, SA_RESTART);
	probe = probe_it(probed_read_insn, true);
	ck_assert_uint_eq(pres, 0);
	pthread_kill(visitor.thread, SIGUSR1);
	while (!pres)
		sched_yield();
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	sem_wait(&visitor.done);
	ck_assert_int_eq(result, 1);
	ck_assert_uint_eq(signals, 1);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 1);
	probe_off(probe);
	visitor_stop(&visitor);
}
END_TEST

static long poll_one(void)
{
	struct pollfd one = { .fd = fds[0], .events = POLLIN };

	return probed_system(SYS_poll, &one, 1, 100000);
}

static void stop_and_continue(pid_t child)
{
	int status;

	while (!live_waits_in(child, SYS_poll))
		sched_yield();
	ck_assert_int_eq(kill(child, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(kill(child, SIGCONT), 0);
	while (!live_waits_in(child, SYS_restart_syscall))
		sched_yield();
}

/* The kernel asks for restart_syscall(2) there, by the same instruction. */
START_TEST(test_call_that_is_restarted_by_another)
{
	struct ftr_probe *probe = probe_it(probed_system_insn, _i);
	pid_t child;
	int status;

	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	if (!child)
		_exit(poll_one() == 1 && pres == 1 && posts == (unsigned)_i ? 0 : 1);
	stop_and_continue(child);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	probe_off(probe);
}
END_TEST

/* --- twice, or never ------------------------------------------------------------------ */

static char child_stack[64 << 10] __attribute__((aligned(64)));

/* What memory the child shares is what it counts in. */
static const struct {
	long nr, flags;
	bool shares;
} spawns[] = {
	{ SYS_fork, 0, false },
	{ SYS_clone, SIGCHLD, false },
	{ SYS_vfork, 0, true },
	{ SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, true },
};
enum { SPAWNS = sizeof(spawns) / sizeof(spawns[0]) };

static long spawn(int i)
{
	bool on_own_stack = spawns[i].nr == SYS_clone && spawns[i].shares;

	return probed_spawn(spawns[i].nr, spawns[i].flags,
			    on_own_stack ? (long)(child_stack + sizeof(child_stack)) : 0);
}

/* The child goes on in the detour, perhaps on a stack of its own, and runs the handler
 * behind the instruction as its parent does; then it exits in another detour. */
START_TEST(test_calls_that_return_twice)
{
	bool behind = _i % 2;
	struct ftr_probe *probes[] = { probe_it(probed_spawn_insn, behind),
				       probe_it(probed_spawn_exit, behind) };
	long child = spawn(_i / 2);
	unsigned times = spawns[_i / 2].shares ? 2 : 1;
	int status;

	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid((pid_t)child, &status, 0), (pid_t)child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_uint_eq(pres, times);
	ck_assert_uint_eq(posts, behind ? times : 0);
	probe_off(probes[0]);
	probe_off(probes[1]);
}
END_TEST

static void *leave(void *arg)
{
	probed_system(SYS_exit, 0, 0, 0);
	return fds;
}

/* A thread ends there: nobody waits for it, nor does what it left keep another from
 * anything.  Sanitizers want to hear of ends of threads. */
START_TEST(test_thread_that_exits)
{
	struct ftr_probe *probe;
	pthread_t thread;
	void *result = NULL;

	if (LIVE_SANITIZED)
		return;
	probe = probe_it(probed_system_insn, _i);
	for (unsigned long i = 1; i <= 20; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, leave, NULL), 0);
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_ptr_ne(result, fds);
		ck_assert_uint_eq(pres, i);
	}
	ck_assert_uint_eq(posts, 0);
	probe_off(probe);
}
END_TEST

/* --- by other ways ---------------------------------------------------------------------- */

/* As the kernel has it (sigaction(2), sa_restorer). */
struct kernel_action {
	void (*handler)(int sig, siginfo_t *info, void *context);
	unsigned long flags;
	long (*restorer)(void);
	uint64_t mask;
};

static void on_info(int sig, siginfo_t *info, void *context)
{
	signals++;
}

/* A program's own return from handlers, which no table tells of. */
START_TEST(test_return_from_a_handler)
{
	enum { RESTORER = 0x04000000 };
	struct kernel_action action = { on_info, SA_SIGINFO | RESTORER, probed_restorer, 0 };
	struct ftr_probe *probe = probe_it(probed_restorer_insn, _i);
	struct ftr_probe *first = probe_it((const char *)(uintptr_t)probed_restorer, true);

	ck_assert_int_eq(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8), 0);
	raise(SIGUSR1);
	raise(SIGUSR1);
	ck_assert_uint_eq(signals, 2);
	ck_assert_uint_eq(pres, 4);
	ck_assert_uint_eq(posts, 2);
	probe_off(first);
	probe_off(probe);
}
END_TEST

/* iret and a far ret: no handler runs behind them. */
START_TEST(test_far_returns)
{
	struct ftr_probe *probes[] = { probe_it(probed_far_iret, _i),
				       probe_it(probed_far_ret, _i) };

	ck_assert_int_eq(probed_far(), 5);
	ck_assert_uint_eq(pres, 2);
	ck_assert_uint_eq(posts, 0);
	probe_off(probes[0]);
	probe_off(probes[1]);
}
END_TEST

static void on_step(int sig, siginfo_t *info, void *context)
{
	signals += info->si_code == TRAP_TRACE;
}

/* P7: a program that steps itself sees steps, and goes through. */
START_TEST(test_trap_flag)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	struct ftr_probe *probes[2];
	unsigned long plain;

	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	ck_assert_int_eq(probed_steps(1), 3);
	plain = signals;
	ck_assert_uint_ge(plain, 3);
	probes[0] = probe_it(probed_steps_set, _i);
	probes[1] = probe_it(probed_steps_first, _i);
	signals = 0;
	ck_assert_int_eq(probed_steps(1), 3);
	ck_assert_uint_gt(signals, plain);
	ck_assert_uint_eq(pres, 2);
	ck_assert_uint_eq(posts, _i ? 2 : 0);
	probe_off(probes[0]);
	probe_off(probes[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe system");

	LIVE_CASE(suite, test_handlers_run_outside_of_signals, 10);
	LIVE_LOOP(suite, test_interrupted_call, 0, 4, 10);
	LIVE_CASE(suite, test_probe_at_a_call_that_sleeps, 10);
	LIVE_LOOP(suite, test_call_that_is_restarted_by_another, 0, 2, 10);
	LIVE_LOOP(suite, test_calls_that_return_twice, 0, 2 * SPAWNS, 10);
	LIVE_LOOP(suite, test_thread_that_exits, 0, 2, 10);
	LIVE_LOOP(suite, test_return_from_a_handler, 0, 2, 10);
	LIVE_LOOP(suite, test_far_returns, 0, 2, 10);
	LIVE_LOOP(suite, test_trap_flag, 0, 2, 10);
	return live_main(suite);
}
