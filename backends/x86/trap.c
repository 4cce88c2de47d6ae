/* SPDX-License-Identifier: MIT */
/*
 * See trap.h.  Runs in the SIGTRAP handler.
 */
#include "backends/x86/trap.h"

#include "backends/x86/insn.h"

FTR__BARE void ftr__x86_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes,
				unsigned length,
				void (*push_call)(void *, uintptr_t, uintptr_t),
				void (*resume)(void *, uintptr_t))
{
	uintptr_t target;

	switch (ftr__x86_decode(bytes, ip, &target)) {
	case FTR__X86_CALL:
		push_call(ucontext, ip + length, target);
		break;
	case FTR__X86_JMP:
		resume(ucontext, target);
		break;
	case FTR__X86_NOP:
		resume(ucontext, ip + length);
		break;
	}
}
