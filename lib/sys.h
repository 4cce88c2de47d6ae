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
#include <sys/syscall.h>
#include <sys/types.h>

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

static inline int ftr__sys_tgkill(pid_t pid, pid_t tid, int sig)
{
	return (int)ftr__syscall(SYS_tgkill, pid, tid, sig, 0, 0, 0);
}

static inline int ftr__sys_sigprocmask(int how, const void *set, void *old)
{
	return (int)ftr__syscall(SYS_rt_sigprocmask, how, (long)set, (long)old,
				 FTR__KERNEL_SIGSET_SIZE, 0, 0);
}

#endif
