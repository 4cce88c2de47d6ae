/* SPDX-License-Identifier: MIT */
/*
 * From a caller's saved registers to the handlers.  Floor 5.
 *
 * Async-signal-safe: no lock, no allocation, no call but to handlers.  The
 * state word is stored before the set is loaded (lib/grace.h), and nothing
 * else orders the two: the waiting side runs membarrier.
 */
#include "lib/dispatch.h"

#include "lib/grace.h"
#include "lib/group.h"
#include "lib/regs.h"
#include "lib/thread.h"

uint64_t ftr__dispatch_missed;

/* What a set's `any` must not have for the fast loop. */
enum { SLOWLY = FTR_GROUP_IPMODIFY | FTR__MEMBER_LIMITED | FTR__SET_RETIRED };

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

FTR__BARE static bool excluded(const struct ftr_group *group, pid_t tid)
{
	const struct ftr__threads *threads = FTR__FETCH(group->threads);

	return threads && !listed(threads, tid);
}

FTR__BARE static void miss(struct ftr_group *group)
{
	__atomic_fetch_add(&group->missed, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ftr__dispatch_missed, 1, __ATOMIC_RELAXED);
}

/*
 * The general case: some group is limited to threads or may change ip, or this
 * call is inside a handler.  A group without IPMODIFY gets no change of ip.
 */
FTR__BARE static void run_members(const struct ftr__set *set, struct ftr_regs *regs, uintptr_t ip,
				  uintptr_t parent_ip, pid_t tid, bool nested)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct ftr__member *m = &set->members[i];
		if (excluded(m->group, tid))
			continue;
		if (nested && !(m->flags & FTR_GROUP_REENTRANT)) {
			miss(m->group);
			continue;
		}
		uintptr_t resume = ftr__backend->regs_ip(regs);
		((struct ftr__regs_head *)regs)->group = m->group;
		m->entry(ip, parent_ip, m->group, regs);
		if (!(m->flags & FTR_GROUP_IPMODIFY))
			ftr__backend->regs_set_ip(regs, resume);
	}
}

FTR__BARE static uintptr_t run_slowly(const struct ftr__set *set, struct ftr_regs *regs,
				      uintptr_t ip, uintptr_t return_ip, uintptr_t parent_ip,
				      pid_t tid, bool nested)
{
	/* Late in a slot that its site left: the site's instruction, whatever it
	 * is by now, runs anew, and with it the caller that its set needs. */
	if (set->any & FTR__SET_RETIRED)
		return ip;
	run_members(set, regs, ip, parent_ip, tid, nested);
	return set->any & FTR_GROUP_IPMODIFY ? ftr__backend->regs_ip(regs) : return_ip;
}

/*
 * The thread is inside a handler already.  Its state stays as it is: the outer
 * call ends after this one, so a grace period waits for both.
 */
FTR__BARE __attribute__((noinline)) static uintptr_t dispatch_nested(
	struct ftr__thread *self, struct ftr_regs *regs, uint32_t slot, uintptr_t return_ip,
	uintptr_t parent_ip)
{
	const struct ftr__slot_hot *hot = &ftr__slot_table[slot];
	const struct ftr__set *set = FTR__FETCH(hot->set);

	return run_slowly(set, regs, return_ip - hot->site_length, return_ip, parent_ip, self->tid,
			  true);
}

FTR__BARE __attribute__((noinline)) static void miss_all(uint32_t slot)
{
	/* No memory for this thread's node, so no reader state: the set may not
	 * be looked into. */
	(void)slot;
	__atomic_fetch_add(&ftr__dispatch_missed, 1, __ATOMIC_RELAXED);
}

/*
 * A signal handler that comes between the two stores may reach a site and
 * leave its own frame's address and an even state behind: then once more.
 * While they do not belong together no handler of this entry runs.
 */
FTR__BARE static inline void go_inside(struct ftr__thread *self, struct ftr_regs *regs,
				       uintptr_t state)
{
	((struct ftr__regs_head *)regs)->cookie = ftr__thread_cookie(self, state);
	do {
		FTR__WRITE_ONCE(self->sp, (uintptr_t)regs);
		FTR__BARRIER();
		FTR__WRITE_ONCE(self->state, state);
		FTR__BARRIER(); /* pairs with membarrier in ftr__grace_wait() */
	} while (FTR__UNLIKELY(FTR__READ_ONCE(self->sp) != (uintptr_t)regs));
}

/*
 * Somebody waits to hear that this thread left.  What is then called may use
 * vector registers: where none were saved it is left to another thread, or to
 * the next call of the library.
 */
FTR__BARE __attribute__((noinline)) static void notice(struct ftr_regs *regs)
{
	if (ftr__backend->regs_vector(regs, 0, NULL))
		ftr__grace_notice();
}

FTR__BARE uintptr_t ftr__dispatch(struct ftr_regs *regs, uint32_t slot, uintptr_t return_ip,
				  uintptr_t parent_ip)
{
	struct ftr__thread *self = ftr__self;
	uintptr_t resume = return_ip;

	if (FTR__UNLIKELY(!self)) {
		self = ftr__thread_register();
		if (!self) {
			miss_all(slot);
			return return_ip;
		}
	}
	uintptr_t state = FTR__READ_ONCE(self->state);
	if (FTR__UNLIKELY(state & 1)) {
		if (!ftr__thread_jumped_over(self, (uintptr_t)regs))
			return dispatch_nested(self, regs, slot, return_ip, parent_ip);
		/* The handler that made it odd is gone: on from the next even. */
		state++;
	}
	go_inside(self, regs, state + 1);

	const struct ftr__slot_hot *hot = &ftr__slot_table[slot];
	uintptr_t ip = return_ip - hot->site_length;
	const struct ftr__set *set = FTR__READ_ONCE(hot->set);

	if (FTR__LIKELY(!(set->any & SLOWLY))) {
		for (uint32_t i = 0; i < set->n; i++) {
			const struct ftr__member *m = &set->members[i];
			((struct ftr__regs_head *)regs)->group = m->group;
			m->entry(ip, parent_ip, m->group, regs);
		}
	} else {
		resume = run_slowly(set, regs, ip, return_ip, parent_ip, self->tid, false);
	}
	FTR__BARRIER();
	FTR__WRITE_ONCE(self->state, state + 2);
	FTR__BARRIER();
	if (FTR__UNLIKELY(FTR__READ_ONCE(self->notify)))
		notice(regs);
	return resume;
}
