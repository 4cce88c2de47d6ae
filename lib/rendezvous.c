/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous.  Floor 3.  Runs under the library's lock, in the middle of a
 * batch: breakpoints stand on the first byte of every pad and all cores know.
 *
 * From then on no thread can enter a pad's inside (a breakpoint is emulated as
 * a jump to the end); who is inside can only leave.  So it is enough to find
 * once, for each thread and whenever it was, that neither its pc nor a pc
 * saved in a signal frame of its stack is inside (lib/search.h).
 *
 * A look at a thread that is, or was interrupted, in a range that is enterable tells
 * nothing: it is looked at again.
 *
 * Ways to know about a thread, tried in turn until the time is up:
 *
 *   trapped    it met one of the breakpoints: its pc is outside, and in the
 *              trap handler it looks at its own stack
 *   left       it was asked to, and looked at its own stack when it left a
 *              handler
 *   blocked    /proc/self/task/N/syscall shows pc and sp of a thread that is
 *              not running, before and after its stack was read
 *   running    a thread that never blocks nor traps shows neither.  It is known
 *              to have left if it used processor time over several membarriers
 *              (each of them interrupts the processor it runs on and lets it go
 *              on: it cannot have stood still), and no saved pc can be anywhere:
 *              the process has no signal handlers of its own, or a look, after
 *              that, at all its writable memory that is present found none
 */
#include "lib/rendezvous.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/grace.h"
#include "lib/search.h"
#include "lib/sys.h"
#include "lib/thread.h"
#include "lib/trap.h"

enum {
	OCCUPIED_MS = 100,           /* for those inside to leave */
	RUNNING_ROUNDS = 4,          /* membarriers a running thread must get over */
	RUNNING_NS = 2000000,        /* and processor time it must use, ns */
	MEMORY_LOOK_MS = 100,        /* when running threads make it worth while */
	ASK_MS = 5                   /* from asking threads to look to asking again */
};

struct task {
	pid_t tid;
	bool clear;
	bool moved; /* it ran on since the look began */
	unsigned rounds;
	uint64_t cpu_first, cpu_last;
};

struct meeting {
	struct ftr__search search;
	bool *always; /* occupied in all rounds so far */
	struct task *tasks;
	size_t n_tasks;
	bool memory_clear; /* no saved pc in all writable memory */
	uint64_t deadline; /* by ftr__clock_ms() */
};

/* The meeting under way, for threads that trap. */
static struct meeting *current;
static uint32_t current_number;

/* In the trap handler of another thread, or where that leaves a handler: look at the
 * own stack. */
FTR__BARE static void look_at_own(uintptr_t sp)
{
	struct ftr__thread *self = ftr__thread_self();
	struct meeting *m = FTR__FETCH(current);
	uint32_t number = FTR__FETCH(current_number);

	if (!self || !m || self->looked == number)
		return;
	if (!ftr__search_stack(&m->search, sp))
		FTR__PUBLISH(self->looked, number);
}

/* --- the threads ------------------------------------------------------------ */

static bool add_task(struct meeting *m, size_t *room, pid_t tid)
{
	if (m->n_tasks == *room) {
		*room = *room ? 2 * *room : 64;
		void *grown = realloc(m->tasks, *room * sizeof *m->tasks);
		if (!grown)
			return false;
		m->tasks = grown;
	}
	m->tasks[m->n_tasks++] = (struct task){ .tid = tid };
	return true;
}

/*
 * All other threads.  One that starts later runs code from its start, and
 * never was inside; so one look at the list is enough.
 */
static int list_tasks(struct meeting *m)
{
	DIR *dir = opendir("/proc/self/task");
	pid_t self = ftr__sys_gettid();
	struct dirent *entry;
	size_t room = 0;
	bool ok = true;

	if (!dir)
		return ftr__fail(EACCES, "/proc/self/task can't be read (errno %d)", errno);
	while (ok && (entry = readdir(dir)) != NULL) {
		pid_t tid = (pid_t)atoi(entry->d_name);
		if (tid > 0 && tid != self)
			ok = add_task(m, &room, tid);
	}
	closedir(dir);
	return ok ? 0 : ftr__fail(ENOMEM, "no memory for the list of threads");
}

static int task_file(pid_t tid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)tid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? -ESRCH : -EACCES;
	ssize_t n = read(fd, text, size - 1);
	int result = n < 0 ? (errno == ESRCH ? -ESRCH : -EACCES) : 0;
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return result;
}

enum look { GONE, RUNNING, BLOCKED, UNKNOWN };

/* The last two fields of `syscall` are sp and pc. */
static enum look look(pid_t tid, uintptr_t *sp, uintptr_t *pc)
{
	char text[256];
	int result = task_file(tid, "syscall", text, sizeof text);

	if (result)
		return result == -ESRCH ? GONE : UNKNOWN;
	if (!strncmp(text, "running", 7))
		return RUNNING;
	char *last = strrchr(text, ' ');
	if (!last)
		return UNKNOWN;
	*pc = (uintptr_t)strtoull(last + 1, NULL, 16);
	*last = 0;
	last = strrchr(text, ' ');
	if (!last)
		return UNKNOWN;
	*sp = (uintptr_t)strtoull(last + 1, NULL, 16);
	return BLOCKED;
}

bool ftr__rendezvous_sp(pid_t tid, uintptr_t *sp)
{
	uintptr_t pc;

	return look(tid, sp, &pc) == BLOCKED;
}

static bool has_looked(struct ftr__thread *thread, void *arg)
{
	const struct task *task = arg;

	return FTR__READ_ONCE(thread->tid) == task->tid &&
	       FTR__FETCH(thread->looked) == current_number;
}

/* A running thread: has it used processor time over enough membarriers? */
static bool progressed(struct task *task)
{
	struct timespec ts;
	/* The clock of one thread's processor time (Linux
	 * include/linux/posix-timers_types.h: MAKE_THREAD_CPUCLOCK). */
	clockid_t clock = (clockid_t)((~(unsigned)task->tid << 3) | 6);

	if (clock_gettime(clock, &ts))
		return false;
	uint64_t used = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	if (!task->cpu_first)
		task->cpu_first = task->cpu_last = used + !used;
	if (used > task->cpu_last) {
		task->cpu_last = used;
		task->rounds++;
	}
	return task->rounds >= RUNNING_ROUNDS && used - task->cpu_first >= RUNNING_NS;
}

static void look_at(struct meeting *m, struct task *task)
{
	uintptr_t sp = 0, pc = 0, again_sp, again_pc;
	bool enterable;

	if (ftr__thread_for_each(has_looked, task)) {
		task->clear = true;
		return;
	}
	switch (look(task->tid, &sp, &pc)) {
	case GONE:
		task->clear = true;
		break;
	case BLOCKED:
		task->moved = true; /* or marked as inside here */
		enterable = ftr__search_word(&m->search, pc);
		enterable |= ftr__search_stack(&m->search, sp);
		/* Blocked still, or again: what was read is not of a frame that
		 * it returned to meanwhile. */
		task->clear = look(task->tid, &again_sp, &again_pc) == BLOCKED &&
			      !ftr__search_word(&m->search, again_pc) && !enterable;
		break;
	case RUNNING:
	case UNKNOWN:
		task->moved |= progressed(task);
		task->clear = m->memory_clear && task->moved;
		break;
	}
}

static size_t look_at_all(struct meeting *m)
{
	size_t left = 0;

	for (size_t i = 0; i < m->n_tasks; i++) {
		if (!m->tasks[i].clear)
			look_at(m, &m->tasks[i]);
		left += !m->tasks[i].clear;
	}
	return left;
}

/*
 * Whether a signal handler of the application's could have left a frame: any
 * but SIGTRAP's, unless ours hands on to one, and the two that glibc uses itself.
 */
static bool has_signal_handlers(void)
{
	unsigned long long caught = ~0ull;
	char line[256];
	FILE *f = ftr__trap_hands_on() ? NULL : fopen("/proc/self/status", "re");

	if (!f)
		return true;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	fclose(f);
	return (caught & ~(1ull << (SIGTRAP - 1)) & ~(1ull << 31) & ~(1ull << 32)) != 0;
}

/* --- the meeting ------------------------------------------------------------ */

/*
 * A look at memory tells of a thread only that moved before: one that stands
 * inside has not saved its pc yet, and may do so, in a signal's frame, later.
 */
static bool all_moved(const struct meeting *m)
{
	for (size_t i = 0; i < m->n_tasks; i++)
		if (!m->tasks[i].clear && !m->tasks[i].moved)
			return false;
	return true;
}

/* Until all threads are known about, or the time is up. */
static bool look_until(struct meeting *m, uint64_t start)
{
	uint64_t ask = start + ASK_MS, memory = start + MEMORY_LOOK_MS, now;
	size_t left;

	while ((left = look_at_all(m)) != 0 && (now = ftr__clock_ms()) < m->deadline) {
		struct timespec pause = { 0, 100000 };

		if (!m->memory_clear && now >= memory && all_moved(m)) {
			m->memory_clear = ftr__search_memory(&m->search, m->deadline);
			memory = 2 * now - start; /* that it could not be told of takes long */
		}
		if (now >= ask) {
			ftr__grace_ask_to_look(look_at_own);
			ask = now + ASK_MS;
		}
		nanosleep(&pause, NULL);
		ftr__membarrier();
	}
	return left == 0;
}

/*
 * Where the look at the own stack begins: the frames from the call of the library
 * on have all kinds of words, the same each time, and no saved pc that is inside.
 * Above there may be one: of a signal whose handler called.
 */
static uintptr_t own_start(void)
{
	uintptr_t frame = ftr__self ? ftr__self->api_frame : 0;

	return frame ? frame : (uintptr_t)__builtin_frame_address(0);
}

/* Forget what was seen: nobody can have entered since, but some have left.  False: the
 * calling thread tells nothing now. */
static bool look_again(struct meeting *m)
{
	for (size_t i = 0; i < m->search.n; i++)
		FTR__WRITE_ONCE(m->search.ranges[i].occupied, false);
	for (size_t i = 0; i < m->n_tasks; i++)
		m->tasks[i] = (struct task){ .tid = m->tasks[i].tid };
	FTR__PUBLISH(current_number, current_number + 1);
	ftr__grace_ask_to_look(look_at_own);
	return !ftr__search_stack(&m->search, own_start());
}

/* What was free in any whole round is free; how many are not yet. */
static size_t keep_occupied(struct meeting *m)
{
	size_t left = 0;

	for (size_t i = 0; i < m->search.n; i++)
		left += m->always[i] &= FTR__READ_ONCE(m->search.ranges[i].occupied);
	return left;
}

/* Rounds of looks: for what is occupied in one may be free in the next.  While that
 * helps they go on, and for a time where it does not.  How many are occupied. */
static size_t meet(struct meeting *m, unsigned timeout_ms)
{
	uint64_t start = ftr__clock_ms();
	uint64_t patience = timeout_ms < OCCUPIED_MS ? timeout_ms : OCCUPIED_MS;
	size_t left = m->search.n, before = 0;

	m->deadline = start + timeout_ms;
	memset(m->always, true, m->search.n);
	while (left && (left != before || ftr__clock_ms() - start < patience)) {
		struct timespec pause = { 0, 1000000 };

		m->memory_clear = !has_signal_handlers();
		if (!look_again(m) || !look_until(m, start))
			break;
		before = left;
		left = keep_occupied(m);
		if (left)
			nanosleep(&pause, NULL);
	}
	for (size_t i = 0; i < m->search.n; i++)
		m->search.ranges[i].occupied = m->always[i];
	return left;
}

bool ftr__rendezvous_alone(void)
{
	char text[512];
	int threads = 0;

	/* Field 20 of stat. */
	if (task_file(ftr__sys_gettid(), "stat", text, sizeof text))
		return false;
	char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d"
				      " %*d %*d %d", &threads) != 1)
		return false;
	return threads == 1;
}

long ftr__rendezvous(struct ftr__inside *ranges, size_t n, unsigned timeout_ms)
{
	struct meeting m = { .always = NULL };
	size_t left = 0;
	int result = ftr__search_open(&m.search, ranges, n);

	if (!result && !(m.always = malloc((n + 1) * sizeof *m.always)))
		result = ftr__fail(ENOMEM, "no memory for a look at the threads' stacks");
	if (!result)
		result = list_tasks(&m);
	if (!result) {
		FTR__PUBLISH(current, &m);
		FTR__PUBLISH(ftr__trap_look, look_at_own);
		left = meet(&m, timeout_ms);
		FTR__PUBLISH(ftr__trap_look, NULL);
		ftr__grace_end_looks();
		FTR__PUBLISH(current, NULL);
		/* The meeting lies on this stack. */
		ftr__trap_quiesce();
	}
	ftr__search_close(&m.search);
	free(m.tasks);
	free(m.always);
	return result ? result : (long)left;
}
