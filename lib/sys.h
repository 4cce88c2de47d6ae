/* SPDX-License-Identifier: MIT */
/*
 * System calls without libc: no errno, no cancellation point, no function of
 * another module that could itself be traced.  Floor 1; the one routine behind
 * it is the backend's (backends/<arch>/syscall.S).
 *
 * Used on the paths that must be async-signal-safe (dispatch, trap, thread
 * registration); slow paths use libc.
 */
#ifndef FTR__SYS_H
#define FTR__SYS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The kernel's result: a value, or a negative errno. */
long ftr__syscall(long number, long a, long b, long c, long d, long e, long f);

/* The kernel's signal set: 64 bits on both arches, first word first. */
#define FTR__KERNEL_SIGSET_SIZE 8

static inline pid_t ftr__sys_gettid(void)
{
	return (pid_t)ftr__syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline pid_t ftr__sys_getpid(void)
{
	return (pid_t)ftr__syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/* Of the process's memory, which may be gone: how many bytes were read. */
static inline long ftr__sys_read_memory(uintptr_t at, void *to, size_t size)
{
	struct iovec here = { to, size }, there = { (void *)at, size };

	return ftr__syscall(SYS_process_vm_readv, ftr__sys_getpid(), (long)&here, 1,
			    (long)&there, 1, 0);
}

/* Memory, read and written; what mmap(2) says. */
static inline long ftr__sys_map(size_t size)
{
#ifdef SYS_mmap2
	const long number = SYS_mmap2;
#else
	const long number = SYS_mmap;
#endif
	return ftr__syscall(number, 0, (long)size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Whether a word can be read: rt_sigaction(2) copies its argument before it refuses
 * the signal's number. */
static inline int ftr__sys_is_readable(uintptr_t addr)
{
	enum { NO_SIGNAL = 0, NO_MEMORY_THERE = -14 /* -EFAULT */ };

	return ftr__syscall(SYS_rt_sigaction, NO_SIGNAL, (long)addr, 0, FTR__KERNEL_SIGSET_SIZE,
			    0, 0) != NO_MEMORY_THERE;
}

static inline int ftr__sys_tgkill(pid_t pid, pid_t tid, int sig)
{
	return (int)ftr__syscall(SYS_tgkill, pid, tid, sig, 0, 0, 0);
}

static inline int ftr__sys_sigprocmask(int how, const void *set, void *old)
{
	return (int)ftr__syscall(SYS_rt_sigprocmask, how, (long)set, (long)old,
				 FTR__KERNEL_SIGSET_SIZE, 0, 0);
}

/*
 * Block all signals but those that an instruction of ours could raise; what was
 * blocked before.  For what must be done whole: a signal's handler may come back
 * here again, or never return (siglongjmp(3)).
 */
static inline uint64_t ftr__sys_block_signals(void)
{
	static const int synchronous[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE,
					   SIGSYS };
	uint64_t all = ~(uint64_t)0, old = 0;

	for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++)
		all &= ~((uint64_t)1 << (synchronous[i] - 1));
	ftr__sys_sigprocmask(SIG_BLOCK, &all, &old);
	return old;
}

static inline void ftr__sys_restore_signals(uint64_t old)
{
	ftr__sys_sigprocmask(SIG_SETMASK, &old, NULL);
}

#endif
