/* SPDX-License-Identifier: MIT */
/*
 * See trap.h.  Runs in the SIGTRAP handler.
 */
#include "backends/x86/trap.h"

#include "backends/x86/insn.h"

/* int3 leaves the address behind it (SDM volume 3, "Interrupt 3—Breakpoint
 * Exception"). */
FTR__BARE uintptr_t ftr__x86_trap_address(const void *ucontext)
{
	return (uintptr_t)ftr__x86_gregs(ucontext)[FTR__X86_REG_IP] - 1;
}

FTR__BARE uintptr_t ftr__x86_trap_sp(const void *ucontext)
{
	return (uintptr_t)ftr__x86_gregs(ucontext)[FTR__X86_REG_SP];
}

FTR__BARE void ftr__x86_trap_resume(void *ucontext, uintptr_t ip)
{
	ftr__x86_gregs(ucontext)[FTR__X86_REG_IP] = (greg_t)ip;
}

/* rdssp: a nop where there is none (SDM volume 2, "RDSSPD/RDSSPQ"). */
bool ftr__x86_shadow_stack(void)
{
	uintptr_t ssp = 0;

#ifdef __x86_64__
	__asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8" : "+a"(ssp));
#else
	__asm__ volatile(".byte 0xf3, 0x0f, 0x1e, 0xc8" : "+a"(ssp));
#endif
	return ssp != 0;
}

FTR__BARE bool ftr__x86_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes,
				unsigned length, ftr__x86_call_fn *call,
				ftr__stub_fn *stub)
{
	uintptr_t target;

	switch (ftr__x86_decode(bytes, ip, &target)) {
	case FTR__X86_CALL:
		return call(ucontext, ip + length, target, stub);
	case FTR__X86_JMP:
		ftr__x86_trap_resume(ucontext, target);
		break;
	case FTR__X86_NOP:
		ftr__x86_trap_resume(ucontext, ip + length);
		break;
	}
	return true;
}
