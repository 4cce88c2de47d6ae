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
	.balign	4
	.long	\value
	.endm

	/* The body of a function that returns its argument plus one: six bytes. */
	.macro	return_next
	movl	4(%esp), %eax
	incl	%eax
	ret
	.endm

#else
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Bytes of return_next. */
enum { ARCH_BODY = 6 };

/* Instructions of a trampoline slot. */
enum { ARCH_SLOT_STEPS = 2 };

/* FTR_GROUP_* that other architectures have; this has all. */
#define ARCH_MISSING_FLAGS FTR_GROUP_UNINSTRUMENTED

/* Names in ucontext_t's gregs. */
enum { ARCH_IP = REG_EIP, ARCH_SP = REG_ESP, ARCH_FLAGS = REG_EFL };

/*
 * Whether ip is in a function that has no unwind information: mov (%esp), %reg;
 * ret, by which code finds its own place.  The linker takes that of Debian's C
 * runtime for everyone's.
 */
static inline bool arch_without_cfi(uintptr_t ip)
{
	const unsigned char *at = (const unsigned char *)ip;

	if (at[0] == 0xc3)
		at -= 3;
	return at[0] == 0x8b && (at[1] & 0xc7) == 0x04 && at[2] == 0x24 && at[3] == 0xc3;
}

/*
 * Whether a register was just popped of which the unwind information says that it
 * lies in the stack still: clang's follows the stack pointer through a function's
 * end, but never says DW_CFA_restore.  There is no red zone, so where the
 * function was interrupted the signal's frame lies upon what was popped: nobody
 * can find it.
 */
static inline bool arch_popped(uintptr_t ip)
{
#ifdef __clang__
	switch (((const unsigned char *)ip)[-1]) {
	case 0x5b: /* pop %ebx, %ebp, %esi, %edi */
	case 0x5d:
	case 0x5e:
	case 0x5f:
		return true;
	}
#endif
	return false;
}

#endif
#endif /* TESTS_ARCH_H */
