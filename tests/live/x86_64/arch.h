/* SPDX-License-Identifier: MIT */
/*
 * What the live tests need to know of the architecture, for assembly and C.
 * The include path has the folder of the backend that is being built.
 */
#ifndef TESTS_ARCH_H
#define TESTS_ARCH_H

#ifdef __ASSEMBLER__

	/* An address in a table. */
	.macro	address value:vararg
	.balign	8
	.quad	\value
	.endm

	/* The body of a function that returns its argument plus one: five bytes. */
	.macro	return_next
	lea	1(%rdi), %rax
	ret
	.endm

#else
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Bytes of return_next. */
enum { ARCH_BODY = 5 };

/* Instructions of a trampoline slot. */
enum { ARCH_SLOT_STEPS = 3 };

/* FTR_GROUP_* that other architectures have. */
#define ARCH_MISSING_FLAGS FTR_GROUP_SP_OVERLAY

/* Names in ucontext_t's gregs. */
enum { ARCH_IP = REG_RIP, ARCH_SP = REG_RSP, ARCH_FLAGS = REG_EFL };

/* Whether ip is in a function that has no unwind information. */
static inline bool arch_without_cfi(uintptr_t ip)
{
	return false;
}

/* Whether a popped register can't be found any more: the red zone has it. */
static inline bool arch_popped(uintptr_t ip)
{
	return false;
}

#endif
#endif /* TESTS_ARCH_H */
