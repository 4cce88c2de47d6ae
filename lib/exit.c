/* SPDX-License-Identifier: MIT */
/*
 * See exit.h.  Floor 5.
 *
 * All runs between a site, or a return, and the handlers: async-signal-safe,
 * general registers.  A call that can't have a record is counted as missed for
 * the groups with an exit handler, whose entry handler is not called either.
 */
#include "lib/exit.h"

#include "lib/dispatch.h"
#include "lib/group.h"
#include "lib/sys.h"

/* A call as its handlers are run. */
struct call {
	struct ftr__thread *self;
	struct ftr_regs *regs;
	const struct ftr__set *set;
	struct ftr__record *record; /* NULL: none was to be had */
	uintptr_t ip, parent_ip;
	bool nested;
	struct ftr__hooking hooking;
};

/* What is not set here is set where it is used: to zero all of it would cost more
 * than the rest. */
FTR__BARE static void prepare(struct call *call, struct ftr_regs *regs, const struct ftr__set *set,
			      bool nested)
{
	call->self = ftr__self;
	call->regs = regs;
	call->set = set;
	call->record = NULL;
	call->nested = nested;
	call->hooking.exits = false;
	call->hooking.unwound = false;
	call->hooking.live_x87 = false;
	call->hooking.n_x87 = 0;
}

FTR__BARE static void begin(struct call *call)
{
	struct ftr__regs_head *head = (struct ftr__regs_head *)call->regs;

	head->mark = (head->mark & ~(uint32_t)FTR__MARK_PLAIN) | FTR__MARK_HOOKED;
	head->hooking = &call->hooking;
}

FTR__BARE static void end(struct call *call)
{
	if (call->set->any & FTR__MEMBER_GOES)
		ftr__backend->regs_resume(call->regs, ftr__backend->regs_ip(call->regs));
}

FTR__BARE struct ftr__hooking *ftr__exit_hooking(const struct ftr_regs *regs)
{
	const struct ftr__regs_head *head = (const struct ftr__regs_head *)regs;
	const uint32_t bits = head->mark & (FTR__MARK_PLAIN | FTR__MARK_HOOKED);

	return bits == FTR__MARK_HOOKED ? head->hooking : NULL;
}

FTR__BARE void ftr__exit_give_rights(struct ftr_regs *regs, struct ftr_group *group)
{
	struct ftr__hooking *hooking = ftr__exit_hooking(regs);

	if (hooking)
		hooking->group = group;
	else
		((struct ftr__regs_head *)regs)->group = group;
}

/* --- running exits ------------------------------------------------------------------------ */

FTR__BARE static void miss(const struct ftr__member *m)
{
	ftr__count(&m->group->missed);
	ftr__count(&ftr__dispatch_missed);
}

/* Of one record, the reverse of its entries' order (H10). */
FTR__BARE static void run_exits(struct call *call, bool unwound)
{
	struct ftr__record *r = call->record;
	uintptr_t parent_ip = ftr__record_parent(ftr__record_words(r)->parent);

	call->hooking.exits = true;
	call->hooking.unwound = unwound;
	for (uint32_t i = call->set->n; i-- > 0;) {
		const struct ftr__member *m = &call->set->members[i];
		if (!(m->flags & FTR__MEMBER_EXIT) || !(r->pending >> m->exit_bit & 1))
			continue;
		/* Once, also if the handler is jumped out of. */
		if (call->set->any & FTR_GROUP_UNWOUND_EXITS)
			r->pending &= ~((uint64_t)1 << m->exit_bit);
		/* NULL once the group is being detached: it may be gone then. */
		ftr_exit_fn exit = FTR__FETCH(m->exit);
		if (!exit || (unwound && !(m->flags & FTR_GROUP_UNWOUND_EXITS)))
			continue;
		if (call->nested && !(m->flags & FTR_GROUP_REENTRANT)) {
			miss(m);
			continue;
		}
		uintptr_t resume = ftr__backend->regs_ip(call->regs);
		call->hooking.data = (char *)r->data + m->data_at;
		call->hooking.group = m->group;
		exit(r->ip, parent_ip, m->group, call->regs);
		if (!(m->flags & FTR__MEMBER_GOES) || unwound)
			ftr__backend->regs_set_ip(call->regs, resume);
	}
}

/* The registers are those of the call that is under way. */
FTR__BARE static void run_unwound(struct call *now, struct ftr__record *r)
{
	struct call call;

	prepare(&call, now->regs, r->set, false);
	call.record = r;
	begin(&call);
	run_exits(&call, true);
	begin(now);
	ftr__record_drop(r);
}

/*
 * Calls that were unwound past, or jumped over, before this one came or
 * returned.  sp: where its return address lies; it, and what it came from by a
 * tail call, are alive.  all: of other stacks, too; else the search ends at the
 * first that is alive.
 */
FTR__BARE static void settle_unwound(struct call *now, uintptr_t sp, bool all)
{
	struct ftr__record **at = ftr__record_watched(now->self), *r;
	struct ftr__record_look look = { .sp = sp };

	while (FTR__UNLIKELY((r = *at) != NULL)) {
		bool dead = r != now->record && ftr__record_is_dead(r, &look);
		bool returned = !FTR__FETCH(r->slot);
		if (returned || (dead && !FTR__FETCH(r->foreign))) {
			FTR__PUBLISH(*at, r->older);
			r->watched = 0;
			if (returned)
				ftr__record_return(r);
			else
				run_unwound(now, r);
		} else if (all || r->slot < sp) {
			at = &r->older;
		} else {
			return;
		}
	}
}

/* What returns on the x87 stack (psABI, "Returning of Values") is taken from it:
 * handlers find it empty, as any function does. */
FTR__BARE static void save_x87(struct ftr__hooking *hooking)
{
	while (hooking->n_x87 < 2 && !ftr__backend->x87_is_empty())
		ftr__backend->x87_pop(&hooking->x87[hooking->n_x87++]);
}

FTR__BARE static void load_x87(struct ftr__hooking *hooking)
{
	while (hooking->n_x87)
		ftr__backend->x87_push(&hooking->x87[--hooking->n_x87]);
}

/* As most are, a watched record is the newest. */
FTR__BARE static void finish(const struct call *call)
{
	struct ftr__record *r = call->record;

	if (ftr__record_is_watched(r)) {
		if (call->nested || r->owner != call->self || call->self->watched != r) {
			FTR__PUBLISH(r->slot, 0);
			return;
		}
		FTR__PUBLISH(call->self->watched, r->older);
		r->watched = 0;
	}
	ftr__record_return(r);
}

FTR__BARE static void exits(struct ftr__record *r, struct ftr_regs *regs, bool nested)
{
	struct call call;

	if (!r->slot)
		return; /* taken for dead */
	prepare(&call, regs, r->set, nested);
	call.record = r;
	/* A handler that changes ip changes what the slot holds. */
	if (call.set->any & FTR__MEMBER_GOES && r->owner != call.self)
		__atomic_store_n(&r->foreign, true, __ATOMIC_RELEASE);
	begin(&call);
	call.hooking.live_x87 = call.set->all & FTR_GROUP_NO_SIMD;
	if (!call.hooking.live_x87)
		save_x87(&call.hooking);
	if (!nested)
		settle_unwound(&call, r->slot, false);
	run_exits(&call, false);
	load_x87(&call.hooking);
	end(&call);
	r->nested |= nested;
	finish(&call);
}

FTR__BARE int ftr__run_exits(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *record,
			     struct ftr_regs *regs)
{
	exits((struct ftr__record *)record, regs, false);
	return 0;
}

/* Without reader state a slot's set may not be looked into: a record is known by
 * its address. */
FTR__BARE void ftr__exit_lost(const struct ftr__slot_hot *hot)
{
	struct ftr__record *r = (struct ftr__record *)hot;

	if (ftr__record_is_one(hot))
		ftr__record_return(r);
}

/* --- running entries -------------------------------------------------------------------------- */

/* Which members' exits are to run. */
FTR__BARE static uint64_t run_entries(struct call *call)
{
	uint64_t pending = 0;

	for (uint32_t i = 0; i < call->set->n; i++) {
		const struct ftr__member *m = &call->set->members[i];
		bool exits = m->flags & FTR__MEMBER_EXIT;
		if (ftr__dispatch_excluded(m->group, call->self->tid))
			continue;
		if ((exits && !call->record) ||
		    (call->nested && !(m->flags & FTR__MEMBER_REPLACES) &&
		     (call->self->quiet || !(m->flags & FTR_GROUP_REENTRANT)))) {
			miss(m);
			continue;
		}
		uintptr_t resume = ftr__backend->regs_ip(call->regs);
		call->hooking.data = exits ? (char *)call->record->data + m->data_at : NULL;
		call->hooking.group = m->group;
		if (!m->entry(call->ip, call->parent_ip, m->group, call->regs) && exits)
			pending |= (uint64_t)1 << m->exit_bit;
		if (!(m->flags & FTR__MEMBER_GOES))
			ftr__backend->regs_set_ip(call->regs, resume);
	}
	return pending;
}

/* From now on the call is the record's: it goes on in the cell, which calls what
 * would have come next. */
FTR__BARE static void bind(struct call *call, uint64_t pending)
{
	struct ftr__record *r = call->record;
	struct ftr__cell_words *words = ftr__record_words(r);
	uintptr_t sp = ftr__backend->regs_sp(call->regs);

	r->pending = pending;
	r->ip = call->ip;
	r->tls = call->self->tls;
	words->parent = *(const uintptr_t *)sp;
	words->body = ftr__backend->regs_resume_at(call->regs);
	ftr__record_lead(r, call->set);
	FTR__PUBLISH(r->set, call->set);
	if (call->set->any & FTR_GROUP_UNWOUND_EXITS)
		ftr__record_watch(r, call->nested);
	FTR__PUBLISH(r->slot, sp);
	ftr__backend->regs_resume_cell(call->regs, r->cell);
}

FTR__BARE static void take_record(struct call *call, uintptr_t sp)
{
	struct ftr__thread *self = call->self;

	call->record = ftr__record_take(self, call->set->data_size, call->nested, sp);
	if (!call->record && !call->nested && self->watched) {
		settle_unwound(call, sp, true);
		call->record = ftr__record_take(self, call->set->data_size, false, sp);
	}
}

FTR__BARE static void entries(const struct ftr__set *set, uintptr_t ip, uintptr_t parent_ip,
			      struct ftr_regs *regs, bool hooked, bool nested)
{
	uintptr_t sp = ftr__backend->regs_sp(regs);
	struct call call;

	prepare(&call, regs, set, nested);
	call.ip = ip;
	call.parent_ip = ftr__record_parent(parent_ip);
	begin(&call);
	if (!nested)
		settle_unwound(&call, sp, false);
	if (!nested || (set->any & FTR_GROUP_REENTRANT && !call.self->quiet))
		take_record(&call, sp);
	uint64_t pending = run_entries(&call);
	end(&call);
	if (pending && hooked)
		bind(&call, pending);
	else if (call.record)
		ftr__record_return(call.record);
}

/* For callers that bind records: whether the first of the thread's free ones
 * serves the set now; else the call is missed. */
FTR__BARE int ftr__exit_make_ready(const struct ftr__set *set, uintptr_t sp)
{
	if (ftr__record_make_ready(ftr__self, set, sp))
		return true;
	miss(&set->members[0]);
	return false;
}

FTR__BARE int ftr__run_hooked(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
			      struct ftr_regs *regs)
{
	entries((const struct ftr__set *)set, ip, parent_ip, regs, true, false);
	return 1; /* there is nothing left to bind */
}

FTR__BARE int ftr__run_unhooked(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
				struct ftr_regs *regs)
{
	entries((const struct ftr__set *)set, ip, parent_ip, regs, false, false);
	return 0;
}

FTR__BARE void ftr__exit_nested(const struct ftr__set *set, uintptr_t ip, uintptr_t parent_ip,
				struct ftr_regs *regs)
{
	if (set->any & FTR__SET_RECORD)
		exits(set->arg, regs, true);
	else
		entries(ftr__set_of(set), ip, parent_ip, regs, set->any & FTR__SET_HOOKED, true);
}
