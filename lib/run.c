/* SPDX-License-Identifier: MIT */
/* See run.h.  Floor 5; no state. */
#include "lib/run.h"

#include <string.h>

#include "lib/unhooked.h"

enum {
	/* Flags that all sites of a run have alike. */
	ONE_IN_A_RUN = FTR__SITE_JUMPS | FTR__SITE_LENGTH,
	/* A run of so many sites that lie side by side is handled as one piece. */
	SOLID = 64
};

/* How a site comes to the slot of a set with exit handlers: by a jump, but where
 * its function is to be left alone by exits (R5). */
static bool site_jumps(struct ftr__module *module, size_t number)
{
	return !ftr__unhooked(module, number);
}

/* Whether the n touched sites from `first` on lie side by side, below `end`. */
static bool side_by_side(const struct ftr__touched *t, size_t first, size_t n, uintptr_t end)
{
	const struct ftr_site *last = t->list[first + n - 1];

	return last == t->list[first] + (n - 1) && last->ip < end;
}

/* How many do, of a module's sites. */
static size_t count_solid(const struct ftr__touched *t, size_t first, size_t most, uintptr_t end)
{
	size_t n = 1, over = 2;

	if (side_by_side(t, first, most, end))
		return most;
	for (; over < most && side_by_side(t, first, over, end); over *= 2)
		n = over;
	over = over < most ? over : most;
	while (over - n > 1) {
		size_t middle = n + (over - n) / 2;
		if (side_by_side(t, first, middle, end))
			n = middle;
		else
			over = middle;
	}
	return n;
}

/* How many slots from the first on are the same. */
static size_t same_slots(const uint32_t *slots, size_t n)
{
	size_t same = 1;

	if (!memcmp(slots, slots + 1, (n - 1) * sizeof *slots))
		return n;
	while (slots[same] == *slots)
		same++;
	return same;
}

/* How many sites from the first on may be of one run; *all: the flags that all of
 * these have.  Eight at a time. */
static size_t same_flags(const uint8_t *flags, size_t n, uint8_t *all)
{
	const uint64_t ones = 0x0101010101010101, like = ones * *flags;
	uint64_t every = ~(uint64_t)0, eight;
	size_t i;

	*all = *flags;
	if (!memcmp(flags, flags + 1, n - 1))
		return n;
	for (i = 0; i + sizeof eight <= n; i += sizeof eight) {
		memcpy(&eight, flags + i, sizeof eight);
		if ((eight ^ like) & ones * ONE_IN_A_RUN)
			break;
		every &= eight;
	}
	for (size_t j = 0; j < sizeof eight; j++)
		*all &= (uint8_t)(every >> 8 * j);
	for (; i < n && !((flags[i] ^ *flags) & ONE_IN_A_RUN); i++)
		*all &= flags[i];
	return i;
}

static void measure_solid(const struct ftr__touched *t, struct ftr__run *run, uintptr_t end,
			  bool hooks)
{
	struct ftr__module *m = run->module;
	size_t most = m->n_sites - run->number, left = t->n - run->first;
	size_t n = count_solid(t, run->first, left < most ? left : most, end);

	if (n >= SOLID && hooks)
		n = ftr__unhooked_alike(m, run->number, n);
	if (n < SOLID)
		return;
	n = same_slots(m->slots + run->number, n);
	run->n = same_flags(m->flags + run->number, n, &run->all_flags);
	run->solid = true;
}

/* may: a solid run may follow, and ends this one. */
static void measure_each(const struct ftr__touched *t, struct ftr__run *run, uintptr_t end,
			 bool hooks, bool may)
{
	struct ftr__module *m = run->module;
	uint8_t flags = m->flags[run->number];
	uint32_t state = t->alike ? 0 : m->pending[run->number];
	size_t i = run->first;

	while (++i < t->n) {
		const struct ftr_site *site = t->list[i];
		if (site->ip >= end)
			break;
		size_t number = ftr__site_number(m, site);
		if (m->slots[number] != run->before ||
		    ((m->flags[number] ^ flags) & ONE_IN_A_RUN) ||
		    (!t->alike && m->pending[number] != state) ||
		    (hooks && site_jumps(m, number) != run->jumps) ||
		    (may && i + SOLID <= t->n && side_by_side(t, i, SOLID, end)))
			break;
		run->all_flags &= m->flags[number];
	}
	run->n = i - run->first;
}

void ftr__run_measure(const struct ftr__touched *t, struct ftr__module *m, size_t first,
		      bool hooks, struct ftr__run *run)
{
	const struct ftr_site *site = t->list[first];
	size_t number = ftr__site_number(m, site);
	uintptr_t end;
	uint32_t segment = ftr__module_segment(m, site->ip, &end);

	*run = (struct ftr__run){ .first = first, .n = 1, .number = number, .module = m,
				  .before = m->slots[number], .after = m->slots[number],
				  .segment = segment, .length = site->length,
				  .all_flags = m->flags[number],
				  .jumped = m->flags[number] & FTR__SITE_JUMPS,
				  .jumps = hooks && site_jumps(m, number) };
	bool may = t->alike && !t->partly;
	if (may)
		measure_solid(t, run, end, hooks);
	if (!run->solid)
		measure_each(t, run, end, hooks, may);
}
