/* SPDX-License-Identifier: MIT */
/*
 * Handler sets: the groups that hold a site, as an interned, immutable list.
 * Floor 4.  All but reading a set's members is done under the library's lock.
 */
#ifndef FTR__SET_H
#define FTR__SET_H

#include "lib/backend.h"
#include "lib/hot.h"

/* A group as the hot path needs it. */
struct ftr__member {
	ftr_entry_fn entry;
	struct ftr_group *group;
	uint32_t flags; /* FTR_GROUP_* and FTR__MEMBER_* */
	/* Changes when the group is attached to other sites than before:
	 * equal sets of equal epochs hold the same sites. */
	uint64_t epoch;
	/* When the group was attached: later ones come first. */
	uint64_t order;
	/* FTR__MEMBER_REPLACES: where a site jumps that has this member alone. */
	uintptr_t jump;
	/* NULL: none, or the group was detached since (H8). */
	ftr_exit_fn exit;
	uint32_t data_size; /* of the entry's data block */
	/* In a set: where in the record's block that begins, and which bit of
	 * the record's `pending` stands for the exit. */
	uint32_t data_at;
	uint8_t exit_bit;
};

enum {
	/* The group runs in certain threads alone. */
	FTR__MEMBER_LIMITED = 1 << 16,
	/* The group has an exit handler. */
	FTR__MEMBER_EXIT = 1 << 17,
	/* In `any` of ftr__set_retired alone; of a set's `hooked`; of a record's
	 * own set (lib/record.h). */
	FTR__SET_RETIRED = 1 << 18,
	FTR__SET_HOOKED = 1 << 19,
	FTR__SET_RECORD = 1 << 20,
	/* The group lets another function take the place of one (lib/replace.h):
	 * its handler runs whatever the others may. */
	FTR__MEMBER_REPLACES = 1 << 21,
	/* FTR__SET_BELOW: lib/hot.h. */
	/* A probe rides on the site: it may change ip, and others may hold it. */
	FTR__MEMBER_PROBE = 1 << 22,
	/* Those that may change ip. */
	FTR__MEMBER_GOES = FTR_GROUP_IPMODIFY | FTR__MEMBER_PROBE
};

/* How many exit handlers a site can have: bits of a record's `pending`. */
enum { FTR__EXITS_MAX = 64 };

struct ftr__set {
	/* What a caller calls, with `arg` for the group: a lone plain group's
	 * handler and that group, else a routine that runs the members. */
	ftr_entry_fn run;
	void *arg;
	/* Of `hooked`, for a lone plain group: the set whose exits are pending if
	 * `run`, which is the group's handler, returns 0. */
	struct ftr__set *hooks;
	/* What runs the exits of such a group, with `exit_arg` for the group; what
	 * calls that (struct ftr__cell_words). */
	ftr_exit_fn exit_run;
	void *exit_arg;
	uintptr_t exit_caller;
	uint32_t data_size; /* of all members' blocks */
	uint32_t n_exits;
	uint32_t n;
	uint32_t any; /* flags that any member has */
	uint32_t all; /* flags that all members have */
	uint32_t refs;
	uint64_t hash;
	struct ftr__set *next; /* in its bucket, or among those to be freed */
	/* With exit handlers: what slots run that sites jump to; its `hooks`, else
	 * its `arg`, is the set. */
	struct ftr__set *hooked;
	/* Newest first (H10), and one behind without a handler. */
	struct ftr__member members[];
};

_Static_assert(offsetof(struct ftr__member, entry) == FTR__MEMBER_ENTRY, "entry");
_Static_assert(offsetof(struct ftr__member, group) == FTR__MEMBER_GROUP, "group");
_Static_assert(sizeof(struct ftr__member) == FTR__MEMBER_SIZE, "size");
_Static_assert(offsetof(struct ftr__set, members) == FTR__SET_MEMBERS, "members");


_Static_assert(offsetof(struct ftr__set, run) == FTR__SET_RUN, "run");
_Static_assert(offsetof(struct ftr__set, arg) == FTR__SET_ARG, "arg");
_Static_assert(offsetof(struct ftr__set, hooks) == FTR__SET_HOOKS, "hooks");
_Static_assert(offsetof(struct ftr__set, exit_run) == FTR__SET_EXIT_RUN, "exit_run");
_Static_assert(offsetof(struct ftr__set, exit_arg) == FTR__SET_EXIT_ARG, "exit_arg");
_Static_assert(offsetof(struct ftr__set, any) == FTR__SET_ANY, "any");
_Static_assert(offsetof(struct ftr__set, exit_caller) == FTR__SET_EXIT_CALLER, "exit_caller");
_Static_assert(offsetof(struct ftr__set, data_size) == FTR__SET_DATA_SIZE, "data_size");

/* The set without members; never freed. */
extern struct ftr__set ftr__set_empty;

/* What an idle slot runs: no handler; the site is run again (lib/dispatch.c). */
extern const struct ftr__set ftr__set_retired;

/*
 * What a set's `run` is where it is no group's own handler; lib/dispatch.c,
 * which knows groups, has them.  The group that they get is the set.  What they
 * return counts where a site jumps: not 0, for there is no record to bind.
 */
/* Some member is limited to threads, or may change ip. */
int ftr__run_checked(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
		     struct ftr_regs *regs);
/* Of the retired set. */
int ftr__run_retired(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
		     struct ftr_regs *regs);
/* Some member has an exit handler: at a site that jumps, and at one whose
 * function is left without exits (lib/exit.c). */
int ftr__run_hooked(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
		    struct ftr_regs *regs);
int ftr__run_unhooked(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
		      struct ftr_regs *regs);

/* The set that a slot's one is, or is the `hooked` of. */
static inline struct ftr__set *ftr__set_of(const struct ftr__set *set)
{
	if (!(set->any & FTR__SET_HOOKED))
		return (struct ftr__set *)set;
	return set->hooks ? set->hooks : set->arg;
}

/* Where sites jump that have a replacement alone; 0: this is another set. */
static inline uintptr_t ftr__set_jump(const struct ftr__set *set)
{
	return set->n == 1 && set->any & FTR__MEMBER_REPLACES ? set->members[0].jump : 0;
}

/* What has to be saved for all members. */
enum ftr__vectors ftr__set_vectors(const struct ftr__set *set);

/* A reference to the set of these members; NULL: no memory. */
struct ftr__set *ftr__set_get(const struct ftr__member *members, size_t n);
struct ftr__set *ftr__set_with(const struct ftr__set *set, const struct ftr__member *member);
struct ftr__set *ftr__set_without(const struct ftr__set *set, const struct ftr_group *group);
bool ftr__set_has(const struct ftr__set *set, const struct ftr_group *group);

void ftr__set_ref(struct ftr__set *set);
/* From now on functions may be jumped to by functions that are hooked. */
void ftr__set_expect_cells(void);

/* The last reference gone, the set waits for ftr__set_reap(). */
void ftr__set_unref(struct ftr__set *set);

/* No exit handler of the group is called any more, but by threads that are about
 * to: a grace period is due.  Such sets never serve again. */
void ftr__set_cancel_exits(const struct ftr_group *group);

/*
 * Freeing them: ftr__set_age() closes the list of what was let go so far, if
 * no earlier one is waited for, and returns that list's ticket; 0: there is
 * none.  After a grace period that began later, ftr__set_reap(ticket) frees it;
 * but for sets whose exits are pending: they stay until a later call.
 */
uint64_t ftr__set_age(void);
void ftr__set_reap(uint64_t ticket);

#endif
