/* SPDX-License-Identifier: MIT */
/*
 * From a caller's saved registers to the handlers, where that is more than one
 * call: several groups, groups that are limited to threads or may change ip,
 * calls inside handlers.  Floor 5.
 *
 * Async-signal-safe: no lock, no allocation, no call but to handlers.  The
 * thread's frame is stored before the set is loaded (lib/grace.h), and nothing
 * else orders the two: the waiting side runs membarrier.
 */
#include "lib/dispatch.h"

#include "lib/batch.h"
#include "lib/exit.h"
#include "lib/grace.h"
#include "lib/group.h"
#include "lib/hot.h"
#include "lib/thread.h"

ftr__counter ftr__dispatch_missed;

FTR__BARE static bool listed(const struct ftr__threads *threads, pid_t tid)
{
	size_t low = 0, high = threads->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (threads->tids[middle] == tid)
			return true;
		if (threads->tids[middle] < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

FTR__BARE bool ftr__dispatch_excluded(const struct ftr_group *group, pid_t tid)
{
	const struct ftr__threads *threads = FTR__FETCH(group->threads);

	return threads && !listed(threads, tid);
}

FTR__BARE static void miss(struct ftr_group *group)
{
	ftr__count(&group->missed);
	ftr__count(&ftr__dispatch_missed);
}

/* The accessors ask the frame whose handler it is (lib/api_regs.c). */
FTR__BARE static struct ftr__regs_head *not_plain(struct ftr_regs *regs)
{
	struct ftr__regs_head *head = (struct ftr__regs_head *)regs;

	head->mark &= ~(uint32_t)(FTR__MARK_PLAIN | FTR__MARK_HOOKED);
	return head;
}

/* A set that runs this says so. */
FTR__BARE int ftr__run_members(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	const struct ftr__set *set = (const struct ftr__set *)group;

	parent_ip = ftr__record_parent(parent_ip);
	if (set->run != ftr__run_members)
		return group->member.entry(ip, parent_ip, group, regs);
	const struct ftr__member *m = set->members, *end = m + set->n;
	struct ftr__regs_head *head = not_plain(regs);

	do {
		head->group = m->group;
		m->entry(ip, parent_ip, m->group, regs);
	} while (++m < end);
	return 0;
}

/* A group without IPMODIFY gets no change of ip. */
FTR__BARE static void run_each(const struct ftr__set *set, uintptr_t ip, uintptr_t parent_ip,
			       struct ftr_regs *regs, bool nested)
{
	struct ftr__regs_head *head = not_plain(regs);
	pid_t tid = ftr__self->tid;

	parent_ip = ftr__record_parent(parent_ip);
	for (uint32_t i = 0; i < set->n; i++) {
		const struct ftr__member *m = &set->members[i];
		if (ftr__dispatch_excluded(m->group, tid))
			continue;
		if (nested && !(m->flags & FTR__MEMBER_REPLACES) &&
		    (ftr__self->quiet || !(m->flags & FTR_GROUP_REENTRANT))) {
			miss(m->group);
			continue;
		}
		uintptr_t resume = ftr__backend->regs_ip(regs);
		head->group = m->group;
		m->entry(ip, parent_ip, m->group, regs);
		if (!(m->flags & FTR__MEMBER_GOES))
			ftr__backend->regs_set_ip(regs, resume);
	}
	if (set->any & FTR__MEMBER_GOES)
		ftr__backend->regs_resume(regs, ftr__backend->regs_ip(regs));
}

FTR__BARE int ftr__run_checked(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
			       struct ftr_regs *regs)
{
	run_each((const struct ftr__set *)set, ip, parent_ip, regs, false);
	return 0;
}

/*
 * Late in a slot that its site left: the site's instruction, whatever it is by
 * now, runs anew, and with it the caller that its set needs.  Where a batch
 * could not be undone that may be a call of this very slot, for ever: there the
 * function goes on untraced.
 */
FTR__BARE static void run_site_again(struct ftr_regs *regs, uintptr_t ip)
{
	if (!FTR__READ_ONCE(ftr__batch_stuck))
		ftr__backend->regs_resume(regs, ip);
}

FTR__BARE int ftr__run_retired(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *set,
			       struct ftr_regs *regs)
{
	run_site_again(regs, ip);
	return 1;
}

/*
 * The thread is inside a handler already.  Its frame stays as it is: the outer
 * call ends after this one, so a grace period waits for both.
 */
FTR__BARE static void dispatch_nested(const struct ftr__slot_hot *hot, struct ftr_regs *regs,
				      uintptr_t ip, uintptr_t parent_ip)
{
	const struct ftr__set *set = FTR__FETCH(hot->set);

	if (set->any & FTR__SET_RETIRED)
		run_site_again(regs, ip);
	else if (set->any & (FTR__MEMBER_EXIT | FTR__SET_RECORD))
		ftr__exit_nested(set, ip, parent_ip, regs);
	else
		run_each(set, ip, parent_ip, regs, true);
}

/* What the callers do themselves (lib/backend.h). */
FTR__BARE static void dispatch_outermost(struct ftr__thread *self, const struct ftr__slot_hot *hot,
					 struct ftr_regs *regs, uintptr_t ip, uintptr_t parent_ip)
{
	FTR__WRITE_ONCE(self->frame, (uintptr_t)regs);
	FTR__BARRIER(); /* pairs with membarrier in ftr__grace_wait() */
	const struct ftr__set *set = FTR__READ_ONCE(hot->set);
	((struct ftr__regs_head *)regs)->group = set->arg;
	if (set->hooks)
		ftr__run_hooked(ip, parent_ip, (struct ftr_group *)set->hooks, regs);
	else
		set->run(ip, parent_ip, set->arg, regs);
	FTR__BARRIER();
	FTR__WRITE_ONCE(self->frame, 0);
	FTR__BARRIER();
	if (FTR__READ_ONCE(self->asked) != FTR__READ_ONCE(self->answered))
		ftr__dispatch_notice(regs);
}

/*
 * The thread has no node yet, or is inside a handler, or was and jumped out of
 * it.  Without memory for a node there is no reader state: the set may not be
 * looked into.
 */
FTR__BARE void ftr__dispatch_slow(struct ftr_regs *regs, uintptr_t slot, uintptr_t return_ip,
				  uintptr_t parent_ip)
{
	const struct ftr__slot_hot *hot = ftr__slot_hot(slot);
	struct ftr__thread *self = ftr__thread_self();
	uintptr_t ip = return_ip - hot->site_length;

	if (!self) {
		ftr__count(&ftr__dispatch_missed);
		ftr__exit_lost(hot);
	} else if (self->frame && !ftr__thread_jumped_over(self, (uintptr_t)regs)) {
		dispatch_nested(hot, regs, ip, parent_ip);
	} else {
		dispatch_outermost(self, hot, regs, ip, parent_ip);
	}
}

/*
 * Somebody waits to hear that this thread left.  What is then called may use
 * vector registers: where none were saved it is left to another thread, or to
 * the next call of the library.
 */
FTR__BARE void ftr__dispatch_notice(struct ftr_regs *regs)
{
	const struct ftr__regs_head *head = (const struct ftr__regs_head *)regs;

	ftr__grace_notice(head->mark & FTR__MARK_WIDTH, (uintptr_t)regs);
}
