/* SPDX-License-Identifier: MIT */
/*
 * Typed handlers of groups: a plain handler that decodes the arguments, calls the
 * typed one and puts back what that changed.  Floor 5.
 *
 * On the hot path nothing is allocated, prepared or locked (H9): what is needed
 * lies on the stack, the copy of the arguments that exits get in the entry's data.
 */
#include "lib/typed.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/exit.h"
#include "lib/group.h"

/* --- entries ------------------------------------------------------------------------ */

struct entry {
	const struct ftr__typing *typing;
	struct ftr_call call;
	void *saved;
	void *data;
	int result;
};

FTR__BARE static bool on_entry(void **args, void *arg)
{
	struct entry *e = arg;
	const struct ftr_signature *s = e->typing->signature;

	ftr__layout_save(ftr__signature_layout(s), e->saved, args);
	if (!e->typing->entry)
		return false;
	e->result = e->typing->entry(&e->call, args, e->data);
	return !ftr__signature_in_place(s) &&
	       ftr__layout_differ(ftr__signature_layout(s), e->saved, args);
}

/* A function of its own: the stack is taken where it is needed. */
FTR__BARE static __attribute__((noinline)) int enter(struct entry *e, struct ftr_regs *regs)
{
	const struct ftr_signature *s = e->typing->signature;
	char saved[ftr__signature_layout(s)->size + 16] __attribute__((aligned(16)));

	if (!e->saved)
		e->saved = saved; /* to find out what was changed */
	ftr__signature_arguments(s, regs, on_entry, e);
	return e->result;
}

FTR__BARE static bool on_entry_in_place(void **args, void *arg)
{
	struct entry *e = arg;

	e->result = e->typing->entry(&e->call, args, e->data);
	return false;
}

/* Without an exit, and what is written to the arguments is the function's: nothing
 * is to be compared or kept. */
FTR__BARE static int typed_entry_in_place(uintptr_t ip, uintptr_t parent_ip,
					  struct ftr_group *group, struct ftr_regs *regs)
{
	const struct ftr__typing *typing = group->typing;
	struct entry e = { .typing = typing,
			   .call = { .ip = ip, .signature = typing->signature },
			   .data = group->data };

	ftr__signature_arguments(typing->signature, regs, on_entry_in_place, &e);
	return e.result;
}

FTR__BARE static int typed_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	const struct ftr__typing *typing = group->typing;
	struct entry e = { .typing = typing,
			   .call = { .ip = ip, .signature = typing->signature },
			   .saved = typing->exit ? ftr_entry_data(regs) : NULL,
			   .data = group->data };

	return enter(&e, regs);
}

/* --- exits --------------------------------------------------------------------------- */

/* Where the result is, what was taken from the x87 stack among it: there was
 * something only if the call's exits are known by a struct ftr__hooking. */
FTR__BARE static void find_result(struct ftr_regs *regs, struct ftr__values *values)
{
	struct ftr__hooking *hooking = ftr__exit_hooking(regs);

	ftr__backend->typed->find(regs, values);
	values->x87 = hooking ? hooking->x87 : NULL;
	values->n_x87 = hooking ? hooking->n_x87 : 0;
}

FTR__BARE static void set_result(const struct ftr_signature *s, struct ftr__values *values,
				 const void *result)
{
	struct ftr__hooking *hooking = ftr__exit_hooking(values->regs);

	ftr__signature_set_result(s, values, result);
	if (!hooking)
		return;
	hooking->n_x87 = 0;
	while (hooking->n_x87 < 2 && !ftr__backend->x87_is_empty())
		ftr__backend->x87_pop(&hooking->x87[hooking->n_x87++]);
}

FTR__BARE static void with_result(const struct ftr__typing *typing, struct ftr_call *call,
				  void **args, void *data, struct ftr_regs *regs)
{
	char buffer[FTR__RESULT_ROOM] __attribute__((aligned(16))) = { 0 };
	char before[FTR__RESULT_ROOM];
	struct ftr__values values;

	find_result(regs, &values);
	void *result = ftr__signature_result(typing->signature, &values, buffer);
	__builtin_memcpy(before, buffer, sizeof before);
	typing->exit(call, args, result, data);
	if (result == buffer && memcmp(before, buffer, sizeof before))
		set_result(typing->signature, &values, buffer);
}

FTR__BARE static void typed_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	const struct ftr__typing *typing = group->typing;
	const struct ftr_signature *s = typing->signature;
	void *args[ftr__signature_count(s) + 1];
	struct ftr_call call = { .ip = ip, .signature = s };

	ftr__layout_point(ftr__signature_layout(s), ftr_entry_data(regs), args);
	args[ftr__signature_count(s)] = NULL;
	if (ftr_regs_unwound(regs))
		typing->exit(&call, args, NULL, group->data);
	else
		with_result(typing, &call, args, group->data, regs);
}

/* --- groups ---------------------------------------------------------------------------- */

void ftr__typing_free(struct ftr__typing *typing)
{
	if (typing)
		ftr__signature_unref(typing->signature);
	free(typing);
}

int ftr__typed_set(struct ftr_group *group, const struct ftr__typing *typing)
{
	size_t size = ftr__signature_layout(typing->signature)->size;
	struct ftr__member *m = &group->member;

	if (typing->exit && size > FTR_ENTRY_DATA_MAX)
		return ftr__fail(EOPNOTSUPP, "an exit handler's arguments can't be of more than %d"
				 " bytes", FTR_ENTRY_DATA_MAX);
	struct ftr__typing *copy = malloc(sizeof *copy);
	if (!copy)
		return ftr__fail(ENOMEM, "no memory for typed handlers");
	*copy = *typing;
	ftr__signature_ref(copy->signature);
	ftr__typing_free(group->typing);
	group->typing = copy;
	m->entry = !typing->exit && ftr__signature_in_place(typing->signature)
			   ? typed_entry_in_place : typed_entry;
	m->exit = typing->exit ? typed_exit : NULL;
	m->flags &= ~(uint32_t)FTR__MEMBER_EXIT;
	if (typing->exit)
		m->flags |= FTR__MEMBER_EXIT;
	/* None is too little for a record to have a block. */
	m->data_size = typing->exit ? (uint32_t)(size ? size : 16) : 0;
	group->list_changed = true;
	return 0;
}
