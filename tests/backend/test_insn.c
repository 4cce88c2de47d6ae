/* SPDX-License-Identifier: MIT */
/*
 * Tables of bytes: what x86 sites are recognised as, and what is written there.
 */
#include "backends/x86/insn.h"
#include "tests/unit/unit.h"

#include <string.h>

struct bytes {
	size_t n;
	uint8_t b[24];
};
#define BYTES(...) { sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ } }

/* --- nops ------------------------------------------------------------------- */

static const struct {
	struct bytes in;
	size_t length; /* 0: no nop */
} nops[] = {
	{ BYTES(0x90), 1 },
	{ BYTES(0x66, 0x90), 2 },
	{ BYTES(0x66, 0x66, 0x90), 3 },
	{ BYTES(0x0f, 0x1f, 0x00), 3 },
	{ BYTES(0x0f, 0x1f, 0x40, 0x00), 4 },
	{ BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00), 5 },
	{ BYTES(0x0f, 0x1f, 0x44, 0x00, 0x08), 5 }, /* clang's */
	{ BYTES(0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00), 6 },
	{ BYTES(0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00), 7 },
	{ BYTES(0x0f, 0x1f, 0x84, 0x00, 0x00, 0x02, 0x00, 0x00), 8 },
	{ BYTES(0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x02, 0x00, 0x00), 9 },
	{ BYTES(0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x02, 0x00, 0x00), 10 },
	{ BYTES(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x02, 0x00,
		0x00), 15 },
	{ BYTES(0x0f, 0x1f, 0xc0), 3 },	      /* nop %eax */
	{ BYTES(0x0f, 0x1f, 0x05, 0, 0, 0, 0), 7 }, /* a displacement alone */
	{ BYTES(0x0f, 0x1f, 0x04, 0x25, 0, 0, 0, 0), 8 },
	{ BYTES(0x55), 0 },
	{ BYTES(0xc3), 0 },
	{ BYTES(0xe8, 0, 0, 0, 0), 0 },
	{ BYTES(0xf3, 0x90), 0 }, /* pause */
	{ BYTES(0xf3, 0x0f, 0x1e, 0xfa), 0 },
	{ BYTES(0x0f, 0x1f, 0x48, 0x00), 0 }, /* not /0 */
	{ BYTES(0x0f, 0x0b), 0 },
	{ BYTES(0x0f, 0x1f), 0 }, /* cut off */
	{ BYTES(0x0f, 0x1f, 0x44), 0 },
	{ BYTES(0x0f, 0x1f, 0x44, 0x00), 0 },
	{ BYTES(0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00), 0 },
	{ BYTES(0x66), 0 },
	{ BYTES(0x66, 0x66), 0 },
	{ BYTES(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x66, 0x90), 0 }, /* longer than 15: undefined */
};

/* The bytes lie at the very end of the room that may be looked at. */
START_TEST(test_nop_lengths)
{
	size_t i;

	for (i = 0; i < FTR__ARRAY_SIZE(nops); i++) {
		const struct bytes *in = &nops[i].in;
		uint8_t *exact = malloc(in->n);
		size_t length;

		memcpy(exact, in->b, in->n);
		length = ftr__x86_nop_length(exact, in->n);
		ck_assert_msg(length == nops[i].length, "row %zu: %zu, not %zu", i, length,
			      nops[i].length);
		free(exact);
	}
}
END_TEST

START_TEST(test_no_room_is_no_nop)
{
	ck_assert_uint_eq(ftr__x86_nop_length((const uint8_t *)"\x90", 0), 0);
	ck_assert_uint_eq(ftr__x86_landing_length((const uint8_t *)"\xf3\x0f\x1e\xfa", 3), 0);
}
END_TEST

START_TEST(test_encoded_nops_are_one_nop)
{
	uint8_t bytes[16];
	unsigned length;

	for (length = 1; length <= 9; length++) {
		memset(bytes, 0xcc, sizeof(bytes));
		ftr__x86_encode_nop(bytes, length);
		ck_assert_uint_eq(ftr__x86_nop_length(bytes, sizeof(bytes)), length);
		ck_assert_uint_eq(bytes[length], 0xcc);
	}
	ftr__x86_encode_nop(bytes, 5);
	ck_assert_mem_eq(bytes, "\x0f\x1f\x44\x00\x00", 5);
}
END_TEST

START_TEST(test_landing_pads)
{
	ck_assert_uint_eq(ftr__x86_landing_length((const uint8_t *)"\xf3\x0f\x1e\xfa", 4), 4);
	ck_assert_uint_eq(ftr__x86_landing_length((const uint8_t *)"\xf3\x0f\x1e\xfb", 4), 4);
	ck_assert_uint_eq(ftr__x86_landing_length((const uint8_t *)"\xf3\x0f\x1e\xfc", 4), 0);
	ck_assert_uint_eq(ftr__x86_landing_length((const uint8_t *)"\x90\x90\x90\x90", 4), 0);
}
END_TEST

/* --- calls and jumps ------------------------------------------------------------ */

START_TEST(test_encode_call)
{
	uint8_t at[8];

	memset(at, 0xcc, sizeof(at));
	ck_assert(ftr__x86_encode_call(at, 5, 0x1000, 0x1005));
	ck_assert_mem_eq(at, "\xe8\x00\x00\x00\x00\xcc", 6);
	ck_assert(ftr__x86_encode_call(at, 5, 0x1000, 0x2345));
	ck_assert_mem_eq(at, "\xe8\x40\x13\x00\x00\xcc", 6);
	ck_assert(ftr__x86_encode_call(at, 5, 0x2000, 0x1000));
	ck_assert_mem_eq(at, "\xe8\xfb\xef\xff\xff\xcc", 6);
	/* Six bytes: an address-size prefix that does nothing. */
	ck_assert(ftr__x86_encode_call(at, 6, 0x1000, 0x1006));
	ck_assert_mem_eq(at, "\x67\xe8\x00\x00\x00\x00\xcc", 7);
	ck_assert(ftr__x86_encode_jmp(at, 0x1000, 0x1005));
	ck_assert_mem_eq(at, "\xe9\x00\x00\x00\x00", 5);
}
END_TEST

#ifdef __LP64__
START_TEST(test_targets_out_of_reach)
{
	const uintptr_t ip = 0x700000000000;
	uint8_t at[8];

	ck_assert(ftr__x86_encode_call(at, 5, ip, ip + 5 + 0x7fffffff));
	ck_assert_mem_eq(at, "\xe8\xff\xff\xff\x7f", 5);
	ck_assert(!ftr__x86_encode_call(at, 5, ip, ip + 5 + 0x80000000));
	ck_assert(ftr__x86_encode_call(at, 5, ip, ip + 5 - 0x80000000));
	ck_assert_mem_eq(at, "\xe8\x00\x00\x00\x80", 5);
	ck_assert(!ftr__x86_encode_call(at, 5, ip, ip + 4 - 0x80000000));
	ck_assert(!ftr__x86_encode_call(at, 6, ip, ip + 5 - 0x80000000));
	ck_assert(!ftr__x86_encode_jmp(at, ip, 0x1000));
}
END_TEST
#endif

static void decodes_to(const char *bytes, uintptr_t ip, enum ftr__x86_op op, uintptr_t to)
{
	uintptr_t target = 0x5a5a;

	ck_assert_int_eq(ftr__x86_decode((const uint8_t *)bytes, ip, &target), op);
	if (op != FTR__X86_NOP)
		ck_assert_uint_eq(target, to);
}

START_TEST(test_decode)
{
	decodes_to("\xe8\x00\x00\x00\x00\x90\x90\x90", 0x1000, FTR__X86_CALL, 0x1005);
	decodes_to("\xe8\xfb\xef\xff\xff\x90\x90\x90", 0x2000, FTR__X86_CALL, 0x1000);
	decodes_to("\x67\xe8\x00\x00\x00\x00\x90\x90", 0x1000, FTR__X86_CALL, 0x1006);
	decodes_to("\xe9\x40\x13\x00\x00\x90\x90\x90", 0x1000, FTR__X86_JMP, 0x2345);
	decodes_to("\x0f\x1f\x44\x00\x00\x90\x90\x90", 0x1000, FTR__X86_NOP, 0);
	decodes_to("\x90\x90\x90\x90\x90\x90\x90\x90", 0x1000, FTR__X86_NOP, 0);
}
END_TEST

#ifdef __x86_64__
START_TEST(test_decode_indirect_call)
{
	static const uintptr_t word = 0x123456789a;
	struct {
		uint8_t code[8];
		uintptr_t word;
	} place = { { 0xff, 0x15, 2, 0, 0, 0 }, word };
	uintptr_t target = 0;

	/* call *2(%rip): six bytes, and two more to the word. */
	ck_assert_int_eq(ftr__x86_decode(place.code, (uintptr_t)place.code, &target),
			 FTR__X86_CALL);
	ck_assert_uint_eq(target, word);
}
END_TEST
#endif

/* --- the forms of sites ----------------------------------------------------------- */

static const struct {
	enum ftr__table_kind table;
	struct bytes in;
	bool refused;
	uint8_t site_length, pad_length, instructions;
	struct bytes normal; /* n 0: as it is */
} forms[] = {
	{ FTR__TABLE_PATCHABLE, BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0xc3), false, 5, 5, 5,
	  BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00) },
	{ FTR__TABLE_PATCHABLE, BYTES(0x0f, 0x1f, 0x44, 0x00, 0x08, 0xc3), false, 5, 5, 1,
	  BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00) },
	{ FTR__TABLE_PATCHABLE, BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3), false, 5, 5, 1,
	  { 0, { 0 } } },
	{ FTR__TABLE_PATCHABLE, BYTES(0x66, 0x90, 0x66, 0x90, 0x90, 0xc3), false, 5, 5, 3,
	  BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00) },
	{ FTR__TABLE_PATCHABLE, BYTES(0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc3), false,
	  5, 8, 1, BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00, 0x0f, 0x1f, 0x00) },
	{ FTR__TABLE_PATCHABLE, BYTES(0x0f, 0x1f, 0x80, 0, 0, 0, 0, 0xc3), false, 5, 7, 1,
	  BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00, 0x66, 0x90) },
	{ FTR__TABLE_PATCHABLE, BYTES(0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 2, 0, 0, 0xc3), false, 5,
	  10, 1, BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00, 0xeb, 0x03, 0xcc) },
	/* Two of four: the call ends inside the second. */
	{ FTR__TABLE_PATCHABLE, BYTES(0x0f, 0x1f, 0x40, 0, 0x0f, 0x1f, 0x40, 0, 0xc3), false, 5, 8,
	  2, BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00, 0x0f, 0x1f, 0x00) },
	{ FTR__TABLE_PATCHABLE, BYTES(0x90, 0x90, 0x90, 0x90, 0xc3), true, 0, 0, 0, { 0, { 0 } } },
	{ FTR__TABLE_PATCHABLE, BYTES(0x55, 0x48, 0x89, 0xe5, 0x5d), true, 0, 0, 0, { 0, { 0 } } },
	{ FTR__TABLE_PATCHABLE, BYTES(0xcc, 0x1f, 0x44, 0x00, 0x00), true, 0, 0, 0, { 0, { 0 } } },
	{ FTR__TABLE_PATCHABLE, BYTES(0xe8, 0, 0, 0, 0), true, 0, 0, 0, { 0, { 0 } } },
	{ FTR__TABLE_MCOUNT, BYTES(0xe8, 1, 2, 3, 4, 0xc3), false, 5, 5, 1,
	  BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00) },
	{ FTR__TABLE_MCOUNT, BYTES(0xff, 0x15, 1, 2, 3, 4, 0xc3), false, 6, 6, 1,
	  BYTES(0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00) },
	{ FTR__TABLE_MCOUNT, BYTES(0x67, 0xe8, 1, 2, 3, 4, 0xc3), false, 6, 6, 1,
	  BYTES(0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00) },
	{ FTR__TABLE_MCOUNT, BYTES(0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3), false, 5, 5, 1,
	  { 0, { 0 } } },
	{ FTR__TABLE_MCOUNT, BYTES(0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3), true, 0, 0, 0,
	  { 0, { 0 } } },
	{ FTR__TABLE_MCOUNT, BYTES(0xff, 0x25, 1, 2, 3, 4, 0xc3), true, 0, 0, 0, { 0, { 0 } } },
};

START_TEST(test_site_forms)
{
	size_t i;

	for (i = 0; i < FTR__ARRAY_SIZE(forms); i++) {
		const struct bytes *normal = &forms[i].normal;
		struct ftr__form form;
		const char *reason = ftr__x86_site_form(forms[i].in.b, forms[i].in.n,
							forms[i].table, &form);

		ck_assert_msg((reason != NULL) == forms[i].refused, "row %zu: %s", i,
			      reason ? reason : "is a site");
		if (reason)
			continue;
		ck_assert_msg(form.site_length == forms[i].site_length &&
				      form.pad_length == forms[i].pad_length &&
				      form.instructions == forms[i].instructions,
			      "row %zu: length %u, pad %u, instructions %u", i, form.site_length,
			      form.pad_length, form.instructions);
		ck_assert_msg(form.normal_size == normal->n, "row %zu: writes %u bytes, not %zu", i,
			      form.normal_size, normal->n);
		ck_assert_mem_eq(form.normal, normal->b, normal->n);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("insn");

	UNIT_CASE(suite, test_nop_lengths);
	UNIT_CASE(suite, test_no_room_is_no_nop);
	UNIT_CASE(suite, test_encoded_nops_are_one_nop);
	UNIT_CASE(suite, test_landing_pads);
	UNIT_CASE(suite, test_encode_call);
#ifdef __LP64__
	UNIT_CASE(suite, test_targets_out_of_reach);
#endif
	UNIT_CASE(suite, test_decode);
#ifdef __x86_64__
	UNIT_CASE(suite, test_decode_indirect_call);
#endif
	UNIT_CASE(suite, test_site_forms);
	return unit_main(suite);
}
