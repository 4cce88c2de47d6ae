/* SPDX-License-Identifier: MIT */
/*
 * Unwinding through traced functions (H11): what the tests of the unwinders
 * share.  Each test program brings its own unwinder, as unwind_walk().
 */
#ifndef TESTS_UNWIND_H
#define TESTS_UNWIND_H

#include "tests/live/step.h"

/** The registers that a call preserves, but the stack pointer. */
#if defined(__x86_64__)
#define UNWIND_SAVED 6 /* rbx rbp r12 r13 r14 r15 */
#elif defined(__i386__)
#define UNWIND_SAVED 4 /* ebx ebp esi edi */
#endif

struct unwind_frame {
	uintptr_t ip;
	uintptr_t function; /* where it begins, by the unwinder's table; or 0 */
	uintptr_t sp;       /* its stack pointer, as the unwinder found it */
	uintptr_t saved[UNWIND_SAVED];
};

enum { UNWIND_FRAMES = 96 };

/**
 * All frames, innermost first: of the interrupted `context`, or of the caller.
 * Frames of the caller may come before those of the context.
 */
size_t unwind_walk(struct unwind_frame *frames, void *context);

/** The program's own, at the bottom of each stack: return unwind_main(name). */
int main(void);

/**
 * Runs the suite: from inside handlers of each caller; and before each
 * instruction from a site on until the traced function has returned.
 */
int unwind_main(const char *name);

/** On the stack: main, parent, traced. */
long unwind_parent(long n);
long unwind_traced(long n);
long unwind_inner(long n); /* what a handler calls */

#endif /* TESTS_UNWIND_H */
