/* SPDX-License-Identifier: MIT */
/*
 * P9: pads of several instructions.  A thread is made to stand between two
 * nops of a pad: its saved pc lies in a signal frame on its stack.  The pad
 * must not be touched while it is there; threads that are elsewhere, whatever
 * they do, are no obstacle.
 */
#include "tests/live/step.h"
#include "tests/live/visitor.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PADS = 64 };
extern const live_fn live_pads[PADS];

static const unsigned char pad_bytes[5] = { 0x90, 0x90, 0x90, 0x90, 0x90 };

static __thread unsigned ran_a;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_a++;
	return 0;
}

static bool virgin(live_fn fn)
{
	return memcmp((const void *)fn, pad_bytes, sizeof(pad_bytes)) == 0;
}

static void check_traced(live_fn fn, unsigned times)
{
	ran_a = 0;
	ck_assert_int_eq(fn(1), 2);
	ck_assert_uint_eq(ran_a, times);
}

/** A group on one pad and on one plain site, so that "nothing" has a meaning. */
static struct ftr_group *pad_group(live_fn pad)
{
	live_fn fns[2] = { pad, live_sites[0] };
	struct ftr_group *group = live_group("a", handler_a, NULL, 0);

	live_hold(group, fns, 2);
	return group;
}

/*
 * The look at other threads errs on the safe side: one that is seen in the
 * middle of a trap seems to stand in the pad.  So "try again", as programs do.
 */
static void attach_patiently(struct ftr_group *group)
{
	unsigned tries = 0;
	int result;

	do
		result = ftr_group_attach(group);
	while (result == -EAGAIN && ++tries < 100);
	ck_assert_msg(result == 0, "%d after %u tries: %s", result, tries, ftr_last_error());
}

static void expect_attachable(struct ftr_group *group, live_fn pad)
{
	attach_patiently(group);
	check_traced(pad, 1);
	check_traced(live_sites[0], 1);
	ck_ok(ftr_group_detach(group));
	ck_assert(live_idle(pad));
	check_traced(pad, 0);
}

/* Its words are addresses inside a pad: on a stack they would be taken for a
 * saved pc. */
static struct step step;

/** Park a thread at pad + offset. */
static void stand(live_fn pad, unsigned offset)
{
	step.at = step_park_at;
	step.ip = live_ip(pad) + offset;
	ck_assert(step_start(&step, pad, 1));
}

START_TEST(test_thread_inside_a_pad)
{
	live_fn pad = live_pads[_i * 13];
	struct ftr_group *group;

	step_install(0);
	ck_ok(ftr_init(NULL));
	group = pad_group(pad);
	stand(pad, _i);
	ck_fails(ftr_group_attach(group), -EAGAIN);
	ck_assert(virgin(pad));
	ck_assert(live_idle(live_sites[0]));
	ck_assert_int_eq(ftr_group_attached(group), 0);
	check_traced(live_sites[0], 0);
	ck_fails(ftr_group_attach(group), -EAGAIN);
	ck_assert(virgin(pad));
	ck_assert_int_eq(step_finish(&step), 2);
	expect_attachable(group, pad);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* Before the first nop, and behind the last: not inside. */
START_TEST(test_thread_at_the_ends_of_a_pad)
{
	live_fn pad = live_pads[17];
	struct ftr_group *group;

	step_install(0);
	ck_ok(ftr_init(NULL));
	group = pad_group(pad);
	stand(pad, _i ? 5 : 0);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(step_finish(&step), 2);
	check_traced(pad, 1);
	live_drop(group);
}
END_TEST

/** The same with the signal frame on a stack of its own, nothing above it. */
static char *room;
static const size_t room_size = 1 << 16;

static void *stand_on_altstack(void *arg)
{
	stack_t stack = { .ss_size = room_size };

	room = mmap(NULL, room_size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (room == MAP_FAILED || mprotect(room + room_size, 4096, PROT_NONE))
		abort();
	stack.ss_sp = room;
	sigaltstack(&stack, NULL);
	step.result = step_call(&step, step.fn, step.argument);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	munmap(room, room_size + 4096);
	return NULL;
}

START_TEST(test_thread_inside_a_pad_on_altstack)
{
	live_fn pad = live_pads[62];
	struct ftr_group *group;

	step_install(SA_ONSTACK);
	ck_ok(ftr_init(NULL));
	group = pad_group(pad);
	step.at = step_park_at;
	step.ip = live_ip(pad) + 3;
	step.fn = pad;
	step.argument = 1;
	sem_init(&step.parked, 0, 0);
	sem_init(&step.go, 0, 0);
	ck_assert_int_eq(pthread_create(&step.thread, NULL, stand_on_altstack, &step), 0);
	while (sem_wait(&step.parked))
		;
	ck_fails(ftr_group_attach(group), -EAGAIN);
	ck_assert(virgin(pad));
	ck_assert_int_eq(step_finish(&step), 2);
	expect_attachable(group, pad);
	ck_ok(ftr_group_free(group));
}
END_TEST

/*
 * The frame that tells of the pad lies on the thread's stack; the thread sleeps
 * in another signal's handler, on the signals' own stack.
 */
static sem_t deep, rise;

static void on_deeper_signal(int sig)
{
	sem_post(&deep);
	while (sem_wait(&rise))
		;
}

static void on_signal_in_pad(int sig)
{
	/* What earlier signals left there must not tell of the pad. */
	memset(room, 0, room_size);
	raise(SIGUSR2);
}

static void raise_at_ip(struct step *self, uintptr_t ip)
{
	/* Blocked here: it comes when the pad's next nop is to run. */
	if (ip == self->ip)
		raise(SIGUSR1);
}

static void catch_both_signals(void)
{
	struct sigaction first = { .sa_handler = on_signal_in_pad };
	struct sigaction second = { .sa_handler = on_deeper_signal, .sa_flags = SA_ONSTACK };
	struct sigaction trap;

	step_install(0);
	sigaction(SIGTRAP, NULL, &trap);
	sigaddset(&trap.sa_mask, SIGUSR1);
	sigaction(SIGTRAP, &trap, NULL);
	sigaction(SIGUSR1, &first, NULL);
	sigaction(SIGUSR2, &second, NULL);
	sem_init(&deep, 0, 0);
	sem_init(&rise, 0, 0);
}

START_TEST(test_frame_on_another_stack)
{
	live_fn pad = live_pads[33];
	struct ftr_group *group;

	catch_both_signals();
	ck_ok(ftr_init(NULL));
	group = pad_group(pad);
	step.at = raise_at_ip;
	step.ip = live_ip(pad) + 2;
	step.fn = pad;
	step.argument = 1;
	ck_assert_int_eq(pthread_create(&step.thread, NULL, stand_on_altstack, &step), 0);
	while (sem_wait(&deep))
		;
	ck_fails(ftr_group_attach(group), -EAGAIN);
	ck_assert(virgin(pad));
	sem_post(&rise);
	ck_assert_int_eq(pthread_join(step.thread, NULL), 0);
	ck_assert_int_eq(step.result, 2);
	expect_attachable(group, pad);
	ck_ok(ftr_group_free(group));
}
END_TEST

/*
 * The thread runs on and on in a signal's handler: neither blocked nor trapping,
 * so nothing but memory tells of the pad.  Its stack may be executable, as those
 * of programs with nested functions are; the handler may be the one that had
 * SIGTRAP before the library.
 */
enum { ORDINARY, EXECUTABLE_STACK, TRAP_HANDLER, RUNNING_KINDS };

static atomic_bool in_handler, leave_handler;

static void spin_in_handler(int sig)
{
	atomic_store(&in_handler, true);
	while (!atomic_load_explicit(&leave_handler, memory_order_relaxed))
		;
}

/* The pad's address is in the signal's frame alone, not in `step` as well. */
static bool arrived(struct step *self, uintptr_t ip)
{
	if (ip != self->ip)
		return false;
	self->ip = 0;
	return true;
}

static void spin_at_ip(struct step *self, uintptr_t ip)
{
	if (arrived(self, ip))
		spin_in_handler(SIGTRAP);
}

static void raise_once(struct step *self, uintptr_t ip)
{
	if (arrived(self, ip))
		raise(SIGUSR1);
}

static void *run_step(void *arg)
{
	struct step *self = arg;

	self->result = step_call(self, self->fn, self->argument);
	return NULL;
}

static void start_on_stack(struct step *self, int protection)
{
	const size_t size = 1 << 20;
	void *stack = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;

	ck_assert(stack != MAP_FAILED);
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstack(&attr, stack, size), 0);
	ck_assert_int_eq(pthread_create(&self->thread, &attr, run_step, self), 0);
	pthread_attr_destroy(&attr);
}

static void catch_running(int kind)
{
	struct sigaction action = { .sa_handler = spin_in_handler };
	struct sigaction trap;

	/* Those that Check has caught. */
	for (int sig = 1; sig < SIGRTMAX; sig++)
		signal(sig, SIG_DFL);
	step_install(0);
	if (kind == TRAP_HANDLER)
		return;
	sigaction(SIGTRAP, NULL, &trap);
	sigaddset(&trap.sa_mask, SIGUSR1);
	sigaction(SIGTRAP, &trap, NULL);
	sigaction(SIGUSR1, &action, NULL);
}

START_TEST(test_thread_running_in_a_handler)
{
	live_fn pad = live_pads[40 + _i];
	struct ftr_group *group;

	catch_running(_i);
	ck_ok(ftr_init(NULL));
	group = pad_group(pad);
	step.at = _i == TRAP_HANDLER ? spin_at_ip : raise_once;
	step.ip = live_ip(pad) + 2;
	step.fn = pad;
	step.argument = 1;
	start_on_stack(&step, PROT_READ | PROT_WRITE |
				      (_i == EXECUTABLE_STACK ? PROT_EXEC : 0));
	while (!atomic_load(&in_handler))
		sched_yield();
	ck_fails(ftr_group_attach(group), -EAGAIN);
	ck_assert(virgin(pad));
	atomic_store(&leave_handler, true);
	ck_assert_int_eq(pthread_join(step.thread, NULL), 0);
	ck_assert_int_eq(step.result, 2);
	expect_attachable(group, pad);
	ck_ok(ftr_group_free(group));
}
END_TEST

/** One pad is occupied: those without it can be had. */
START_TEST(test_other_pads_meanwhile)
{
	struct ftr_group *occupied, *others;

	step_install(0);
	ck_ok(ftr_init(NULL));
	occupied = pad_group(live_pads[5]);
	others = live_group("others", handler_a, NULL, 0);
	live_hold(others, live_pads + 6, 50);
	stand(live_pads[5], 2);
	ck_fails(ftr_group_attach(occupied), -EAGAIN);
	ck_ok(ftr_group_attach(others));
	check_traced(live_pads[55], 1);
	ck_fails(ftr_group_attach(occupied), -EAGAIN);
	ck_assert_int_eq(step_finish(&step), 2);
	ck_ok(ftr_group_detach(others));
	expect_attachable(occupied, live_pads[5]);
	ck_ok(ftr_group_free(occupied));
	ck_ok(ftr_group_free(others));
}
END_TEST

/* --- threads that are elsewhere ---------------------------------------------- */

static atomic_bool stop;

static void wait_in_a_system_call(void *arg)
{
	while (sem_wait(arg))
		;
}

static void *spin_in_untraced_code(void *arg)
{
	atomic_store((atomic_bool *)arg, true);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	return NULL;
}

static void wander_turn(struct live_worker *worker)
{
	long n = (long)worker->turns;

	ran_a = 0;
	if (live_pads[n % PADS](n) != n + 1 || ran_a > 1)
		worker->bad++;
	worker->counts[ran_a & 1]++;
}

START_TEST(test_blocked_thread_is_no_obstacle)
{
	struct ftr_group *group;
	struct visitor visitor;
	sem_t gate;

	ck_ok(ftr_init(NULL));
	sem_init(&gate, 0, 0);
	visitor_start(&visitor);
	visitor_send(&visitor, wait_in_a_system_call, &gate);
	group = pad_group(live_pads[0]);
	expect_attachable(group, live_pads[0]);
	sem_post(&gate);
	visitor_await(&visitor);
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* _i: how many spin; more than there are processors, some are not running. */
START_TEST(test_busy_untraced_threads_are_no_obstacle)
{
	pthread_t threads[4];
	atomic_bool spinning[4];
	struct ftr_group *group;
	int i;

	ck_ok(ftr_init(NULL));
	for (i = 0; i < _i; i++) {
		atomic_store(&spinning[i], false);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, spin_in_untraced_code,
						&spinning[i]), 0);
		while (!atomic_load(&spinning[i]))
			sched_yield();
	}
	group = pad_group(live_pads[0]);
	expect_attachable(group, live_pads[0]);
	atomic_store(&stop, true);
	for (i = 0; i < _i; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

/** The longest string of the environment that the process began with. */
static char *longest_string(void)
{
	char *longest = NULL;
	char **string;

	for (string = environ; *string; string++)
		if (!longest || strlen(*string) > strlen(longest))
			longest = *string;
	return longest;
}

/** Not in the frame of who attaches. */
static __attribute__((noinline)) void fill_with_words(char *text, live_fn pad)
{
	uintptr_t word = live_ip(pad) + 2;
	size_t i;

	ck_assert_uint_ge(strlen(text), 2 * sizeof(word));
	for (i = -(uintptr_t)text % sizeof(word); i + sizeof(word) <= strlen(text);
	     i += sizeof(word))
		memcpy(text + i, &word, sizeof(word));
}

/** What is below the stack pointer is memory, too. */
static __attribute__((noinline)) void wipe_stack_below(void)
{
	volatile char below[8192];
	size_t i;

	for (i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

static void on_signal(int sig)
{
	(void)sig;
}

/** Text of the environment that reads as an address inside a pad: no frame of a signal
 *  is there.  _i: another thread runs, too, so that all memory is looked at. */
START_TEST(test_words_of_the_environment)
{
	atomic_bool spinning = false;
	struct ftr_group *group;
	pthread_t thread;

	fill_with_words(longest_string(), live_pads[0]);
	wipe_stack_below();
	ck_ok(ftr_init(NULL));
	if (_i) {
		ck_assert(signal(SIGUSR1, on_signal) != SIG_ERR);
		ck_assert_int_eq(pthread_create(&thread, NULL, spin_in_untraced_code, &spinning),
				 0);
		while (!atomic_load(&spinning))
			sched_yield();
	}
	group = pad_group(live_pads[0]);
	expect_attachable(group, live_pads[0]);
	if (_i) {
		atomic_store(&stop, true);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	ck_ok(ftr_group_free(group));
}
END_TEST

/** Threads run through all the pads while they are made one instruction,
 *  attached, detached and given back, over and over. */
START_TEST(test_busy_threads_in_the_pads)
{
	const unsigned long rounds = live_rounds(100);
	struct live_worker callers[2];
	struct ftr_group *group;
	unsigned long i;

	ck_ok(ftr_init(NULL));
	live_worker_start(&callers[0], wander_turn, NULL);
	live_worker_start(&callers[1], wander_turn, NULL);
	group = live_group("a", handler_a, NULL, 0);
	live_hold(group, live_pads, PADS);
	for (i = 0; i < rounds; i++) {
		attach_patiently(group);
		live_worker_await(&callers[i % 2], 4);
		ck_ok(ftr_group_detach(group));
		ck_ok(ftr_shutdown());
		ck_assert(virgin(live_pads[i % PADS]));
	}
	live_worker_stop(&callers[0]);
	live_worker_stop(&callers[1]);
	ck_assert_uint_eq(callers[0].bad + callers[1].bad, 0);
	ck_assert_uint_gt(callers[0].counts[0] + callers[1].counts[0], 0);
	ck_assert_uint_gt(callers[0].counts[1] + callers[1].counts[1], 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- a pad that was not used yet ---------------------------------------------- */

static uintptr_t walked[16];

static void note_walk(struct step *self, uintptr_t ip)
{
	if (self->count > 1000)
		abort(); /* the thread is being sent back again and again */
	if (self->count < 16)
		walked[self->count] = ip;
}

/* pc = pad + 1 looks like a breakpoint's trap at a known site, and is none.
 * _i: the pad was in use before a shutdown. */
START_TEST(test_stepping_through_a_virgin_pad)
{
	struct ftr_group *other;
	unsigned i;

	step_install(0);
	ck_ok(ftr_init(NULL));
	ck_assert_ptr_nonnull(ftr_site_find(live_ip(live_pads[9])));
	other = pad_group(live_pads[9]);
	if (_i) {
		expect_attachable(other, live_pads[9]);
		ck_ok(ftr_shutdown());
		ck_assert(virgin(live_pads[9]));
		live_hold(other, live_sites, 1);
		ck_ok(ftr_group_attach(other));
	}
	step.at = note_walk;
	ck_assert_int_eq(step_call(&step, live_pads[9], 1), 2);
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(walked[i], live_ip(live_pads[9]) + i);
	ck_assert_uint_eq(live_stats().traps, 0);
	ck_assert_uint_eq(live_stats().traps_foreign, step.count);
	if (_i)
		ck_ok(ftr_group_detach(other));
	ck_ok(ftr_group_free(other));
}
END_TEST

/** With one thread there is no one to look for; the pad is used at once. */
START_TEST(test_single_thread)
{
	struct ftr_group *group;
	size_t i;

	ck_ok(ftr_init(NULL));
	group = live_group("a", handler_a, NULL, 0);
	live_hold(group, live_pads, PADS);
	ck_ok(ftr_group_attach(group));
	for (i = 0; i < PADS; i++)
		check_traced(live_pads[i], 1);
	ck_ok(ftr_group_detach(group));
	for (i = 0; i < PADS; i++)
		ck_assert(live_idle(live_pads[i]));
	ck_ok(ftr_shutdown());
	for (i = 0; i < PADS; i++)
		ck_assert(virgin(live_pads[i]));
	ck_ok(ftr_group_free(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pads");

	LIVE_LOOP(suite, test_thread_inside_a_pad, 1, 5, 60);
	LIVE_LOOP(suite, test_thread_at_the_ends_of_a_pad, 0, 2, 60);
	LIVE_LOOP(suite, test_thread_running_in_a_handler, 0, RUNNING_KINDS, 60);
	LIVE_LOOP(suite, test_stepping_through_a_virgin_pad, 0, 2, 60);
	LIVE_LOOP(suite, test_busy_untraced_threads_are_no_obstacle, 1, 5, 60);
	LIVE_LOOP(suite, test_words_of_the_environment, 0, 2, 60);
	LIVE_CASE(suite, test_thread_inside_a_pad_on_altstack, 60);
	LIVE_CASE(suite, test_other_pads_meanwhile, 60);
	LIVE_CASE(suite, test_blocked_thread_is_no_obstacle, 60);
	LIVE_CASE(suite, test_busy_threads_in_the_pads, 120);
	LIVE_CASE(suite, test_frame_on_another_stack, 60);
	LIVE_CASE(suite, test_single_thread, 60);
	return live_main(suite);
}
