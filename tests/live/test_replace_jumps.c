/* SPDX-License-Identifier: MIT */
/*
 * T1, B2: a jump at a function's start takes no bytes that something else comes to:
 * another part of the function, a table of jumps, a probe that was made before.
 */
#include "tests/live/live.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef __x86_64__
#define AX     "rax"
#define CX     "rcx"
#define DX     "rdx"
#define LOAD   "mov %rdi, %rax\n"
#define WORD   ".quad "
#define SIZE   "8"
#define BASE   "lea .Ltable(%rip), %rdx\n"
#define OFFSET "lea .Loffsets(%rip), %rdx\n movslq (%rdx, %rcx, 4), %rcx\n"
#else
#define AX     "eax"
#define CX     "ecx"
#define DX     "edx"
#define LOAD   "mov 4(%esp), %eax\n"
#define WORD   ".long "
#define SIZE   "4"
#define BASE   "call 1f\n 1: pop %edx\n add $(.Ltable - 1b), %edx\n"
#define OFFSET "call 1f\n 1: pop %edx\n add $(_GLOBAL_OFFSET_TABLE_ + (. - 1b)), %edx\n" \
	       "mov .Loffsets@GOTOFF(%edx, %ecx, 4), %ecx\n"
#endif

#define FUNCTION(name) ".balign 16\n .globl " name "\n .type " name ", @function\n" \
		       name ": .cfi_startproc\n"
#define END(name)      ".cfi_endproc\n .size " name ", . - " name "\n"

/*
 * All return their argument plus one.
 *
 *     jumps_hot      what is seldom run is elsewhere, as compilers put it, and comes
 *                    back by jumps
 *     jumps_tabled   comes back by a table of addresses
 *     jumps_offset   by a table of distances
 */
__asm__(".text\n"
	FUNCTION("jumps_hot")
	"   push %" AX "\n"
	".Lagain: pop %" AX "\n"
	"   nop\n nop\n nop\n nop\n"
	"   jmp jumps_hot.cold\n"
	".Lback: " LOAD
	"   inc %" AX "\n"
	"   ret\n"
	END("jumps_hot")
	".section .text.unlikely, \"ax\", @progbits\n"
	FUNCTION("jumps_hot.cold")
	"   test %esp, %esp\n"
	"   jnz .Lback\n"
	"   push %" AX "\n"
	"   jmp .Lagain\n"
	END("jumps_hot.cold")
	".text\n"
	FUNCTION("jumps_tabled")
	"   push $2\n"
	"   pop %" CX "\n"
	".Lround: dec %" CX "\n"
	"   nop\n"
	BASE
	"   jmp *(%" DX ", %" CX ", " SIZE ")\n"
	".Ldone: " LOAD
	"   inc %" AX "\n"
	"   ret\n"
	END("jumps_tabled")
	FUNCTION("jumps_offset")
	"   push $2\n"
	"   pop %" CX "\n"
	".Lmore: dec %" CX "\n"
	"   push %" CX "\n"
	OFFSET
	"   add %" CX ", %" DX "\n"
	"   pop %" CX "\n"
	"   jmp *%" DX "\n"
	".Lend: " LOAD
	"   inc %" AX "\n"
	"   ret\n"
	END("jumps_offset")
	".section .data.rel.ro, \"aw\", @progbits\n"
	".balign 8\n"
	".Ltable: " WORD ".Ldone, .Lround\n"
	".section .rodata\n"
	".balign 4\n"
#ifdef __x86_64__
	".Loffsets: .long .Lend - .Loffsets, .Lmore - .Loffsets\n"
#else
	".Loffsets: .long .Lend@GOTOFF, .Lmore@GOTOFF\n"
#endif
	".text\n");
extern long jumps_hot(long x), jumps_tabled(long x), jumps_offset(long x);

static long replaced(long x)
{
	return x + 100;
}

__asm__(".text\n"
	FUNCTION("jumps_loop")
	"   mov $1, %ecx\n"
	"   dec %ecx\n"
	"   jnz jumps_loop\n"
	"   " LOAD
	"   inc %" AX "\n"
	"   ret\n"
	END("jumps_loop"));
extern long jumps_loop(long x);

static void expect_refused(live_fn fn)
{
	unsigned char before[16];

	memcpy(before, (void *)fn, sizeof(before));
	ck_fails(ftr_replace((void *)fn, (void *)replaced, NULL), -EOPNOTSUPP);
	ck_assert_mem_eq(before, (void *)fn, sizeof(before));
}

START_TEST(test_a_part_elsewhere_jumps_back)
{
	ck_assert_int_eq(jumps_hot(1), 2);
	expect_refused(jumps_hot);
}
END_TEST

START_TEST(test_a_table_leads_back)
{
	ck_assert_int_eq(jumps_tabled(1), 2);
	expect_refused(jumps_tabled);
	ck_assert_int_eq(jumps_offset(1), 2);
	expect_refused(jumps_offset);
}
END_TEST

/* Each turn of it would go to what takes the function's place. */
START_TEST(test_a_loop_begins_there)
{
	ck_assert_int_eq(jumps_loop(1), 2);
	expect_refused(jumps_loop);
}
END_TEST

static unsigned long moved;
static void *(*original)(void *to, const void *from, size_t n);

static void *count_moves(void *to, const void *from, size_t n)
{
	moved++;
	return original(to, from, n);
}

/* Functions that other functions of the C library jump into, some of them. */
START_TEST(test_functions_of_libc)
{
	void *(*volatile move)(void *, const void *, size_t) = memmove;
	void *(*volatile copy)(void *, const void *, size_t) = mempcpy;
	char from[100] = "from", to[100];
	int result = ftr_replace((void *)move, (void *)count_moves, (void **)&original);

	memset(to, 0, sizeof(to));
	ck_assert_ptr_eq(copy(to, from, sizeof(to)), to + sizeof(to));
	ck_assert_mem_eq(to, from, sizeof(to));
	memset(to, 0, sizeof(to));
	ck_assert_ptr_eq(move(to, from, sizeof(to)), to);
	ck_assert_mem_eq(to, from, sizeof(to));
	if (result) {
		ck_assert_int_eq(result, -EOPNOTSUPP);
		ck_assert_uint_eq(moved, 0);
		return;
	}
	ck_ok(ftr_restore((void *)move));
	ck_assert_uint_gt(moved, 0);
}
END_TEST

/* --- probes that were made before ------------------------------------------------------ */

__asm__(".text\n"
	FUNCTION("jumps_spread")
	"   push %" AX "\n"
	"   pop %" AX "\n"
	"   nop\n nop\n nop\n nop\n"
	"   " LOAD
	"   inc %" AX "\n"
	"   ret\n"
	END("jumps_spread"));
extern long jumps_spread(long x);

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	++*(unsigned *)ftr_probe_data(probe);
	return 0;
}

/** At each instruction that the jump covers; none was enabled before. */
START_TEST(test_probes_made_before)
{
	/* Not on the stack, where an address among the first instructions looks as if
	 * a thread stood there. */
	static struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	unsigned char before[16], jump[16];
	struct ftr_probe *probes[5];
	unsigned hits = 0;

	options.pre = pre;
	options.data = &hits;
	memcpy(before, (void *)jumps_spread, sizeof(before));
	options.addr = (uintptr_t)jumps_spread;
	for (int i = 0; i < 5; i++) {
		options.offset = (size_t)i;
		ck_ok(ftr_probe_new(&probes[i], &options));
	}
	ck_ok(ftr_replace((void *)jumps_spread, (void *)replaced, NULL));
	memcpy(jump, (void *)jumps_spread, sizeof(jump));
	for (int i = 0; i < 5; i++) {
		ck_fails(ftr_probe_enable(probes[i]), -EBUSY);
		ck_assert_mem_eq(jump, (void *)jumps_spread, sizeof(jump));
		ck_assert_int_eq(jumps_spread(1), 101);
	}
	ck_ok(ftr_restore((void *)jumps_spread));
	ck_assert_mem_eq(before, (void *)jumps_spread, sizeof(before));
	ck_ok(ftr_probe_enable_many(probes, 5));
	ck_assert_int_eq(jumps_spread(1), 2);
	ck_assert_uint_eq(hits, 5);
	ck_ok(ftr_probe_disable_many(probes, 5));
	ck_assert_mem_eq(before, (void *)jumps_spread, sizeof(before));
	for (int i = 0; i < 5; i++)
		ck_ok(ftr_probe_free(probes[i]));
}
END_TEST

/*
 * The jump ends in the middle of the third instruction, the rest of which reads as the
 * begin of one of five bytes: with the next one, and the begin of the one behind.
 */
__asm__(".text\n"
	FUNCTION("jumps_uneven")
	"   push %" AX "\n"
	"   pop %" AX "\n"
	"   .byte 0xb8, 0, 0, 0x90, 0xb8\n" /* mov $0xb8900000, %eax */
	".globl jumps_uneven_next\n"
	"jumps_uneven_next:\n"
	"   mov $3, %ecx\n"
	"   " LOAD
	"   inc %" AX "\n"
	"   ret\n"
	END("jumps_uneven"));
extern long jumps_uneven(long x);
extern const char jumps_uneven_next[];

/* B1: instructions begin where they did before. */
START_TEST(test_boundaries_behind_a_jump)
{
	static struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe;
	unsigned hits = 0;
	long (*original_uneven)(long x);

	options.pre = pre;
	options.data = &hits;
	ck_ok(ftr_replace((void *)jumps_uneven, (void *)replaced, (void **)&original_uneven));
	/* Another function is followed: what is known of the latest is kept. */
	options.addr = (uintptr_t)jumps_spread;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_probe_free(probe));
	options.addr = (uintptr_t)jumps_uneven_next + 4;
	ck_fails(ftr_probe_new(&probe, &options), -EINVAL);
	options.addr = (uintptr_t)jumps_uneven_next;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(jumps_uneven(1), 101);
	ck_assert_int_eq(original_uneven(1), 2);
	ck_assert_uint_eq(hits, 1);
	ck_ok(ftr_restore((void *)jumps_uneven));
	ck_assert_int_eq(jumps_uneven(1), 2);
	ck_assert_uint_eq(hits, 2);
	ck_ok(ftr_probe_disable(probe));
	ck_ok(ftr_probe_free(probe));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace jumps");
	const char *poke = getenv("FTR_POKE");

	if (poke && (!strcmp(poke, "atomic") || !strcmp(poke, "skip"))) {
		puts("SKIP: what is replaced here takes breakpoints");
		return 77;
	}
	LIVE_CASE(suite, test_a_part_elsewhere_jumps_back, 30);
	LIVE_CASE(suite, test_a_table_leads_back, 30);
	LIVE_CASE(suite, test_a_loop_begins_there, 30);
	LIVE_CASE(suite, test_functions_of_libc, 30);
	LIVE_CASE(suite, test_probes_made_before, 30);
	LIVE_CASE(suite, test_boundaries_behind_a_jump, 30);
	return live_main(suite);
}
