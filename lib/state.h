/* SPDX-License-Identifier: MIT */
/*
 * The states of an update: handler sets that sites have before, between and
 * after its changes.  Floor 5; under the library's lock.
 *
 * They are few, and from each a change leads to one other: so where a change
 * leads a site is a look at a table, whatever the number of groups.
 */
#ifndef FTR__STATE_H
#define FTR__STATE_H

#include "lib/group.h"

struct ftr__state {
	struct ftr__set *set; /* referenced */
	/* Where the change of this column leads to from here. */
	size_t column;
	uint32_t next;
	/* The slot for such sites; pinned. */
	const struct ftr__module *module;
	unsigned length;
	bool jumps;
	uint32_t slot;
};

struct ftr__states {
	struct ftr__state *list;
	uint32_t n, room;
	uint32_t *pins; /* slots held until the update is over */
	size_t n_pins, pins_room;
	uint32_t last_slot, last; /* what was asked for last: often the same again */
};

/* What the two below do not know yet. */
long ftr__state_learn_slot(struct ftr__states *states, uint32_t slot);
long ftr__state_learn(struct ftr__states *states, uint32_t state, size_t column,
		      const struct ftr_group *group, const struct ftr_site *site);

/* The number of the state of sites that call a slot; or -ENOMEM. */
static inline long ftr__state_of_slot(struct ftr__states *states, uint32_t slot)
{
	if (FTR__LIKELY(states->n && slot == states->last_slot))
		return states->last;
	return ftr__state_learn_slot(states, slot);
}

/*
 * Where a change leads from a state: the number of that; or -ENOMEM, -EBUSY with
 * a sentence that names the site.  Column 2c: change number c takes the group
 * away; 2c + 1: it adds it.
 */
static inline long ftr__state_step(struct ftr__states *states, uint32_t state, size_t column,
				   const struct ftr_group *group, const struct ftr_site *site)
{
	if (FTR__LIKELY(states->list[state].column == column))
		return states->list[state].next;
	return ftr__state_learn(states, state, column, group, site);
}

/* Let the state's slot be that for sites of this module and length, which jump or
 * don't: 0, or an error of ftr__slot_get(), ftr__jump_prepare(). */
int ftr__state_resolve(struct ftr__states *states, uint32_t state, struct ftr__module *module,
		       unsigned length, bool jumps);

void ftr__states_free(struct ftr__states *states);

#endif
