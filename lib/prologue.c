/* SPDX-License-Identifier: MIT */
/*
 * See prologue.h.  Floor 4.
 */
#include "lib/prologue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/error.h"
#include "lib/exec.h"
#include "lib/inward.h"
#include "lib/jump.h"
#include "lib/patches.h"
#include "lib/point.h"
#include "lib/unwind.h"

enum { PAGE = 4096, JUMP_SIZE = 5, INSN_MAX = 15, FUNCTION_MAX = 1 << 20 };

/* Only ever grows; the trap handler walks over it. */
static struct ftr__prologue *all;

FTR__BARE bool ftr__prologue_is_touched(uintptr_t addr)
{
	const struct ftr__prologue *p = FTR__FETCH(all);

	while (p && p->patch != addr)
		p = p->next;
	return p != NULL;
}

bool ftr__prologue_covers(uintptr_t addr)
{
	const struct ftr__prologue *p = all;

	while (p && !(p->target && ftr__prologue_module(p) && addr - p->patch < p->length))
		p = p->next;
	return p != NULL;
}

void ftr__prologue_original(uintptr_t addr, uint8_t *bytes, size_t n)
{
	for (const struct ftr__prologue *p = all; p; p = p->next) {
		if (!p->target || p->patch + JUMP_SIZE <= addr || p->patch >= addr + n ||
		    !ftr__prologue_module(p))
			continue;
		for (size_t i = 0; i < JUMP_SIZE; i++)
			if (p->patch + i - addr < n)
				bytes[p->patch + i - addr] = p->found[i];
	}
}

struct ftr__module *ftr__prologue_module(const struct ftr__prologue *p)
{
	struct ftr__module *m = ftr__boundary_module(p->fn);

	return m && m->number == p->module_number ? m : NULL;
}

bool ftr__prologues_lost(const struct ftr__module *module)
{
	size_t in_force = 0, there = 0;

	for (const struct ftr__prologue *p = all; p; p = p->next) {
		if (!p->target || p->module_number != module->number)
			continue;
		in_force++;
		there += memcmp((const void *)p->patch, p->found, JUMP_SIZE) != 0;
	}
	return in_force && !there;
}

void ftr__prologues_rehome(const struct ftr__module *from, const struct ftr__module *to)
{
	for (struct ftr__prologue *p = all; p; p = p->next)
		if (p->module_number == from->number)
			p->module_number = to->number;
}

static struct ftr__prologue *find(uintptr_t fn)
{
	struct ftr__prologue *p = all;

	while (p && !(p->fn == fn && ftr__prologue_module(p)))
		p = p->next;
	return p;
}

/* --- whether a function's first bytes can be taken ---------------------------------- */

/* A function as it is followed, instruction by instruction. */
struct walk {
	struct ftr__boundary around;
	uintptr_t fn, end;
	size_t landing, covered; /* from fn on: the pad, all whole instructions to move */
	struct ftr__inward inward;
	bool falls_into; /* the code before runs on into fn */
};

static bool decode(uintptr_t at, uintptr_t end, struct ftr__insn *insn)
{
	uint8_t bytes[INSN_MAX];
	size_t room = end - at < sizeof bytes ? end - at : sizeof bytes;

	ftr__points_original(at, bytes, room);
	return ftr__backend->decode(bytes, room, at, insn) && insn->length;
}

static bool is_padding(uintptr_t at, uintptr_t end, const struct ftr__insn *insn)
{
	uint8_t bytes[INSN_MAX];

	ftr__points_original(at, bytes, insn->length);
	return insn->no_code || ftr__backend->nop_length(bytes, insn->length) == insn->length;
}

/* The instructions that `least` bytes at fn lie in, none of them a call but the
 * last: one that comes back would come back into the jump. */
static int measure(struct walk *w)
{
	struct ftr__insn insn;
	uint8_t bytes[INSN_MAX];

	size_t room = w->end - w->fn < sizeof bytes ? w->end - w->fn : sizeof bytes;
	ftr__points_original(w->fn, bytes, room);
	w->landing = ftr__backend->landing_length(bytes, room);
	while (w->covered < w->landing + JUMP_SIZE) {
		if (w->fn + w->covered >= w->end || !decode(w->fn + w->covered, w->end, &insn))
			return ftr__fail(EOPNOTSUPP, "the function at %#lx is shorter than a jump",
					 (unsigned long)w->fn);
		if (w->covered > w->landing)
			w->inward.begins |= 1u << w->covered;
		w->covered += insn.length;
		if (insn.calls && w->covered < w->landing + JUMP_SIZE)
			return ftr__fail(EOPNOTSUPP, "a call among the first instructions at %#lx"
					 " would come back into a jump", (unsigned long)w->fn);
	}
	return 0;
}

static bool into_the_jump(const struct walk *w, uintptr_t target)
{
	return target > w->fn + w->landing && target < w->fn + w->covered;
}

/* A loop that begins where the function does: its next turn, also one of the
 * original's, would go to what takes the place.  Within what moves it moves along. */
static bool back_to_the_jump(const struct walk *w, uintptr_t at, const struct ftr__insn *insn)
{
	return at >= w->fn + w->covered && !insn->calls &&
	       (insn->target == w->fn || insn->target == w->fn + w->landing);
}

/* For what lies outside of the function. */
static void note(struct walk *w, const struct ftr__insn *insn)
{
	struct ftr__inward *in = &w->inward;

	in->indirect |= insn->indirect && !insn->calls;
	if (insn->branches || !insn->target)
		return;
	if (in->n_bases < FTR__INWARD_BASES)
		in->bases[in->n_bases] = insn->target;
	in->n_bases++;
}

/* Where code is only reached by a jump or a call, a function may begin. */
static int check_instruction(struct walk *w, uintptr_t at, const struct ftr__insn *insn)
{
	if (at < w->fn && !is_padding(at, w->end, insn))
		w->falls_into = !insn->ends;
	note(w, insn);
	if (at < w->fn || !insn->branches)
		return 0;
	if (into_the_jump(w, insn->target))
		return ftr__fail(EOPNOTSUPP, "the instruction at %#lx jumps behind the first of the"
				 " function at %#lx: a jump has no room there", (unsigned long)at,
				 (unsigned long)w->fn);
	if (back_to_the_jump(w, at, insn))
		return ftr__fail(EOPNOTSUPP, "the instruction at %#lx jumps back to the start of the"
				 " function at %#lx: a loop, which can't be told from a call",
				 (unsigned long)at, (unsigned long)w->fn);
	return 0;
}

static int check_function(struct walk *w)
{
	uintptr_t at = w->around.start;
	struct ftr__insn insn;
	int result = 0;

	while (at < w->end && !result) {
		if (!decode(at, w->end, &insn))
			return ftr__fail(EOPNOTSUPP, "the code at %#lx can't be followed, and might"
					 " jump to where a jump has no room", (unsigned long)at);
		if (at == w->fn && w->falls_into)
			return ftr__fail(ENOENT, "%#lx is in the middle of a function",
					 (unsigned long)at);
		result = check_instruction(w, at, &insn);
		at += insn.length;
	}
	return result;
}

/* The copies of other functions' first instructions lie in no module. */
static uintptr_t look_in_copies(const struct ftr__inward *in);

static int check_others(struct walk *w)
{
	struct ftr__inward *in = &w->inward;

	in->module = w->around.module;
	in->at = w->fn;
	in->end = w->end;
	if (in->indirect && in->begins && in->n_bases > FTR__INWARD_BASES)
		return ftr__fail(EOPNOTSUPP, "the function at %#lx has an indirect jump, and too many"
				 " tables that might lead it to where a jump is to come",
				 (unsigned long)w->fn);
	uintptr_t from = ftr__inward_find(in);
	if (!from)
		from = look_in_copies(in);
	if (from)
		return ftr__fail(EOPNOTSUPP, "what is at %#lx leads behind the first instruction of the"
				 " function at %#lx: a jump has no room there", (unsigned long)from,
				 (unsigned long)w->fn);
	return 0;
}

static int check_probes(const struct walk *w)
{
	for (size_t i = 0; i < w->covered; i++) {
		const struct ftr__point *point = ftr__point_find(w->fn + i);
		if (point && point->enabled)
			return ftr__fail(EBUSY, "a probe is at %#lx, where a jump is to come",
					 (unsigned long)(w->fn + i));
	}
	return 0;
}

static int look(struct walk *w, uintptr_t fn)
{
	struct ftr__insn insn;
	int result = ftr__boundary_check(fn, false, &w->around, &insn);

	w->fn = fn;
	w->end = w->around.end;
	if (result)
		return result;
	if (!w->end || w->end - w->around.start > FUNCTION_MAX)
		return ftr__fail(EOPNOTSUPP, "where the function at %#lx ends is not known",
				 (unsigned long)fn);
	if (w->around.named == fn)
		w->around.start = fn;
	result = measure(w);
	if (!result)
		result = check_function(w);
	if (!result)
		result = check_others(w);
	return result ? result : check_probes(w);
}

/* --- copies ------------------------------------------------------------------------------ */

enum { AREA_SIZE = 64 << 10, COPY_ALIGN = 16 };

/*
 * Room for copies near a module.  One more comes to its place by a new mapping of
 * all that the area has over the former one: what was there is there, for threads
 * that run it, too.
 */
struct area {
	struct area *next;
	uintptr_t at;
	size_t used;
	bool full;
	uint8_t *code; /* what is there, in memory of ours */
};

static struct area *areas;

/* Each was moved as a whole, so any branch of it counts. */
static uintptr_t look_in_copies(const struct ftr__inward *in)
{
	for (const struct area *a = areas; a; a = a->next) {
		for (size_t at = 0; at < a->used; at++) {
			uintptr_t target = in->at;
			at += ftr__backend->next_branch(a->code + at, a->used - at, a->at + at,
							&target, FTR__INWARD_MOST);
			if (at < a->used && ftr__inward_is_begin(in, target))
				return a->at + at;
		}
	}
	return 0;
}

static bool reached(const struct area *a, const struct ftr__module *m)
{
	uintptr_t low = a->at < m->low ? a->at : m->low;
	uintptr_t high = a->at + AREA_SIZE > m->high ? a->at + AREA_SIZE : m->high;

	return !ftr__backend->reach || high - low < ftr__backend->reach;
}

static struct area *area_find(const struct ftr__module *m)
{
	struct area *a = areas;

	while (a && (a->full || AREA_SIZE - a->used < FTR__MOVED_MOST || !reached(a, m)))
		a = a->next;
	return a;
}

static int area_reserve(struct area *a, const struct ftr__module *m)
{
	int result = ftr__jump_reserve(m, AREA_SIZE, 0, &a->at);

	if (result)
		return result;
	const struct ftr__unwind_area unwind = { a->at, AREA_SIZE, &ftr__backend->near_cfi,
						 "ftr_copy", 0 };
	result = ftr__unwind_area(&unwind);
	if (result)
		munmap((void *)a->at, AREA_SIZE);
	return result;
}

static int area_make(const struct ftr__module *m, struct area **area)
{
	struct area *a = calloc(1, sizeof *a);
	uint8_t *code = malloc(AREA_SIZE);
	int result = a && code ? area_reserve(a, m)
			       : ftr__fail(ENOMEM, "no memory for functions' first instructions");

	if (result) {
		free(a);
		free(code);
		return result;
	}
	a->code = code;
	memset(code, ftr__backend->text.breakpoint, AREA_SIZE);
	/* Unwinders know the area by its first address: that is nobody's. */
	a->used = COPY_ALIGN;
	a->next = areas;
	areas = a;
	*area = a;
	return 0;
}

static int relocate(const struct walk *w, const struct area *a, size_t *size)
{
	uint8_t bytes[FTR__MOVED_MOST];
	struct ftr__moved moved;
	size_t room = w->end - w->fn < sizeof bytes ? w->end - w->fn : sizeof bytes;
	const struct ftr__displaced run = { .bytes = bytes, .room = room, .from = w->fn,
					    .least = w->landing + JUMP_SIZE,
					    .to = a->at + a->used, .inwards = true,
					    .out_room = AREA_SIZE - a->used };

	ftr__points_original(w->fn, bytes, room);
	int result = ftr__backend->relocate(&run, a->code + a->used, &moved);
	if (result)
		return result;
	if (moved.from_size != w->covered)
		return ftr__fail(EOPNOTSUPP, "the first instructions at %#lx can't be moved as a"
				 " whole", (unsigned long)w->fn);
	*size = moved.to_size;
	return 0;
}

static int make_copy(const struct walk *w, uintptr_t *copy)
{
	struct area *a = area_find(w->around.module);
	size_t size = 0;
	int result = a ? 0 : area_make(w->around.module, &a);

	if (!result)
		result = relocate(w, a, &size);
	if (result)
		return result;
	size_t pages = ftr__align_up(a->used + size, PAGE);
	bool first = a->used == COPY_ALIGN;
	if (first)
		result = ftr__exec_seal(a->at, a->code, pages);
	else if (ftr__exec_replace(a->at, a->code, pages)) {
		/* No memory files here: each area has one copy. */
		a->full = true;
		return make_copy(w, copy);
	}
	if (result)
		return result;
	*copy = a->at + a->used;
	a->used = ftr__align_up(a->used + size, COPY_ALIGN);
	return 0;
}

static int make(struct ftr__prologue **prologue, uintptr_t fn)
{
	struct walk w = { .fn = fn };
	struct ftr__prologue *p = calloc(1, sizeof *p);
	int result = p ? look(&w, fn) : ftr__fail(ENOMEM, "no memory for a replacement");

	if (!result)
		result = make_copy(&w, &p->copy);
	if (result) {
		free(p);
		return result;
	}
	p->fn = fn;
	p->patch = fn + w.landing;
	p->length = (uint8_t)(w.covered - w.landing);
	p->module_number = w.around.module->number;
	ftr__points_original(p->patch, p->found, sizeof p->found);
	p->next = all;
	FTR__PUBLISH(all, p);
	*prologue = p;
	return 0;
}

int ftr__prologue_get(struct ftr__prologue **prologue, uintptr_t fn)
{
	struct walk w = { .fn = fn };

	*prologue = find(fn);
	if (!*prologue)
		return make(prologue, fn);
	w.covered = (*prologue)->patch + (*prologue)->length - fn;
	return check_probes(&w);
}

/* --- writing ------------------------------------------------------------------------------ */

static void jump(const struct ftr__prologue *p, uint8_t *bytes)
{
	ftr__backend->text.encode_jump(bytes, JUMP_SIZE, p->patch, p->target);
}

/* From its instructions to a jump, or back: whoever meets the breakpoint while the
 * former count goes to the copy. */
static void add(struct ftr__patches *patches, struct ftr__prologue *p, bool begins)
{
	struct ftr__span *span = ftr__patches_next(patches);
	struct ftr__prologue then = *p;

	if (begins)
		then.target = p->next_target;
	*span = (struct ftr__span){ .n = 1, .literal = true, .size = JUMP_SIZE,
				    .length = begins ? p->length : JUMP_SIZE,
				    .moved = { begins ? p->copy : 0, begins ? 0 : p->copy } };
	memcpy((begins ? &span->before : &span->after)->bytes, p->found, FTR__PATCH_MAX);
	jump(&then, (begins ? &span->after : &span->before)->bytes);
	ftr__patches_add(patches, p->patch, ftr__prologue_module(p));
}

static int by_address(const void *a, const void *b)
{
	const struct ftr__prologue *x = *(struct ftr__prologue *const *)a;
	const struct ftr__prologue *y = *(struct ftr__prologue *const *)b;

	return x->patch < y->patch ? -1 : x->patch > y->patch;
}

/* All begin, or all end.  A thread that stands between instructions that a jump
 * would cover leaves its function as it was. */
static int poke(struct ftr__prologue **list, size_t n, bool begins)
{
	struct ftr__patches patches;
	uintptr_t occupied = 0;

	if (!ftr__patches_get(&patches, n, n))
		return ftr__fail(ENOMEM, "no memory to replace functions");
	for (size_t i = 0; i < n; i++)
		add(&patches, list[i], begins);
	int result = ftr__patches_run(&patches, FTR__BATCH_MOVED | (begins ? FTR__BATCH_PADS : 0));
	if (result)
		return result;
	for (size_t i = 0; i < n; i++) {
		if (patches.spans[i].occupied)
			occupied = list[i]->fn;
		else
			list[i]->target = begins ? list[i]->next_target : 0;
	}
	if (!occupied)
		return 0;
	return ftr__fail(EAGAIN, "a thread may stand among the first instructions at %#lx; try"
			 " again", (unsigned long)occupied);
}

/* Back to what was there, as far as it was changed. */
static void undo(struct ftr__prologue **list, size_t n)
{
	size_t changed = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i]->target)
			list[changed++] = list[i];
	if (changed)
		poke(list, changed, false);
}

int ftr__prologues_update(struct ftr__prologue **list, size_t n)
{
	if (!n)
		return 0;
	bool begins = list[0]->next_target != 0;
	qsort(list, n, sizeof *list, by_address);
	int result = poke(list, n, begins);
	if (result && begins)
		undo(list, n);
	return result;
}
