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
FTR__BARE bool ftr__x86_shadow_stack(void)
{
	uintptr_t ssp = 0;

#ifdef __x86_64__
	__asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8" : "+a"(ssp));
#else
	__asm__ volatile(".byte 0xf3, 0x0f, 0x1e, 0xc8" : "+a"(ssp));
#endif
	return ssp != 0;
}

/* Exceptions; the kernel keeps the number until the next one. */
enum { BREAKPOINT = 3, OVERFLOW = 4 };

FTR__BARE bool ftr__x86_trap_raised(const void *ucontext)
{
	return ftr__x86_gregs(ucontext)[REG_TRAPNO] == BREAKPOINT;
}

/* The address behind into, or int (SDM volume 3, "Interrupt 4—Overflow Exception"). */
FTR__BARE bool ftr__x86_trap_overflowed(const void *ucontext)
{
	return ftr__x86_gregs(ucontext)[REG_TRAPNO] == OVERFLOW;
}

FTR__BARE uintptr_t ftr__x86_trap_ip(const void *ucontext)
{
	return (uintptr_t)ftr__x86_gregs(ucontext)[FTR__X86_REG_IP];
}

/* By the numbers that instructions have for registers. */
FTR__BARE static greg_t *numbered(void *ucontext, unsigned reg)
{
#ifdef __x86_64__
	static const uint8_t regs[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					REG_RSI, REG_RDI };
#else
	static const uint8_t regs[] = { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP,
					REG_ESI, REG_EDI };
#endif
	return &ftr__x86_gregs(ucontext)[regs[reg]];
}

FTR__BARE void ftr__x86_trap_undo(void *ucontext, const struct ftr__moved_step *step)
{
	greg_t *sp = &ftr__x86_gregs(ucontext)[FTR__X86_REG_SP];

	if (step->reg < 8)
		*numbered(ucontext, step->reg) = *(greg_t *)(uintptr_t)(*sp + step->saved_at);
	*sp += step->sp;
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
