/* SPDX-License-Identifier: MIT */
/*
 * Instructions that run elsewhere than they were compiled for, and do the same.
 *
 * What an instruction knows of its place is given to it: addresses relative to
 * ip are those of before (where they are out of reach, by a register that is
 * saved for the while), a call pushes the address behind its original, a system
 * call leaves that in rcx.  Flags, the red zone and all registers are kept.
 */
#ifndef FTR__X86_RELOCATE_H
#define FTR__X86_RELOCATE_H

#include "backends/x86/decode.h"

/*
 * Code in the making: `bytes` are to stand at `at`.  Beyond `room` nothing is
 * stored and `full` is set.
 */
struct ftr__x86_out {
	uint8_t *bytes;
	size_t n, room;
	uintptr_t at;
	bool full;
	struct ftr__moved_step *steps; /* NULL: nobody wants to know */
	unsigned n_steps, steps_room;
	uint8_t where; /* of the steps: enum ftr__moved_where */
};

void ftr__x86_put(struct ftr__x86_out *out, const void *bytes, size_t n);
/* A jump, of five bytes where that reaches, else through the word behind it. */
void ftr__x86_put_jmp(struct ftr__x86_out *out, uintptr_t target);
void ftr__x86_put_jcc(struct ftr__x86_out *out, unsigned condition, uintptr_t target);
/* loop, jcxz: over a jump that skips the way to `target`. */
void ftr__x86_put_loop(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
		       uintptr_t target);
/* Push an address. */
void ftr__x86_put_push(struct ftr__x86_out *out, uintptr_t value);
/* lea distance(sp), sp */
void ftr__x86_put_sp(struct ftr__x86_out *out, int32_t distance);
/*
 * Push what the operand of a JMP_VIA or CALL_VIA says, after sp was lowered by
 * `lowered` bytes.  false: its memory is out of reach.
 */
bool ftr__x86_put_push_via(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
			   int32_t lowered);
/* Store an address at distance(sp). */
void ftr__x86_put_store(struct ftr__x86_out *out, int32_t distance, uintptr_t value);

/*
 * From here on, the program's sp is `sp` bytes above the register, and what
 * `reg` should hold lies at the register sp + `saved_at`; NO_REGISTER: itself.
 */
void ftr__x86_put_step(struct ftr__x86_out *out, int sp, unsigned reg, unsigned saved_at);

/*
 * Write the instruction so that it does at out->at what it did at `ip`, and goes
 * on behind what is written.  target: where it goes if it branches.  NULL, or
 * why it can't be.
 */
const char *ftr__x86_move(struct ftr__x86_out *out, const struct ftr__x86_insn *insn,
			  uintptr_t ip, uintptr_t target);

/* As in struct ftr_backend: `decode` and `relocate`. */
bool ftr__x86_decode_for_walk(const uint8_t *bytes, size_t room, uintptr_t ip,
			      struct ftr__insn *insn);
int ftr__x86_relocate(const struct ftr__displaced *run, uint8_t *out, struct ftr__moved *moved);

#endif
