/* SPDX-License-Identifier: MIT */
/*
 * See trap.h.  Runs in the SIGTRAP handler.
 */
#include "backends/x86/trap.h"

#include "backends/x86/insn.h"

FTR__BARE bool ftr__x86_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes,
				unsigned length, ftr__x86_call_fn *call,
				void (*resume)(void *, uintptr_t), ftr__stub_fn *stub)
{
	uintptr_t target;

	switch (ftr__x86_decode(bytes, ip, &target)) {
	case FTR__X86_CALL:
		return call(ucontext, ip + length, target, stub);
	case FTR__X86_JMP:
		resume(ucontext, target);
		break;
	case FTR__X86_NOP:
		resume(ucontext, ip + length);
		break;
	}
	return true;
}
