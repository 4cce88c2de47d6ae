/* SPDX-License-Identifier: MIT */
/* See state.h.  Floor 5; under the library's lock. */
#include "lib/state.h"

#include <stdlib.h>

#include "lib/error.h"
#include "lib/jump.h"

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for an update");
}

static const char *name_of(const struct ftr_site *site)
{
	const struct ftr__module *m = ftr__module_of(site);

	return m ? ftr__site_name(m, site) : "?";
}

/* Takes over the reference to set. */
static long state_of(struct ftr__states *states, struct ftr__set *set)
{
	if (!set)
		return no_memory();
	for (uint32_t i = 0; i < states->n; i++) {
		if (states->list[i].set == set) {
			ftr__set_unref(set);
			return i;
		}
	}
	if (states->n == states->room) {
		states->room = states->room ? 2 * states->room : 16;
		void *grown = realloc(states->list, states->room * sizeof *states->list);
		if (!grown) {
			ftr__set_unref(set);
			return no_memory();
		}
		states->list = grown;
	}
	states->list[states->n] = (struct ftr__state){ .set = set, .column = SIZE_MAX };
	return states->n++;
}

long ftr__state_learn_slot(struct ftr__states *states, uint32_t slot)
{
	struct ftr__set *set = slot ? ftr__slot_owner(slot) : &ftr__set_empty;

	ftr__set_ref(set);
	long state = state_of(states, set);
	if (state >= 0) {
		states->last_slot = slot;
		states->last = (uint32_t)state;
	}
	return state;
}

/* One caller makes one layout. */
static bool other_layout(const struct ftr__set *set, uint32_t flags)
{
	const uint32_t layout = FTR_GROUP_REGS | FTR_GROUP_SP_OVERLAY;

	for (uint32_t i = 0; i < set->n; i++)
		if (set->members[i].flags & flags & FTR_GROUP_REGS &&
		    (set->members[i].flags ^ flags) & layout)
			return true;
	return false;
}

static int may_add(const struct ftr__set *set, const struct ftr_group *group,
		   const struct ftr_site *site)
{
	if (other_layout(set, group->member.flags))
		return ftr__fail(EBUSY, "the site %s (%#lx) is held by a group with the other"
				 " layout of pt_regs (FTR_GROUP_SP_OVERLAY)", name_of(site),
				 (unsigned long)site->ip);
	if (set->any & group->member.flags & FTR_GROUP_IPMODIFY)
		return ftr__fail(EBUSY, "the site %s (%#lx) is held by another group that may"
				 " change ip", name_of(site), (unsigned long)site->ip);
	if (group->member.flags & FTR__MEMBER_EXIT && set->n_exits == FTR__EXITS_MAX)
		return ftr__fail(EBUSY, "the site %s (%#lx) has %d exit handlers already",
				 name_of(site), (unsigned long)site->ip, FTR__EXITS_MAX);
	return 0;
}

static long next_state(struct ftr__states *states, uint32_t from, bool add,
		       const struct ftr_group *group, const struct ftr_site *site)
{
	const struct ftr__set *set = states->list[from].set;

	if (!add)
		return state_of(states, ftr__set_without(set, group));
	int result = may_add(set, group, site);
	return result ? result : state_of(states, ftr__set_with(set, &group->member));
}

long ftr__state_learn(struct ftr__states *states, uint32_t state, size_t column,
		      const struct ftr_group *group, const struct ftr_site *site)
{
	long next = next_state(states, state, column & 1, group, site);

	if (next >= 0) {
		states->list[state].column = column;
		states->list[state].next = (uint32_t)next;
	}
	return next;
}

static int pin(struct ftr__states *states, uint32_t slot)
{
	if (states->n_pins == states->pins_room) {
		states->pins_room = states->pins_room ? 2 * states->pins_room : 16;
		void *grown = realloc(states->pins, states->pins_room * sizeof *states->pins);
		if (!grown) {
			ftr__slot_put(slot, 1);
			return no_memory();
		}
		states->pins = grown;
	}
	states->pins[states->n_pins++] = slot;
	return 0;
}

int ftr__state_resolve(struct ftr__states *states, uint32_t number, struct ftr__module *module,
		       unsigned length, bool jumps)
{
	const struct ftr__slot_for sites = { length, jumps, module->low, module->high };
	struct ftr__state *state = &states->list[number];
	long slot = 0;

	if (state->module == module && state->length == length && state->jumps == jumps)
		return 0;
	int result = jumps ? ftr__jump_prepare(module) : 0;
	if (result)
		return result;
	if (state->set != &ftr__set_empty) {
		slot = ftr__slot_get(state->set, &sites);
		if (slot < 0)
			return (int)slot;
		result = pin(states, (uint32_t)slot);
		if (result)
			return result;
	}
	state->module = module;
	state->length = length;
	state->jumps = jumps;
	state->slot = (uint32_t)slot;
	return 0;
}

void ftr__states_free(struct ftr__states *states)
{
	for (size_t i = 0; i < states->n_pins; i++)
		ftr__slot_put(states->pins[i], 1);
	for (uint32_t i = 0; i < states->n; i++)
		ftr__set_unref(states->list[i].set);
	free(states->pins);
	free(states->list);
}
