/* SPDX-License-Identifier: MIT */
/*
 * H7, H9, R4: a signal before an instruction of hooked calls whose handler jumps
 * away for ever: what was in the middle of being taken, bound or given back serves
 * again later, and serves one call at a time.
 *
 * A process steps through the calls.  At each place a child of it, made there, jumps
 * away and then needs all records again; what becomes of it is the result.  As a rule
 * one place in 13 is visited; with FTR_TEST_ROUNDS=1300 all are, once, with 5200 those in
 * loops up to four times: that takes minutes, and CK_TIMEOUT_MULTIPLIER=10.
 */
#include "tests/live/live.h"
#include "tests/live/step.h"

#include "lib/record.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#define HOOKED FTR_TRACEABLE static

static sigjmp_buf left;
static ucontext_t inside[2], outside;
static int routine; /* of these */
static enum { RETURN, LEAVE, SWAP } at_bottom;

static __attribute__((noinline)) long bottom(void)
{
	if (at_bottom == LEAVE)
		siglongjmp(left, 1);
	if (at_bottom == SWAP)
		swapcontext(&inside[routine], &outside);
	return -1;
}

/** Plain: callers bind and give back themselves. */
HOOKED long jumps_plain(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

/** The same record, behind a call of the other kind. */
HOOKED long jumps_deep(long n)
{
	long below = n ? jumps_deep(n - 1) : bottom();

	LIVE_OPAQUE(below);
	return below + 1;
}

/** Of a group that C serves, and tells of unwinding. */
HOOKED long other_deep(long n)
{
	long below = n ? other_deep(n - 1) : bottom();

	LIVE_OPAQUE(below);
	return below + 1;
}

/** Of a group that is served inside handlers, too. */
HOOKED long inner_deep(long n)
{
	long below = n ? inner_deep(n - 1) : bottom();

	LIVE_OPAQUE(below);
	return below + 1;
}

/** Its handlers call hooked functions. */
HOOKED long outer_leaf(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static __attribute__((noinline)) long plain_first(long n)
{
	return jumps_deep(2) + other_deep(2) + n;
}

static __attribute__((noinline)) long other_first(long n)
{
	return other_deep(2) + jumps_plain(0) + jumps_deep(1) + n;
}

static __attribute__((noinline)) long nested_first(long n)
{
	return outer_leaf(n) + inner_deep(1) + jumps_plain(0) + n;
}

/* What the handlers of a group saw. */
struct seen {
	struct ftr_group *group;
	unsigned long entries, exits, unwound;
};
enum { PLAIN, OTHER, INNER, OUTER, N_GROUPS };
static struct seen groups[N_GROUPS];
static unsigned long wrong_data;
static long inner_levels = 1; /* of what outer_leaf()'s handlers call */

static int note_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	uintptr_t *data = ftr_entry_data(regs);
	struct seen *seen = ftr_group_data(group);

	seen->entries++;
	data[0] = ip ^ parent_ip;
	data[1] = ftr_regs_sp(regs);
	if (seen == &groups[OUTER])
		wrong_data += inner_deep(inner_levels) != inner_levels;
	return 0;
}

static void note_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	struct seen *seen = ftr_group_data(group);
	const uintptr_t *data = ftr_entry_data(regs);

	if (ftr_regs_unwound(regs)) {
		seen->unwound++;
		return;
	}
	seen->exits++;
	wrong_data += data[0] != (ip ^ parent_ip) || ftr_regs_sp(regs) - data[1] > 16;
	if (seen == &groups[OUTER])
		wrong_data += inner_deep(0) != 0;
}

static void attach(struct seen *seen, const char *pattern, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.entry = note_entry;
	options.exit = note_exit;
	options.data = seen;
	options.flags = flags;
	options.entry_data_size = 2 * sizeof(uintptr_t);
	ck_ok(ftr_group_new(&seen->group, &options));
	ck_assert_int_gt(ftr_group_filter(seen->group, pattern, 0), 0);
	ck_ok(ftr_group_attach(seen->group));
}

static void attach_all(void)
{
	attach(&groups[PLAIN], "jumps_*", 0);
	attach(&groups[OTHER], "other_*", FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_NO_SIMD);
	attach(&groups[INNER], "inner_*", FTR_GROUP_REENTRANT);
	attach(&groups[OUTER], "outer_*", 0);
}

static void drop_all(void)
{
	for (int i = N_GROUPS; i-- > 0;)
		live_drop(groups[i].group);
}

static unsigned long missed(void)
{
	unsigned long n = 0;

	for (int i = 0; i < N_GROUPS; i++)
		n += ftr_group_missed(groups[i].group);
	return n;
}

static unsigned long pending(const struct seen *seen)
{
	return seen->entries - seen->exits - seen->unwound;
}

/* Records, younger ones, of calls that are over, too: of what a look finds the first
 * alone is made ready anew. */
static void leave_some(void)
{
	static const live_fn fns[] = { inner_deep, other_deep, jumps_deep };

	at_bottom = LEAVE;
	for (volatile int i = 0; i < 3; i++)
		if (!sigsetjmp(left, 1))
			fns[i](1);
	at_bottom = RETURN;
}

/* Calls of all kinds until each record has served again; not 0: what went wrong. */
static int use_all(void)
{
	enum { ROUNDS = 2, NESTED = 40 };

	inner_levels = NESTED;
	for (int i = 0; i < ROUNDS; i++) {
		long levels = ftr__self->n_records + 1; /* a look, and a new chunk */
		if (jumps_deep(levels) != levels || other_deep(levels) != levels)
			return 10 + i;
		if (outer_leaf(1) != 2 || inner_deep(levels) != levels)
			return 20 + i;
		if (jumps_deep(levels) != levels || jumps_plain(1) != 2)
			return 30 + i;
	}
	return wrong_data ? 5 : 0;
}

static size_t count_also(const struct ftr__record *r)
{
	size_t n = 0;

	for (; r; r = r->also)
		n++;
	return n;
}

static size_t count_next(const struct ftr__record *r)
{
	size_t n = 0;

	for (; r; r = r->next)
		n += !r->slot && !r->handed;
	return n;
}

/* Over, and not yet told of. */
static size_t count_older(const struct ftr__record *r)
{
	size_t n = 0;

	for (; r; r = r->older)
		n += !r->slot;
	return n;
}

/* How many of a thread's records are neither pending nor in a list; less: in two. */
static long lost(const struct ftr__thread *self)
{
	return (long)self->n_records - (long)ftr__record_pending() -
	       (long)count_next(self->records) - (long)count_next(self->inherited) -
	       (long)count_also(self->returned) - (long)count_also(self->spare) -
	       (long)count_older(self->watched) - (long)(self->fresh_end - self->fresh);
}

/* Behind a jump: 0, or what went wrong: 2 too many calls missed, 3 a record in no list, 4 in
 * two of them or pending, 5 data, 6 and up a group's exits, 10 and up what calls return. */
static int check_all(void)
{
	unsigned long missed_before = missed(), before[N_GROUPS];
	int i, wrong;

	leave_some();
	for (i = 0; i < N_GROUPS; i++)
		before[i] = pending(&groups[i]);
	wrong = use_all();
	if (wrong)
		return wrong;
	for (i = 0; i < N_GROUPS; i++)
		if (i == OTHER ? pending(&groups[i]) > before[i] : pending(&groups[i]) != before[i])
			return 6 + i;
	if (lost(ftr__self) || ftr__record_pending())
		return lost(ftr__self) > 0 ? 3 : 4;
	/* Until the library notices that the handler was left (H7). */
	return missed() - missed_before > 64 ? 2 : 0;
}

static sigjmp_buf out;
static unsigned long stride, times, n_places, n_bad;

/* What may be interrupted: the library blocks what may not. */
static bool is_open(const struct step *step)
{
	return !sigismember(&((const ucontext_t *)step->context)->uc_sigmask, SIGUSR1);
}

static void choose_places(void)
{
	enum { STRIDE = 13 };
	unsigned long rounds = live_rounds(100);

	times = rounds < 100 * STRIDE ? 1 : rounds / (100 * STRIDE);
	stride = rounds < 100 * STRIDE ? 100 * STRIDE / rounds : 1;
}

/* Each stride'th, in no step with any loop. */
static bool is_chosen(unsigned long count)
{
	return (uint32_t)(count * 2654435761u) / 65536 % stride == 0;
}

/* Loops go by the same instructions over and over: the first times tell most. */
static bool is_new(uintptr_t ip)
{
	enum { ROOM = 1 << 14 };
	static struct {
		uintptr_t ip;
		unsigned long times;
	} known[ROOM];
	size_t at = ip % ROOM;

	while (known[at].ip && known[at].ip != ip)
		at = (at + 1) % ROOM;
	known[at].ip = ip;
	return known[at].times++ < times;
}

static void tell(const struct step *step, uintptr_t ip, int status)
{
	Dl_info info = { .dli_fname = NULL };

	dladdr((void *)ip, &info);
	fprintf(stderr, "place %lu, %s + %#lx: %s %d\n", step->count,
		info.dli_fname ? info.dli_fname : "", /* for addr2line */
		(unsigned long)(ip - (uintptr_t)info.dli_fbase),
		WIFEXITED(status) ? "wrong" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* No handlers of forks: the child is to be as its parent is here. */
static void visit(struct step *step, uintptr_t ip)
{
	pid_t child;
	int status = 0;

	if (!is_open(step) || !is_new(ip))
		return;
	n_places++;
	if (!is_chosen(step->count))
		return;
	child = (pid_t)syscall(SYS_fork);
	if (!child) {
		alarm(60);
		siglongjmp(out, 1);
	}
	if (waitpid(child, &status, 0) != child || status) {
		tell(step, ip, status);
		n_bad++;
	}
}

static void jump_away(struct step *step, uintptr_t ip)
{
	(void)ip;
	if (step->count >= step->nth && is_open(step))
		siglongjmp(out, 1);
}

static void visit_all(live_fn fn)
{
	struct step step = { .at = visit };

	if (sigsetjmp(out, 1))
		_exit(check_all());
	step_call(&step, fn, 0);
}

static void jump_once(live_fn fn, unsigned long nth)
{
	struct step step = { .at = jump_away, .nth = nth };

	if (!sigsetjmp(out, 1))
		step_call(&step, fn, 0);
}

/* --- what was before ---------------------------------------------------------------- */

static void step_cold(live_fn fn)
{
	visit_all(fn);
}

static void step_warm(live_fn fn)
{
	fn(0);
	visit_all(fn);
}

static void step_after_jumps(live_fn fn)
{
	fn(0);
	jump_once(fn, 150);
	jump_once(fn, 700);
	visit_all(fn);
}

static struct ftr__thread *node;

static void in_thread(void *(*run)(void *), live_fn fn)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, (void *)(uintptr_t)fn), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* Ends while a call that was jumped out of is pending. */
static void *leave_records(void *fn)
{
	jumps_deep(1);
	jump_once((live_fn)(uintptr_t)fn, 150);
	node = ftr__self;
	return NULL;
}

static void *step_all(void *fn)
{
	ftr_site_count(); /* for a node: children, unknown to the library, would get none */
	ck_assert(ftr__self == node);
	visit_all((live_fn)(uintptr_t)fn);
	return NULL;
}

/* In a thread that has what another one left. */
static void step_in_heir(live_fn fn)
{
	in_thread(leave_records, fn);
	node->tid = 0; /* the next thread's */
	in_thread(step_all, fn);
}

static void run_routine(void)
{
	static const live_fn fns[] = { other_deep, jumps_deep };

	fns[routine](3);
}

/* Contexts in the middle of hooked calls. */
static void begin_routines(void)
{
	static char stacks[2][64 * 1024] __attribute__((aligned(64)));

	at_bottom = SWAP;
	for (routine = 0; routine < 2; routine++) {
		ck_assert_int_eq(getcontext(&inside[routine]), 0);
		inside[routine].uc_stack.ss_sp = stacks[routine];
		inside[routine].uc_stack.ss_size = sizeof(stacks[routine]);
		inside[routine].uc_link = &outside;
		makecontext(&inside[routine], run_routine, 0);
		swapcontext(&outside, &inside[routine]);
	}
	at_bottom = RETURN;
}

static void *end_routines(void *arg)
{
	for (routine = 0; routine < 2; routine++)
		swapcontext(&outside, &inside[routine]);
	return arg;
}

/* With records that another thread handed back. */
static void step_returned(live_fn fn)
{
	begin_routines();
	in_thread(end_routines, fn);
	visit_all(fn);
}

static void (*const states[])(live_fn fn) = {
	step_cold, step_warm, step_after_jumps, step_in_heir, step_returned,
};
enum { N_STATES = sizeof(states) / sizeof(states[0]), N_CASES = 3 };

START_TEST(test_jump_away_before_instructions)
{
	static const live_fn cases[N_CASES] = { plain_first, other_first, nested_first };

	choose_places();
	step_install(SA_NODEFER);
	attach_all();
	states[_i % N_STATES](cases[_i / N_STATES]);
	ck_assert_uint_eq(n_bad, 0);
	ck_assert_uint_gt(n_places, 300);
	drop_all();
}
END_TEST

/* --- returns in another thread --------------------------------------------------------- */

static long end_stepped(long n)
{
	end_routines(NULL);
	return n;
}

static unsigned long n_looks, n_lost;

static void look_for_lost(struct step *step, uintptr_t ip)
{
	(void)ip;
	if (!is_open(step))
		return;
	n_looks++;
	n_lost += lost(node) != 0;
}

static void *begin_elsewhere(void *arg)
{
	begin_routines();
	node = ftr__self;
	return arg;
}

/* Wherever it is jumped out of, the owner gets it or finds it pending. */
START_TEST(test_other_thread_hands_back_all_or_nothing)
{
	struct step step = { .at = look_for_lost };

	step_install(SA_NODEFER);
	attach_all();
	in_thread(begin_elsewhere, NULL);
	step_call(&step, end_stepped, 0);
	ck_assert_uint_gt(n_looks, 300);
	ck_assert_uint_eq(n_lost, 0);
	drop_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_jumps");

	LIVE_LOOP(suite, test_jump_away_before_instructions, 0, N_STATES * N_CASES, 120);
	LIVE_CASE(suite, test_other_thread_hands_back_all_or_nothing, 60);
	return live_main(suite);
}
