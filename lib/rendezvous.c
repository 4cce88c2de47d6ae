/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous.  Floor 3.  Runs under the library's lock, in the middle of a
 * batch: breakpoints stand on the first byte of every pad and all cores know.
 *
 * From then on no thread can enter a pad's inside (a breakpoint is emulated as
 * a jump to the end); who is inside can only leave.  So it is enough to find
 * once, for each thread and whenever it was, that neither its pc nor a pc
 * saved in a signal frame of its stack is inside.  Saved pcs are looked for
 * conservatively: any word of the stack that is an inside address counts.
 *
 * Ways to know about a thread, tried in turn until the time is up:
 *
 *   trapped    it met one of the breakpoints: its pc is outside, and in the
 *              trap handler it looks at its own stack
 *   blocked    /proc/self/task/N/syscall shows pc and sp of a thread that is
 *              not running, before and after its stack was read
 *   running    a thread that never blocks nor traps shows neither.  It is known
 *              to have left if it used processor time over several membarriers
 *              (each of them interrupts the processor it runs on and lets it go
 *              on: it cannot have stood still), and no saved pc can be anywhere:
 *              the process has no signal handlers of its own, or a look at all
 *              its writable memory that is present found none
 */
#include "lib/rendezvous.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/grace.h"
#include "lib/maps.h"
#include "lib/sys.h"
#include "lib/thread.h"
#include "lib/trap.h"

enum {
	STACK_BOUND = 16 << 20,      /* of a stack, bytes above sp that are looked at */
	MEMORY_BOUND = 1 << 30,      /* of all memory, bytes */
	CHUNK = 64 * 1024,
	RUNNING_ROUNDS = 4,          /* membarriers a running thread must get over */
	RUNNING_NS = 2000000,        /* and processor time it must use, ns */
	MEMORY_LOOK_MS = 100         /* when running threads make it worth while */
};

struct task {
	pid_t tid;
	bool clear;
	unsigned rounds;
	uint64_t cpu_first, cpu_last;
};

struct meeting {
	struct ftr__inside *ranges;
	size_t n;
	struct task *tasks;
	size_t n_tasks;
	int mem; /* /proc/self/mem, for reading */
	bool memory_clear; /* no saved pc in all writable memory */
};

/* The meeting under way, for threads that trap. */
static struct meeting *current;
static uint32_t current_number;

/* --- looking at words ------------------------------------------------------ */

/* Mark the range that has `word` inside.  Two markers write the same value. */
FTR__BARE static void check_word(struct meeting *m, uintptr_t word)
{
	size_t low = 0, high = m->n;

	if (word <= m->ranges[0].after || word >= m->ranges[m->n - 1].end)
		return;
	/* The last range that starts below word. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->ranges[middle].after < word)
			low = middle + 1;
		else
			high = middle;
	}
	if (word < m->ranges[low - 1].end)
		FTR__WRITE_ONCE(m->ranges[low - 1].occupied, 1);
}

FTR__BARE static void check_words(struct meeting *m, const uintptr_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_word(m, words[i]);
}

/* The stack from sp up to where it can't be read any more. */
static void check_stack(struct meeting *m, uintptr_t sp)
{
	static uintptr_t words[CHUNK / sizeof(uintptr_t)];
	uintptr_t at = ftr__align_down(sp, sizeof(uintptr_t));
	ssize_t got;

	for (size_t done = 0; done < STACK_BOUND; done += (size_t)got, at += (size_t)got) {
		got = pread(m->mem, words, sizeof words, (off_t)at);
		if (got < (ssize_t)sizeof(uintptr_t))
			return;
		got = (ssize_t)ftr__align_down((uintptr_t)got, sizeof(uintptr_t));
		check_words(m, words, (size_t)got / sizeof(uintptr_t));
	}
}

/*
 * In the trap handler of another thread: look at the own stack.  Reading by
 * system call ends at unmapped memory instead of faulting.
 */
FTR__BARE static void look_at_own(uintptr_t sp)
{
	struct ftr__thread *self = ftr__thread_self();
	struct meeting *m = FTR__FETCH(current);
	uint32_t number = FTR__FETCH(current_number);
	uintptr_t words[256];

	if (!self || !m || self->looked == number)
		return;
	uintptr_t at = ftr__align_down(sp, sizeof(uintptr_t));
	for (size_t done = 0; done < STACK_BOUND; done += sizeof words, at += sizeof words) {
		long got = ftr__syscall(SYS_pread64, m->mem, (long)words, sizeof words, (long)at,
#ifdef __LP64__
					0,
#else
					(long)((uint64_t)at >> 32),
#endif
					0);
		if (got < (long)sizeof(uintptr_t))
			break;
		check_words(m, words, (size_t)got / sizeof(uintptr_t));
		if (got < (long)sizeof words)
			break;
	}
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

	if (ftr__thread_for_each(has_looked, task)) {
		task->clear = true;
		return;
	}
	switch (look(task->tid, &sp, &pc)) {
	case GONE:
		task->clear = true;
		break;
	case BLOCKED:
		check_word(m, pc);
		check_stack(m, sp);
		/* Blocked still, or again: what was read is not of a frame that
		 * it returned to meanwhile. */
		task->clear = look(task->tid, &again_sp, &again_pc) == BLOCKED;
		if (task->clear)
			check_word(m, again_pc);
		break;
	case RUNNING:
	case UNKNOWN:
		task->clear = m->memory_clear && progressed(task);
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

/* --- all of memory ---------------------------------------------------------- */

/*
 * Whether a signal handler of the application's could have left a frame: any
 * but SIGTRAP's, which is ours, and the two that glibc uses itself.
 */
static bool has_signal_handlers(void)
{
	unsigned long long caught = ~0ull;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return true;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	fclose(f);
	return (caught & ~(1ull << (SIGTRAP - 1)) & ~(1ull << 31) & ~(1ull << 32)) != 0;
}

/* The pages that are present: one that was never touched holds no frame.
 * Bits 63 and 62 of pagemap (Linux Documentation/admin-guide/mm/pagemap.rst). */
static bool check_mapping(struct meeting *m, int pagemap, const struct ftr__mapping *map,
			  size_t *budget)
{
	static uintptr_t words[CHUNK / sizeof(uintptr_t)];
	uint64_t entries[512];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (uintptr_t at = map->start; at < map->end;) {
		size_t n = (map->end - at) / page;
		if (n > FTR__ARRAY_SIZE(entries))
			n = FTR__ARRAY_SIZE(entries);
		ssize_t got = pread(pagemap, entries, n * 8, (off_t)(at / page * 8));
		if (got < 8)
			return false;
		for (size_t i = 0; i < (size_t)got / 8; i++, at += page) {
			if (!(entries[i] >> 62))
				continue;
			ssize_t size = pread(m->mem, words, page, (off_t)at);
			if (size > 0)
				check_words(m, words, (size_t)size / sizeof(uintptr_t));
			if (*budget < page)
				return false;
			*budget -= page;
		}
	}
	return true;
}

static bool check_memory(struct meeting *m)
{
	size_t budget = MEMORY_BOUND;
	struct ftr__maps maps;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool ok = pagemap >= 0 && !ftr__maps_read(&maps);

	if (ok) {
		for (size_t i = 0; ok && i < maps.n; i++) {
			const struct ftr__mapping *map = &maps.list[i];
			if (map->readable && map->writable && !map->executable)
				ok = check_mapping(m, pagemap, map, &budget);
		}
		ftr__maps_free(&maps);
	}
	if (pagemap >= 0)
		close(pagemap);
	return ok;
}

/* --- the meeting ------------------------------------------------------------ */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void meet(struct meeting *m, unsigned timeout_ms)
{
	uint64_t start = now_ms();
	bool tried_memory = false;

	m->memory_clear = !has_signal_handlers();
	check_stack(m, (uintptr_t)__builtin_frame_address(0));
	while (look_at_all(m)) {
		struct timespec pause = { 0, 100000 };
		uint64_t passed = now_ms() - start;

		if (passed >= timeout_ms)
			break;
		if (!m->memory_clear && !tried_memory && passed >= MEMORY_LOOK_MS) {
			tried_memory = true;
			m->memory_clear = check_memory(m);
		}
		nanosleep(&pause, NULL);
		ftr__membarrier();
	}
}

static long count_occupied(struct meeting *m)
{
	bool all = false;
	long left = 0;

	for (size_t i = 0; i < m->n_tasks; i++)
		all |= !m->tasks[i].clear;
	for (size_t i = 0; i < m->n; i++) {
		m->ranges[i].occupied |= all;
		left += m->ranges[i].occupied;
	}
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
	struct meeting m = { .ranges = ranges, .n = n };
	int result = 0;

	for (size_t i = 0; i < n; i++)
		ranges[i].occupied = 0;
	m.mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (m.mem < 0)
		result = ftr__fail(EACCES, "/proc/self/mem can't be read (errno %d): no look at the"
				   " threads' stacks", errno);
	if (!result)
		result = list_tasks(&m);
	if (!result) {
		FTR__PUBLISH(current, &m);
		FTR__PUBLISH(current_number, current_number + 1);
		FTR__PUBLISH(ftr__trap_look, look_at_own);
		meet(&m, timeout_ms);
		FTR__PUBLISH(ftr__trap_look, NULL);
		FTR__PUBLISH(current, NULL);
		/* The meeting lies on this stack. */
		ftr__trap_quiesce();
	}
	long left = result ? result : count_occupied(&m);
	if (m.mem >= 0)
		close(m.mem);
	free(m.tasks);
	return left;
}
