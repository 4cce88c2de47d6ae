/* SPDX-License-Identifier: MIT */
/*
 * See faults.h.  The linker's --wrap sends what the program and the library's
 * core call to __wrap_*; what other libraries call among themselves it leaves
 * alone.
 */
#include "tests/live/faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>

static __thread struct {
	bool armed;
	enum fault kind;
	unsigned at, seen;
} plan;

void fault_arm(enum fault kind, unsigned at)
{
	plan.kind = kind;
	plan.at = at;
	plan.seen = 0;
	plan.armed = true;
}

bool fault_disarm(void)
{
	plan.armed = false;
	return plan.seen >= plan.at;
}

static bool fails(enum fault kind, int error)
{
	if (!plan.armed || plan.kind != kind || ++plan.seen != plan.at)
		return false;
	errno = error;
	return true;
}

/** Defines __wrap_name: fails with `error` and `bad`, or does what name does. */
#define WRAP(kind, error, bad, type, name, parameters, arguments) \
	type __real_##name parameters;                             \
	type __wrap_##name parameters;                             \
	type __wrap_##name parameters                              \
	{                                                          \
		return fails(kind, error) ? bad : __real_##name arguments; \
	}

WRAP(FAULT_MEMORY, ENOMEM, NULL, void *, malloc, (size_t size), (size))
WRAP(FAULT_MEMORY, ENOMEM, NULL, void *, calloc, (size_t n, size_t size), (n, size))
WRAP(FAULT_MEMORY, ENOMEM, NULL, void *, realloc, (void *old, size_t size), (old, size))
WRAP(FAULT_MEMORY, ENOMEM, NULL, char *, strdup, (const char *text), (text))
WRAP(FAULT_MAPPING, ENOMEM, MAP_FAILED, void *, mmap64,
     (void *at, size_t size, int access, int flags, int fd, off64_t offset),
     (at, size, access, flags, fd, offset))
WRAP(FAULT_PROTECTION, EACCES, -1, int, mprotect, (void *at, size_t size, int access),
     (at, size, access))
WRAP(FAULT_OPENING, EMFILE, NULL, FILE *, fopen64, (const char *path, const char *mode),
     (path, mode))
WRAP(FAULT_OPENING, EMFILE, NULL, DIR *, opendir, (const char *path), (path))
WRAP(FAULT_OPENING, EMFILE, -1, int, memfd_create, (const char *name, unsigned flags),
     (name, flags))
WRAP(FAULT_WRITING, EIO, -1, ssize_t, pwrite64,
     (int fd, const void *from, size_t size, off64_t offset), (fd, from, size, offset))
WRAP(FAULT_SIGNALS, EINVAL, -1, int, sigaction,
     (int sig, const struct sigaction *action, struct sigaction *old), (sig, action, old))
WRAP(FAULT_HANDLERS, ENOMEM, ENOMEM, int, pthread_atfork,
     (void (*prepare)(void), void (*parent)(void), void (*child)(void)),
     (prepare, parent, child))

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return fails(FAULT_OPENING, EMFILE) ? -1 : __real_open64(path, flags, mode);
}
