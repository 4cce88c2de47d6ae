/* SPDX-License-Identifier: MIT */
/*
 * Exports: what handlers see and change.  Floor 6.
 *
 * All run inside handlers: no lock, no allocation, general registers only.
 */
#include "lib/backend.h"
#include "lib/error.h"
#include "lib/exit.h"
#include "lib/group.h"
#include "lib/hot.h"

/* The record of a call of which a lone plain group's handlers are called by the
 * callers themselves; else NULL. */
static struct ftr__record *plain_record(const struct ftr_regs *regs)
{
	const uint32_t bits = FTR__MARK_PLAIN | FTR__MARK_HOOKED;

	if ((((const struct ftr__regs_head *)regs)->mark & bits) != bits)
		return NULL;
	/* Of an entry, the first is going to be the call's. */
	if (ftr__backend->exits_first || !ftr__backend->regs_of_exit(regs))
		return ftr__self->records;
	return (struct ftr__record *)((const struct ftr__regs_head *)regs)->group;
}

/* The FTR_GROUP_* of the group whose handler runs.  A plain one is alone, or all
 * of its set are alike, so that the caller is what it asked for; and it may not
 * change ip. */
static uint32_t flags_of(const struct ftr_regs *regs)
{
	const struct ftr__regs_head *head = (const struct ftr__regs_head *)regs;
	const struct ftr__hooking *hooking = ftr__exit_hooking(regs);

	if (hooking)
		return hooking->group->member.flags;
	if (!(head->mark & FTR__MARK_PLAIN))
		return head->group->member.flags;
	return (head->mark & FTR__MARK_WHOLE ? FTR_GROUP_REGS : 0) |
	       (head->mark & FTR__MARK_WIDTH ? 0 : FTR_GROUP_NO_SIMD);
}

static int no_regs(void)
{
	return ftr__fail_plain(EINVAL, "no registers: regs is NULL");
}

FTR_API struct pt_regs *ftr_regs_pt_regs(struct ftr_regs *regs)
{
	if (!regs || !(flags_of(regs) & FTR_GROUP_REGS))
		return NULL;
	return ftr__backend->regs_pt_regs(regs);
}

FTR_API uintptr_t ftr_regs_ip(const struct ftr_regs *regs)
{
	return regs ? ftr__backend->regs_ip(regs) : 0;
}

FTR_API uintptr_t ftr_regs_sp(const struct ftr_regs *regs)
{
	return regs ? ftr__backend->regs_sp(regs) : 0;
}

FTR_API uintptr_t ftr_regs_flags(const struct ftr_regs *regs)
{
	return regs ? ftr__backend->regs_flags(regs) : 0;
}

FTR_API uintptr_t ftr_regs_arg(const struct ftr_regs *regs, unsigned n)
{
	return regs ? *ftr__backend->regs_arg((struct ftr_regs *)regs, n) : 0;
}

FTR_API int ftr_regs_set_arg(struct ftr_regs *regs, unsigned n, uintptr_t value)
{
	if (!regs)
		return no_regs();
	*ftr__backend->regs_arg(regs, n) = value;
	return 0;
}

FTR_API int ftr_regs_set_ip(struct ftr_regs *regs, uintptr_t ip)
{
	if (!regs)
		return no_regs();
	if (!(flags_of(regs) & FTR_GROUP_IPMODIFY))
		return ftr__fail_plain(EPERM, "only a group made with FTR_GROUP_IPMODIFY may"
				       " change where execution goes on");
	ftr__backend->regs_set_ip(regs, ip);
	return 0;
}

FTR_API uintptr_t ftr_regs_return_value(const struct ftr_regs *regs)
{
	return regs ? *ftr__backend->regs_return((struct ftr_regs *)regs) : 0;
}

FTR_API int ftr_regs_set_return_value(struct ftr_regs *regs, uintptr_t value)
{
	if (!regs)
		return no_regs();
	*ftr__backend->regs_return(regs) = value;
	return 0;
}

FTR_API uintptr_t ftr_regs_return_value2(const struct ftr_regs *regs)
{
	return regs ? *ftr__backend->regs_return2((struct ftr_regs *)regs) : 0;
}

FTR_API int ftr_regs_set_return_value2(struct ftr_regs *regs, uintptr_t value)
{
	if (!regs)
		return no_regs();
	*ftr__backend->regs_return2(regs) = value;
	return 0;
}

/*
 * Where a value that is returned on the x87 stack is: taken from there, or, in a
 * set that promised general registers only, still on it.
 */
static long double *x87_of(const struct ftr_regs *regs, unsigned n)
{
	struct ftr__hooking *hooking = regs ? ftr__exit_hooking(regs) : NULL;
	struct ftr__record *record = regs ? plain_record(regs) : NULL;

	/* By a caller of a group that promised general registers only, or that
	 * found the x87 stack empty. */
	if (record && ftr__backend->regs_of_exit(regs) && n < 2) {
		ftr__backend->x87_peek(n, &record->x87[n]);
		return &record->x87[n];
	}

	if (!hooking || !hooking->exits || hooking->unwound || n > 1)
		return NULL;
	if (hooking->live_x87)
		ftr__backend->x87_peek(n, &hooking->x87[n]);
	else if (n >= hooking->n_x87)
		return NULL;
	return &hooking->x87[n];
}

/* For ftr_regs_return_x87(), whose result can't be written in C that knows
 * general registers alone (backends/<arch>/x87.S). */
const long double *ftr__regs_return_x87(const struct ftr_regs *regs, unsigned n);
const long double *ftr__regs_return_x87(const struct ftr_regs *regs, unsigned n)
{
	return x87_of(regs, n);
}

FTR_API int ftr_regs_set_return_x87(struct ftr_regs *regs, unsigned n, const long double *value)
{
	long double *at = x87_of(regs, n);

	if (!at || !value)
		return ftr__fail_plain(EINVAL, "no value is returned there on the x87 stack");
	if (plain_record(regs) || ftr__exit_hooking(regs)->live_x87)
		return ftr__fail_plain(EINVAL, "a group with FTR_GROUP_NO_SIMD can't change what is"
				       " on the x87 stack");
	__builtin_memcpy(at, value, 10);
	return 0;
}

FTR_API void *ftr_entry_data(struct ftr_regs *regs)
{
	struct ftr__hooking *hooking = regs ? ftr__exit_hooking(regs) : NULL;
	const struct ftr__record *record = regs ? plain_record(regs) : NULL;

	if (record)
		return record->set->data_size ? record->data : NULL;
	return hooking && hooking->group->member.data_size ? hooking->data : NULL;
}

FTR_API int ftr_regs_unwound(const struct ftr_regs *regs)
{
	struct ftr__hooking *hooking = regs ? ftr__exit_hooking(regs) : NULL;

	return hooking && hooking->unwound;
}

FTR_API int ftr_regs_override_return(struct ftr_regs *regs, uintptr_t value)
{
	int result = ftr_regs_set_ip(regs, ftr__backend->just_return);

	return result ? result : ftr_regs_set_return_value(regs, value);
}

FTR_API void *ftr_regs_vector(struct ftr_regs *regs, unsigned n, size_t *width)
{
	if (!regs || (flags_of(regs) & FTR_GROUP_NO_SIMD))
		return NULL;
	return ftr__backend->regs_vector(regs, n, width);
}
