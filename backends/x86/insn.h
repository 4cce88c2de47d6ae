/* SPDX-License-Identifier: MIT */
/*
 * The instructions that x86_64 and i386 sites are made of: nops, call, jmp,
 * int3, endbr.  (Intel SDM volume 2, "Instruction Set Reference": NOP, CALL,
 * JMP, INT3, ENDBR32, ENDBR64; AMD64 APM volume 3, the same.)
 */
#ifndef FTR__X86_INSN_H
#define FTR__X86_INSN_H

#include "lib/backend.h"

enum { FTR__X86_INT3 = 0xcc, FTR__X86_CALL_SIZE = 5, FTR__X86_MAX_NOP = 15 };

enum ftr__x86_op { FTR__X86_NOP, FTR__X86_CALL, FTR__X86_JMP };

size_t ftr__x86_landing_length(const uint8_t *bytes, size_t room);
size_t ftr__x86_nop_length(const uint8_t *bytes, size_t room);
const char *ftr__x86_site_form(const uint8_t *bytes, size_t room, enum ftr__table_kind table,
			       struct ftr__form *form);

/* One nop instruction of 1 to 9 bytes (SDM, NOP: "Recommended Multi-Byte
 * Sequence of NOP Instruction"). */
void ftr__x86_encode_nop(uint8_t *at, unsigned length);
/* `call target` in 5 bytes, or in 6 with an address-size prefix before it. */
bool ftr__x86_encode_call(uint8_t *at, unsigned length, uintptr_t ip, uintptr_t target);
/* struct ftr__text_ops of lib/text.h. */
void ftr__x86_encode_site(uint8_t *bytes, unsigned length, uintptr_t ip, uintptr_t target);
void ftr__x86_write_tails(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target);
size_t ftr__x86_check(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target,
		      bool aligned);
void ftr__x86_write_jump_tails(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			       bool after);
size_t ftr__x86_check_jumps(const struct ftr__span *span);
/* A call or nop of 5 or 6 bytes as the low bytes of a word, first byte lowest. */
FTR__BARE static inline uint64_t ftr__x86_site_word(uintptr_t ip, unsigned length,
						    uintptr_t target)
{
	uint64_t rel = (uint32_t)(target - ip - length);

	if (length == FTR__X86_CALL_SIZE)
		return target ? 0xe8 | rel << 8 : 0x0000441f0f;
	return target ? 0xe867 | rel << 16 : 0x0000441f0f66;
}
/* The same of a jump, which in 6 bytes has a cs prefix. */
FTR__BARE static inline uint64_t ftr__x86_jump_word(uintptr_t ip, unsigned length,
						    uintptr_t target)
{
	uint64_t rel = (uint32_t)(target - ip - length);

	return length == FTR__X86_CALL_SIZE ? 0xe9 | rel << 8 : 0xe92e | rel << 16;
}
/* `jmp target` in 5 bytes. */
bool ftr__x86_encode_jmp(uint8_t *at, uintptr_t ip, uintptr_t target);
/* The same for a site: FTR__PATCH_MAX bytes, of which 5 or 6 count. */
void ftr__x86_encode_site_jump(uint8_t *bytes, unsigned length, uintptr_t ip, uintptr_t target);

/* call, jmp and jcc with distances of 32 bits (lib/backend.h). */
size_t ftr__x86_next_branch(const uint8_t *bytes, size_t n, uintptr_t at, uintptr_t *target,
			    size_t size);

/* What the bytes at ip do; *target for calls and jumps.  An indirect call
 * through memory reads its target from there. */
enum ftr__x86_op ftr__x86_decode(const uint8_t *bytes, uintptr_t ip, uintptr_t *target);

#endif
