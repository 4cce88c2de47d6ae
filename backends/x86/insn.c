/* SPDX-License-Identifier: MIT */
/*
 * Encoding and recognising x86 instructions at sites.  No state.
 * ftr__x86_decode() runs in the trap handler.
 */
#include "backends/x86/insn.h"

#include <string.h>

enum { PREFIX_CS = 0x2e };

#define BARE_INLINE static inline __attribute__((always_inline))

size_t ftr__x86_landing_length(const uint8_t *bytes, size_t room)
{
	/* endbr64 f3 0f 1e fa, endbr32 f3 0f 1e fb */
	if (room >= 4 && bytes[0] == 0xf3 && bytes[1] == 0x0f && bytes[2] == 0x1e &&
	    (bytes[3] == 0xfa || bytes[3] == 0xfb))
		return 4;
	return 0;
}

/* Bytes that a ModRM byte with memory operand takes with what follows it. */
static size_t modrm_length(const uint8_t *bytes, size_t room)
{
	if (!room)
		return 0;
	unsigned mod = bytes[0] >> 6, rm = bytes[0] & 7;
	size_t length = 1;

	if (mod == 3)
		return length;
	if (rm == 4) {
		if (room < 2)
			return 0;
		if (mod == 0 && (bytes[1] & 7) == 5)
			length += 4;
		length++;
	} else if (mod == 0 && rm == 5) {
		length += 4;
	}
	return length + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

size_t ftr__x86_nop_length(const uint8_t *bytes, size_t room)
{
	size_t at = 0;

	while (at < room && (bytes[at] == 0x66 || bytes[at] == 0x2e))
		at++;
	if (at < room && bytes[at] == 0x90)
		return at < FTR__X86_MAX_NOP ? at + 1 : 0;
	/* 0f 1f /0 */
	if (room - at < 3 || bytes[at] != 0x0f || bytes[at + 1] != 0x1f ||
	    (bytes[at + 2] & 0x38) != 0)
		return 0;
	size_t operand = modrm_length(bytes + at + 2, room - at - 2);
	size_t length = at + 2 + operand;
	return operand && length <= room && length <= FTR__X86_MAX_NOP ? length : 0;
}

void ftr__x86_encode_nop(uint8_t *at, unsigned length)
{
	static const uint8_t nops[9][9] = {
		{ 0x90 },
		{ 0x66, 0x90 },
		{ 0x0f, 0x1f, 0x00 },
		{ 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
	};

	memcpy(at, nops[length - 1], length);
}

/* An opcode with a 32-bit displacement, `length` bytes from ip to the next. */
static bool encode_rel32(uint8_t *at, uint8_t opcode, uintptr_t next, uintptr_t target)
{
	intptr_t distance = (intptr_t)(target - next);
	int32_t rel = (int32_t)distance;

	if (rel != distance)
		return false;
	at[0] = opcode;
	memcpy(at + 1, &rel, sizeof rel);
	return true;
}

bool ftr__x86_encode_call(uint8_t *at, unsigned length, uintptr_t ip, uintptr_t target)
{
	if (length == FTR__X86_CALL_SIZE + 1)
		*at++ = 0x67;
	return encode_rel32(at, 0xe8, ip + length, target);
}

bool ftr__x86_encode_jmp(uint8_t *at, uintptr_t ip, uintptr_t target)
{
	return encode_rel32(at, 0xe9, ip + FTR__X86_CALL_SIZE, target);
}

FTR__BARE void ftr__x86_encode_site(uint8_t *bytes, unsigned length, uintptr_t ip,
				    uintptr_t target)
{
	uint64_t word = ftr__x86_site_word(ip, length, target);

	for (unsigned i = 0; i < FTR__PATCH_MAX; i++, word >>= 8)
		bytes[i] = (uint8_t)word;
}

/* In six bytes with a prefix that means nothing to a jump: of the segment cs, as
 * gcc puts it before jumps by -mindirect-branch-cs-prefix. */
FTR__BARE void ftr__x86_encode_site_jump(uint8_t *bytes, unsigned length, uintptr_t ip,
					 uintptr_t target)
{
	uint64_t word = ftr__x86_jump_word(ip, length, target);

	for (unsigned i = 0; i < FTR__PATCH_MAX; i++, word >>= 8)
		bytes[i] = i < length ? (uint8_t)word : FTR__X86_INT3;
}

/* All bytes but the first of five or six. */
BARE_INLINE void write_tail(uintptr_t ip, unsigned length, uint64_t word)
{
	uint32_t four = (uint32_t)(word >> 8);

	memcpy((uint8_t *)ip + 1, &four, sizeof four);
	if (length > FTR__X86_CALL_SIZE)
		((uint8_t *)ip)[5] = (uint8_t)(word >> 40);
}

void ftr__x86_write_tails(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target)
{
	for (size_t i = 0; i < n; i++)
		write_tail(ips[i], length, ftr__x86_site_word(ips[i], length, target));
}

BARE_INLINE uint64_t jump_word(const struct ftr__span *span, size_t i, bool after)
{
	return ftr__x86_jump_word(span->ips[i], span->length, ftr__span_target(span, i, after));
}

void ftr__x86_write_jump_tails(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			       bool after)
{
	for (size_t i = 0; i < n; i++)
		write_tail(ips[i], span->length,
			   jump_word(span, ftr__span_index(span, &ips[i]), after));
}

/* The bytes of one word, of which a site has five or six: read as two pieces,
 * for eight may cross into a page that is not there. */
BARE_INLINE bool holds(uintptr_t ip, unsigned length, uint64_t word)
{
	const uint8_t *at = (const uint8_t *)ip;
	uint32_t low, high;

	/* The last four bytes overlap the first four. */
	memcpy(&low, at, sizeof low);
	memcpy(&high, at + length - 4, sizeof high);
	return low == (uint32_t)word && high == (uint32_t)(word >> (8 * length - 32));
}

BARE_INLINE size_t check(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target)
{
	for (size_t i = 0; i < n; i++)
		if (!holds(ips[i], length, ftr__x86_site_word(ips[i], length, target)))
			return i;
	return n;
}

size_t ftr__x86_check_jumps(const struct ftr__span *span)
{
	size_t i = 0;

	while (i < span->n && holds(span->ips[i], span->length, jump_word(span, i, false)))
		i++;
	return i;
}

/*
 * The same for calls and nops of five bytes at multiples of four: eight bytes from
 * there lie in one page, or the five don't either.  Thirty-two at a time; *i: where
 * those begin in which something is wrong, or there are no more so many.
 */
BARE_INLINE void check_aligned(const uintptr_t *ips, size_t n, uintptr_t target, size_t *i)
{
	enum { AT_A_TIME = 32, UNUSED = 8 * (8 - FTR__X86_CALL_SIZE) };

	for (*i = 0; *i + AT_A_TIME <= n; *i += AT_A_TIME) {
		uint64_t wrong = 0;
		for (size_t j = *i; j < *i + AT_A_TIME; j++) {
			uint64_t found;
			memcpy(&found, (const void *)ips[j], sizeof found);
			wrong |= found ^ ftr__x86_site_word(ips[j], FTR__X86_CALL_SIZE, target);
		}
		if (wrong << UNUSED)
			break;
	}
}

/* One loop for each shape: this is the first that brings the text in. */
size_t ftr__x86_check(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target,
		      bool aligned)
{
	size_t i = 0;

	if (length != FTR__X86_CALL_SIZE)
		return check(ips, n, length, target);
	if (aligned && target)
		check_aligned(ips, n, target, &i);
	else if (aligned)
		check_aligned(ips, n, 0, &i);
	if (target)
		return i + check(ips + i, n - i, FTR__X86_CALL_SIZE, target);
	return i + check(ips + i, n - i, FTR__X86_CALL_SIZE, 0);
}

FTR__BARE static int32_t rel32_at(const uint8_t *bytes)
{
	return (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
			 (uint32_t)bytes[3] << 24);
}

FTR__BARE enum ftr__x86_op ftr__x86_decode(const uint8_t *bytes, uintptr_t ip, uintptr_t *target)
{
	uintptr_t next = ip + FTR__X86_CALL_SIZE;

	if ((bytes[0] == 0x67 && bytes[1] == 0xe8) || (bytes[0] == PREFIX_CS && bytes[1] == 0xe9)) {
		bytes++;
		next++;
	}
	switch (bytes[0]) {
	case 0xe8:
		*target = next + (uintptr_t)(intptr_t)rel32_at(bytes + 1);
		return FTR__X86_CALL;
	case 0xe9:
		*target = next + (uintptr_t)(intptr_t)rel32_at(bytes + 1);
		return FTR__X86_JMP;
	case 0xff:
		if (bytes[1] != 0x15)
			break;
#ifdef __x86_64__
		/* call *disp32(%rip), six bytes */
		*target = *(const uintptr_t *)(ip + 6 + (uintptr_t)(intptr_t)rel32_at(bytes + 2));
#else
		/* call *disp32, six bytes */
		*target = *(const uintptr_t *)(uintptr_t)(uint32_t)rel32_at(bytes + 2);
#endif
		return FTR__X86_CALL;
	}
	return FTR__X86_NOP;
}

/*
 * A pad of nops: walk it until a call fits.  What is left of the instruction
 * that the call ends in becomes a nop again, or a jump over it.
 *
 *     90 90 90 90 90             ->  0f 1f 44 00 00
 *     0f 1f 44 00 08             ->  0f 1f 44 00 00
 *     0f 1f 84 00 00 00 00 00    ->  0f 1f 44 00 00 0f 1f 00
 *     nop of 10                  ->  0f 1f 44 00 00 eb 03 cc .. ..
 */
static const char *pad_form(const uint8_t *bytes, size_t room, struct ftr__form *form)
{
	size_t at = 0;

	form->site_length = FTR__X86_CALL_SIZE;
	form->instructions = 0;
	while (at < FTR__X86_CALL_SIZE) {
		size_t length = ftr__x86_nop_length(bytes + at, room - at);
		if (!length)
			return "fewer than five bytes of nops at the function's entry";
		at += length;
		form->instructions++;
	}
	form->pad_length = (uint8_t)at;
	ftr__x86_encode_nop(form->normal, FTR__X86_CALL_SIZE);
	if (at > FTR__PATCH_MAX) {
		form->normal[5] = 0xeb;
		form->normal[6] = (uint8_t)(at - 7);
		form->normal[7] = FTR__X86_INT3;
		at = FTR__PATCH_MAX;
	} else if (at > FTR__X86_CALL_SIZE) {
		ftr__x86_encode_nop(form->normal + 5, (unsigned)at - 5);
	}
	form->normal_size = memcmp(bytes, form->normal, at) ? (uint8_t)at : 0;
	return NULL;
}

/* A call to __fentry__ in one of its forms, or the nop that stands for it. */
static const char *fentry_form(const uint8_t *bytes, size_t room, struct ftr__form *form)
{
	if (room >= 5 && bytes[0] == 0xe8) {
		form->site_length = 5;
	} else if (room >= 6 && ((bytes[0] == 0xff && bytes[1] == 0x15) ||
				 (bytes[0] == 0x67 && bytes[1] == 0xe8))) {
		form->site_length = 6;
	} else {
		form->kind = FTR_SITE_FENTRY_NOP;
		return pad_form(bytes, room, form)
			       ? "neither a call to __fentry__ nor nops of five bytes" : NULL;
	}
	form->kind = FTR_SITE_FENTRY_CALL;
	form->pad_length = form->site_length;
	form->instructions = 1;
	form->normal_size = form->site_length;
	ftr__x86_encode_nop(form->normal, form->site_length);
	return NULL;
}

const char *ftr__x86_site_form(const uint8_t *bytes, size_t room, enum ftr__table_kind table,
			       struct ftr__form *form)
{
	memset(form, 0, sizeof *form);
	if (table == FTR__TABLE_MCOUNT)
		return fentry_form(bytes, room, form);
	form->kind = FTR_SITE_PATCHABLE;
	return pad_form(bytes, room, form);
}

size_t ftr__x86_next_branch(const uint8_t *bytes, size_t n, uintptr_t at, uintptr_t *target,
			    size_t size)
{
	enum { REL32 = 4 };

	for (size_t i = 1; i + REL32 <= n; i++) {
		int32_t distance;
		memcpy(&distance, bytes + i, sizeof distance);
		uintptr_t to = at + i + REL32 + (uintptr_t)(intptr_t)distance;
		if (to - *target > size)
			continue;
		bool conditional = i > 1 && bytes[i - 2] == 0x0f && (bytes[i - 1] & 0xf0) == 0x80;
		if (!conditional && (bytes[i - 1] & 0xfe) != 0xe8)
			continue;
		*target = to;
		return i - (conditional ? 2 : 1);
	}
	return n;
}
