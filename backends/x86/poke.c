/* SPDX-License-Identifier: MIT */
/*
 * Changing an instruction under running threads without a breakpoint.  No state.
 *
 * atomic: before -> after by one 8-byte store.  A core fetches either.
 *
 *     0f 1f 44 00 00  ->  e8 .. .. .. 00
 *
 *   With the target within 16 MB above, the fifth byte stays: at offset 4 of a
 *   quadword (behind endbr) too, one aligned quadword has all that differs.
 *
 * skip: the head, two bytes in one quadword, jumps over the tail meanwhile.
 *
 *     0f 1f 44 00 00      e8 .. .. .. ..
 *     eb 03 44 00 00      eb 03 .. .. ..      sync
 *     eb 03 .. .. ..      eb 03 44 00 00      sync
 *     e8 .. .. .. ..      0f 1f 44 00 00      sync
 *
 *   While the jump stands the place is a nop, so this serves from and to nops
 *   alone.  Old and new are one instruction each: no thread stands at the
 *   third byte, none has it in a signal frame.  A core that decoded `eb 03` ahead of
 *   a write to the tail never runs what it decoded there; it is done with
 *   it at the sync, before the head leads there again.
 *
 * AMD lets software store to an aligned quadword of code that other cores run
 * (AMD64 APM volume 2, "Cross-Modifying Code").  Stores within a cache line
 * that are not within a quadword are known to work by observation alone:
 * rules->one_line.
 */
#include "backends/x86/poke.h"

#include <cpuid.h>
#include <string.h>

#include "backends/x86/insn.h"

enum { QUADWORD = 8, CACHE_LINE = 64, JMP_REL8 = 0xeb, JMP_SIZE = 2 };

#define BARE_INLINE static inline __attribute__((always_inline))

/* The bytes of a place before or after the change, first byte lowest.  `place`: in the
 * span's list, or another. */
BARE_INLINE uint64_t word_of(const struct ftr__span *span, const uintptr_t *place, bool after)
{
	const union ftr__code *code = after ? &span->after : &span->before;
	uintptr_t ip = *place;
	uint64_t word;

	if (span->stride[after])
		return ftr__x86_jump_word(ip, span->length,
					  ftr__span_target(span, ftr__span_index(span, place), after));
	if (!span->literal)
		return ftr__x86_site_word(ip, span->length, code->target);
	memcpy(&word, code->bytes, sizeof word);
	return span->size == sizeof word ? word : word & (((uint64_t)1 << 8 * span->size) - 1);
}

/* The first and the last byte that differ. */
struct extent {
	unsigned first, last;
};

BARE_INLINE struct extent extent_of(uint64_t before, uint64_t after)
{
	uint64_t differ = before ^ after;

	if (!differ)
		return (struct extent){ 0, 0 };
	return (struct extent){ (unsigned)__builtin_ctzll(differ) / 8,
				(63 - (unsigned)__builtin_clzll(differ)) / 8 };
}

BARE_INLINE bool in_one(uintptr_t first, uintptr_t last, uintptr_t unit)
{
	return (first ^ last) < unit;
}

/* Whether a place is a nop on either side. */
static bool can_skip(const struct ftr__span *span, uintptr_t ip)
{
	uintptr_t target;

	if (!span->literal)
		return !span->before.target || !span->after.target;
	return ftr__x86_decode(span->before.bytes, ip, &target) == FTR__X86_NOP ||
	       ftr__x86_decode(span->after.bytes, ip, &target) == FTR__X86_NOP;
}

/* The instruction as a whole in one quadword: the rule rather than the
 * exception, and quickly told. */
BARE_INLINE bool fits(uintptr_t ip, unsigned size)
{
	return ip % QUADWORD + size <= QUADWORD;
}

/* A nop, or calls of places of which the first and the last are so near below the
 * target, or jumps of which they are to the last and to the first one's, that the
 * distance has three bytes: then it has at those between, too. */
static bool three_bytes(const struct ftr__span *span, const uintptr_t *ips, size_t n, bool after)
{
	uintptr_t first = ftr__span_target(span, 0, after);
	uintptr_t last = ftr__span_target(span, span->n - 1, after);

	return !first || (last - span->length - ips[0] < 1 << 24 &&
			  first - span->length - ips[n - 1] < 1 << 24);
}

/* At each of a span's places, which are not literal, so much differs at most. */
static struct extent extent_of_all(const struct ftr__span *span, const uintptr_t *ips, size_t n)
{
	bool last_stays = three_bytes(span, ips, n, false) && three_bytes(span, ips, n, true);

	return (struct extent){ 0, span->length - (last_stays ? 2u : 1u) };
}

/* By the alignment of all, or by a look at each. */
static bool all_fit(const struct ftr__span *span, const uintptr_t *ips)
{
	uintptr_t ends = 0; /* where in the quadword: of all of them, by "or" */

	if (span->literal)
		return fits(ips[0], span->size);
	unsigned last = extent_of_all(span, ips, span->n).last;
	if (span->aligned && last < sizeof(uint32_t))
		return true;
	for (size_t i = 0; i < span->n; i++)
		ends |= ips[i] % QUADWORD + last;
	return !(ends & QUADWORD);
}

bool ftr__x86_choose(const struct ftr__span *span, const uintptr_t *ips,
		     const struct ftr__poke_rules *rules, uint8_t *ways)
{
	uintptr_t unit = rules->one_line ? CACHE_LINE : QUADWORD;
	bool atomic = rules->ways & 1 << FTR__WAY_ATOMIC;
	bool skip = (rules->ways & 1 << FTR__WAY_SKIP) && can_skip(span, ips[0]);
	uint8_t otherwise = rules->ways & 1 << FTR__WAY_INT3 ? FTR__WAY_INT3 : FTR__WAY_LEFT;

	if (atomic && all_fit(span, ips)) {
		memset(ways, FTR__WAY_ATOMIC, span->n);
		return true;
	}
	for (size_t i = 0; i < span->n; i++) {
		uintptr_t ip = ips[i];
		struct extent e = extent_of(word_of(span, &ips[i], false),
					    word_of(span, &ips[i], true));

		if (atomic && in_one(ip + e.first, ip + e.last, unit))
			ways[i] = FTR__WAY_ATOMIC;
		else if (skip && in_one(ip, ip + JMP_SIZE - 1, unit))
			ways[i] = FTR__WAY_SKIP;
		else
			ways[i] = otherwise;
	}
	return false;
}

/* One store of eight bytes, wherever in a cache line. */
BARE_INLINE void store8(uintptr_t at, uint64_t value)
{
#ifdef __x86_64__
	__asm__ volatile("movq %1, %0" : "=m"(*(uint64_t *)at) : "r"(value));
#else
	uint64_t seen = *(volatile uint64_t *)at;
	bool stored;

	do
		__asm__ volatile("lock cmpxchg8b %1"
				 : "=@ccz"(stored), "+m"(*(uint64_t *)at), "+A"(seen)
				 : "b"((uint32_t)value), "c"((uint32_t)(value >> 32)));
	while (!stored);
#endif
}

/* The eight bytes to store at: the aligned quadword that has them all, or
 * eight within the line that do. */
BARE_INLINE uintptr_t window_of(uintptr_t first, uintptr_t last)
{
	uintptr_t end;

	if (in_one(first, last, QUADWORD))
		return ftr__align_down(first, QUADWORD);
	end = ftr__align_down(first, CACHE_LINE) + CACHE_LINE;
	return first + QUADWORD <= end ? first : end - QUADWORD;
}

/* As it would lie at window, for what lies at ip. */
BARE_INLINE uint64_t shifted(uint64_t word, uintptr_t ip, uintptr_t window)
{
	return ip >= window ? word << 8 * (ip - window) : word >> 8 * (window - ip);
}

/* Only what differs is changed, whatever of it stands there now: so the way
 * back can be gone where the way there was not. */
static void write_extent(const struct ftr__span *span, const uintptr_t *place, bool after)
{
	uint64_t to = word_of(span, place, after), from = word_of(span, place, !after);
	uintptr_t ip = *place;
	struct extent e = extent_of(from, to);
	uintptr_t window = window_of(ip + e.first, ip + e.last);
	uint64_t mask = shifted(to ^ from, ip, window), value;

	memcpy(&value, (const void *)window, sizeof value);
	store8(window, (value & ~mask) | (shifted(to, ip, window) & mask));
}

/* The whole instruction, in the quadword that has it. */
BARE_INLINE void write_whole(uintptr_t ip, unsigned size, uint64_t word)
{
	uintptr_t window = ftr__align_down(ip, QUADWORD);
	unsigned shift = 8 * (unsigned)(ip - window);
	uint64_t mask = (~(uint64_t)0 >> 8 * (QUADWORD - size)) << shift;

	store8(window, (*(const volatile uint64_t *)window & ~mask) | word << shift);
}

/* One loop for each shape, as in ftr__x86_check(). */
BARE_INLINE void write_all(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			   unsigned length, uintptr_t target, bool after)
{
	for (size_t i = 0; i < n; i++)
		if (FTR__LIKELY(fits(ips[i], length)))
			write_whole(ips[i], length, ftr__x86_site_word(ips[i], length, target));
		else
			write_extent(span, &ips[i], after);
}

/* Four aligned bytes are part of a quadword, and nothing has to be read. */
BARE_INLINE void write_fours(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target)
{
	for (size_t i = 0; i < n; i++)
		FTR__WRITE_ONCE(*(uint32_t *)ips[i],
				(uint32_t)ftr__x86_site_word(ips[i], length, target));
}

/* Jumps, which differ from place to place in where they lead. */
static void write_jumps(const struct ftr__span *span, const uintptr_t *ips, size_t n, bool four,
			bool after)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t word = word_of(span, &ips[i], after);

		if (four)
			FTR__WRITE_ONCE(*(uint32_t *)ips[i], (uint32_t)word);
		else if (FTR__LIKELY(fits(ips[i], span->length)))
			write_whole(ips[i], span->length, word);
		else
			write_extent(span, &ips[i], after);
	}
}

void ftr__x86_write_atomic(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			   bool after)
{
	uintptr_t target = after ? span->after.target : span->before.target;
	bool five = span->length == FTR__X86_CALL_SIZE;

	if (span->literal) {
		write_extent(span, ips, after);
		return;
	}
	bool four = span->aligned && extent_of_all(span, ips, n).last < sizeof(uint32_t);
	if (span->stride[after])
		write_jumps(span, ips, n, four, after);
	else if (four && target)
		write_fours(ips, n, FTR__X86_CALL_SIZE, target);
	else if (four)
		write_fours(ips, n, FTR__X86_CALL_SIZE, 0);
	else if (five && target)
		write_all(span, ips, n, FTR__X86_CALL_SIZE, target, after);
	else if (five)
		write_all(span, ips, n, FTR__X86_CALL_SIZE, 0, after);
	else
		write_all(span, ips, n, span->length, target, after);
}

static void store2(uintptr_t at, uint16_t value)
{
	__asm__ volatile("movw %1, %0" : "=m"(*(uint16_t *)at) : "r"(value));
}

void ftr__x86_write_skips(const struct ftr__span *span, const uintptr_t *ips, size_t n)
{
	uint16_t jump = (uint16_t)(JMP_REL8 | (span->length - JMP_SIZE) << 8);

	for (size_t i = 0; i < n; i++)
		store2(ips[i], jump);
}

void ftr__x86_write_skipped(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			    bool after)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t word = word_of(span, &ips[i], after) >> 8 * JMP_SIZE;

		for (unsigned j = JMP_SIZE; j < span->size; j++, word >>= 8)
			FTR__WRITE_ONCE(*(uint8_t *)(ips[i] + j), (uint8_t)word);
	}
}

void ftr__x86_write_unskipped(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			      bool after)
{
	for (size_t i = 0; i < n; i++)
		store2(ips[i], (uint16_t)word_of(span, &ips[i], after));
}

/*
 *     90 90 90 90 90, 66 90 66 90 90  ->  66 66 66 66 90
 *
 * Any of these prefixes may stand before the last nop, in any number below 15
 * bytes in all: so each mixture of old and new bytes is nops, from each of the
 * old boundaries on.
 */
bool ftr__x86_fuse(const uint8_t *pad, unsigned length, uint8_t *fused)
{
	for (unsigned i = 0; i < length; i++)
		if (pad[i] != 0x90 && pad[i] != 0x66)
			return false;
	if (length > FTR__PATCH_MAX || pad[length - 1] != 0x90)
		return false;
	memset(fused, 0x66, length - 1);
	fused[length - 1] = 0x90;
	return true;
}

/* CPUID leaf 0: the maker's name, in ebx, edx, ecx. */
bool ftr__x86_stores_documented(void)
{
	unsigned eax, name[3];

	if (!__get_cpuid(0, &eax, &name[0], &name[2], &name[1]))
		return false;
	return !memcmp(name, "AuthenticAMD", sizeof name) ||
	       !memcmp(name, "HygonGenuine", sizeof name);
}
