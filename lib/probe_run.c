/* SPDX-License-Identifier: MIT */
/*
 * From a probe's detour, or from a site's call, to its handlers.  Floor 5.
 *
 * Async-signal-safe: no lock, no allocation, no call but to handlers.  As for
 * groups, the thread's frame is stored before what a point runs is loaded
 * (lib/grace.h).  Between pre and post the thread is outside: the instruction may
 * sleep in a system call for ever.  So post loads it again.
 */
#include "lib/dispatch.h"
#include "lib/exit.h"
#include "lib/grace.h"
#include "lib/probe.h"
#include "lib/thread.h"

struct ftr_group ftr__probe_rights = {
	.member = { .group = &ftr__probe_rights,
		    .flags = FTR_GROUP_REGS | FTR_GROUP_IPMODIFY | FTR_GROUP_ALL_VECTORS },
	.name = (char *)"probe"
};

/* A call returns to where its shadow stack says (R6). */
static struct ftr_group rights_to_stay = {
	.member = { .group = &rights_to_stay, .flags = FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS },
	.name = (char *)"probe"
};

FTR__BARE static void miss(struct ftr_probe *probe)
{
	ftr__count(&probe->missed);
	ftr__count(&ftr__dispatch_missed);
}

FTR__BARE static bool is_missed(const struct ftr_probe *probe, bool nested)
{
	return nested && (ftr__self->quiet || !(probe->flags & FTR_PROBE_REENTRANT));
}

/* --- breakpoints ------------------------------------------------------------------ */

/* true: a handler has set where to go on. */
FTR__BARE static bool run_pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	uintptr_t ip = ftr__backend->regs_ip(regs);

	ftr__count(&probe->hits);
	if (!probe->pre)
		return false;
	if (probe->pre(probe, regs)) {
		ftr__backend->regs_resume(regs, ftr__backend->regs_ip(regs));
		return true;
	}
	ftr__backend->regs_set_ip(regs, ip);
	return false;
}

/* The detour goes on with the stack as it was: where it is another, it is entered
 * behind that. */
FTR__BARE static void pre_all(const struct ftr__runs *runs, const struct ftr__point *point,
			      struct ftr_regs *regs, bool nested)
{
	uintptr_t sp = ftr__backend->regs_sp(regs);
	bool posts = false;

	for (uint32_t i = 0; i < runs->n; i++) {
		struct ftr_probe *probe = runs->probes[i];
		if (is_missed(probe, nested)) {
			miss(probe);
			continue;
		}
		posts |= probe->post != NULL;
		if (run_pre(probe, regs))
			return;
	}
	if (posts && point->post)
		ftr__backend->regs_resume(regs, point->post);
	else if (ftr__backend->regs_sp(regs) != sp)
		ftr__backend->regs_resume(regs, ftr__point_insn(point));
}

/* In the reverse order (H10). */
FTR__BARE static void post_all(const struct ftr__runs *runs, const struct ftr__point *point,
			       struct ftr_regs *regs, bool nested)
{
	uintptr_t sp = ftr__backend->regs_sp(regs), ip = ftr__backend->regs_ip(regs);

	for (uint32_t i = runs->n; i--;) {
		struct ftr_probe *probe = runs->probes[i];
		if (!probe->post || is_missed(probe, nested))
			continue;
		probe->post(probe, regs);
		ftr__backend->regs_set_ip(regs, ip);
	}
	if (ftr__backend->regs_sp(regs) != sp)
		ftr__backend->regs_resume(regs, ip);
}

typedef void run_fn(const struct ftr__runs *runs, const struct ftr__point *point,
		    struct ftr_regs *regs, bool nested);

/* As lib/backend.h has it for callers.  A point that lost its probes runs nothing. */
FTR__BARE static inline __attribute__((always_inline)) void
dispatch(struct ftr_regs *regs, const struct ftr__point *point, run_fn *run)
{
	struct ftr__regs_head *head = (struct ftr__regs_head *)regs;
	struct ftr__thread *self = ftr__thread_self();
	const struct ftr__runs *runs;

	head->group = &ftr__probe_rights;
	if (!self) {
		ftr__count(&ftr__dispatch_missed);
		return;
	}
	if (self->frame && !ftr__thread_jumped_over(self, (uintptr_t)regs)) {
		runs = FTR__FETCH(point->runs);
		if (runs)
			run(runs, point, regs, true);
		return;
	}
	FTR__WRITE_ONCE(self->frame, (uintptr_t)regs);
	FTR__BARRIER(); /* pairs with membarrier in ftr__grace_wait() */
	runs = FTR__READ_ONCE(point->runs);
	if (runs)
		run(runs, point, regs, false);
	FTR__BARRIER();
	FTR__WRITE_ONCE(self->frame, 0);
	FTR__BARRIER();
	if (FTR__READ_ONCE(self->asked) != FTR__READ_ONCE(self->answered))
		ftr__dispatch_notice(regs);
}

FTR__BARE void ftr__probe_pre(struct ftr_regs *regs, struct ftr__point *point)
{
	dispatch(regs, point, pre_all);
}

FTR__BARE void ftr__probe_post(struct ftr_regs *regs, struct ftr__point *point)
{
	dispatch(regs, point, post_all);
}

/* --- sites ------------------------------------------------------------------------- */

/* ip is the probed address for pre, what is behind the instruction for post, and
 * where the site goes on in the end: unless pre said otherwise, and may. */
FTR__BARE int ftr__probe_ride(uintptr_t site_ip, uintptr_t parent_ip, struct ftr_group *group,
			      struct ftr_regs *regs)
{
	struct ftr_probe *probe = group->data;
	uintptr_t ip = ftr__backend->regs_ip(regs);
	bool stays = ftr__backend->shadow_stack();

	ftr__exit_give_rights(regs, stays ? &rights_to_stay : &ftr__probe_rights);
	ftr__count(&probe->hits);
	ftr__backend->regs_set_ip(regs, probe->addr);
	if (probe->pre && probe->pre(probe, regs) && !stays)
		return 0;
	if (probe->post) {
		ftr__backend->regs_set_ip(regs, probe->next_ip);
		probe->post(probe, regs);
	}
	ftr__backend->regs_set_ip(regs, ip);
	return 0;
}
