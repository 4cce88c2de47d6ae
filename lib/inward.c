/* SPDX-License-Identifier: MIT */
/*
 * See inward.h.  Floor 4.
 *
 * Text is looked through for what may be a branch with a long distance, byte by
 * byte, and around the function for short ones; what looks so counts unless it is
 * in the middle of an instruction.
 */
#include "lib/inward.h"

#include <errno.h>

#include "lib/boundary.h"
#include "lib/point.h"

enum { INSN_MAX = 15, NEAR = 128 + INSN_MAX, TABLE_MAX = 65536 };

bool ftr__inward_is_begin(const struct ftr__inward *in, uintptr_t target)
{
	return target - in->at <= FTR__INWARD_MOST && in->begins >> (target - in->at) & 1;
}

/* --- branches --------------------------------------------------------------------- */

static bool branches(const struct ftr__inward *in, uintptr_t at, uintptr_t end)
{
	uint8_t bytes[INSN_MAX];
	size_t room = end - at < sizeof bytes ? end - at : sizeof bytes;
	struct ftr__boundary around;
	struct ftr__insn insn;

	ftr__points_original(at, bytes, room);
	return ftr__backend->decode(bytes, room, at, &insn) && insn.branches &&
	       ftr__inward_is_begin(in, insn.target) && !ftr__boundary_in_padding(at) &&
	       ftr__boundary_check(at, true, &around, &insn) != -EINVAL;
}

/* Elsewhere than in the function; a prefix may stand before. */
static bool branches_from(const struct ftr__inward *in, uintptr_t at, uintptr_t low, uintptr_t high)
{
	if (at >= in->at && at < in->end)
		return false;
	return branches(in, at, high) || (at > low && branches(in, at - 1, high));
}

static uintptr_t look_near(const struct ftr__inward *in, uintptr_t low, uintptr_t high)
{
	uintptr_t at = in->at - low > NEAR ? in->at - NEAR : low;

	for (; at < high && at < in->at + FTR__INWARD_MOST + NEAR; at++)
		if (branches_from(in, at, low, high))
			return at;
	return 0;
}

static uintptr_t look_far(const struct ftr__inward *in, uintptr_t low, uintptr_t high)
{
	for (uintptr_t at = low; at < high; at++) {
		uintptr_t target = in->at;
		at += ftr__backend->next_branch((const uint8_t *)at, high - at, at, &target,
						FTR__INWARD_MOST);
		if (at < high && branches_from(in, at, low, high))
			return at;
	}
	return 0;
}

/* Where breakpoints stand over them. */
static uintptr_t look_probed(const struct ftr__inward *in, uintptr_t low, uintptr_t high)
{
	for (size_t i = 0; i < ftr__point_count(); i++) {
		uintptr_t at = ftr__point_at(i)->addr;
		if (at >= low && at < high && branches_from(in, at, low, high))
			return at;
	}
	return 0;
}

static uintptr_t look_in_text(const struct ftr__inward *in, uintptr_t low, uintptr_t high)
{
	uintptr_t at = look_far(in, low, high);

	if (!at)
		at = look_probed(in, low, high);
	return at ? at : look_near(in, low, high);
}

/* --- tables ----------------------------------------------------------------------- */

/* i386's code names what it jumps to by distances from there. */
static uintptr_t offset_table(const struct ftr__module *m)
{
	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Dyn) *d = (const ElfW(Dyn) *)(m->base + m->phdr[i].p_vaddr);
		for (; m->phdr[i].p_type == PT_DYNAMIC && d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_PLTGOT)
				return d->d_un.d_ptr < m->base ? m->base + d->d_un.d_ptr
							       : d->d_un.d_ptr;
	}
	return 0;
}

/* Addresses, and distances from the module's own point. */
FTR__READS_ALL
static uintptr_t look_at_words(const struct ftr__inward *in, uintptr_t low, uintptr_t high)
{
	uintptr_t base = sizeof(uintptr_t) == 4 ? offset_table(in->module) : 0;

	low = ftr__align_up(low, sizeof(uintptr_t));
	for (uintptr_t at = low; at < high && high - at >= sizeof(uintptr_t); at += sizeof(uintptr_t)) {
		uintptr_t word = *(const uintptr_t *)at;
		if (ftr__inward_is_begin(in, word) || (base && ftr__inward_is_begin(in, word + base)))
			return at;
	}
	return 0;
}

/* A table of distances from where it begins, each to code of the module. */
FTR__READS_ALL
static uintptr_t look_at_table(const struct ftr__inward *in, uintptr_t base, uintptr_t high)
{
	for (size_t i = 0; i < TABLE_MAX && high - base >= 4 * (i + 1); i++) {
		int32_t distance;
		__builtin_memcpy(&distance, (const void *)(base + 4 * i), sizeof distance);
		uintptr_t target = base + (uintptr_t)(intptr_t)distance;
		if (ftr__inward_is_begin(in, target))
			return base + 4 * i;
		if (target < in->module->low || target >= in->module->high)
			return 0;
	}
	return 0;
}

static uintptr_t look_in_data(const struct ftr__inward *in, uintptr_t low, uintptr_t high)
{
	uintptr_t at = look_at_words(in, low, high);

	for (size_t i = 0; i < in->n_bases && i < FTR__INWARD_BASES && !at; i++)
		if (in->bases[i] >= low && in->bases[i] < high)
			at = look_at_table(in, in->bases[i], high);
	return at;
}

/* --- the module ------------------------------------------------------------------- */

/* Text that may be read; data that the program does not change once it runs. */
uintptr_t ftr__inward_find(const struct ftr__inward *in)
{
	const struct ftr__module *m = in->module;
	uintptr_t at = 0;

	for (size_t i = 0; i < m->phnum && in->begins && !at; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t low = m->base + p->p_vaddr, high = low + p->p_filesz;
		bool loaded = p->p_type == PT_LOAD && p->p_flags & PF_R;
		if (loaded && p->p_flags & PF_X)
			at = look_in_text(in, low, high);
		if (!at && in->indirect &&
		    (p->p_type == PT_GNU_RELRO || (loaded && !(p->p_flags & PF_W))))
			at = look_in_data(in, low, high);
	}
	return at;
}
