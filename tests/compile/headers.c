/* SPDX-License-Identifier: MIT */
/*
 * One source, every language the headers promise: C99, C11, C17, C++98, C++11,
 * C++17.  compile.sh builds it in each, warnings being errors, and runs it.
 */
#include <ftr/ftr.h>

FTR_MODULE;

FTR_TRACEABLE int compile_traceable(int x);
FTR_TRACEABLE int compile_traceable(int x)
{
	return x + 1;
}

FTR_TRACEABLE static int static_traceable(int x)
{
	return x - 1;
}

static int count;

static int entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		 struct ftr_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)group;
	count += ftr_regs_pt_regs(regs) == NULL;
	return 0;
}

/* Every initialiser of the headers sets the size and leaves the rest zero. */
static int check_initialisers(void)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_stats stats = FTR_STATS_INIT;
	struct ftr_group_options group_options = FTR_GROUP_OPTIONS_INIT;

	return options.size == sizeof(options) && !options.poke && !options.flags &&
	       !options.exit_depth && !options.detach_timeout_ms &&
	       stats.size == sizeof(stats) && !stats.sites && !stats.last_batch_ns &&
	       group_options.size == sizeof(group_options) && !group_options.name &&
	       !group_options.entry && !group_options.exit && !group_options.data &&
	       !group_options.flags && !group_options.entry_data_size;
}

static int check_traced(void)
{
	struct ftr_group_options group_options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group = NULL;
	volatile int one = 1; /* what the compiler can work out needs no call */
	int result;

	group_options.name = "compile";
	group_options.entry = entry;
	if (ftr_group_new(&group, &group_options))
		return 0;
	if (ftr_group_filter(group, "*_traceable*", 0) != 2 || ftr_group_attach(group))
		return 0;
	result = compile_traceable(one) + static_traceable(one);
	if (ftr_group_detach(group) || ftr_group_free(group))
		return 0;
	return result == 2 && count == 2;
}

int main(void)
{
	if (!check_initialisers())
		return 1;
	if (!check_traced())
		return 2;
	return ftr_shutdown() ? 3 : 0;
}
