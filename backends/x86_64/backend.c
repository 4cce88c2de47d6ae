/* SPDX-License-Identifier: MIT */
/*
 * The x86_64 backend: the vtable and what is not shared with i386.
 *
 * A call emulated in the trap handler pushes on the interrupted stack: the
 * kernel left the red zone between that stack pointer and the signal frame
 * (Linux arch/x86/kernel/signal.c, get_sigframe), so the word below it is free.
 */
#include <elf.h>
#include <ucontext.h>

#include "backends/x86/detour.h"
#include "backends/x86/insn.h"
#include "backends/x86/poke.h"
#include "backends/x86/relocate.h"
#include "backends/x86/trap.h"
#include "backends/x86/vectors.h"
#include "backends/x86/x87.h"
#include "backends/x86_64/frame.h"
#include "backends/x86_64/typed.h"
#include "lib/thread.h"

enum { SLOT_SIZE = 16, JUMP_SIZE = 16, JUMP_DATA = 16, NEAR_SIZE = 16 };

#define CALLERS(kind)                                                             \
	void ftr__x86_64_args_##kind(void), ftr__x86_64_regs_##kind(void),        \
		ftr__x86_64_jumped_args_##kind(void), ftr__x86_64_jumped_regs_##kind(void), \
		ftr__x86_64_exit_args_##kind(void)
CALLERS(none);
CALLERS(sse);
CALLERS(avx);
CALLERS(avx512);
CALLERS(all_sse);
CALLERS(all_avx);
CALLERS(all_avx512);
void ftr__x86_64_just_return(void);

#define PROBE_DECLARE(kind)                                                       \
	void ftr__x86_64_pre_##kind(void), ftr__x86_64_post_##kind(void)
PROBE_DECLARE(sse);
PROBE_DECLARE(avx);
PROBE_DECLARE(avx512);
PROBE_DECLARE(avx512bw);

/* --- traps ---------------------------------------------------------------- */

FTR__BARE static bool call(void *ucontext, uintptr_t next, uintptr_t target, ftr__stub_fn *stub)
{
	greg_t *regs = ftr__x86_gregs(ucontext);
	uintptr_t sp = (uintptr_t)regs[REG_RSP] - sizeof next;

	*(uintptr_t *)sp = next;
	regs[REG_RSP] = (greg_t)sp;
	regs[REG_RIP] = (greg_t)target;
	return true;
}

FTR__BARE static bool trap_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes,
				   unsigned length, ftr__stub_fn *stub)
{
	return ftr__x86_emulate(ucontext, ip, bytes, length, call, stub);
}

/* The 64-bit kernel refuses a handler without one. */
static uintptr_t signal_restorer(bool siginfo)
{
	return 0;
}

/* --- trampolines ----------------------------------------------------------- */

static uint8_t *put(uint8_t *at, uint8_t opcode, uint32_t operand)
{
	at[0] = opcode;
	__builtin_memcpy(at + 1, &operand, sizeof operand);
	return at + 5;
}

/* From the end of an instruction to where it leads; false: not in 32 bits. */
static bool distance(uintptr_t from, uintptr_t to, uint32_t *disp)
{
	intptr_t d = (intptr_t)(to - from);

	*disp = (uint32_t)d;
	return d == (int32_t)d;
}

/*
 * slot i:   57              push %rdi
 *           bf imm32        mov $(number * FTR__SLOT_HOT_SIZE), %edi
 *           e9 rel32        jmp caller + FTR_X86_64_LANDING
 *           cc ...
 *
 * A caller that is too far away stands in the last slot's place:
 *
 *           ff 25 disp32    jmp *word(%rip)
 */
static void slots_emit(uint8_t *code, uintptr_t at, size_t n, uintptr_t pushed, uintptr_t caller)
{
	const uintptr_t word = at + (n - 1) * SLOT_SIZE;
	uint32_t disp;

	__builtin_memset(code, FTR__X86_INT3, n * SLOT_SIZE);
	__builtin_memcpy(code + (word - at), &caller, sizeof caller);
	for (size_t i = 0; i < n - 1; i++, at += SLOT_SIZE, code += SLOT_SIZE) {
		code[0] = 0x57;
		uint8_t *end = put(code + 1, 0xbf, (uint32_t)(pushed + i * FTR__SLOT_HOT_SIZE));
		if (distance(at + 11, caller + FTR_X86_64_LANDING, &disp)) {
			put(end, 0xe9, disp);
		} else {
			distance(at + 12, word, &disp);
			*end = 0xff;
			put(end + 1, 0x25, disp);
		}
	}
}

/*
 * CFA = rsp + 8, and 8 more once rdi is pushed: ip & 15 says which.  The word
 * that the site's call pushed lies right below.
 */
static const uint8_t slot_cfi[] = {
	0x0f, 11,         /* DW_CFA_def_cfa_expression, bytes */
	0x77, 8,          /* DW_OP_breg7 (rsp) + 8 */
	0x80, 0,          /* DW_OP_breg16 (rip) + 0 */
	0x30 + SLOT_SIZE - 1, 0x1a, /* DW_OP_lit15, DW_OP_and */
	0x30 + 1, 0x2a,   /* DW_OP_lit1, DW_OP_ge */
	0x33, 0x24, 0x22, /* DW_OP_lit3, DW_OP_shl, DW_OP_plus */
	0x80 | 16, 1,     /* DW_CFA_offset: column 16 at CFA - 8 */
};

/* --- return hooks ------------------------------------------------------------ */

/* An instruction that goes by a word `disp` bytes behind its end. */
static uint8_t *by_word(uint8_t *at, uint8_t modrm, size_t disp)
{
	uint32_t disp32 = (uint32_t)disp;

	at[0] = 0xff;
	at[1] = modrm;
	__builtin_memcpy(at + 2, &disp32, sizeof disp32);
	return at + 6;
}

enum { CALL_WORD = 0x15, JMP_WORD = 0x25, PUSH_WORD = 0x35 };
enum { PUSH_RDI = 0x57, REX_W = 0x48, LOAD = 0x8b, RDI_WORD = 0x3d };

/*
 * stub i:   ff 35 disp32    push next_i(%rip)
 *           ff 25 disp32    jmp *target_i(%rip)
 *           cc ...
 */
static void jumps_emit(uint8_t *code, uintptr_t at, size_t n, size_t data_distance)
{
	for (size_t i = 0; i < n; i++) {
		size_t words = data_distance + i * (JUMP_DATA - JUMP_SIZE);
		uint8_t *end = by_word(code + i * JUMP_SIZE, PUSH_WORD, words - 6);

		end = by_word(end, JMP_WORD, words + sizeof(uintptr_t) - 12);
		__builtin_memset(end, FTR__X86_INT3, JUMP_SIZE - 12);
	}
}

/* jump i:   ff 25 disp32   jmp *word_i(%rip)
 *           cc ...                                    */
static void near_emit(uint8_t *code, size_t n, size_t data_distance)
{
	for (size_t i = 0; i < n; i++) {
		size_t word = data_distance + i * sizeof(uintptr_t) - i * NEAR_SIZE;
		uint8_t *end = by_word(code + i * NEAR_SIZE, JMP_WORD, word - 6);

		__builtin_memset(end, FTR__X86_INT3, NEAR_SIZE - 6);
	}
}

static const uint8_t near_cfi[] = {
	0x0c, 7, 8,   /* DW_CFA_def_cfa: column 7 (rsp) + 8 */
	0x80 | 16, 1, /* DW_CFA_offset: column 16 at CFA - 8 */
};

/* Before its push the parent comes next, after it the traced function. */
static const uint8_t jump_cfi[] = {
	0x0c, 7, 8,   /* DW_CFA_def_cfa: rsp + 8 */
	0x80 | 16, 1, /* DW_CFA_offset: column 16 at CFA - 8 */
};

/*
 * cell:  0  48 8d 64 24 08  lea 8(%rsp), %rsp
 *        5  ff 15 disp32    call *body(%rip)
 *       11  ff 35 disp32    push parent(%rip)
 *       17  57              push %rdi
 *       18  48 8b 3d disp32 mov pushed(%rip), %rdi
 *       25  ff 25 disp32    jmp *caller(%rip)
 *       31  cc
 */
FTR__BARE static void cells_emit(uint8_t *code, uintptr_t at, size_t n, size_t data_distance)
{
	static const uint8_t drop[] = { 0x48, 0x8d, 0x64, 0x24, 0x08 };

	for (size_t i = 0; i < n; i++, code += FTR__CELL_SIZE) {
		__builtin_memcpy(code, drop, sizeof drop);
		by_word(code + 5, CALL_WORD,
			data_distance + offsetof(struct ftr__cell_words, body) - 11);
		by_word(code + 11, PUSH_WORD,
			data_distance + offsetof(struct ftr__cell_words, parent) - 17);
		code[17] = PUSH_RDI;
		/* As long as by_word()'s, behind a prefix. */
		by_word(code + 19, RDI_WORD,
			data_distance + offsetof(struct ftr__cell_words, pushed) - 25);
		code[18] = REX_W;
		code[19] = LOAD;
		by_word(code + 25, JMP_WORD,
			data_distance + offsetof(struct ftr__cell_words, caller) - 31);
		code[31] = FTR__X86_INT3;
	}
}

/*
 * CFA = rsp, and by ip & 31: 8 more before the return address was dropped, and
 * for each push.
 */
#define CELL_CFA                                                                  \
	0x0f, 21,         /* DW_CFA_def_cfa_expression, bytes */                  \
	0x77, 0,          /* DW_OP_breg7 (rsp) + 0 */                             \
	0x80, 0,          /* DW_OP_breg16 (rip) + 0 */                            \
	0x30 + 31, 0x1a,  /* DW_OP_lit31, DW_OP_and */                            \
	0x12, 0x12,       /* DW_OP_dup, DW_OP_dup */                              \
	0x35, 0x2d,       /* DW_OP_lit5, DW_OP_lt */                              \
	0x16,             /* DW_OP_swap */                                        \
	0x30 + 17, 0x2a,  /* DW_OP_lit17, DW_OP_ge */                             \
	0x22, 0x16,       /* DW_OP_plus, DW_OP_swap */                            \
	0x30 + 18, 0x2a,  /* DW_OP_lit18, DW_OP_ge */                             \
	0x22,             /* DW_OP_plus */                                        \
	0x33, 0x24, 0x22  /* DW_OP_lit3, DW_OP_shl, DW_OP_plus */

/*
 * The return address is the record's.  Where that is another cell's, as that of a
 * function that was jumped to, the other cell's counts: frames that differ in
 * nothing unwinders take for one, or for a broken stack.  The area is aligned by
 * its size.
 */
#define CELL_RETURN(more)                                                         \
	0x16, 16, 23 + (more), /* DW_CFA_val_expression: column 16, bytes */      \
	0x80, 0,          /* DW_OP_breg16 (rip) + 0 */                            \
	0x09, 0xe0, 0x1a, /* again: DW_OP_const1s -32, DW_OP_and */               \
	0x0c, 0x00, 0x00, 0x00, FTR__CELLS_SIZE >> 24, /* DW_OP_const4u */        \
	0x22, 0x06,       /* DW_OP_plus, DW_OP_deref */                           \
	0x12,             /* DW_OP_dup */                                         \
	0x80, 0, 0x27,    /* DW_OP_breg16 (rip) + 0, DW_OP_xor */                 \
	0x30 + 25, 0x25,  /* DW_OP_lit25, DW_OP_shr: 0 in the area */             \
	0x30, 0x29,       /* DW_OP_lit0, DW_OP_eq */                              \
	0x28, 0xeb, 0xff  /* DW_OP_bra: again */
_Static_assert(FTR__CELLS_SIZE == 1 << 25, "in the description above");

static const uint8_t cell_cfi[] = { CELL_CFA, CELL_RETURN(0) };

/* Less one: what returns from a signal's frame is looked up as it is, and what a
 * call left belongs to the instruction before. */
static const uint8_t cell_gcc_cfi[] = {
	CELL_CFA, CELL_RETURN(2),
	0x31, 0x1c, /* DW_OP_lit1, DW_OP_minus */
};

#define BOTH(kind)                                                                \
	{ { (uintptr_t)ftr__x86_64_args_##kind, (uintptr_t)ftr__x86_64_regs_##kind }, \
	  { (uintptr_t)ftr__x86_64_jumped_args_##kind,                            \
	    (uintptr_t)ftr__x86_64_jumped_regs_##kind } }

static uintptr_t thread_pointer(void)
{
	uintptr_t tp;

	__asm__("movq %%fs:0, %0" : "=r"(tp));
	return tp;
}

/* --- copies of the callers ----------------------------------------------------- */

/* Made by entry.S: behind the instruction, which word it reaches. */
struct fixup {
	uint32_t end, word;
};
extern const struct fixup ftr__x86_64_fixups[], ftr__x86_64_fixups_end[];
extern const uint8_t ftr__x86_64_callers[], ftr__x86_64_callers_end[];
extern const uintptr_t ftr__x86_64_starts[], ftr__x86_64_starts_end[];

/* Of the code; the words follow. */
static size_t callers_size(void)
{
	return ftr__align_up((uintptr_t)(ftr__x86_64_callers_end - ftr__x86_64_callers),
			     sizeof(uintptr_t));
}

static size_t callers_copy_size(void)
{
	return callers_size() + FIX_WORDS * sizeof(uintptr_t);
}

/*
 * REX 8b 1d disp32            mov x(%rip), %reg
 * 64 REX 8b 1b                mov %fs:(%reg), %reg
 *
 * become, with prefixes that say it again
 *
 * 64 64 64 REX 8b 1c 25 imm32    mov %fs:imm32, %reg
 *
 * reg is rbx or, by REX, r11.  The linker may have made another instruction of
 * the first.
 */
static void fix_self(uint8_t *end)
{
	enum { REX_B = 1 };
	const uint8_t load[] = { 0x64, 0x64, 0x64, end[1] & ~REX_B, 0x8b, 0x1c, 0x25 };
	int32_t offset = (int32_t)((uintptr_t)&ftr__self - thread_pointer());

	__builtin_memcpy(end - 7, load, sizeof load);
	__builtin_memcpy(end, &offset, sizeof offset);
}

static void callers_emit(uint8_t *code, uintptr_t slot_table)
{
	const size_t size = callers_size();
	uintptr_t *words = (uintptr_t *)(code + size);

	__builtin_memcpy(code, ftr__x86_64_callers, size);
	ftr__x86_vector_level(); /* sets ftr__x86_wide_masks */
	words[FIX_TABLE] = slot_table;
	words[FIX_SLOW] = (uintptr_t)ftr__dispatch_slow;
	words[FIX_NOTICE] = (uintptr_t)ftr__dispatch_notice;
	words[FIX_MASKS] = ftr__x86_wide_masks;
	words[FIX_READY] = (uintptr_t)ftr__exit_make_ready;
	words[FIX_EXITS] = (uintptr_t)ftr__run_exits;
	words[FIX_MEMBERS] = (uintptr_t)ftr__run_members;
	words[FIX_CELLS] = (uintptr_t)&ftr__record_cells;
	for (const struct fixup *f = ftr__x86_64_fixups; f < ftr__x86_64_fixups_end; f++) {
		uint32_t disp = (uint32_t)(size + f->word * sizeof(uintptr_t) - f->end);
		if (f->word == FIX_SELF)
			fix_self(code + f->end);
		else
			__builtin_memcpy(code + f->end - sizeof disp, &disp, sizeof disp);
	}
}

static uintptr_t caller(uint32_t flags, enum ftr__vectors vectors, bool jumped)
{
	const bool whole_regs = flags & FTR_GROUP_REGS;
	static const uintptr_t args[][2][2] = {
		[FTR__X86_NO_VECTORS] = BOTH(none),
		[FTR__X86_SSE] = BOTH(sse),
		[FTR__X86_AVX] = BOTH(avx),
		[FTR__X86_AVX512] = BOTH(avx512),
	};
	static const uintptr_t all[][2][2] = {
		[FTR__X86_NO_VECTORS] = BOTH(none),
		[FTR__X86_SSE] = BOTH(all_sse),
		[FTR__X86_AVX] = BOTH(all_avx),
		[FTR__X86_AVX512] = BOTH(all_avx512),
	};

	if (vectors == FTR__VECTORS_NONE)
		return args[FTR__X86_NO_VECTORS][jumped][whole_regs];
	enum ftr__x86_level level = ftr__x86_vector_level();
	return (vectors == FTR__VECTORS_ALL ? all : args)[level][jumped][whole_regs];
}

static uintptr_t exit_caller(enum ftr__vectors vectors)
{
	static const uintptr_t args[] = {
		[FTR__X86_NO_VECTORS] = (uintptr_t)ftr__x86_64_exit_args_none,
		[FTR__X86_SSE] = (uintptr_t)ftr__x86_64_exit_args_sse,
		[FTR__X86_AVX] = (uintptr_t)ftr__x86_64_exit_args_avx,
		[FTR__X86_AVX512] = (uintptr_t)ftr__x86_64_exit_args_avx512,
	};
	static const uintptr_t all[] = {
		[FTR__X86_NO_VECTORS] = (uintptr_t)ftr__x86_64_exit_args_none,
		[FTR__X86_SSE] = (uintptr_t)ftr__x86_64_exit_args_all_sse,
		[FTR__X86_AVX] = (uintptr_t)ftr__x86_64_exit_args_all_avx,
		[FTR__X86_AVX512] = (uintptr_t)ftr__x86_64_exit_args_all_avx512,
	};

	if (vectors == FTR__VECTORS_NONE)
		return args[FTR__X86_NO_VECTORS];
	return (vectors == FTR__VECTORS_ALL ? all : args)[ftr__x86_vector_level()];
}

/*
 * As a signal's frame: rsp is as many words above as the detour's table says; the
 * next frame is at IP, at NEXT, or where the word says that was pushed below the
 * red zone.
 */
#define DETOUR_TOLD /* of the byte at ip */                                       \
	0x80, 0, 0x0c, 0, 0, 2 * FTR__DETOURS_SIZE >> 16, 0, /* DW_OP_breg16 (rip) + 0, DW_OP_const4u */ \
	0x22, 0x94, 1 /* DW_OP_plus, DW_OP_deref_size 1 */
#define DETOUR_SP                                                                 \
	0x77, 0, DETOUR_TOLD, /* DW_OP_breg7 (rsp) + 0 */                         \
	0x30 + 31, 0x1a, 0x33, 0x24, 0x22 /* DW_OP_lit31, and, lit3, shl, plus */
#define DETOUR_CFA                                                                \
	0x0f, 17, DETOUR_SP /* DW_CFA_def_cfa_expression, bytes */
/* libgcc takes it as it is; others, which look for the instruction before it, get the
 * address behind. */
#define DETOUR_RETURN(more)                                                       \
	0x16, 16, 70 + (more), /* DW_CFA_val_expression: column 16, bytes */      \
	DETOUR_TOLD, 0x35, 0x25, 0x32, 0x29, /* DW_OP_lit5, shr, lit2, eq */      \
	0x28, 32, 0,          /* DW_OP_bra, to DETOUR_SP */                       \
	0x80, 0, 0x09, 0x80, 0x1a, /* DW_OP_breg16 (rip) + 0, DW_OP_const1s -128, and */ \
	0x0c, 0, 0, FTR__DETOURS_SIZE >> 16, 0, 0x22, /* DW_OP_const4u, plus */   \
	DETOUR_TOLD, 0x35, 0x25, 0x33, 0x24, 0x22, /* DW_OP_lit5, shr, lit3, shl, plus */ \
	0x23, 8 * FTR__DETOUR_IP, 0x06, /* DW_OP_plus_uconst, deref */            \
	0x2f, 21, 0,          /* DW_OP_skip, to the end */                        \
	DETOUR_SP, 0x08, 0x88, 0x1c, 0x06 /* DW_OP_const1u 136, minus, deref */
static const uint8_t detour_cfi[] = {
	DETOUR_CFA,
	DETOUR_RETURN(2), 0x23, 1 /* DW_OP_plus_uconst */
};
static const uint8_t detour_gcc_cfi[] = { DETOUR_CFA, DETOUR_RETURN(0) };
_Static_assert(FTR__DETOUR_NEXT == FTR__DETOUR_IP + 1 && FTR__MOVED_AWAY == 2 &&
	       FTR__DETOUR_WHERE == 5 && FTR__DETOUR_SIZE == 128, "the expressions above");

#define PROBE_CALLERS(kind)                                                       \
	{ (uintptr_t)ftr__x86_64_pre_##kind, (uintptr_t)ftr__x86_64_post_##kind }

/* Every 64-bit CPU has SSE. */
static uintptr_t detour_caller(bool post)
{
	static const uintptr_t callers[][2] = {
		PROBE_CALLERS(sse), PROBE_CALLERS(avx), PROBE_CALLERS(avx512),
		PROBE_CALLERS(avx512bw),
	};
	unsigned level = ftr__x86_vector_level();

	if (level == FTR__X86_AVX512 && ftr__x86_wide_masks)
		level++;
	return callers[level ? level - 1 : 0][post];
}

/* --- registers -------------------------------------------------------------- */

static bool is_whole(const struct ftr_regs *regs)
{
	return regs->head.mark & FTR__MARK_WHOLE;
}

/* Of those that are not whole. */
static bool regs_of_exit(const struct ftr_regs *regs)
{
	return regs->head.mark & FTR_X86_64_MARK_EXIT;
}

/* S of frame.h. */
static uintptr_t entry_sp(const struct ftr_regs *regs)
{
	if (is_whole(regs))
		return (uintptr_t)regs + R_ABOVE_REGS;
	return (uintptr_t)regs + (regs_of_exit(regs) ? R_ABOVE_EXIT : R_ABOVE_ARGS);
}

static bool is_filled(const struct ftr_regs *regs)
{
	return regs->head.mark & FTR__MARK_FILLED;
}

/* What the regs caller leaves out: a handler that does not look need not wait for
 * it. */
static inline __attribute__((always_inline)) void fill(struct ftr_regs *regs)
{
	const uintptr_t *s = (const uintptr_t *)entry_sp(regs);
	uint32_t cs, ss;

	__asm__ volatile("movl %%cs, %0; movl %%ss, %1" : "=r"(cs), "=r"(ss));
	regs->pt.rdi = s[0];
	regs->pt.orig_rax = (unsigned long)-1;
	regs->pt.rip = s[1];
	regs->pt.cs = cs;
	regs->pt.rsp = (uintptr_t)&s[2];
	regs->pt.ss = ss;
	regs->last = s[1];
	regs->head.saved = (uint32_t)regs->pt.eflags;
	regs->head.mark |= FTR__MARK_FILLED;
}

static struct pt_regs *whole_pt(const struct ftr_regs *regs)
{
	if (!is_filled(regs))
		fill((struct ftr_regs *)regs);
	return (struct pt_regs *)&regs->pt;
}

/* Of the args caller those are there that a call may change. */
static struct pt_regs *pt_of(const struct ftr_regs *regs)
{
	const uintptr_t di_from_s = offsetof(struct pt_regs, rdi);

	return is_whole(regs) ? whole_pt(regs) : (struct pt_regs *)(entry_sp(regs) - di_from_s);
}

/* The word that the site pushed, to which both callers return; but once a handler
 * has pt_regs it may lower sp, and overwrite it. */
static void regs_resume(struct ftr_regs *regs, uintptr_t ip)
{
	if (is_filled(regs))
		regs->last = ip;
	else
		*(uintptr_t *)(entry_sp(regs) + 8) = ip;
}

/* Where pt_regs.ip is not, the word that the site pushed serves. */
static uintptr_t *ip_of(const struct ftr_regs *regs)
{
	return is_filled(regs) ? (uintptr_t *)&regs->pt.rip : (uintptr_t *)(entry_sp(regs) + 8);
}

static uintptr_t regs_resume_at(const struct ftr_regs *regs)
{
	return is_filled(regs) ? regs->last : *ip_of(regs);
}

static struct pt_regs *regs_pt_regs(struct ftr_regs *regs)
{
	return is_whole(regs) ? whole_pt(regs) : NULL;
}

static uintptr_t regs_ip(const struct ftr_regs *regs)
{
	return *ip_of(regs);
}

static void regs_set_ip(struct ftr_regs *regs, uintptr_t ip)
{
	*ip_of(regs) = ip;
}

static uintptr_t regs_sp(const struct ftr_regs *regs)
{
	return is_filled(regs) ? regs->pt.rsp : entry_sp(regs) + 16;
}

static uintptr_t regs_flags(const struct ftr_regs *regs)
{
	return is_whole(regs) ? regs->pt.eflags : ftr__x86_arithmetic_flags(regs->head.saved);
}

static uintptr_t *regs_arg(struct ftr_regs *regs, unsigned n)
{
	struct pt_regs *pt = pt_of(regs);
	unsigned long *const in_register[] = { &pt->rdi, &pt->rsi, &pt->rdx, &pt->rcx, &pt->r8,
					       &pt->r9 };

	if (n < FTR__ARRAY_SIZE(in_register))
		return (uintptr_t *)in_register[n];
	/* Above the return address into the parent, at a function's entry. */
	if (regs->head.mark & FTR__MARK_PROBE)
		return (uintptr_t *)regs->pt.rsp + 1 + (n - FTR__ARRAY_SIZE(in_register));
	return (uintptr_t *)(entry_sp(regs) + 24) + (n - FTR__ARRAY_SIZE(in_register));
}

static uintptr_t *regs_return(struct ftr_regs *regs)
{
	return (uintptr_t *)&pt_of(regs)->rax;
}

static uintptr_t *regs_return2(struct ftr_regs *regs)
{
	return (uintptr_t *)&pt_of(regs)->rdx;
}

FTR__BARE unsigned ftr__x86_64_vectors(const struct ftr_regs *regs)
{
	if (!(regs->head.mark & FTR__MARK_ALL))
		return 8;
	return (regs->head.mark & FTR__X86_MARK_STRIDE) == 64 / 16 << FTR__X86_MARK_STRIDE_SHIFT
		       ? 32 : 16;
}

static void *regs_vector(struct ftr_regs *regs, unsigned n, size_t *width)
{
	return ftr__x86_vector(regs, n, ftr__x86_64_vectors(regs), width);
}

static const struct ftr_backend backend = {
	.name = "x86_64",
	.elf_machine = EM_X86_64,
	.slot_size = SLOT_SIZE,
	.group_flags = FTR_GROUP_REGS | FTR_GROUP_IPMODIFY | FTR_GROUP_REENTRANT |
		       FTR_GROUP_NO_SIMD | FTR_GROUP_ALL_VECTORS |
		       FTR_GROUP_UNWOUND_EXITS,
	.reach = 0x7fff0000,
	.landing_length = ftr__x86_landing_length,
	.nop_length = ftr__x86_nop_length,
	.site_form = ftr__x86_site_form,
	.text = {
		.breakpoint = FTR__X86_INT3,
		.encode = ftr__x86_encode_site,
		.encode_jump = ftr__x86_encode_site_jump,
		.write_tails = ftr__x86_write_tails,
		.check = ftr__x86_check,
		.write_jump_tails = ftr__x86_write_jump_tails,
		.check_jumps = ftr__x86_check_jumps,
		.choose = ftr__x86_choose,
		.write_atomic = ftr__x86_write_atomic,
		.write_skips = ftr__x86_write_skips,
		.write_skipped = ftr__x86_write_skipped,
		.write_unskipped = ftr__x86_write_unskipped,
		.fuse = ftr__x86_fuse,
		.stores_documented = ftr__x86_stores_documented,
	},
	.decode = ftr__x86_decode_for_walk,
	.insn_length = ftr__x86_insn_length,
	.next_branch = ftr__x86_next_branch,
	.relocate = ftr__x86_relocate,
	.detour_emit = ftr__x86_detour_emit,
	.detour_caller = detour_caller,
	.detour_cfi = { detour_cfi, sizeof detour_cfi, 16, detour_gcc_cfi,
			sizeof detour_gcc_cfi },
	.trap_address = ftr__x86_trap_address,
	.trap_raised = ftr__x86_trap_raised,
	.trap_overflowed = ftr__x86_trap_overflowed,
	.trap_ip = ftr__x86_trap_ip,
	.trap_undo = ftr__x86_trap_undo,
	.trap_sp = ftr__x86_trap_sp,
	.trap_resume = ftr__x86_trap_resume,
	/* struct rt_sigframe: the return address, then the ucontext (Linux
	 * arch/x86/include/asm/sigframe.h). */
	.frame_sp = { sizeof(void *) + offsetof(ucontext_t, uc_mcontext.gregs[REG_RSP]),
		      sizeof(void *) + offsetof(ucontext_t, uc_mcontext.gregs[REG_RSP]) },
	.signal_restorer = signal_restorer,
	.trap_emulate = trap_emulate,
	.slots_emit = slots_emit,
	.slot_cfi = { slot_cfi, sizeof slot_cfi, 16 },
	.callers = ftr__x86_64_callers,
	.callers_end = ftr__x86_64_callers_end,
	.callers_starts = ftr__x86_64_starts,
	.callers_starts_end = ftr__x86_64_starts_end,
	.callers_copy_size = callers_copy_size,
	.callers_emit = callers_emit,
	.thread_pointer = thread_pointer,
	.shadow_stack = ftr__x86_shadow_stack,
	.caller = caller,
	.exit_caller = exit_caller,
	.exits_first = true,
	.near_size = NEAR_SIZE,
	.near_emit = near_emit,
	.near_cfi = { near_cfi, sizeof near_cfi, 16 },
	.jump_size = JUMP_SIZE,
	.jumps_emit = jumps_emit,
	.jump_cfi = { jump_cfi, sizeof jump_cfi, 16 },
	.cells_emit = cells_emit,
	.cell_return = 11,
	.cell_cfi = { cell_cfi, sizeof cell_cfi, 16, cell_gcc_cfi, sizeof cell_gcc_cfi },
	.x87_is_empty = ftr__x86_x87_is_empty,
	.x87_pop = ftr__x86_x87_pop,
	.x87_push = ftr__x86_x87_push,
	.x87_peek = ftr__x86_x87_peek,
	.regs_resume = regs_resume,
	.regs_resume_at = regs_resume_at,
	.regs_of_exit = regs_of_exit,
	.regs_resume_cell = regs_resume,
	.regs_pt_regs = regs_pt_regs,
	.regs_ip = regs_ip,
	.regs_set_ip = regs_set_ip,
	.regs_sp = regs_sp,
	.regs_flags = regs_flags,
	.regs_arg = regs_arg,
	.regs_return = regs_return,
	.regs_return2 = regs_return2,
	.regs_vector = regs_vector,
	.typed = &ftr__x86_64_typed,
	.just_return = (uintptr_t)ftr__x86_64_just_return,
};

const struct ftr_backend *const ftr__backend = &backend;
