/* SPDX-License-Identifier: MIT */
/*
 * Trap emulation that x86_64 and i386 share.
 */
#ifndef FTR__X86_TRAP_H
#define FTR__X86_TRAP_H

#include <ucontext.h>

#include "lib/backend.h"

/* Where a ucontext keeps the two registers that both have by other names. */
#ifdef __x86_64__
enum { FTR__X86_REG_IP = REG_RIP, FTR__X86_REG_SP = REG_RSP };
#else
enum { FTR__X86_REG_IP = REG_EIP, FTR__X86_REG_SP = REG_ESP };
#endif

FTR__BARE static inline greg_t *ftr__x86_gregs(const void *ucontext)
{
	return ((ucontext_t *)ucontext)->uc_mcontext.gregs;
}

/* As in struct ftr_backend. */
uintptr_t ftr__x86_trap_address(const void *ucontext);
uintptr_t ftr__x86_trap_sp(const void *ucontext);
void ftr__x86_trap_resume(void *ucontext, uintptr_t ip);
bool ftr__x86_trap_raised(const void *ucontext);
bool ftr__x86_trap_overflowed(const void *ucontext);
uintptr_t ftr__x86_trap_ip(const void *ucontext);
void ftr__x86_trap_undo(void *ucontext, const struct ftr__moved_step *step);

/* Whether the calling thread has a shadow stack. */
bool ftr__x86_shadow_stack(void);

/* Make the context continue at target with `next` pushed; false: it can't. */
typedef bool ftr__x86_call_fn(void *ucontext, uintptr_t next, uintptr_t target,
			      ftr__stub_fn *stub);

/*
 * Do in the interrupted context what the instructions at ip would do.  How a
 * call pushes is the architecture's.
 */
bool ftr__x86_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes, unsigned length,
		      ftr__x86_call_fn *call, ftr__stub_fn *stub);

#endif
