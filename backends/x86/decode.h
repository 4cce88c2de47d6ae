/* SPDX-License-Identifier: MIT */
/*
 * One instruction, as far as moving it elsewhere goes.  The only file behind
 * this that sees Zydis.
 */
#ifndef FTR__X86_DECODE_H
#define FTR__X86_DECODE_H

#include "lib/backend.h"

enum { FTR__X86_MAX_INSN = 15, FTR__X86_SP = 4, FTR__X86_NO_REGISTER = 16 };

/* How it goes on, where that is not simply behind it. */
enum ftr__x86_flow {
	FTR__X86_FLOW_NEXT,
	FTR__X86_FLOW_JMP,      /* to `target` */
	FTR__X86_FLOW_JCC,      /* perhaps to `target`, by `condition` */
	FTR__X86_FLOW_LOOP,     /* perhaps to `target`: loop, jcxz; 8 bits of distance alone */
	FTR__X86_FLOW_CALL,     /* to `target` */
	FTR__X86_FLOW_JMP_VIA,  /* to where a register or memory says: ff /4 */
	FTR__X86_FLOW_CALL_VIA, /* the same: ff /2 */
	FTR__X86_FLOW_RET,      /* near; `pops` bytes more */
	FTR__X86_FLOW_AWAY,     /* elsewhere, in another way: iret, far jumps */
	FTR__X86_FLOW_SYSCALL   /* behind it, and it leaves that address in rcx */
};

struct ftr__x86_insn {
	const uint8_t *bytes;
	uint8_t length;
	uint8_t flow;      /* enum ftr__x86_flow */
	uint8_t condition; /* of jcc: the low four bits of its opcode */
	uint8_t opcode;
	uint8_t modrm_at, disp_at, disp_size; /* offsets; 0: it has none */
	uint8_t rex_at;    /* of a REX prefix; 0 also where it is the first byte */
	bool has_rex;
	uint8_t vex_at;    /* of the byte with the inverted B bit: VEX, XOP, EVEX; 0: none */
	bool narrow;       /* addresses of 32 bits, where registers have 64 */
	bool ip_relative;  /* it has a memory operand relative to ip, at `target` */
	uint8_t base, index; /* of a memory operand; FTR__X86_NO_REGISTER: none */
	uint8_t via;       /* of JMP_VIA and CALL_VIA by register; else NO_REGISTER */
	uint16_t pops;
	uint16_t uses;     /* bits: general registers that it reads, writes or has addresses from */
	uintptr_t target;
	/* It may set what the thread's own variables are found by. */
	bool sets_thread;
	/* Why it can't be probed or moved; NULL: it can. */
	const char *refused;
	/* Such as breakpoints: bytes that no compiler means to be run. */
	bool no_code;
};

/* Decode the instruction in `bytes` that is run at ip.  false: there is none. */
bool ftr__x86_decode_insn(const uint8_t *bytes, size_t room, uintptr_t ip,
			  struct ftr__x86_insn *insn);

/* Its length alone; 0: there is none. */
size_t ftr__x86_insn_length(const uint8_t *bytes, size_t room);

#endif
