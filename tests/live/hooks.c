/* SPDX-License-Identifier: MIT */
/* See hooks.h. */
#include "tests/live/hooks.h"

int hook_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	struct hook *hook = ftr_group_data(group);
	uintptr_t *data = ftr_entry_data(regs);

	hook->entries++;
	hook->ip = ip;
	hook->parent_ip = parent_ip;
	if (data)
		*data = parent_ip ^ ip;
	return hook->cancel;
}

void hook_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	struct hook *hook = ftr_group_data(group);
	const uintptr_t *data = ftr_entry_data(regs);

	if (data)
		ck_assert_uint_eq(*data, parent_ip ^ ip);
	if (ftr_regs_unwound(regs)) {
		ck_assert_int_eq(ftr_regs_unwound(regs), FTR_EXIT_UNWOUND);
		hook->unwound++;
		return;
	}
	hook->exits++;
	hook->exit_ip = ip;
	hook->exit_parent_ip = parent_ip;
	hook->value = ftr_regs_return_value(regs);
	hook->value2 = ftr_regs_return_value2(regs);
	if (hook->change)
		ck_ok(ftr_regs_set_return_value(regs, hook->value + hook->change));
	if (hook->at_exit)
		hook->at_exit(hook, regs);
}

void hook_make(struct hook *hook, uint32_t flags, uint32_t data_size)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = "hook";
	options.entry = hook_entry;
	options.exit = hook_exit;
	options.data = hook;
	options.flags = flags;
	options.entry_data_size = data_size;
	ck_ok(ftr_group_new(&hook->group, &options));
}

void hook_attach(struct hook *hook, const char *pattern, uint32_t flags)
{
	hook_make(hook, flags, sizeof(uintptr_t));
	ck_assert_int_gt(ftr_group_filter(hook->group, pattern, 0), 0);
	ck_ok(ftr_group_attach(hook->group));
}

void hook_drop(struct hook *hook)
{
	ck_ok(ftr_group_detach(hook->group));
	ck_ok(ftr_group_free(hook->group));
	hook->group = NULL;
}
