/* SPDX-License-Identifier: MIT */
/*
 * The i386 backend: the vtable and what is not shared with x86_64.
 *
 * A call can't be emulated on the interrupted stack: the signal frame lies
 * directly below the interrupted esp, its vector state first (Linux
 * arch/x86/kernel/signal.c, get_sigframe: no red zone for 32 bits).  So the
 * call is done after the signal returned, in a stub (lib/stub.h).
 */
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "backends/i386/frame.h"
#include "backends/i386/typed.h"
#include "backends/x86/detour.h"
#include "backends/x86/insn.h"
#include "backends/x86/poke.h"
#include "backends/x86/relocate.h"
#include "backends/x86/trap.h"
#include "backends/x86/vectors.h"
#include "backends/x86/x87.h"

enum { SLOT_SIZE = 16, STUB_SIZE = 12, JUMP_SIZE = 16 };

/* --- traps ---------------------------------------------------------------- */

FTR__BARE static bool call(void *ucontext, uintptr_t next, uintptr_t target, ftr__stub_fn *stub)
{
	uintptr_t ip = stub(next, target);

	if (ip)
		ftr__x86_trap_resume(ucontext, ip);
	return ip != 0;
}

FTR__BARE static bool trap_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes,
				   unsigned length, ftr__stub_fn *stub)
{
	return ftr__x86_emulate(ucontext, ip, bytes, length, call, stub);
}

/*
 * stub:     ff 35 abs32     push next
 *           ff 25 abs32     jmp *target
 */
static void stub_emit(uint8_t *code, uintptr_t words)
{
	uint32_t next = (uint32_t)words, target = (uint32_t)words + sizeof(uintptr_t);

	code[0] = 0xff;
	code[1] = 0x35;
	memcpy(code + 2, &next, sizeof next);
	code[6] = 0xff;
	code[7] = 0x25;
	memcpy(code + 8, &target, sizeof target);
}

/* Before its push the traced function's caller comes next, after it the traced
 * function: esp points at the return address. */
static const uint8_t stub_cfi[] = {
	0x0c, 4, 4,  /* DW_CFA_def_cfa: esp + 4 */
	0x80 | 8, 1, /* DW_CFA_offset: column 8 at CFA - 4 */
};

/* --- signal frames ----------------------------------------------------------- */

/* As the kernel lays them out (Linux arch/x86/include/asm/sigframe.h:
 * sigframe_ia32, rt_sigframe_ia32). */
struct frame {
	uint32_t return_address;
	uint32_t sig;
	struct sigcontext context;
};

struct rt_frame {
	uint32_t return_address;
	uint32_t sig, info, context;
	siginfo_t siginfo;
	ucontext_t ucontext;
};

FTR__BARE static bool interrupted(const uintptr_t *words, size_t n, uintptr_t low, uintptr_t high)
{
	enum {
		CS_AT = offsetof(struct sigcontext, cs) / sizeof(uintptr_t),
		SP_AT = offsetof(struct sigcontext, esp_at_signal) / sizeof(uintptr_t),
		SS_AT = offsetof(struct sigcontext, ss) / sizeof(uintptr_t),
	};
	uint16_t cs, ss;

	__asm__("movw %%cs, %0; movw %%ss, %1" : "=r"(cs), "=r"(ss));
	for (size_t i = CS_AT; i + (SS_AT - CS_AT) < n; i++)
		if ((uint16_t)words[i] == cs && (uint16_t)words[i + (SS_AT - CS_AT)] == ss &&
		    words[i + (SP_AT - CS_AT)] - low < high - low)
			return true;
	return false;
}

/* What the dynamic section of an image says. */
struct dynamic {
	uintptr_t base; /* what is added to addresses as linked */
	const Elf32_Sym *symbols;
	const char *names;
	const Elf32_Word *hash; /* how many buckets, how many symbols */
};

static bool read_dynamic(uintptr_t image, struct dynamic *d)
{
	const Elf32_Ehdr *header = (const Elf32_Ehdr *)image;
	const Elf32_Phdr *segment = (const Elf32_Phdr *)(image + header->e_phoff);
	const Elf32_Dyn *entry = NULL;
	d->base = image;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD && !segment[i].p_offset)
			d->base = image - segment[i].p_vaddr;
		if (segment[i].p_type == PT_DYNAMIC)
			entry = (const Elf32_Dyn *)(image + segment[i].p_offset);
	}
	for (; entry && entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_SYMTAB)
			d->symbols = (const Elf32_Sym *)(d->base + entry->d_un.d_ptr);
		if (entry->d_tag == DT_STRTAB)
			d->names = (const char *)(d->base + entry->d_un.d_ptr);
		if (entry->d_tag == DT_HASH)
			d->hash = (const Elf32_Word *)(d->base + entry->d_un.d_ptr);
	}
	return d->symbols && d->names && d->hash;
}

/* Of the image that the kernel maps into each process; 0: it is not there. */
static uintptr_t vdso_symbol(const char *name)
{
	uintptr_t image = getauxval(AT_SYSINFO_EHDR);
	struct dynamic d = { 0 };

	if (!image || !read_dynamic(image, &d))
		return 0;
	for (Elf32_Word i = 0; i < d.hash[1]; i++)
		if (d.symbols[i].st_value && !strcmp(d.names + d.symbols[i].st_name, name))
			return d.base + d.symbols[i].st_value;
	return 0;
}

/* Without a restorer of the application's (glibc gives none) the kernel takes
 * one of its own. */
static uintptr_t signal_restorer(bool siginfo)
{
	return vdso_symbol(siginfo ? "__kernel_rt_sigreturn" : "__kernel_sigreturn");
}

/* --- trampolines ----------------------------------------------------------- */

/*
 * slot i:   68 imm32        push $(its struct ftr__slot_hot)
 *           e9 rel32        jmp caller
 *           cc ...
 */
static void slots_emit(uint8_t *code, uintptr_t at, size_t n, uintptr_t pushed, uintptr_t caller)
{
	for (size_t i = 0; i < n; i++, code += SLOT_SIZE) {
		uint32_t hot = (uint32_t)(pushed + i * FTR__SLOT_HOT_SIZE);
		uint32_t distance = (uint32_t)(caller - (at + i * SLOT_SIZE + 10));

		memset(code, FTR__X86_INT3, SLOT_SIZE);
		code[0] = 0x68;
		memcpy(code + 1, &hot, sizeof hot);
		code[5] = 0xe9;
		memcpy(code + 6, &distance, sizeof distance);
	}
}

/* The copy of a function's first instructions, at the first of them. */
static const uint8_t near_cfi[] = {
	0x0c, 4, 4,  /* DW_CFA_def_cfa: column 4 (esp) + 4 */
	0x80 | 8, 1, /* DW_CFA_offset: column 8 at CFA - 4 */
};

/*
 * CFA = esp + 4, and 4 more once the word is pushed: ip & 15 says which.  The
 * word that the site's call pushed lies right below.
 */
static const uint8_t slot_cfi[] = {
	0x0f, 11,         /* DW_CFA_def_cfa_expression, bytes */
	0x74, 4,          /* DW_OP_breg4 (esp) + 4 */
	0x78, 0,          /* DW_OP_breg8 (eip) + 0 */
	0x30 + SLOT_SIZE - 1, 0x1a, /* DW_OP_lit15, DW_OP_and */
	0x30 + 5, 0x2a,   /* DW_OP_lit5, DW_OP_ge */
	0x32, 0x24, 0x22, /* DW_OP_lit2, DW_OP_shl, DW_OP_plus */
	0x80 | 8, 1,      /* DW_CFA_offset: column 8 at CFA - 4 */
};

/* --- return hooks ------------------------------------------------------------ */

/* An instruction that goes by a word. */
static uint8_t *by_word(uint8_t *at, uint8_t modrm, uintptr_t word)
{
	at[0] = 0xff;
	at[1] = modrm;
	__builtin_memcpy(at + 2, &word, sizeof word);
	return at + 6;
}

enum { CALL_WORD = 0x15, JMP_WORD = 0x25, PUSH_WORD = 0x35 };

/*
 * stub i:   ff 35 abs32     push next_i
 *           ff 25 abs32     jmp *target_i
 *           cc ...
 */
static void jumps_emit(uint8_t *code, uintptr_t at, size_t n, size_t data_distance)
{
	uintptr_t words = at + data_distance;

	for (size_t i = 0; i < n; i++, words += 2 * sizeof words) {
		uint8_t *end = by_word(code + i * JUMP_SIZE, PUSH_WORD, words);

		end = by_word(end, JMP_WORD, words + sizeof words);
		__builtin_memset(end, FTR__X86_INT3, JUMP_SIZE - 12);
	}
}

/*
 * cell:  0  58              pop %eax
 *        1  8d 64 24 04     lea 4(%esp), %esp
 *        5  ff 15 abs32     call *body
 *       11  ff 35 abs32     push parent
 *       17  ff 35 abs32     push pushed
 *       23  ff 25 abs32     jmp *caller
 *       29  cc cc cc
 *
 * A return enters it at 1; at 0 a jump through eax, whose value is on the stack.
 */
FTR__BARE static void cells_emit(uint8_t *code, uintptr_t at, size_t n, size_t data_distance)
{
	static const uint8_t drop[] = { 0x58, 0x8d, 0x64, 0x24, 0x04 };
	uintptr_t words = at + data_distance;

	for (size_t i = 0; i < n; i++, code += FTR__CELL_SIZE, words += FTR__CELL_SIZE) {
		__builtin_memcpy(code, drop, sizeof drop);
		by_word(code + 5, CALL_WORD, words + offsetof(struct ftr__cell_words, body));
		by_word(code + 11, PUSH_WORD, words + offsetof(struct ftr__cell_words, parent));
		by_word(code + 17, PUSH_WORD, words + offsetof(struct ftr__cell_words, pushed));
		by_word(code + 23, JMP_WORD, words + offsetof(struct ftr__cell_words, caller));
		code[29] = code[30] = code[31] = FTR__X86_INT3;
	}
}

/*
 * CFA = esp, and by ip & 31: 4 more before eax was loaded, before the return
 * address was dropped, and for each push.
 */
#define CELL_CFA                                                                  \
	0x0f, 26,         /* DW_CFA_def_cfa_expression, bytes */                  \
	0x74, 0,          /* DW_OP_breg4 (esp) + 0 */                             \
	0x78, 0,          /* DW_OP_breg8 (eip) + 0 */                             \
	0x30 + 31, 0x1a,  /* DW_OP_lit31, DW_OP_and */                            \
	0x12, 0x12, 0x12, /* DW_OP_dup, three times */                            \
	0x31, 0x2d,       /* DW_OP_lit1, DW_OP_lt */                              \
	0x16,             /* DW_OP_swap */                                        \
	0x35, 0x2d, 0x22, /* DW_OP_lit5, DW_OP_lt, DW_OP_plus */                  \
	0x16,             /* DW_OP_swap */                                        \
	0x30 + 17, 0x2a, 0x22, /* DW_OP_lit17, DW_OP_ge, DW_OP_plus */            \
	0x16,             /* DW_OP_swap */                                        \
	0x30 + 23, 0x2a, 0x22, /* DW_OP_lit23, DW_OP_ge, DW_OP_plus */            \
	0x32, 0x24, 0x22  /* DW_OP_lit2, DW_OP_shl, DW_OP_plus */

/*
 * The return address is the record's.  Where that is another cell's, as that of a
 * function that was jumped to, the other cell's counts: frames that differ in
 * nothing unwinders take for one, or for a broken stack.  The area is aligned by
 * its size.
 */
#define CELL_RETURN(more)                                                         \
	0x16, 8, 23 + (more), /* DW_CFA_val_expression: column 8, bytes */        \
	0x78, 0,          /* DW_OP_breg8 (eip) + 0 */                             \
	0x09, 0xe0, 0x1a, /* again: DW_OP_const1s -32, DW_OP_and */               \
	0x0c, 0x00, 0x00, FTR__CELLS_SIZE >> 16, 0x00, /* DW_OP_const4u */        \
	0x22, 0x06,       /* DW_OP_plus, DW_OP_deref */                           \
	0x12,             /* DW_OP_dup */                                         \
	0x78, 0, 0x27,    /* DW_OP_breg8 (eip) + 0, DW_OP_xor */                  \
	0x30 + 21, 0x25,  /* DW_OP_lit21, DW_OP_shr: 0 in the area */             \
	0x30, 0x29,       /* DW_OP_lit0, DW_OP_eq */                              \
	0x28, 0xeb, 0xff  /* DW_OP_bra: again */
_Static_assert(FTR__CELLS_SIZE == 1 << 21, "in the description above");

static const uint8_t cell_cfi[] = { CELL_CFA, CELL_RETURN(0) };

/* Less one: what returns from a signal's frame is looked up as it is, and what a
 * call left belongs to the instruction before. */
static const uint8_t cell_gcc_cfi[] = {
	CELL_CFA, CELL_RETURN(2),
	0x31, 0x1c, /* DW_OP_lit1, DW_OP_minus */
};

static uintptr_t thread_pointer(void)
{
	uintptr_t tp;

	__asm__("movl %%gs:0, %0" : "=r"(tp));
	return tp;
}

#define DECLARE(kind)                                                             \
	void ftr__i386_args_##kind(void), ftr__i386_jumped_args_##kind(void),     \
		ftr__i386_flat_##kind(void), ftr__i386_jumped_flat_##kind(void),  \
		ftr__i386_overlay_##kind(void),                                   \
		ftr__i386_jumped_overlay_##kind(void),                            \
		ftr__i386_exit_args_##kind(void)
DECLARE(none);
DECLARE(sse);
DECLARE(avx);
DECLARE(avx512);
DECLARE(all_sse);
DECLARE(all_avx);
DECLARE(all_avx512);
DECLARE(all_avx512bw);

enum layout { ARGS, FLAT, OVERLAY };

struct callers {
	uintptr_t entry[3][2]; /* by layout; called, jumped */
	uintptr_t exit;
};
#define CALLERS(kind)                                                             \
	{ { { (uintptr_t)ftr__i386_args_##kind,                                   \
	      (uintptr_t)ftr__i386_jumped_args_##kind },                          \
	    { (uintptr_t)ftr__i386_flat_##kind,                                   \
	      (uintptr_t)ftr__i386_jumped_flat_##kind },                          \
	    { (uintptr_t)ftr__i386_overlay_##kind,                                \
	      (uintptr_t)ftr__i386_jumped_overlay_##kind } },                     \
	  (uintptr_t)ftr__i386_exit_args_##kind }

static enum layout layout_for(uint32_t flags)
{
	if (flags & FTR_GROUP_SP_OVERLAY)
		return OVERLAY;
	return flags & FTR_GROUP_REGS ? FLAT : ARGS;
}

static const struct callers *callers(enum ftr__vectors vectors)
{
	static const struct callers args[] = {
		[FTR__X86_NO_VECTORS] = CALLERS(none),
		[FTR__X86_SSE] = CALLERS(sse),
		[FTR__X86_AVX] = CALLERS(avx),
		[FTR__X86_AVX512] = CALLERS(avx512),
	};
	static const struct callers all[] = {
		[FTR__X86_NO_VECTORS] = CALLERS(none),
		[FTR__X86_SSE] = CALLERS(all_sse),
		[FTR__X86_AVX] = CALLERS(all_avx),
		[FTR__X86_AVX512] = CALLERS(all_avx512),
		[FTR__X86_AVX512 + 1] = CALLERS(all_avx512bw),
	};

	if (vectors == FTR__VECTORS_NONE)
		return &args[FTR__X86_NO_VECTORS];
	unsigned level = ftr__x86_vector_level();
	if (vectors == FTR__VECTORS_ARGS)
		return &args[level];
	if (level == FTR__X86_AVX512 && ftr__x86_wide_masks)
		level++;
	return &all[level];
}

static uintptr_t caller(uint32_t flags, enum ftr__vectors vectors, bool jumped)
{
	return callers(vectors)->entry[layout_for(flags)][jumped];
}

static uintptr_t exit_caller(enum ftr__vectors vectors)
{
	return callers(vectors)->exit;
}

/*
 * As a signal's frame: esp is as many words above as the detour's table says; the
 * next frame is at IP, at NEXT, or where the word says that was pushed last.
 */
#define DETOUR_TOLD /* of the byte at ip */                                       \
	0x78, 0, 0x0c, 0, 0, 2 * FTR__DETOURS_SIZE >> 16, 0, /* DW_OP_breg8 (eip) + 0, DW_OP_const4u */ \
	0x22, 0x94, 1 /* DW_OP_plus, DW_OP_deref_size 1 */
#define DETOUR_SP                                                                 \
	0x74, 0, DETOUR_TOLD, /* DW_OP_breg4 (esp) + 0 */                         \
	0x30 + 31, 0x1a, 0x32, 0x24, 0x22 /* DW_OP_lit31, and, lit2, shl, plus */
#define DETOUR_CFA                                                                \
	0x0f, 17, DETOUR_SP /* DW_CFA_def_cfa_expression, bytes */
/* libgcc takes it as it is; others, which look for the instruction before it, get the
 * address behind. */
#define DETOUR_RETURN(more)                                                       \
	0x16, 8, 69 + (more), /* DW_CFA_val_expression: column 8, bytes */        \
	DETOUR_TOLD, 0x35, 0x25, 0x32, 0x29, /* DW_OP_lit5, shr, lit2, eq */      \
	0x28, 32, 0,          /* DW_OP_bra, to DETOUR_SP */                       \
	0x78, 0, 0x09, 0x80, 0x1a, /* DW_OP_breg8 (eip) + 0, DW_OP_const1s -128, and */ \
	0x0c, 0, 0, FTR__DETOURS_SIZE >> 16, 0, 0x22, /* DW_OP_const4u, plus */   \
	DETOUR_TOLD, 0x35, 0x25, 0x32, 0x24, 0x22, /* DW_OP_lit5, shr, lit2, shl, plus */ \
	0x23, 4 * FTR__DETOUR_IP, 0x06, /* DW_OP_plus_uconst, deref */            \
	0x2f, 20, 0,          /* DW_OP_skip, to the end */                        \
	DETOUR_SP, 0x34, 0x1c, 0x06 /* DW_OP_lit4, minus, deref */
static const uint8_t detour_cfi[] = {
	DETOUR_CFA,
	DETOUR_RETURN(2), 0x23, 1 /* DW_OP_plus_uconst */
};
static const uint8_t detour_gcc_cfi[] = { DETOUR_CFA, DETOUR_RETURN(0) };
_Static_assert(FTR__DETOUR_NEXT == FTR__DETOUR_IP + 1 && FTR__MOVED_AWAY == 2 &&
	       FTR__DETOUR_WHERE == 5 && FTR__DETOUR_SIZE == 128, "the expressions above");

#define PROBE_CALLERS(kind)                                                       \
	{ (uintptr_t)ftr__i386_pre_##kind, (uintptr_t)ftr__i386_post_##kind }
#define PROBE_DECLARE(kind)                                                       \
	void ftr__i386_pre_##kind(void), ftr__i386_post_##kind(void)
PROBE_DECLARE(none);
PROBE_DECLARE(sse);
PROBE_DECLARE(avx);
PROBE_DECLARE(avx512);
PROBE_DECLARE(avx512bw);

static uintptr_t detour_caller(bool post)
{
	static const uintptr_t callers[][2] = {
		[FTR__X86_NO_VECTORS] = PROBE_CALLERS(none),
		[FTR__X86_SSE] = PROBE_CALLERS(sse),
		[FTR__X86_AVX] = PROBE_CALLERS(avx),
		[FTR__X86_AVX512] = PROBE_CALLERS(avx512),
		[FTR__X86_AVX512 + 1] = PROBE_CALLERS(avx512bw),
	};
	unsigned level = ftr__x86_vector_level();

	if (level == FTR__X86_AVX512 && ftr__x86_wide_masks)
		level++;
	return callers[level][post];
}

/* --- registers -------------------------------------------------------------- */

static enum layout layout_of(const struct ftr_regs *regs)
{
	if (!(regs->head.mark & FTR__MARK_WHOLE))
		return ARGS;
	return regs->head.mark & FTR_I386_MARK_OVERLAY ? OVERLAY : FLAT;
}

/* Of an args frame with FTR__MARK_HOOKED. */
static bool regs_of_exit(const struct ftr_regs *regs)
{
	return regs->head.mark & FTR_I386_MARK_EXIT;
}

/* T of frame.h: the traced function's esp at its entry. */
static uintptr_t entry_sp(const struct ftr_regs *regs)
{
	if (regs->head.mark & FTR__MARK_PROBE)
		return (uintptr_t)regs->pt.esp;
	if (layout_of(regs) == FLAT)
		return (uintptr_t)(regs + 1) + FTR_I386_ROOM + 8;
	return (uintptr_t)&regs->pt.esp;
}

static bool is_filled(const struct ftr_regs *regs)
{
	return regs->head.mark & FTR__MARK_FILLED;
}

/* The word that the site pushed. */
static uintptr_t *pushed(const struct ftr_regs *regs)
{
	return (uintptr_t *)entry_sp(regs) - 1;
}

#define SEGMENT(name)                                                             \
	({                                                                        \
		long segment_;                                                    \
		__asm__ volatile("movl %%" #name ", %0" : "=r"(segment_));        \
		segment_;                                                         \
	})

/* What the flat caller leaves out: a handler that does not look need not wait for
 * it. */
static inline __attribute__((always_inline)) void fill(struct ftr_regs *regs)
{
	regs->pt.xds = SEGMENT(ds);
	regs->pt.xes = SEGMENT(es);
	regs->pt.xfs = SEGMENT(fs);
	regs->pt.xgs = SEGMENT(gs);
	regs->pt.orig_eax = -1;
	regs->pt.eip = (long)*pushed(regs);
	regs->pt.xcs = SEGMENT(cs);
	regs->pt.esp = (long)entry_sp(regs);
	regs->pt.xss = SEGMENT(ss);
	regs->last = *pushed(regs);
	regs->head.saved = (uint32_t)regs->pt.eflags;
	regs->head.mark |= FTR__MARK_FILLED;
}

static struct pt_regs *whole_pt(const struct ftr_regs *regs)
{
	if (!is_filled(regs))
		fill((struct ftr_regs *)regs);
	return (struct pt_regs *)&regs->pt;
}

/* The word that the site pushed, to which the callers return; but overlay has flags
 * there, and once a handler has pt_regs it may lower sp, and overwrite it. */
static void regs_resume(struct ftr_regs *regs, uintptr_t ip)
{
	if (is_filled(regs))
		regs->last = ip;
	else
		*pushed(regs) = ip;
}

static uintptr_t regs_resume_at(const struct ftr_regs *regs)
{
	return is_filled(regs) ? regs->last : *pushed(regs);
}

static void regs_resume_cell(struct ftr_regs *regs, uintptr_t cell)
{
	if (layout_of(regs) == ARGS)
		regs->head.mark |= FTR_I386_MARK_CELL;
	regs_resume(regs, cell);
}

static struct pt_regs *regs_pt_regs(struct ftr_regs *regs)
{
	return layout_of(regs) == ARGS ? NULL : whole_pt(regs);
}

/* Where pt_regs.ip is not, the word that the site pushed serves. */
static uintptr_t *ip_of(const struct ftr_regs *regs)
{
	return is_filled(regs) ? (uintptr_t *)&regs->pt.eip : pushed(regs);
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
	return layout_of(regs) == FLAT && is_filled(regs) ? (uintptr_t)regs->pt.esp
							  : entry_sp(regs);
}

static uintptr_t regs_flags(const struct ftr_regs *regs)
{
	return layout_of(regs) == ARGS ? ftr__x86_arithmetic_flags(regs->head.saved)
				       : (uintptr_t)regs->pt.eflags;
}

/* Above the return address into the parent (psABI i386, "Parameter Passing"). */
static uintptr_t *regs_arg(struct ftr_regs *regs, unsigned n)
{
	return (uintptr_t *)entry_sp(regs) + 1 + n;
}

static uintptr_t *regs_return(struct ftr_regs *regs)
{
	return (uintptr_t *)&regs->pt.eax;
}

static uintptr_t *regs_return2(struct ftr_regs *regs)
{
	return (uintptr_t *)&regs->pt.edx;
}

static void *regs_vector(struct ftr_regs *regs, unsigned n, size_t *width)
{
	return ftr__x86_vector(regs, n, 8, width);
}

extern void ftr__i386_just_return(void);

static const struct ftr_backend backend = {
	.name = "i386",
	.elf_machine = EM_386,
	.slot_size = SLOT_SIZE,
	.stub_size = STUB_SIZE,
	.group_flags = FTR_GROUP_REGS | FTR_GROUP_IPMODIFY | FTR_GROUP_REENTRANT |
		       FTR_GROUP_NO_SIMD | FTR_GROUP_ALL_VECTORS | FTR_GROUP_SP_OVERLAY |
		       FTR_GROUP_UNWOUND_EXITS,
	.reach = 0,
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
	.detour_cfi = { detour_cfi, sizeof detour_cfi, 8, detour_gcc_cfi,
			sizeof detour_gcc_cfi },
	.trap_address = ftr__x86_trap_address,
	.trap_raised = ftr__x86_trap_raised,
	.trap_overflowed = ftr__x86_trap_overflowed,
	.trap_ip = ftr__x86_trap_ip,
	.trap_undo = ftr__x86_trap_undo,
	.trap_sp = ftr__x86_trap_sp,
	.trap_resume = ftr__x86_trap_resume,
	.trap_emulate = trap_emulate,
	.stub_emit = stub_emit,
	.stub_cfi = { stub_cfi, sizeof stub_cfi, 8 },
	.frame_sp = { offsetof(struct frame, context.esp),
		      offsetof(struct rt_frame, ucontext.uc_mcontext.gregs[REG_ESP]) },
	.interrupted = interrupted,
	.signal_restorer = signal_restorer,
	.slots_push_addresses = true,
	.slots_emit = slots_emit,
	.slot_cfi = { slot_cfi, sizeof slot_cfi, 8 },
	.thread_pointer = thread_pointer,
	.shadow_stack = ftr__x86_shadow_stack,
	.caller = caller,
	.exit_caller = exit_caller,
	.near_cfi = { near_cfi, sizeof near_cfi, 8 },
	.jump_size = JUMP_SIZE,
	.jumps_emit = jumps_emit,
	.jump_cfi = { stub_cfi, sizeof stub_cfi, 8 }, /* it pushes as a stub does */
	.cells_emit = cells_emit,
	.cell_enter = FTR_I386_CELL_ENTER,
	.cell_return = 11,
	.cell_cfi = { cell_cfi, sizeof cell_cfi, 8, cell_gcc_cfi, sizeof cell_gcc_cfi },
	.x87_is_empty = ftr__x86_x87_is_empty,
	.x87_pop = ftr__x86_x87_pop,
	.x87_push = ftr__x86_x87_push,
	.x87_peek = ftr__x86_x87_peek,
	.regs_resume = regs_resume,
	.regs_resume_at = regs_resume_at,
	.regs_of_exit = regs_of_exit,
	.regs_resume_cell = regs_resume_cell,
	.regs_pt_regs = regs_pt_regs,
	.regs_ip = regs_ip,
	.regs_set_ip = regs_set_ip,
	.regs_sp = regs_sp,
	.regs_flags = regs_flags,
	.regs_arg = regs_arg,
	.regs_return = regs_return,
	.regs_return2 = regs_return2,
	.regs_vector = regs_vector,
	.typed = &ftr__i386_typed,
	.just_return = (uintptr_t)ftr__i386_just_return,
};

const struct ftr_backend *const ftr__backend = &backend;
