/* SPDX-License-Identifier: MIT */
/*
 * See relocate.h.  No state.
 *
 * Forms, next being the address behind the original:
 *
 *     jmp   target         jmp target
 *     jcc   target         jcc target, or: jncc 1f; jmp target; 1:
 *     loop  target         loop 1f; jmp 2f; 1: jmp target; 2:
 *     call  target         push next; jmp target
 *     call  *%reg          push next; jmp *%reg
 *     call  *memory        lea -128(sp), sp; push memory; next to 128(sp);
 *                          lea 128(sp), sp; jmp *-128(sp)
 *     syscall              syscall; next to rcx
 *     op    d(%rip)        op d'(%rip), or, with a register that op has no use
 *                          for: lea -128(sp), sp; push reg; address to reg;
 *                          op (reg); pop reg; lea 128(sp), sp
 *
 * A call by memory reads it before it pushes: it may lie where is pushed to.  What
 * it read goes below the caller's red zone, and is in that of the callee when it
 * is jumped to.  i386 keeps nothing below sp, and returns to it instead.
 * lea and mov change no flags.
 */
#include "backends/x86/relocate.h"

#include <string.h>

#include "backends/x86/insn.h"
#include "lib/error.h"

enum { WORD = sizeof(void *), RED_ZONE = WORD == 8 ? 128 : 0 };
enum { JMP_REL8 = 0xeb, JMP_REL32 = 0xe9 };

/* --- bytes ---------------------------------------------------------------------- */

void ftr__x86_put(struct ftr__x86_out *out, const void *bytes, size_t n)
{
	if (n > out->room - out->n) {
		out->full = true;
		return;
	}
	memcpy(out->bytes + out->n, bytes, n);
	out->n += n;
}

static void put1(struct ftr__x86_out *out, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	ftr__x86_put(out, &b, 1);
}

static void put4(struct ftr__x86_out *out, uintptr_t value)
{
	uint32_t four = (uint32_t)value;

	ftr__x86_put(out, &four, sizeof four);
}

static uintptr_t here(const struct ftr__x86_out *out)
{
	return out->at + out->n;
}

void ftr__x86_put_step(struct ftr__x86_out *out, int sp, unsigned reg, unsigned saved_at)
{
	if (!out->steps || out->n_steps == out->steps_room)
		return;
	out->steps[out->n_steps++] = (struct ftr__moved_step){
		.at = (uint16_t)out->n, .sp = (int16_t)sp, .reg = (uint8_t)reg,
		.saved_at = (uint8_t)saved_at, .where = out->where };
}

/* The register is the program's sp again, or `sp` below it. */
static void step(struct ftr__x86_out *out, int sp)
{
	ftr__x86_put_step(out, sp, FTR__X86_NO_REGISTER, 0);
}

/* A field of 32 bits at ip - 4 - behind reaches target; any on i386. */
static bool reaches(uintptr_t next, uintptr_t target)
{
	intptr_t distance = (intptr_t)(target - next);

	return WORD == 4 || distance == (int32_t)distance;
}

void ftr__x86_put_sp(struct ftr__x86_out *out, int32_t distance)
{
	if (WORD == 8)
		put1(out, 0x48);
	put1(out, 0x8d);
	if (distance == (int8_t)distance) {
		ftr__x86_put(out, "\x64\x24", 2);
		put1(out, (uint8_t)distance);
	} else {
		ftr__x86_put(out, "\xa4\x24", 2);
		put4(out, (uint32_t)distance);
	}
}

void ftr__x86_put_store(struct ftr__x86_out *out, int32_t distance, uintptr_t value)
{
	/* movl $low, distance(sp); movl $high, distance + 4(sp) */
	for (unsigned half = 0; half < WORD / 4; half++) {
		ftr__x86_put(out, "\xc7\x84\x24", 3);
		put4(out, (uint32_t)(distance + 4 * (int32_t)half));
		put4(out, (uintptr_t)((uint64_t)value >> 32 * half));
	}
}

void ftr__x86_put_push(struct ftr__x86_out *out, uintptr_t value)
{
	put1(out, 0x68);
	put4(out, value);
	if (WORD == 8 && (intptr_t)value != (int32_t)value) {
		step(out, WORD);
		ftr__x86_put(out, "\xc7\x44\x24\x04", 4); /* movl $high, 4(sp) */
		put4(out, (uintptr_t)((uint64_t)value >> 32));
	}
}

/* --- jumps ---------------------------------------------------------------------- */

enum { JMP_SIZE = 5, FAR_JMP_SIZE = 6 + WORD };

static bool jmp_reaches(const struct ftr__x86_out *out, uintptr_t target)
{
	return reaches(here(out) + JMP_SIZE, target);
}

void ftr__x86_put_jmp(struct ftr__x86_out *out, uintptr_t target)
{
	if (jmp_reaches(out, target)) {
		uintptr_t next = here(out) + JMP_SIZE;
		put1(out, JMP_REL32);
		put4(out, target - next);
		return;
	}
	ftr__x86_put(out, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	ftr__x86_put(out, &target, sizeof target);
}

void ftr__x86_put_jcc(struct ftr__x86_out *out, unsigned condition, uintptr_t target)
{
	enum { JCC_SIZE = 6 };

	if (reaches(here(out) + JCC_SIZE, target)) {
		uintptr_t next = here(out) + JCC_SIZE;
		put1(out, 0x0f);
		put1(out, 0x80 | condition);
		put4(out, target - next);
		return;
	}
	put1(out, 0x70 | (condition ^ 1));
	put1(out, FAR_JMP_SIZE);
	ftr__x86_put_jmp(out, target);
}

void ftr__x86_put_loop(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
		       uintptr_t target)
{
	if (insn->narrow)
		put1(out, 0x67);
	put1(out, insn->opcode);
	put1(out, 2);
	put1(out, JMP_REL8);
	/* The distance to the target is the same from two bytes before as to be
	 * of the same size. */
	put1(out, reaches(here(out) + 1 + JMP_SIZE, target) ? JMP_SIZE : FAR_JMP_SIZE);
	ftr__x86_put_jmp(out, target);
}

/* --- memory --------------------------------------------------------------------- */

/* Whether the instruction's operand can be had by changing its displacement.
 * With addresses of 32 bits there are no others. */
static bool in_reach(const struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	return !insn->ip_relative || insn->narrow || reaches(here(out) + insn->length, insn->target);
}

/* The same bytes; a displacement counts from the new place. */
static void put_copy(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	uint8_t copy[FTR__X86_MAX_INSN];

	memcpy(copy, insn->bytes, insn->length);
	if (insn->ip_relative) {
		uint32_t d = (uint32_t)(insn->target - here(out) - insn->length);
		memcpy(copy + insn->disp_at, &d, sizeof d);
	}
	ftr__x86_put(out, copy, insn->length);
}

/* A register that has no use in it and a number that needs no prefix; its
 * operand becomes (reg).  4 and 5 mean something else there. */
static unsigned spare_register(const struct ftr__x86_insn *insn)
{
	static const uint8_t candidates[] = { 0, 1, 2, 3, 6, 7 };

	for (size_t i = 0; i < sizeof candidates; i++)
		if (!(insn->uses & 1u << candidates[i]))
			return candidates[i];
	return FTR__X86_NO_REGISTER;
}

/* movabs $value, reg */
static void put_address(struct ftr__x86_out *out, unsigned reg, uintptr_t value)
{
	put1(out, 0x48);
	put1(out, 0xb8 | reg);
	ftr__x86_put(out, &value, sizeof value);
}

/* With (reg) in place of the operand: the B bit off, which extends its number. */
static void put_by_register(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
			    unsigned reg)
{
	uint8_t copy[FTR__X86_MAX_INSN];
	size_t rest = insn->disp_at + (size_t)insn->disp_size;

	memcpy(copy, insn->bytes, insn->length);
	if (insn->has_rex)
		copy[insn->rex_at] &= 0xfe;
	if (insn->vex_at)
		copy[insn->vex_at] |= 0x20;
	copy[insn->modrm_at] = (uint8_t)((copy[insn->modrm_at] & 0x38) | reg);
	ftr__x86_put(out, copy, insn->disp_at);
	ftr__x86_put(out, copy + rest, insn->length - rest);
}

/* lea d(%rip), reg alone asks for no memory. */
static bool put_far_lea(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	const uint8_t *b = insn->bytes;

	if (insn->opcode != 0x8d || insn->vex_at || !insn->has_rex || insn->length != 7 ||
	    (b[0] & 0xf8) != 0x48)
		return false;
	/* REX.R, which extends the register, becomes REX.B. */
	put1(out, 0x48 | (b[0] >> 2 & 1));
	put1(out, 0xb8 | (b[2] >> 3 & 7));
	ftr__x86_put(out, &insn->target, sizeof insn->target);
	return true;
}

/* mov (reg), reg; mov reg, distance(%rsp) */
static void put_load_and_store(struct ftr__x86_out *out, unsigned reg, uint32_t distance)
{
	put1(out, 0x48);
	put1(out, 0x8b);
	put1(out, reg << 3 | reg);
	put1(out, 0x48);
	put1(out, 0x89);
	put1(out, 0x84 | reg << 3);
	put1(out, 0x24);
	put4(out, distance);
}

static void put_segment(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	for (unsigned i = 0; i < insn->modrm_at; i++)
		if (memchr("\x26\x2e\x36\x3e\x64\x65\x67", insn->bytes[i], 7))
			put1(out, insn->bytes[i]);
}

enum { FF_JMP = 4, FF_PUSH = 6, POP = 0x8f };

/* Of a whole word. */
static bool is_on_stack(const struct ftr__x86_insn *insn, unsigned opcode, unsigned extension)
{
	return insn->opcode == opcode && !insn->vex_at &&
	       (insn->bytes[insn->modrm_at] >> 3 & 7) == extension &&
	       !memchr(insn->bytes, 0x66, insn->modrm_at);
}

/* push d(%rip): the word goes above the red zone that the register is saved below. */
static void put_far_push(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	unsigned reg = spare_register(insn);

	ftr__x86_put_sp(out, -RED_ZONE);
	step(out, RED_ZONE);
	put1(out, 0x50 | reg);
	ftr__x86_put_step(out, RED_ZONE + WORD, reg, 0);
	put_address(out, reg, insn->target);
	put_segment(out, insn);
	put_load_and_store(out, reg, RED_ZONE);
	put1(out, 0x58 | reg);
	step(out, RED_ZONE);
	ftr__x86_put_sp(out, RED_ZONE - WORD);
}

/* pop d(%rip): the word is pushed again, below the register that is saved there, and
 * popped by that. */
static void put_far_pop(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	unsigned reg = spare_register(insn);

	ftr__x86_put_sp(out, -RED_ZONE);
	step(out, RED_ZONE);
	put1(out, 0x50 | reg);
	ftr__x86_put_step(out, RED_ZONE + WORD, reg, 0);
	put_address(out, reg, insn->target);
	ftr__x86_put(out, "\xff\xb4\x24", 3); /* push RED_ZONE + WORD(%rsp) */
	put4(out, RED_ZONE + WORD);
	ftr__x86_put_step(out, RED_ZONE + 2 * WORD, reg, WORD);
	put_segment(out, insn);
	put1(out, POP);
	put1(out, reg);
	ftr__x86_put_step(out, RED_ZONE + WORD, reg, 0);
	put1(out, 0x58 | reg);
	step(out, RED_ZONE);
	ftr__x86_put_sp(out, RED_ZONE + WORD);
}

/* Memory out of reach, on x86_64. */
static const char *put_far(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	unsigned reg = spare_register(insn);

	if (put_far_lea(out, insn))
		return NULL;
	if (is_on_stack(insn, 0xff, FF_PUSH)) {
		put_far_push(out, insn);
		return NULL;
	}
	if (is_on_stack(insn, POP, 0)) {
		put_far_pop(out, insn);
		return NULL;
	}
	if (reg == FTR__X86_NO_REGISTER || (insn->uses & 1u << FTR__X86_SP))
		return "an instruction on the stack and on memory that is out of reach";
	ftr__x86_put_sp(out, -RED_ZONE);
	step(out, RED_ZONE);
	put1(out, 0x50 | reg);
	ftr__x86_put_step(out, RED_ZONE + WORD, reg, 0);
	put_address(out, reg, insn->target);
	put_by_register(out, insn, reg);
	put1(out, 0x58 | reg);
	step(out, RED_ZONE);
	ftr__x86_put_sp(out, RED_ZONE);
	step(out, 0);
	return NULL;
}

/* --- by register or memory -------------------------------------------------------- */

/* ff /extension with the instruction's operand, from a sp that was lowered. */
static void put_via(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
		    unsigned extension, int32_t lowered)
{
	const uint8_t *modrm = insn->bytes + insn->modrm_at;
	unsigned tail = insn->length - insn->modrm_at;

	put_segment(out, insn);
	if (insn->has_rex)
		put1(out, insn->bytes[insn->rex_at] & 0x43);
	put1(out, 0xff);
	if (insn->ip_relative) {
		put1(out, 0x05 | extension << 3);
		put4(out, insn->target - (here(out) + 4));
	} else if (insn->base == FTR__X86_SP && lowered) {
		int32_t d = 0;
		if (insn->disp_size == 1)
			d = (int8_t)insn->bytes[insn->disp_at];
		else if (insn->disp_size == 4)
			memcpy(&d, insn->bytes + insn->disp_at, sizeof d);
		put1(out, 0x84 | extension << 3);
		put1(out, modrm[1]);
		put4(out, (uint32_t)(d + lowered));
	} else {
		put1(out, (modrm[0] & 0xc7) | extension << 3);
		ftr__x86_put(out, modrm + 1, tail - 1);
	}
}

/* Through a register, with sp lowered by `lowered` and the word for it below:
 * push reg; movabs; mov (reg), reg; mov reg, 8(sp); pop reg */
static void put_far_word(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
			 int32_t lowered)
{
	unsigned reg = spare_register(insn);

	ftr__x86_put_sp(out, -WORD);
	step(out, lowered + WORD);
	put1(out, 0x50 | reg);
	ftr__x86_put_step(out, lowered + 2 * WORD, reg, 0);
	put_address(out, reg, insn->target);
	put_segment(out, insn);
	put_load_and_store(out, reg, WORD);
	put1(out, 0x58 | reg);
}

bool ftr__x86_put_push_via(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
			   int32_t lowered)
{
	step(out, lowered);
	if (WORD == 8 && insn->ip_relative && !insn->narrow &&
	    !reaches(here(out) + 16, insn->target)) {
		put_far_word(out, insn, lowered);
	} else {
		/* push %sp would push the lowered one. */
		if (insn->via == FTR__X86_SP && lowered)
			return false;
		put_via(out, insn, FF_PUSH, lowered);
	}
	step(out, lowered + WORD);
	return true;
}

/* jmp *memory out of reach: what is returned to lies below the red zone. */
static const char *put_far_jmp_via(struct ftr__x86_out *out, const struct ftr__x86_insn *insn)
{
	ftr__x86_put_sp(out, -RED_ZONE);
	ftr__x86_put_push_via(out, insn, RED_ZONE);
	put1(out, 0xc2); /* ret $RED_ZONE */
	put1(out, RED_ZONE);
	put1(out, 0);
	return NULL;
}

static const char *put_call_via(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
				uintptr_t next)
{
	if (insn->via != FTR__X86_NO_REGISTER) {
		ftr__x86_put_push(out, next);
		step(out, WORD);
		put_via(out, insn, FF_JMP, 0);
		return NULL;
	}
	int32_t lowered = RED_ZONE ? RED_ZONE : WORD;
	ftr__x86_put_sp(out, -lowered);
	ftr__x86_put_push_via(out, insn, lowered);
	ftr__x86_put_store(out, lowered, next);
	if (!RED_ZONE) {
		put1(out, 0xc3);
		return NULL;
	}
	ftr__x86_put_sp(out, lowered);
	step(out, WORD);
	ftr__x86_put(out, "\xff\x64\x24\x80", 4); /* jmp *-128(%rsp) */
	return NULL;
}

/* --- one instruction --------------------------------------------------------------- */

const char *ftr__x86_move(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
			  uintptr_t ip, uintptr_t target)
{
	uintptr_t next = ip + insn->length;

	if (insn->refused)
		return insn->refused;
	step(out, 0);
	switch (insn->flow) {
	case FTR__X86_FLOW_JMP:
		ftr__x86_put_jmp(out, target);
		return NULL;
	case FTR__X86_FLOW_JCC:
		ftr__x86_put_jcc(out, insn->condition, target);
		return NULL;
	case FTR__X86_FLOW_LOOP:
		ftr__x86_put_loop(out, insn, target);
		return NULL;
	case FTR__X86_FLOW_CALL:
		ftr__x86_put_push(out, next);
		step(out, WORD);
		ftr__x86_put_jmp(out, target);
		return NULL;
	case FTR__X86_FLOW_CALL_VIA:
		return put_call_via(out, insn, next);
	case FTR__X86_FLOW_JMP_VIA:
		if (!in_reach(out, insn))
			return put_far_jmp_via(out, insn);
		break;
	case FTR__X86_FLOW_SYSCALL:
		put_copy(out, insn);
		put_address(out, 1, next);
		return NULL;
	default:
		break;
	}
	if (!in_reach(out, insn))
		return put_far(out, insn);
	put_copy(out, insn);
	return NULL;
}

/* --- what a walk sees --------------------------------------------------------------- */

static bool ends(const struct ftr__x86_insn *insn)
{
	return insn->flow == FTR__X86_FLOW_JMP || insn->flow == FTR__X86_FLOW_JMP_VIA ||
	       insn->flow == FTR__X86_FLOW_RET || insn->flow == FTR__X86_FLOW_AWAY;
}

bool ftr__x86_decode_for_walk(const uint8_t *bytes, size_t room, uintptr_t ip,
			      struct ftr__insn *insn)
{
	struct ftr__x86_insn x;

	if (!ftr__x86_decode_insn(bytes, room, ip, &x))
		return false;
	*insn = (struct ftr__insn){
		.length = x.length,
		.ends = ends(&x) || x.no_code,
		.branches = x.flow >= FTR__X86_FLOW_JMP && x.flow <= FTR__X86_FLOW_CALL,
		.calls = x.flow == FTR__X86_FLOW_CALL || x.flow == FTR__X86_FLOW_CALL_VIA,
		.indirect = x.flow == FTR__X86_FLOW_JMP_VIA || x.flow == FTR__X86_FLOW_CALL_VIA,
		.sets_thread = x.sets_thread,
		.no_code = x.no_code,
		.target = x.target,
		.refused = x.refused
	};
	return true;
}

/* --- a run ------------------------------------------------------------------------ */

/* Where a branch of the run goes: to the copy of an instruction of it.  0: into
 * the middle of one. */
static uintptr_t new_target(const struct ftr__displaced *run, const struct ftr__moved *moved,
			    uintptr_t target)
{
	if (!run->inwards || target - run->from >= moved->from_size)
		return target;
	for (unsigned i = 0; i < moved->n; i++)
		if (moved->insns[i].from == target - run->from)
			return run->to + moved->insns[i].to;
	return 0;
}

/* What becomes of the i-th instruction can't be told by itself. */
static const char *misfit(const struct ftr__displaced *run, const struct ftr__moved *moved, unsigned i,
			  const struct ftr__x86_insn *insn)
{
	bool calls = insn->flow == FTR__X86_FLOW_CALL || insn->flow == FTR__X86_FLOW_CALL_VIA;

	if (run->inwards && calls && i + 1 < moved->n)
		return "a call that returns to bytes that are moved";
	if (insn->flow != FTR__X86_FLOW_NEXT && insn->target &&
	    !new_target(run, moved, insn->target))
		return "a branch into the middle of another";
	return NULL;
}

static int not_moved(const struct ftr__displaced *run, size_t at, const struct ftr__x86_insn *insn,
		     const char *why)
{
	return ftr__fail(insn->no_code ? EILSEQ : EOPNOTSUPP, "the instruction at %#lx can't be moved:"
			 " %s", (unsigned long)(run->from + at), why);
}

/* Which instructions the run has; room for each in the copy is not known yet. */
static int measure(const struct ftr__displaced *run, struct ftr__moved *moved)
{
	struct ftr__x86_insn insn;
	bool ended = false;

	*moved = (struct ftr__moved){ 0 };
	while (moved->from_size < run->least) {
		size_t at = moved->from_size;
		if (ended || moved->n == FTR__MOVED_INSNS)
			return ftr__fail(EOPNOTSUPP, "the code at %#lx ends within %zu bytes",
					 (unsigned long)run->from, run->least);
		if (!ftr__x86_decode_insn(run->bytes + at, run->room - at, run->from + at, &insn))
			return ftr__fail(EILSEQ, "there is no instruction at %#lx",
					 (unsigned long)(run->from + at));
		if (insn.refused)
			return not_moved(run, at, &insn, insn.refused);
		moved->insns[moved->n++].from = (uint8_t)at;
		moved->from_size += insn.length;
		ended = ends(&insn);
	}
	moved->goes_on = !ended;
	return 0;
}

static int write_all(const struct ftr__displaced *run, struct ftr__x86_out *out,
		     struct ftr__moved *moved)
{
	struct ftr__x86_insn insn;

	for (unsigned i = 0; i < moved->n; i++) {
		size_t at = moved->insns[i].from;
		ftr__x86_decode_insn(run->bytes + at, run->room - at, run->from + at, &insn);
		moved->insns[i].to = (uint16_t)out->n;
		const char *why = misfit(run, moved, i, &insn);
		if (!why)
			why = ftr__x86_move(out, &insn, run->from + at,
					    new_target(run, moved, insn.target));
		if (why)
			return not_moved(run, at, &insn, why);
	}
	if (moved->goes_on) {
		step(out, 0);
		ftr__x86_put_jmp(out, run->from + moved->from_size);
	}
	return 0;
}

/* Twice: the second time it is known where each instruction will be.  Those are
 * within reach both times, so no size changes. */
int ftr__x86_relocate(const struct ftr__displaced *run, uint8_t *bytes, struct ftr__moved *moved)
{
	int result = measure(run, moved);

	for (unsigned i = 0; i < moved->n; i++)
		moved->insns[i].to = 0;
	for (int pass = 0; pass < 2 && !result; pass++) {
		struct ftr__x86_out out = { .bytes = bytes, .room = run->out_room, .at = run->to,
					    .steps = moved->steps,
					    .steps_room = FTR__MOVED_STEPS };
		result = write_all(run, &out, moved);
		if (!result && out.full)
			return ftr__fail(ENOSPC, "no room for a copy of the code at %#lx",
					 (unsigned long)run->from);
		moved->to_size = out.n;
		moved->n_steps = out.n_steps;
	}
	return result;
}
