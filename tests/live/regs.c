/* SPDX-License-Identifier: MIT */
/* Registers before, at and after a traced call; see regs.h. */
#include "tests/live/regs.h"

#include "backends/x86/vectors.h"
#include "lib/batch.h"
#include "tests/live/visitor.h"

#include <stdarg.h>
#include <stdio.h>

/* --- cells -------------------------------------------------------------------- */

/* What the sentences of regs_wrong() begin with. */
static char cell_name[48];
static const char *way_name = "by call";

static unsigned cpu_level(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return FTR__X86_AVX512;
	return __builtin_cpu_supports("avx") ? FTR__X86_AVX : FTR__X86_SSE;
}

static unsigned mask_width(unsigned level)
{
	if (level < FTR__X86_AVX512)
		return 0;
	return __builtin_cpu_supports("avx512bw") ? 8 : 2;
}

int regs_cells(void)
{
	return (int)cpu_level() * REGS_KINDS;
}

struct regs_cell regs_start(int i)
{
	static const char *const modes[] = { "no simd", "default", "all vectors" };
	static const char *const levels[] = { "", "sse", "avx", "avx512" };
	static const uint32_t flags[] = { FTR_GROUP_NO_SIMD, 0, FTR_GROUP_ALL_VECTORS };
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct regs_cell cell = { .whole = i % 2, .mode = i % REGS_KINDS / 2,
				  .level = FTR__X86_SSE + (unsigned)(i / REGS_KINDS) };

	if (!regs_fn) {
		options.poke = FTR_POKE_INT3;
		ck_ok(ftr_init(&options));
	}
	cell.flags = flags[cell.mode] | (cell.whole ? FTR_GROUP_REGS : 0);
	snprintf(cell.name, sizeof(cell.name), "%s caller, %s, %s", cell.whole ? "regs" : "args",
		 modes[cell.mode], levels[cell.level]);
	memcpy(cell_name, cell.name, sizeof(cell_name));
	ftr__vectors_limit = cell.level;
	regs_width = 8u << cell.level;
	regs_mask_width = mask_width(cell.level);
	regs_fn = regs_site;
	return cell;
}

unsigned regs_shown(const struct regs_cell *cell)
{
	if (cell->mode == REGS_NO_SIMD)
		return 0;
	if (cell->mode == REGS_DEFAULT)
		return 8;
	return cell->level == FTR__X86_AVX512 ? 32 : 16;
}

static void add_case(Suite *suite, const char *name, const TTest *test, int n)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, test, 0, n);
	suite_add_tcase(suite, tcase);
}

void regs_case(Suite *suite, const char *name, const TTest *test)
{
	add_case(suite, name, test, regs_cells());
}

void regs_whole_case(Suite *suite, const char *name, const TTest *test)
{
	add_case(suite, name, test, regs_cells() / 2);
}

struct ftr_group *regs_group(void (*fn)(void), ftr_entry_fn entry, void *data, uint32_t flags)
{
	uintptr_t ip = (uintptr_t)fn;
	struct ftr_group *group = live_group("regs", entry, data, flags);

	ck_assert_int_eq(ftr_group_filter_ips(group, &ip, 1, 0), 1);
	return group;
}

/* --- rounds ------------------------------------------------------------------- */

static uint64_t round_flags(unsigned round)
{
	static const unsigned bits[6] = { 1, 4, 16, 64, 128, 0x800 };
	uint64_t flags = ALWAYS | (round % 3 ? 0 : IDENTITY);
	unsigned i;

	for (i = 0; i < 6; i++)
		if (round & 1u << i)
			flags |= bits[i];
	return flags;
}

/* All exceptions masked; rounding, and in turn each status bit, "denormals are
 * zero" and "flush to zero" (SDM volume 1, "MXCSR Control and Status Register"). */
static uint32_t round_mxcsr(unsigned round)
{
	return 0x1f80 | (round & 3) << 13 | (round * 37 & 0x3f) | (round & 4 ? 0x40 : 0) |
	       (round & 8 ? 0x8000 : 0);
}

static void fill_x87(unsigned round)
{
	unsigned i;

	regs_in.control = (uint16_t)(0x033f | 0x40 | (round >> 2 & 3) << 10);
	for (i = 0; i < 3; i++) {
		long double value = (i + 1.25L) * (round + 1) / 3;

		memcpy(regs_in.x87[i], &value, 10);
	}
}

static void fill_vectors(unsigned round)
{
	static const unsigned nonzero[4] = { 64, 32, 16, 0 };
	unsigned n, i, filled = nonzero[round / 8 % 4];

	for (n = 0; n < 32; n++)
		for (i = 0; i < 64; i++)
			regs_in.vectors[n][i] =
				i < filled ? (uint8_t)(n * 71 + i * 7 + round * 3 + 1) : 0;
	for (n = 0; n < 8; n++) {
		uint64_t mask = 0x0123456789abcdefull * (2 * n + 1) + round;

		regs_in.masks[n] = regs_mask_width == 8 ? mask : mask & 0xffff;
	}
}

void regs_round(unsigned round)
{
	uint64_t *general = &regs_in.rax;
	unsigned i;

	for (i = 0; i < 15; i++)
		general[i] = 0x1111111111111111ull * (i + 1) + 0x0123456789abcdefull * (round + 1);
	regs_in.flags = round_flags(round);
	for (i = 0; i < 4; i++)
		regs_in.stack[i] = 0x5757575757575757ull + 0x1f1f * i + round;
	regs_in.mxcsr = round_mxcsr(round);
	fill_x87(round);
	fill_vectors(round);
	regs_skew = round % 8 * 8;
	regs_zero_upper = round / 32 % 2;
	memset(&regs_out, 0, sizeof(regs_out));
}

long regs_stepped_call(long n)
{
	regs_call();
	return n;
}

/* --- what must be as it was ----------------------------------------------------- */

const struct regs_general regs_generals[REGS_GENERALS] = {
#define GENERAL(name) { #name, offsetof(struct pt_regs, name), offsetof(struct image, name) }
	GENERAL(rax), GENERAL(rbx), GENERAL(rcx), GENERAL(rdx), GENERAL(rsi),
	GENERAL(rdi), GENERAL(rbp), GENERAL(r8),  GENERAL(r9),	GENERAL(r10),
	GENERAL(r11), GENERAL(r12), GENERAL(r13), GENERAL(r14), GENERAL(r15),
};

static uint64_t word_at(const void *base, size_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)base + offset, sizeof(word));
	return word;
}

static char failure[400];

void regs_wrong(const char *format, ...)
{
	size_t length;
	va_list list;

	if (failure[0])
		return;
	length = (size_t)snprintf(failure, sizeof(failure), "%s: %s: skew %u: ", cell_name,
				  way_name, (unsigned)regs_skew);
	va_start(list, format);
	vsnprintf(failure + length, sizeof(failure) - length, format, list);
	va_end(list);
}

void regs_assert(void)
{
	ck_assert_msg(!failure[0], "%s", failure);
}

void regs_expect_general(const struct image *want)
{
	size_t i;

	for (i = 0; i < REGS_GENERALS; i++)
		regs_expect_uint(regs_generals[i].name, word_at(&regs_out, regs_generals[i].image),
				 word_at(want, regs_generals[i].image));
	regs_expect_uint("flags", regs_out.flags & REGS_FLAGS, want->flags & REGS_FLAGS);
}

void regs_expect_stack(const struct image *want)
{
	size_t i;

	for (i = 0; i < 4; i++)
		regs_expect_uint("stack", regs_out.stack[i], want->stack[i]);
}

void regs_expect_vectors(const struct image *want, unsigned n)
{
	unsigned i, at;

	for (i = 0; i < n; i++)
		for (at = 0; at < regs_width; at++)
			if (regs_out.vectors[i][at] != want->vectors[i][at])
				regs_wrong("vector register %u, byte %u: %#x, not %#x", i, at,
					   regs_out.vectors[i][at], want->vectors[i][at]);
}

/* The stack's top is st5, and the three registers above are in use. */
static void expect_x87(const struct image *want)
{
	const struct fsave *fsave = &regs_out.fsave;
	unsigned i;

	regs_expect_uint("x87 control", fsave->control, want->control);
	regs_expect_uint("x87 top of stack", fsave->status >> 11 & 7, 5);
	regs_expect_uint("x87 tags", fsave->tags, 0x03ff);
	for (i = 0; i < 3; i++)
		if (memcmp(fsave->st[i], want->x87[i], 10))
			regs_wrong("st%u has changed", i);
}

static void expect_masks(const struct image *want)
{
	unsigned i;

	for (i = 0; regs_mask_width && i < 8; i++)
		if (memcmp(&regs_out.masks[i], &want->masks[i], regs_mask_width))
			regs_wrong("k%u: %#llx, not %#llx", i,
				   (unsigned long long)regs_out.masks[i],
				   (unsigned long long)want->masks[i]);
}

/* The psABI lets a call change the exception flags ("Register Usage"); by
 * default the callers leave that to the handler. */
static uint32_t mxcsr_kept(const struct regs_cell *cell)
{
	return cell->mode == REGS_DEFAULT ? ~(uint32_t)MXCSR_STATUS : ~0u;
}

void regs_expect(const struct regs_cell *cell, const struct image *want)
{
	const uint32_t mxcsr = mxcsr_kept(cell);

	regs_expect_general(want);
	regs_expect_stack(want);
	regs_expect_uint("mxcsr", regs_out.mxcsr & mxcsr, want->mxcsr & mxcsr);
	expect_x87(want);
	if (cell->mode == REGS_DEFAULT) {
		regs_expect_vectors(want, 8);
		return;
	}
	regs_expect_vectors(want, cell->level == FTR__X86_AVX512 ? 32 : 16);
	expect_masks(want);
}

/* --- what a handler sees ---------------------------------------------------------- */

REGS_BARE static void look_at_vectors(struct view *view, struct ftr_regs *regs)
{
	unsigned i;

	for (i = 0; i < 33; i++) {
		const void *vector = ftr_regs_vector(regs, i, &view->width[i]);

		view->has_vector[i] = vector != NULL;
		if (!vector)
			view->width[i] = 0;
		else if (i < 32)
			regs_copy(view->vectors[i], vector, view->width[i]);
	}
}

REGS_BARE void regs_look(struct view *view, uintptr_t ip, uintptr_t parent_ip,
			 struct ftr_regs *regs)
{
	const struct pt_regs *pt = ftr_regs_pt_regs(regs);
	unsigned i;

	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(view->mxcsr), "=m"(view->control));
	view->has_pt = pt != NULL;
	if (pt)
		regs_copy(&view->pt, pt, sizeof(*pt));
	view->ip = ip;
	view->parent_ip = parent_ip;
	view->regs_ip = ftr_regs_ip(regs);
	view->regs_sp = ftr_regs_sp(regs);
	view->regs_flags = ftr_regs_flags(regs);
	view->return_value = ftr_regs_return_value(regs);
	view->word_at_sp = *(const uintptr_t *)view->regs_sp;
	for (i = 0; i < 10; i++)
		view->args[i] = ftr_regs_arg(regs, i);
	look_at_vectors(view, regs);
	view->count++;
}

static void expect_args(const struct view *view)
{
	const uint64_t want[10] = { regs_in.rdi,      regs_in.rsi,	regs_in.rdx,
				    regs_in.rcx,      regs_in.r8,	regs_in.r9,
				    regs_in.stack[0], regs_in.stack[1], regs_in.stack[2],
				    regs_in.stack[3] };
	unsigned i;

	for (i = 0; i < 10; i++)
		if (view->args[i] != want[i])
			regs_wrong("seen: argument %u: %#lx, not %#lx", i,
				   (unsigned long)view->args[i], (unsigned long)want[i]);
}

static void expect_pt_regs(const struct pt_regs *pt)
{
	unsigned cs, ss;
	size_t i;

	__asm__("movl %%cs, %0; movl %%ss, %1" : "=r"(cs), "=r"(ss));
	for (i = 0; i < REGS_GENERALS; i++)
		regs_expect_uint(regs_generals[i].name, word_at(pt, regs_generals[i].pt),
				 word_at(&regs_in, regs_generals[i].image));
	regs_expect_uint("pt_regs rip", pt->rip, (uintptr_t)regs_fn + SITE_LENGTH);
	regs_expect_uint("pt_regs rsp", pt->rsp, regs_out.sp - 8);
	regs_expect_uint("pt_regs orig_rax", pt->orig_rax, ~0ull);
	regs_expect_uint("pt_regs cs", pt->cs, cs);
	regs_expect_uint("pt_regs ss", pt->ss, ss);
	regs_expect_uint("pt_regs eflags", pt->eflags, regs_in.flags);
}

static void expect_vectors_seen(const struct regs_cell *cell, const struct view *view)
{
	unsigned i, shown = regs_shown(cell);

	for (i = 0; i < 33; i++) {
		if (cell->mixed && shown && i >= shown)
			continue;
		if (view->has_vector[i] != (i < shown))
			regs_wrong("seen: vector register %u: %s", i,
				   i < shown ? "not there" : "there");
		if (i >= shown)
			continue;
		regs_expect_uint("width", view->width[i], regs_width);
		if (memcmp(view->vectors[i], regs_in.vectors[i], regs_width))
			regs_wrong("seen: vector register %u is another", i);
	}
}

/* An older group's handler finds the status bits that a newer one's left. */
void regs_expect_view(const struct regs_cell *cell, const struct view *view)
{
	const uintptr_t flags = cell->whole ? ~(uintptr_t)0 : ARITHMETIC;
	const uint32_t compared = cell->beside ? ~(uint32_t)MXCSR_STATUS : ~0u;

	regs_expect_uint("seen: times", view->count, 1);
	regs_expect_uint("seen: ip", view->ip, (uintptr_t)regs_fn);
	regs_expect_uint("seen: parent_ip", view->parent_ip, (uintptr_t)regs_call_return);
	regs_expect_uint("seen: regs_ip", view->regs_ip, (uintptr_t)regs_fn + SITE_LENGTH);
	regs_expect_uint("seen: sp", view->regs_sp, regs_out.sp - 8);
	regs_expect_uint("the handler's frame modulo 16", view->frame_offset, 0);
	regs_expect_uint("seen: word at sp", view->word_at_sp, (uintptr_t)regs_call_return);
	regs_expect_uint("seen: flags", view->regs_flags & flags, regs_in.flags & flags);
	if (!cell->whole && !cell->mixed)
		regs_expect_uint("seen: other flags", view->regs_flags & ~flags, 0);
	regs_expect_uint("seen: rax", view->return_value, regs_in.rax);
	regs_expect_uint("seen: mxcsr", view->mxcsr & compared, regs_in.mxcsr & compared);
	regs_expect_uint("seen: x87 control", view->control, regs_in.control);
	regs_expect_uint("seen: pt_regs", view->has_pt, cell->whole);
	expect_args(view);
	if (cell->whole && view->has_pt)
		expect_pt_regs(&view->pt);
	expect_vectors_seen(cell, view);
}

/* --- handlers ---------------------------------------------------------------------- */

REGS_BARE static int handler_bare(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				  struct ftr_regs *regs)
{
	struct role *role = ftr_group_data(group);

	role->view.frame_offset = (uintptr_t)__builtin_frame_address(0) % 16;
	regs_look(&role->view, ip, parent_ip, regs);
	if (role->more)
		role->more(role, regs);
	role->count++;
	regs_clobber_general();
	return 0;
}

static void print_and_copy(void)
{
	static char text[256], from[4096], to[4096];

	snprintf(text, sizeof(text), "%d %f %Lf %s", (int)text[1], 1.5 / (text[1] + 3), 2.5L,
		 "text");
	memcpy(to, from, sizeof(to));
	__asm__ volatile("" ::"r"(to) : "memory");
}

/* Nothing vector before it has looked: mxcsr is the traced function's yet. */
REGS_BARE static int handler_full(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				  struct ftr_regs *regs)
{
	struct role *role = ftr_group_data(group);

	role->view.frame_offset = (uintptr_t)__builtin_frame_address(0) % 16;
	regs_look(&role->view, ip, parent_ip, regs);
	if (role->more)
		role->more(role, regs);
	role->count++;
	print_and_copy();
	regs_clobber();
	return 0;
}

ftr_entry_fn regs_handler(const struct regs_cell *cell)
{
	return cell->mode == REGS_NO_SIMD ? handler_bare : handler_full;
}

/* --- ways ------------------------------------------------------------------------ */

static struct visitor visitor;
static void (*visit_now)(enum regs_way);
static enum regs_way way;

static void visit(void *arg)
{
	visit_now(way);
}

static void visit_by(enum regs_way by)
{
	static const char *const names[] = { "by trap, attaching", "by call",
					     "by trap, detaching" };

	way = by;
	way_name = names[by];
	visitor_call(&visitor, visit, NULL);
}

static void hold_attaching(enum ftr__batch_phase phase)
{
	if (phase == FTR__PHASE_TAILS)
		visit_by(BY_TRAP_ATTACHING);
}

static void hold_detaching(enum ftr__batch_phase phase)
{
	if (phase == FTR__PHASE_BREAKPOINTS)
		visit_by(BY_TRAP_DETACHING);
}

void regs_ways(struct ftr_group **groups, size_t n, unsigned calls, void (*fn)(enum regs_way))
{
	uint64_t traps = live_stats().traps;

	visit_now = fn;
	visitor_start(&visitor);
	ftr__batch_hold = hold_attaching;
	ck_ok(ftr_group_update(groups, n, NULL, 0));
	ck_assert_uint_eq(live_stats().traps, traps + calls);
	regs_assert();
	visit_by(BY_CALL);
	ck_assert_uint_eq(live_stats().traps, traps + calls);
	regs_assert();
	ftr__batch_hold = hold_detaching;
	ck_ok(ftr_group_update(NULL, 0, groups, n));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(live_stats().traps, traps + 2 * calls);
	regs_assert();
	visitor_stop(&visitor);
}

void regs_ways_of(void (*fn)(void), ftr_entry_fn entry, void *data, uint32_t flags, unsigned calls,
		  void (*visit_fn)(enum regs_way))
{
	struct ftr_group *group;

	regs_fn = fn;
	group = regs_group(fn, entry, data, flags);
	regs_ways(&group, 1, calls, visit_fn);
	ck_ok(ftr_group_free(group));
}
