/* SPDX-License-Identifier: MIT */
/*
 * B2, B4: instructions that are moved do the same: their bytes, by tables, and
 * what they do, by functions that are moved as a whole and called (moved.S).
 */
#include "backends/x86/relocate.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/error.h"

/* --- functions ------------------------------------------------------------------- */

struct function {
	const uint8_t *start, *end;
	const char *name;
	unsigned long level; /* 1: AVX; 2: AVX-512 */
};
extern const struct function moved_functions[], moved_functions_end[];

static bool can_run(const struct function *f)
{
	if (f->level > 1 && !__builtin_cpu_supports("avx512f"))
		return false;
	return !f->level || __builtin_cpu_supports("avx");
}

static struct ftr__moved moved;

static void *map(uintptr_t at)
{
	void *p = mmap((void *)at, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_ptr_eq(p, (void *)at);
	return p;
}

/** A free page so far from the text. */
static uintptr_t page_at(intptr_t distance)
{
	uintptr_t at = ((uintptr_t)moved_functions[0].start + (uintptr_t)distance) & ~4095ul;

	while (mmap((void *)at, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		    -1, 0) != (void *)at)
		at += 4096;
	munmap((void *)at, 4096);
	return at;
}

/** Loops stay in the copy; calls return to the original, which is there. */
static int relocate(const struct function *f, uintptr_t to, uint8_t *out, size_t room)
{
	struct ftr__displaced run = { .bytes = f->start, .room = (size_t)(f->end - f->start),
				.from = (uintptr_t)f->start,
				.least = (size_t)(f->end - f->start), .to = to, .out_room = room,
				.inwards = !strstr(f->name, "call") };

	return ftr__x86_relocate(&run, out, &moved);
}

static void expect_same(const struct function *f, uintptr_t page)
{
	static const long arguments[] = { 0, 1, 2, 7, -1, (long)0x1122334455667788 };
	uint8_t *copy = map(page);
	int result = relocate(f, page, copy, 4096);
	size_t i;

	ck_assert_msg(!result, "%s: %d: %s", f->name, result, ftr__error_last());
	ck_assert_uint_eq(moved.from_size, (size_t)(f->end - f->start));
	ck_assert(!moved.goes_on);
	ck_assert_int_eq(mprotect(copy, 4096, PROT_READ | PROT_EXEC), 0);
	for (i = 0; i < FTR__ARRAY_SIZE(arguments); i++) {
		long want = ((long (*)(long))f->start)(arguments[i]);
		long got = ((long (*)(long))(uintptr_t)copy)(arguments[i]);
		ck_assert_msg(want == got, "%s(%#lx) moved by %#lx: %#lx, not %#lx", f->name,
			      arguments[i], (long)(page - (uintptr_t)f->start), got, want);
	}
	munmap(copy, 4096);
}

START_TEST(test_functions_do_the_same_nearby)
{
	const struct function *f;

	for (f = moved_functions; f < moved_functions_end; f++)
		if (can_run(f))
			expect_same(f, page_at(64 << 20));
}
END_TEST

#ifdef __LP64__
START_TEST(test_functions_do_the_same_out_of_reach)
{
	const struct function *f;

	for (f = moved_functions; f < moved_functions_end; f++)
		if (can_run(f))
			expect_same(f, page_at((intptr_t)5 << 32));
}
END_TEST
#endif

/** Each instruction of the copy is where it is said to be, and nothing is written
 *  beyond what is said to be the end; too little room is told. */
START_TEST(test_extents_are_told)
{
	const struct function *f;
	uint8_t bytes[600], shorter[600];
	size_t room;
	unsigned i;

	for (f = moved_functions; f < moved_functions_end; f++) {
		memset(bytes, 0x5a, sizeof(bytes));
		if (relocate(f, 0x10000, bytes, sizeof(bytes)))
			ck_abort_msg("%s: %s", f->name, ftr__error_last());
		ck_assert_uint_le(moved.to_size, FTR__MOVED_MOST);
		for (i = 0; i < 8; i++)
			ck_assert_uint_eq(bytes[moved.to_size + i], 0x5a);
		ck_assert_uint_gt(moved.n, 0);
		for (i = 1; i < moved.n; i++) {
			ck_assert_uint_gt(moved.insns[i].to, moved.insns[i - 1].to);
			ck_assert_uint_gt(moved.insns[i].from, moved.insns[i - 1].from);
		}
		room = moved.to_size;
		memset(shorter, 0x5a, sizeof(shorter));
		ck_assert_int_eq(relocate(f, 0x10000, shorter, room - 1), -ENOSPC);
		ck_assert_uint_eq(shorter[room - 1], 0x5a);
		ck_assert_int_eq(relocate(f, 0x10000, shorter, room), 0);
		ck_assert_mem_eq(bytes, shorter, room);
	}
}
END_TEST

/* --- bytes ------------------------------------------------------------------------ */

/* Moved from 0x1000 to 0x2000. */
static const struct {
	const char *name;
	uint8_t n, in[15];
	uint8_t out_n, out[48]; /* out_n 0: refused */
} rows[] = {
#define ROW(name, in, out) { name, sizeof(in) - 1, in, sizeof(out) - 1, out }
	ROW("push", "\x55", "\x55"),
	ROW("endbr64", "\xf3\x0f\x1e\xfa", "\xf3\x0f\x1e\xfa"),
	ROW("ret", "\xc3", "\xc3"),
	ROW("ret imm16", "\xc2\x10\x00", "\xc2\x10\x00"),
	ROW("jmp rel8", "\xeb\x10", "\xe9\x0d\xf0\xff\xff"),
	ROW("jmp to itself", "\xeb\xfe", "\xe9\xfb\xef\xff\xff"),
	ROW("jmp rel32", "\xe9\x00\x01\x00\x00", "\xe9\x00\xf1\xff\xff"),
	ROW("jz rel8", "\x74\x10", "\x0f\x84\x0c\xf0\xff\xff"),
	ROW("jg rel32", "\x0f\x8f\x00\x01\x00\x00", "\x0f\x8f\x00\xf1\xff\xff"),
	ROW("loop", "\xe2\x10", "\xe2\x02\xeb\x05\xe9\x09\xf0\xff\xff"),
	ROW("call rel32", "\xe8\x00\x01\x00\x00", "\x68\x05\x10\x00\x00\xe9\xfb\xf0\xff\xff"),
	ROW("call *%eax", "\xff\xd0", "\x68\x02\x10\x00\x00\xff\xe0"),
	ROW("int 0x80", "\xcd\x80", "\xcd\x80"),
	ROW("int3", "\xcc", ""),
	ROW("int 3", "\xcd\x03", ""),
	ROW("int1", "\xf1", ""),
	ROW("ud2", "\x0f\x0b", ""),
	ROW("xbegin", "\xc7\xf8\x00\x00\x00\x00", ""),
	ROW("call far *(%eax)", "\xff\x18", ""),
	ROW("call *%esp", "\xff\xd4", ""),
	ROW("sysenter", "\x0f\x34", ""),
	ROW("jmpw rel", "\x66\xe9\x00\x01\x00\x00", ""),
	ROW("no instruction", "\x0f\x04", ""),
	ROW("half an instruction", "\xe8\x00", ""),
#ifdef __LP64__
	ROW("mov rip", "\x48\x8b\x05\x00\x01\x00\x00", "\x48\x8b\x05\x00\xf1\xff\xff"),
	ROW("movl imm, rip", "\xc7\x05\x00\x01\x00\x00\x01\x02\x03\x04",
	    "\xc7\x05\x00\xf1\xff\xff\x01\x02\x03\x04"),
	ROW("syscall", "\x0f\x05", "\x0f\x05\x48\xb9\x02\x10\0\0\0\0\0\0"),
	ROW("call *8(%rsp)", "\xff\x54\x24\x08",
	    "\x48\x8d\x64\x24\x80" "\xff\xb4\x24\x88\0\0\0" "\xc7\x84\x24\x80\0\0\0\x04\x10\0\0"
	    "\xc7\x84\x24\x84\0\0\0\0\0\0\0" "\x48\x8d\xa4\x24\x80\0\0\0"
	    "\xff\x64\x24\x80"),
	ROW("jmp *%rax", "\xff\xe0", "\xff\xe0"),
#else
	ROW("call *8(%esp)", "\xff\x54\x24\x08",
	    "\x8d\x64\x24\xfc" "\xff\xb4\x24\x0c\0\0\0" "\xc7\x84\x24\x04\0\0\0\x04\x10\0\0" "\xc3"),
	ROW("call *disp32", "\xff\x15\x00\x01\x00\x00",
	    "\x8d\x64\x24\xfc" "\xff\x35\x00\x01\x00\x00" "\xc7\x84\x24\x04\0\0\0\x06\x10\0\0" "\xc3"),
	ROW("jmp *disp32", "\xff\x25\x00\x01\x00\x00", "\xff\x25\x00\x01\x00\x00"),
	ROW("mov abs32", "\xa1\x00\x01\x00\x00", "\xa1\x00\x01\x00\x00"),
#endif
};

static void expect_row(size_t i)
{
	uint8_t out[FTR__MOVED_MOST];
	struct ftr__displaced run = { .bytes = rows[i].in, .room = rows[i].n, .from = 0x1000, .least = 1,
				.to = 0x2000, .out_room = sizeof(out) };
	int result = ftr__x86_relocate(&run, out, &moved);

	if (!rows[i].out_n) {
		ck_assert_msg(result == -EILSEQ || result == -EOPNOTSUPP, "%s: %d", rows[i].name,
			      result);
		return;
	}
	ck_assert_msg(!result, "%s: %d: %s", rows[i].name, result, ftr__error_last());
	ck_assert_uint_eq(moved.from_size, rows[i].n);
	ck_assert_msg(!memcmp(out, rows[i].out, rows[i].out_n), "%s", rows[i].name);
	/* And back behind the original. */
	if (moved.goes_on) {
		const uint8_t *jmp = out + moved.to_size - 5;
		int32_t rel;
		ck_assert_uint_eq(jmp[0], 0xe9);
		memcpy(&rel, jmp + 1, sizeof(rel));
		ck_assert_int_eq((int32_t)(0x2000 + moved.to_size) + rel, 0x1000 + rows[i].n);
	}
}

START_TEST(test_bytes)
{
	size_t i;

	for (i = 0; i < FTR__ARRAY_SIZE(rows); i++)
		expect_row(i);
}
END_TEST

/** Errors: by what it is, and by where. */
START_TEST(test_what_can_not_be_moved)
{
	uint8_t out[FTR__MOVED_MOST];
	struct ftr__displaced run = { .bytes = (const uint8_t *)"\xc3\x90\x90\x90\x90\x90", .room = 6,
				.from = 0x1000, .least = 5, .to = 0x2000,
				.out_room = sizeof(out) };

	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), -EOPNOTSUPP);
	run.bytes = (const uint8_t *)"\x90\x90\x90\x90\xcc";
	run.room = 5;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), -EILSEQ);
	ck_assert_ptr_nonnull(strstr(ftr__error_last(), "0x1004"));
	/* jmp into the call behind it, both of which go away. */
	run.bytes = (const uint8_t *)"\xeb\x01\xb8\x90\x90\x90\x90";
	run.room = 7;
	run.least = 2;
	run.inwards = true;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), 0);
	run.bytes = (const uint8_t *)"\x74\x01\xb8\x90\x90\x90\x90";
	run.least = 5;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), -EOPNOTSUPP);
	/* A call that would return to what is overwritten. */
	run.bytes = (const uint8_t *)"\xff\xd0\x90\x90\x90";
	run.room = 5;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), -EOPNOTSUPP);
	run.inwards = false;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), 0);
#ifdef __LP64__
	/* push of two bytes that are out of reach: not of a word. */
	run.bytes = (const uint8_t *)"\x66\xff\x35\0\0\0\0";
	run.room = 7;
	run.least = 1;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), 0);
	run.to += (uintptr_t)5 << 32;
	ck_assert_int_eq(ftr__x86_relocate(&run, out, &moved), -EOPNOTSUPP);
#endif
}
END_TEST

/** What a walk through code sees. */
START_TEST(test_walk)
{
	struct ftr__insn insn;

	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\x74\x10", 2, 0x1000, &insn));
	ck_assert(insn.branches && !insn.ends && !insn.calls);
	ck_assert_uint_eq(insn.target, 0x1012);
	ck_assert_uint_eq(insn.length, 2);
	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\xeb\x10", 2, 0x1000, &insn));
	ck_assert(insn.branches && insn.ends);
	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\xff\xe0", 2, 0x1000, &insn));
	ck_assert(insn.indirect && insn.ends && !insn.branches);
	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\xff\xd0", 2, 0x1000, &insn));
	ck_assert(insn.indirect && insn.calls && !insn.ends);
	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\xcc", 1, 0x1000, &insn));
	ck_assert(insn.no_code && insn.refused);
	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\x8e\xe8", 2, 0x1000, &insn));
	ck_assert(insn.sets_thread);
	ck_assert(ftr__x86_decode_for_walk((const uint8_t *)"\x8c\xe8", 2, 0x1000, &insn));
	ck_assert(!insn.sets_thread);
	ck_assert(!ftr__x86_decode_for_walk((const uint8_t *)"\xe8", 1, 0x1000, &insn));
	ck_assert_uint_eq(ftr__x86_insn_length((const uint8_t *)"\xe8\0\0\0\0", 5), 5);
	ck_assert_uint_eq(ftr__x86_insn_length((const uint8_t *)"\xe8\0\0\0\0", 4), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relocate");
	TCase *tcase = tcase_create("relocate");
	tcase_set_timeout(tcase, 120);

	tcase_add_test(tcase, test_bytes);
	tcase_add_test(tcase, test_what_can_not_be_moved);
	tcase_add_test(tcase, test_walk);
	tcase_add_test(tcase, test_extents_are_told);
	tcase_add_test(tcase, test_functions_do_the_same_nearby);
#ifdef __LP64__
	tcase_add_test(tcase, test_functions_do_the_same_out_of_reach);
#endif
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
