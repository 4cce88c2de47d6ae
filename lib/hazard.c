/* SPDX-License-Identifier: MIT */
/*
 * See hazard.h.  Floor 3; no state.
 *
 * A thread's mask is in /proc/self/task/N/stat, but some system calls replace
 * it while they wait, and put it back as they return: sigwait(3) lets through
 * what it waits for, sigsuspend(2), ppoll(2) and their like set another mask.
 * A thread that sleeps in one of these is looked at by what it passed in: a
 * thread that waits for SIGTRAP has it blocked; what the others will put back
 * nobody tells, so they count as blocking.
 *
 * Nothing can be kept from one look to the next: a mask changes unseen.
 */
#include "lib/hazard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/sys.h"

enum {
	SIGTRAP_BIT = 1 << (SIGTRAP - 1),
	KERNEL_SIGNALS = 64,
	/* PF_IO_WORKER and PF_USER_WORKER (Linux include/linux/sched.h). */
	KERNEL_WORKER = 0x10 | 0x4000
};

uint64_t ftr__hazard_looks;
bool ftr__hazard_ignored;

/* --- threads ------------------------------------------------------------------ */

static int read_file(int task_dir, const char *tid, const char *name, char *text, size_t room)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%s", tid, name);
	int fd = openat(task_dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, text, room - 1);
	int error = errno;
	close(fd);
	if (got < 0)
		return -error;
	text[got] = 0;
	return 0;
}

static bool read_own(void *to, size_t size, uintptr_t at)
{
	struct iovec local = { to, size }, remote = { (void *)at, size };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* The word at an address of the process is not zero, or can't be read. */
static bool is_set(uintptr_t at)
{
	unsigned long word;

	return at && (!read_own(&word, sizeof word, at) || word);
}

static bool waits_for_trap(uintptr_t set)
{
	unsigned long word;

	return !read_own(&word, sizeof word, set) || (word & SIGTRAP_BIT);
}

/* Whether a system call will put back a mask that may have SIGTRAP in it. */
static bool restores_mask(long number, const unsigned long *args)
{
	switch (number) {
	case SYS_rt_sigtimedwait:
#ifdef SYS_rt_sigtimedwait_time64
	case SYS_rt_sigtimedwait_time64:
#endif
		return waits_for_trap(args[0]);
	case SYS_rt_sigsuspend:
		return true;
	case SYS_ppoll:
#ifdef SYS_ppoll_time64
	case SYS_ppoll_time64:
#endif
		return args[3] != 0;
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
		return args[4] != 0;
	/* A pointer to the mask's address and size. */
	case SYS_pselect6:
#ifdef SYS_pselect6_time64
	case SYS_pselect6_time64:
#endif
#ifdef SYS_io_pgetevents
	case SYS_io_pgetevents:
#endif
#ifdef SYS_io_pgetevents_time64
	case SYS_io_pgetevents_time64:
#endif
		return is_set(args[5]);
	}
	return false;
}

/* *state: its letter in stat; 0: not a thread that runs the program. */
static int read_stat(int task_dir, const char *tid, char *state, bool *blocks)
{
	char text[1024];
	unsigned flags = 0;
	unsigned long mask = 0;
	int result = read_file(task_dir, tid, "stat", text, sizeof text);

	*state = 0;
	*blocks = false;
	if (result)
		return result == -ENOENT || result == -ESRCH ? 0 : result;
	/* Fields 3, 9 and 32 (proc(5)); 2, the name, may hold anything. */
	const char *name = strchr(text, '('), *rest = strrchr(text, ')');
	if (!name || !rest ||
	    sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			     " %*d %*d %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %lu",
		   state, &flags, &mask) != 3)
		return -EIO;
	bool worker = (flags & KERNEL_WORKER) &&
		      (!strncmp(name, "(iou-", 5) || !strncmp(name, "(vhost-", 7));
	if (worker || *state == 'Z' || *state == 'X')
		*state = 0;
	*blocks = mask & SIGTRAP_BIT;
	return 0;
}

/* 1: it does, or may; 0; or an error. */
static int thread_blocks(int task_dir, const char *tid, bool *running)
{
	unsigned long args[6];
	char state, text[512];
	long number;
	bool blocks;

	/* Where it wakes between the two looks the mask has to be read again. */
	for (int tries = 0; tries < 4; tries++) {
		int result = read_stat(task_dir, tid, &state, &blocks);
		if (result || !state)
			return result;
		*running = state == 'R';
		if (blocks)
			return 1;
		if (*running)
			return 0;
		result = read_file(task_dir, tid, "syscall", text, sizeof text);
		if (result)
			return result == -ENOENT || result == -ESRCH ? 0 : result;
		int n = sscanf(text, "%ld %lx %lx %lx %lx %lx %lx", &number, &args[0], &args[1],
			       &args[2], &args[3], &args[4], &args[5]);
		if (n == 7)
			return restores_mask(number, args);
		if (n >= 1)
			return 0; /* -1: in the kernel, but not in a system call */
	}
	return 1;
}

/* A directory of threads counts them in its links (Linux fs/proc/base.c,
 * proc_task_getattr). */
static bool alone(void)
{
	struct stat status;

	return stat("/proc/self/task", &status) == 0 && status.st_nlink == 3;
}

/* The calling thread tells without a file. */
static struct ftr__hazard look_at_self(void)
{
	uint64_t mask = 0;

	ftr__sys_sigprocmask(SIG_BLOCK, NULL, &mask);
	if (mask & SIGTRAP_BIT)
		return (struct ftr__hazard){ FTR__HAZARD_THREAD, ftr__sys_gettid(), true };
	return (struct ftr__hazard){ FTR__HAZARD_NONE, 0, false };
}

static struct ftr__hazard look_at_threads(void)
{
	struct ftr__hazard hazard = { FTR__HAZARD_NONE, 0, false };

	if (alone())
		return look_at_self();
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	if (!dir)
		return (struct ftr__hazard){ FTR__HAZARD_UNKNOWN, errno, false };
	while (hazard.kind == FTR__HAZARD_NONE && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		bool running = false;
		int blocks = thread_blocks(dirfd(dir), entry->d_name, &running);
		if (blocks > 0)
			hazard = (struct ftr__hazard){ FTR__HAZARD_THREAD, atoi(entry->d_name),
						       running };
		else if (blocks < 0)
			hazard = (struct ftr__hazard){ FTR__HAZARD_UNKNOWN, -blocks, false };
	}
	closedir(dir);
	return hazard;
}

/* --- handlers ------------------------------------------------------------------ */

/* As the kernel lays it out: libc hides signals of its own. */
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	unsigned long mask[FTR__KERNEL_SIGSET_SIZE / sizeof(unsigned long)];
};

static bool handler_blocks(int sig)
{
	struct kernel_action action;

	if (ftr__syscall(SYS_rt_sigaction, sig, 0, (long)&action, FTR__KERNEL_SIGSET_SIZE, 0, 0))
		return false;
	return action.handler != (uintptr_t)SIG_DFL && action.handler != (uintptr_t)SIG_IGN &&
	       (action.mask[0] & SIGTRAP_BIT);
}

struct ftr__hazard ftr__hazard_look(void)
{
	ftr__hazard_looks++;
	if (ftr__hazard_ignored)
		return (struct ftr__hazard){ FTR__HAZARD_NONE, 0, false };
	/* SIGTRAP's own handler is the library's, and runs no traced code. */
	for (int sig = 1; sig <= KERNEL_SIGNALS; sig++)
		if (sig != SIGTRAP && handler_blocks(sig))
			return (struct ftr__hazard){ FTR__HAZARD_HANDLER, sig, false };
	return look_at_threads();
}

/* --- waiting ------------------------------------------------------------------- */

enum {
	PAUSE_NS = 1000000,
	PROGRESS_NS = 1000000
};

/* Processor time that a thread has used. */
static uint64_t used_ns(int tid)
{
	struct timespec ts = { 0, 0 };
	/* Linux include/linux/posix-timers_types.h: MAKE_THREAD_CPUCLOCK. */
	clockid_t clock = (clockid_t)((~(unsigned)tid << 3) | 6);

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * A thread in the library's own SIGTRAP handler blocks SIGTRAP too, on its way in
 * and out as well; where it has lost its processor there it needs one to come
 * out.  One that used it for long, and blocks still, does so on purpose.
 */
struct ftr__hazard ftr__hazard_wait(struct ftr__hazard hazard, unsigned sleep_ms,
				    unsigned most_ms)
{
	const struct timespec pause = { 0, PAUSE_NS };
	unsigned long since = 0;
	uint64_t used = 0;
	int which = 0;

	for (unsigned ms = 0; hazard.kind == FTR__HAZARD_THREAD && ms < most_ms; ms++) {
		if (hazard.which != which) {
			which = hazard.which;
			used = used_ns(which);
			since = ms;
		}
		if (ms - since >= sleep_ms &&
		    (!hazard.running || used_ns(which) - used >= PROGRESS_NS))
			break;
		nanosleep(&pause, NULL);
		hazard = ftr__hazard_look();
	}
	return hazard;
}
