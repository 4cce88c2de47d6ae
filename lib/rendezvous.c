/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous.  Floor 3.  Runs under the library's lock, in the middle of a
 * batch: breakpoints stand on the first byte of every pad and all cores know.
 *
 * From then on no thread can enter a pad's inside (a breakpoint is emulated as
 * a jump to the end); who is inside can only leave.  So it is enough to find
 * once, for each thread and whenever it was, that neither its pc nor a pc
 * saved in a signal frame of its stack is inside.  Saved pcs are looked for
 * conservatively: any word of the stack that is an inside address counts.  A
 * signal frame on a stack of its own (sigaltstack) leads to the interrupted one.
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
#include <sys/ioctl.h>
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
	STACKS_MAX = 4,              /* that signal frames lead to, of one thread */
	RESTORERS_MAX = 6,
	OCCUPIED_MS = 100,           /* for those inside to leave */
	RUNNING_ROUNDS = 4,          /* membarriers a running thread must get over */
	RUNNING_NS = 2000000,        /* and processor time it must use, ns */
	MEMORY_LOOK_MS = 100         /* when running threads make it worth while */
};

struct task {
	pid_t tid;
	bool clear;
	bool moved; /* it ran on since the look began */
	unsigned rounds;
	uint64_t cpu_first, cpu_last;
};

struct meeting {
	struct ftr__inside *ranges;
	size_t n;
	uint8_t *always;  /* occupied in all rounds so far */
	uint8_t *entered; /* FTR__INSIDE_MAY_BE_ENTERED */
	struct task *tasks;
	size_t n_tasks;
	int mem; /* /proc/self/mem, for reading */
	struct ftr__maps maps; /* where stacks end */
	bool memory_clear; /* no saved pc in all writable memory */
	uint64_t deadline; /* by now_ms() */
	/* What handlers return to: marks a signal frame. */
	struct restorer {
		uintptr_t ip;
		size_t frame_sp;
	} restorers[RESTORERS_MAX];
	size_t n_restorers;
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

/* Reading by system call: at unmapped memory it ends instead of faulting. */
FTR__BARE static long read_memory(const struct meeting *m, void *to, size_t size, uintptr_t at)
{
	return ftr__syscall(SYS_pread64, m->mem, (long)to, (long)size, (long)at,
			    sizeof(long) == 8 ? 0 : (long)((uint64_t)at >> 32), 0);
}

/* Stacks still to be looked at. */
struct stacks {
	uintptr_t sp[STACKS_MAX];
	size_t n;
};

/* A frame of a signal that came on this stack; its context has the stack that
 * was interrupted. */
FTR__BARE static void follow_frames(const struct meeting *m, struct stacks *stacks,
				    const uintptr_t *words, size_t n, uintptr_t at,
				    uintptr_t start, uintptr_t end)
{
	for (size_t i = 0; i < n; i++, at += sizeof *words) {
		uintptr_t sp;
		size_t r = 0;
		while (r < m->n_restorers && words[i] != m->restorers[r].ip)
			r++;
		if (r == m->n_restorers || stacks->n == STACKS_MAX ||
		    read_memory(m, &sp, sizeof sp, at + m->restorers[r].frame_sp) != sizeof sp)
			continue;
		/* The same stack: what is above is read anyway. */
		if (sp < start || sp >= end)
			stacks->sp[stacks->n++] = sp;
	}
}

/*
 * The mapping that sp is in, or below which a stack has grown; NULL: a stack
 * that is younger than the meeting, of a thread that never was inside.  Where
 * it ends other threads' stacks may begin, guard pages read as zero.
 */
FTR__BARE static const struct ftr__mapping *mapping_of(const struct meeting *m, uintptr_t sp)
{
	size_t low = 0, high = m->maps.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->maps.list[middle].end <= sp)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->maps.n ? &m->maps.list[low] : NULL;
}

/* One stack, from sp up to the end of its mapping. */
FTR__BARE static void check_one_stack(struct meeting *m, struct stacks *stacks, uintptr_t sp)
{
	uintptr_t words[128]; /* alternate signal stacks are small */
	uintptr_t start = ftr__align_down(sp, sizeof *words), at = start;
	const struct ftr__mapping *map = mapping_of(m, sp);

	if (!map)
		return;
	uintptr_t end = map->end - start < STACK_BOUND ? map->end : start + STACK_BOUND;
	while (at < end) {
		size_t size = end - at < sizeof words ? end - at : sizeof words;
		long got = read_memory(m, words, size, at);
		if (got < (long)sizeof *words)
			return;
		check_words(m, words, (size_t)got / sizeof *words);
		follow_frames(m, stacks, words, (size_t)got / sizeof *words, at, start,
			      end);
		at += (size_t)got;
	}
}

FTR__BARE static void check_stack(struct meeting *m, uintptr_t sp)
{
	struct stacks stacks = { { sp }, 1 };

	for (size_t i = 0; i < stacks.n; i++)
		check_one_stack(m, &stacks, stacks.sp[i]);
}

/* In the trap handler of another thread, or where that leaves a handler: look at the
 * own stack. */
FTR__BARE static void look_at_own(uintptr_t sp)
{
	struct ftr__thread *self = ftr__thread_self();
	struct meeting *m = FTR__FETCH(current);
	uint32_t number = FTR__FETCH(current_number);

	if (!self || !m || self->looked == number)
		return;
	check_stack(m, sp);
	FTR__PUBLISH(self->looked, number);
}

static void add_restorer(struct meeting *m, uintptr_t ip, size_t frame_sp)
{
	for (size_t i = 0; i < m->n_restorers; i++)
		if (m->restorers[i].ip == ip && m->restorers[i].frame_sp == frame_sp)
			return;
	if (ip && m->n_restorers < RESTORERS_MAX)
		m->restorers[m->n_restorers++] = (struct restorer){ ip, frame_sp };
}

/* Those that handlers without a restorer return to; and what the kernel has of
 * each signal's action, flags second and restorer third (Linux
 * include/linux/signal_types.h, struct sigaction). */
static void find_restorers(struct meeting *m)
{
	enum { SIGNALS = 64 };

	for (int siginfo = 0; siginfo < 2; siginfo++)
		add_restorer(m, ftr__backend->signal_restorer(siginfo),
			     ftr__backend->frame_sp[siginfo]);
	for (long sig = 1; sig <= SIGNALS; sig++) {
		uintptr_t action[8] = { 0 };
		if (ftr__syscall(SYS_rt_sigaction, sig, 0, (long)action, FTR__KERNEL_SIGSET_SIZE,
				 0, 0) == 0)
			add_restorer(m, action[2],
				     ftr__backend->frame_sp[(action[1] & SA_SIGINFO) != 0]);
	}
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

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- all of memory ---------------------------------------------------------- */

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

static struct ftr__inside ignored[512];
static size_t n_ignored;

void ftr__rendezvous_ignore(uintptr_t start, uintptr_t end)
{
	if (n_ignored < FTR__ARRAY_SIZE(ignored))
		ignored[n_ignored++] = (struct ftr__inside){ start, end, 0 };
}

/* What is ignored and begins first in [start, end); NULL: nothing. */
static const struct ftr__inside *next_ignored(uintptr_t start, uintptr_t end)
{
	const struct ftr__inside *next = NULL;

	for (size_t i = 0; i < n_ignored; i++)
		if (ignored[i].after < end && ignored[i].end > start &&
		    (!next || ignored[i].after < next->after))
			next = &ignored[i];
	return next;
}

static bool check_words_of(struct meeting *m, uintptr_t start, uintptr_t end, size_t *budget)
{
	static uintptr_t words[CHUNK / sizeof(uintptr_t)];

	for (uintptr_t at = start; at < end; at += CHUNK) {
		size_t want = end - at < CHUNK ? end - at : CHUNK;
		long got = read_memory(m, words, want, at);
		if (*budget < want || now_ms() >= m->deadline)
			return false;
		*budget -= want;
		if (got > 0)
			check_words(m, words, (size_t)got / sizeof *words);
	}
	return true;
}

/* Pages in a row that are present: one that was never touched holds no frame. */
static bool check_pages(struct meeting *m, uintptr_t start, uintptr_t end, size_t *budget)
{
	const struct ftr__inside *skip;

	while (start < end && (skip = next_ignored(start, end)) != NULL) {
		if (skip->after > start && !check_words_of(m, start, skip->after, budget))
			return false;
		start = skip->end;
	}
	return start >= end || check_words_of(m, start, end, budget);
}

/*
 * PAGEMAP_SCAN of Linux 6.7 (include/uapi/linux/fs.h): passes over what was
 * never touched at once, where a reservation may be terabytes.  The kernel's
 * names, for headers that do not have them yet.
 */
struct page_region_ {
	uint64_t start, end, categories;
};
struct pm_scan_arg_ {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_ _IOWR('f', 16, struct pm_scan_arg_)
enum { PAGE_IS_PRESENT_ = 1 << 3, PAGE_IS_SWAPPED_ = 1 << 4 };

/* 1: all looked at; 0: not within bounds; -1: the kernel does not have it. */
static int scan_mapping(struct meeting *m, int pagemap, const struct ftr__mapping *map,
			size_t *budget)
{
	struct page_region_ regions[64];
	struct pm_scan_arg_ arg = { .size = sizeof arg, .start = map->start, .end = map->end,
				    .vec = (uintptr_t)regions,
				    .vec_len = FTR__ARRAY_SIZE(regions),
				    .category_anyof_mask = PAGE_IS_PRESENT_ | PAGE_IS_SWAPPED_,
				    .return_mask = PAGE_IS_PRESENT_ };

	while (arg.start < map->end) {
		int n = ioctl(pagemap, PAGEMAP_SCAN_, &arg);
		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			if (!check_pages(m, (uintptr_t)regions[i].start,
					 (uintptr_t)regions[i].end, budget))
				return 0;
		if (arg.walk_end <= arg.start)
			return 0;
		arg.start = arg.walk_end;
	}
	return 1;
}

/* Page by page: bits 63 and 62 of pagemap, present and swapped (Linux
 * Documentation/admin-guide/mm/pagemap.rst). */
static bool read_mapping(struct meeting *m, int pagemap, const struct ftr__mapping *map,
			 size_t *budget)
{
	uint64_t entries[512];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (uintptr_t at = map->start; at < map->end;) {
		size_t n = (map->end - at) / page;
		if (n > FTR__ARRAY_SIZE(entries))
			n = FTR__ARRAY_SIZE(entries);
		ssize_t got = pread(pagemap, entries, n * 8, (off_t)(at / page * 8));
		if (got < 8 || now_ms() >= m->deadline)
			return false;
		for (size_t i = 0; i < (size_t)got / 8; i++, at += page)
			if ((entries[i] >> 62) && !check_pages(m, at, at + page, budget))
				return false;
	}
	return true;
}

static bool check_mapping(struct meeting *m, int pagemap, const struct ftr__mapping *map,
			  size_t *budget)
{
	int scanned = scan_mapping(m, pagemap, map, budget);

	return scanned >= 0 ? scanned : read_mapping(m, pagemap, map, budget);
}

static bool check_memory(struct meeting *m)
{
	size_t budget = MEMORY_BOUND;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool ok = pagemap >= 0;

	for (size_t i = 0; ok && i < m->maps.n; i++) {
		const struct ftr__mapping *map = &m->maps.list[i];
		/* Stacks are executable where a program wants nested functions. */
		if (map->readable && map->writable)
			ok = check_mapping(m, pagemap, map, &budget);
	}
	if (pagemap >= 0)
		close(pagemap);
	return ok;
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
	bool tried_memory = m->memory_clear;
	size_t left;

	while ((left = look_at_all(m)) != 0 && now_ms() < m->deadline) {
		struct timespec pause = { 0, 100000 };

		if (!tried_memory && now_ms() - start >= MEMORY_LOOK_MS && all_moved(m)) {
			tried_memory = true;
			m->memory_clear = check_memory(m);
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

/* Forget what was seen: nobody can have entered since, but some have left. */
static void look_again(struct meeting *m)
{
	for (size_t i = 0; i < m->n; i++)
		FTR__WRITE_ONCE(m->ranges[i].occupied, 0);
	for (size_t i = 0; i < m->n_tasks; i++)
		m->tasks[i] = (struct task){ .tid = m->tasks[i].tid };
	FTR__PUBLISH(current_number, current_number + 1);
	ftr__grace_ask_to_look(look_at_own);
	check_stack(m, own_start());
}

/* What was free in any whole round is free, and how many are not yet; but not where
 * who was seen elsewhere may have come from it since its own look. */
static size_t keep_occupied(struct meeting *m, size_t left)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->entered[i] && FTR__READ_ONCE(m->ranges[i].occupied))
			return left;
	left = 0;
	for (size_t i = 0; i < m->n; i++)
		left += m->always[i] &= FTR__READ_ONCE(m->ranges[i].occupied);
	return left;
}

/* Rounds of looks: for what is occupied in one may be free in the next.  While that
 * helps they go on, and for a time where it does not.  How many are occupied. */
static size_t meet(struct meeting *m, unsigned timeout_ms)
{
	uint64_t start = now_ms();
	uint64_t patience = timeout_ms < OCCUPIED_MS ? timeout_ms : OCCUPIED_MS;
	size_t left = m->n, before = 0;

	m->deadline = start + timeout_ms;
	memset(m->always, 1, m->n);
	for (size_t i = 0; i < m->n; i++)
		m->entered[i] = m->ranges[i].occupied;
	while (left && (left != before || now_ms() - start < patience)) {
		struct timespec pause = { 0, 1000000 };

		m->memory_clear = !has_signal_handlers();
		look_again(m);
		if (!look_until(m, start))
			break;
		before = left;
		left = keep_occupied(m, left);
		if (left)
			nanosleep(&pause, NULL);
	}
	for (size_t i = 0; i < m->n; i++)
		m->ranges[i].occupied = m->always[i];
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
	size_t left = 0;
	int result = 0;

	m.mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (m.mem < 0)
		result = ftr__fail(EACCES, "/proc/self/mem can't be read (errno %d): no look at the"
				   " threads' stacks", errno);
	if (!result && !(m.always = malloc(2 * n + 1)))
		result = ftr__fail(ENOMEM, "no memory for a look at the threads' stacks");
	if (!result)
		result = ftr__maps_read(&m.maps);
	if (!result)
		result = list_tasks(&m);
	if (!result) {
		m.entered = m.always + n;
		find_restorers(&m);
		FTR__PUBLISH(current, &m);
		FTR__PUBLISH(ftr__trap_look, look_at_own);
		left = meet(&m, timeout_ms);
		FTR__PUBLISH(ftr__trap_look, NULL);
		ftr__grace_end_looks();
		FTR__PUBLISH(current, NULL);
		/* The meeting lies on this stack. */
		ftr__trap_quiesce();
	}
	if (m.mem >= 0)
		close(m.mem);
	free(m.tasks);
	free(m.always);
	ftr__maps_free(&m.maps);
	return result ? result : (long)left;
}
