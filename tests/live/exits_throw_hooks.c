/* SPDX-License-Identifier: MIT */
/* The hooks of exits_throw.sh; see exits_throw.h. */
#include "exits_throw.h"

#include <errno.h>
#include <ftr/ftr.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/** Calls in this process; of all processes. */
static struct counts {
	_Atomic unsigned long entries, exits, unwound, wrong;
} counts, *all;

static struct ftr_group *group;
static bool tells_unwound;
static atomic_bool stop;
static pthread_t toggler;
static bool toggles;

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *g, struct ftr_regs *regs)
{
	uintptr_t *data = ftr_entry_data(regs);

	data[0] = ip;
	data[1] = parent_ip;
	counts.entries++;
	return 0;
}

static void on_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *g, struct ftr_regs *regs)
{
	const uintptr_t *data = ftr_entry_data(regs);

	if (data[0] != ip || data[1] != parent_ip)
		counts.wrong++;
	if (ftr_regs_unwound(regs))
		counts.unwound++;
	else
		counts.exits++;
}

/* Words on a stack may look like a thread in a pad (P9), for a while. */
static int attach_group(void)
{
	int result = -EAGAIN, tries;

	for (tries = 0; result == -EAGAIN && tries < 1000; tries++)
		result = ftr_group_attach(group);
	return result;
}

static void *toggle(void *arg)
{
	while (!stop) {
		if (ftr_group_detach(group) || attach_group())
			counts.wrong++;
	}
	return NULL;
}

static uint32_t flags_of(const char *how)
{
	tells_unwound = !strcmp(how, "unwound");
	return !strcmp(how, "regs") ? FTR_GROUP_REGS
	       : !strcmp(how, "all") ? FTR_GROUP_ALL_VECTORS | FTR_GROUP_REGS
	       : tells_unwound ? FTR_GROUP_UNWOUND_EXITS
			       : 0;
}

static int attach(const char *how)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = how;
	options.entry = on_entry;
	options.exit = on_exit;
	options.flags = flags_of(how);
	options.entry_data_size = 2 * sizeof(uintptr_t);
	if (ftr_group_new(&group, &options) || ftr_group_filter(group, "*", 0) < 20)
		return 1;
	return attach_group() != 0;
}

int hooks_begin(const char *how)
{
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(how, "plain"))
		return 0;
	if (ftr_init(NULL) == -ENOSYS)
		return 77;
	if (attach(how)) {
		fprintf(stderr, "%s\n", ftr_last_error());
		return 1;
	}
	toggles = !strcmp(how, "toggle");
	return 0;
}

void hooks_child(void)
{
	memset(&counts, 0, sizeof(counts));
	stop = false;
	if (toggles && pthread_create(&toggler, NULL, toggle, NULL))
		counts.wrong++;
}

/* Calls that ended in a thread that ended are told by nobody; a hooked call
 * behind what was unwound tells of that. */
void hooks_child_end(void)
{
	if (toggles) {
		stop = true;
		pthread_join(toggler, NULL);
	}
	all->entries += counts.entries;
	all->exits += counts.exits;
	all->unwound += counts.unwound;
	all->wrong += counts.wrong;
}

int hooks_end(unsigned ran)
{
	bool bad;

	if (!group)
		return 0;
	fprintf(stderr, "%lu entries, %lu exits, %lu unwound, %lu missed\n", all->entries,
		all->exits, all->unwound, (unsigned long)ftr_group_missed(group));
	if (ftr_group_detach(group) || ftr_group_free(group))
		return 1;
	bad = all->wrong || (!toggles && (all->entries < 10 * ran || all->exits < 5 * ran ||
					  all->exits >= all->entries));
	if (tells_unwound)
		bad |= all->unwound < ran;
	else
		bad |= all->unwound != 0;
	return bad;
}
