/* SPDX-License-Identifier: MIT */
/*
 * See detour.h.  No state.
 *
 * pre:                             post, of an instruction without a branch:
 *
 *     lea  -128(sp), sp                the instruction
 *     push IP                          lea  -128(sp), sp
 *     push POINT                       push NEXT
 *     call *CALLER                     push POINT
 *     lea  128 + 16(sp), sp            call *CALLER
 *     the instruction                  lea  128 + 16(sp), sp
 *     jmp  next                        jmp  next
 *
 * post, of others: what they push or pop; then where they go is pushed below the
 * red zone of the stack that they leave (jcc: one of two), and
 *
 *     push POINT
 *     call *CALLER
 *     lea  8(sp), sp
 *     ret  $128
 *
 * lea and push change no flags.  i386 has no red zone.
 */
#include "backends/x86/detour.h"

#include <string.h>

#include "backends/x86/insn.h"
#include "backends/x86/relocate.h"
#include "lib/error.h"

enum { WORD = sizeof(void *), RED_ZONE = WORD == 8 ? 128 : 0 };
enum { FF_CALL = 2, FF_PUSH = 6 };

struct emission {
	struct ftr__x86_out out;
	const struct ftr__detour *detour;
	struct ftr__x86_insn insn;
};

/* ff /extension with one of the detour's words: by ip, or as it is. */
static void word(struct emission *e, unsigned extension, enum ftr__detour_word which)
{
	uintptr_t addr = e->detour->words + which * WORD;
	uint8_t bytes[6] = { 0xff, (uint8_t)(0x05 | extension << 3) };
	uint32_t disp = (uint32_t)(WORD == 8 ? addr - (e->out.at + e->out.n + sizeof bytes) : addr);

	memcpy(bytes + 2, &disp, sizeof disp);
	ftr__x86_put(&e->out, bytes, sizeof bytes);
}

static void put1(struct emission *e, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	ftr__x86_put(&e->out, &b, 1);
}

/* From here on (backends/x86/relocate.h). */
static void step(struct emission *e, enum ftr__moved_where where, int sp)
{
	e->out.where = (uint8_t)where;
	ftr__x86_put_step(&e->out, sp, FTR__X86_NO_REGISTER, 0);
}

static void below_red_zone(struct emission *e, enum ftr__moved_where where, int sp)
{
	if (RED_ZONE)
		ftr__x86_put_sp(&e->out, -RED_ZONE);
	step(e, where, RED_ZONE + sp);
}

/* Call with the word that goes on top, and come back to here. */
static void call(struct emission *e, enum ftr__moved_where where, enum ftr__detour_word ip)
{
	step(e, where, 0);
	below_red_zone(e, where, 0);
	word(e, FF_PUSH, ip);
	step(e, where, RED_ZONE + WORD);
	word(e, FF_PUSH, FTR__DETOUR_POINT);
	step(e, where, RED_ZONE + 2 * WORD);
	word(e, FF_CALL, FTR__DETOUR_CALLER);
	ftr__x86_put_sp(&e->out, RED_ZONE + 2 * WORD);
	step(e, where, 0);
}

/* Where it goes on is on the stack, which is as the instruction leaves it but for
 * that. */
static void call_and_go(struct emission *e)
{
	step(e, FTR__MOVED_AWAY, RED_ZONE + WORD);
	word(e, FF_PUSH, FTR__DETOUR_POINT);
	step(e, FTR__MOVED_AWAY, RED_ZONE + 2 * WORD);
	word(e, FF_CALL, FTR__DETOUR_CALLER);
	ftr__x86_put_sp(&e->out, WORD);
	step(e, FTR__MOVED_AWAY, RED_ZONE + WORD);
	if (RED_ZONE)
		ftr__x86_put(&e->out, "\xc2\x80\0", 3); /* ret $128 */
	else
		put1(e, 0xc3);
}

/* --- post, by flow ------------------------------------------------------------------ */

static void push_target(struct emission *e, int sp)
{
	below_red_zone(e, FTR__MOVED_AT, sp);
	word(e, FF_PUSH, FTR__DETOUR_TARGET);
}

/*
 *         jcc  1f         (loop, jcxz: the same)
 *         lea; push NEXT
 *         jmp  2f
 *     1:  lea; push TARGET
 *     2:
 */
static void post_branch(struct emission *e)
{
	enum { PUSH_SIZE = (RED_ZONE ? 5 : 0) + 6, JMP_SIZE = 2 };
	const struct ftr__x86_insn *insn = &e->insn;

	if (insn->flow == FTR__X86_FLOW_LOOP && insn->narrow)
		put1(e, 0x67);
	put1(e, insn->flow == FTR__X86_FLOW_LOOP ? insn->opcode : 0x70u | insn->condition);
	put1(e, PUSH_SIZE + JMP_SIZE);
	below_red_zone(e, FTR__MOVED_BEHIND, 0);
	word(e, FF_PUSH, FTR__DETOUR_NEXT);
	step(e, FTR__MOVED_AWAY, RED_ZONE + WORD);
	put1(e, 0xeb);
	put1(e, PUSH_SIZE);
	step(e, FTR__MOVED_AT, 0);
	push_target(e, 0);
}

static void post_call(struct emission *e, uintptr_t next)
{
	ftr__x86_put_push(&e->out, next);
	step(e, FTR__MOVED_AT, WORD);
	push_target(e, WORD);
}

static bool post_call_via(struct emission *e, uintptr_t next)
{
	ftr__x86_put_sp(&e->out, -(RED_ZONE + WORD));
	if (!ftr__x86_put_push_via(&e->out, &e->insn, RED_ZONE + WORD))
		return false;
	ftr__x86_put_store(&e->out, RED_ZONE + WORD, next);
	return true;
}

static bool post_jmp_via(struct emission *e)
{
	below_red_zone(e, FTR__MOVED_AT, 0);
	return ftr__x86_put_push_via(&e->out, &e->insn, RED_ZONE);
}

/*
 * The return address moves to where it lies below the red zone of the stack that
 * the return leaves: from below that, or, where so much is popped that it is above
 * what was the return address, by a push and a pop.
 */
static void post_ret(struct emission *e)
{
	int32_t pops = e->insn.pops, lowered = RED_ZONE - WORD - pops, raised = pops - RED_ZONE;

	if (!RED_ZONE && !pops)
		return;
	if (lowered >= 0) {
		ftr__x86_put_sp(&e->out, -lowered);
		step(e, FTR__MOVED_AT, lowered);
		ftr__x86_put(&e->out, "\xff\xb4\x24", 3); /* push lowered(sp) */
		ftr__x86_put(&e->out, &lowered, sizeof lowered);
		return;
	}
	ftr__x86_put(&e->out, "\xff\x34\x24", 3); /* push (sp); pop raised(sp) */
	step(e, FTR__MOVED_AT, WORD);
	ftr__x86_put(&e->out, "\x8f\x84\x24", 3);
	ftr__x86_put(&e->out, &raised, sizeof raised);
	step(e, FTR__MOVED_AT, 0);
	ftr__x86_put_sp(&e->out, raised);
}

/* What pushes where it goes; NULL, or why it can't be. */
static const char *post_flow(struct emission *e, uintptr_t next)
{
	bool done = true;

	switch (e->insn.flow) {
	case FTR__X86_FLOW_JMP:
		push_target(e, 0);
		break;
	case FTR__X86_FLOW_JCC:
	case FTR__X86_FLOW_LOOP:
		post_branch(e);
		break;
	case FTR__X86_FLOW_CALL:
		post_call(e, next);
		break;
	case FTR__X86_FLOW_CALL_VIA:
		done = post_call_via(e, next);
		break;
	case FTR__X86_FLOW_JMP_VIA:
		done = post_jmp_via(e);
		break;
	default:
		post_ret(e);
		break;
	}
	return done ? NULL : "no handler can run behind it";
}

/* --- detours -------------------------------------------------------------------------- */

static const char *emit_pre(struct emission *e, struct ftr__detour_map *map)
{
	uintptr_t next = e->detour->ip + e->insn.length;

	call(e, FTR__MOVED_AT, FTR__DETOUR_IP);
	map->insn = (uint16_t)e->out.n;
	const char *why = ftr__x86_move(&e->out, &e->insn, e->detour->ip, e->insn.target);
	map->insn_end = (uint16_t)e->out.n;
	step(e, FTR__MOVED_BEHIND, 0);
	ftr__x86_put_jmp(&e->out, next);
	return why;
}

static const char *emit_post(struct emission *e, struct ftr__detour_map *map)
{
	uintptr_t next = e->detour->ip + e->insn.length;
	unsigned flow = e->insn.flow;
	const char *why;

	map->insn = 0;
	step(e, FTR__MOVED_AT, 0);
	if (flow == FTR__X86_FLOW_NEXT || flow == FTR__X86_FLOW_SYSCALL) {
		why = ftr__x86_move(&e->out, &e->insn, e->detour->ip, e->insn.target);
		map->insn_end = (uint16_t)e->out.n;
		call(e, FTR__MOVED_BEHIND, FTR__DETOUR_NEXT);
		ftr__x86_put_jmp(&e->out, next);
	} else if (flow == FTR__X86_FLOW_AWAY) {
		why = ftr__x86_move(&e->out, &e->insn, e->detour->ip, e->insn.target);
		map->insn_end = (uint16_t)e->out.n;
	} else {
		why = post_flow(e, next);
		map->insn_end = (uint16_t)e->out.n;
		call_and_go(e);
	}
	return why;
}

int ftr__x86_detour_emit(const struct ftr__detour *detour, uint8_t *code, struct ftr__detour_map *map)
{
	struct emission e = {
		.detour = detour,
		.out = { .bytes = code, .room = FTR__DETOUR_SIZE, .at = detour->at,
			 .steps = map->steps, .steps_room = FTR__MOVED_STEPS },
	};

	memset(map, 0, sizeof *map);
	memset(code, FTR__X86_INT3, FTR__DETOUR_SIZE);
	if (!ftr__x86_decode_insn(detour->bytes, detour->room, detour->ip, &e.insn))
		return ftr__fail(EILSEQ, "there is no instruction at %#lx",
				 (unsigned long)detour->ip);
	const char *why = e.insn.refused;
	if (!why)
		why = detour->post ? emit_post(&e, map) : emit_pre(&e, map);
	if (why)
		return ftr__fail(e.insn.no_code ? EILSEQ : EOPNOTSUPP, "the instruction at %#lx can't"
				 " be probed: %s", (unsigned long)detour->ip, why);
	if (e.out.full)
		return ftr__fail(EOPNOTSUPP, "the instruction at %#lx can't be probed: what does the"
				 " same elsewhere is too long", (unsigned long)detour->ip);
	map->length = e.insn.length;
	map->n_steps = (uint8_t)e.out.n_steps;
	map->target = e.insn.target;
	return 0;
}
