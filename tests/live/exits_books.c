/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded into a program: hooks all its functions from before main() to
 * its end, and keeps books.  Each thread notes the calls that are under way; an exit
 * must be that of the last of them, whether the call returned or was unwound past
 * (R4).  At the end a line says what was seen.  Environment:
 *
 *	FTR_BOOKS_OUT    the file of that line
 *	FTR_BOOKS_FLAGS  "regs", "all": kinds of groups
 */
#include <ftr/ftr.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BOOK = 100000 };
static __thread unsigned long open_ids[BOOK], n_open, n_ids;
static _Atomic unsigned long entries, exits, unwound, wrong;
static struct ftr_group *group;
static pid_t pid;

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *g, struct ftr_regs *regs)
{
	unsigned long *id = ftr_entry_data(regs);

	entries++;
	*id = ++n_ids;
	if (n_open < BOOK)
		open_ids[n_open++] = *id;
	else
		wrong++;
	return 0;
}

static void on_exit_(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *g, struct ftr_regs *regs)
{
	const unsigned long *id = ftr_entry_data(regs);

	if (ftr_regs_unwound(regs))
		unwound++;
	else
		exits++;
	if (!n_open || open_ids[--n_open] != *id)
		wrong++;
}

static uint32_t flags_of(const char *how)
{
	if (how && !strcmp(how, "regs"))
		return FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_REGS;
	if (how && !strcmp(how, "all"))
		return FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_ALL_VECTORS;
	return FTR_GROUP_UNWOUND_EXITS;
}

static int attach(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = "books";
	options.entry = on_entry;
	options.exit = on_exit_;
	options.flags = flags_of(getenv("FTR_BOOKS_FLAGS"));
	options.entry_data_size = sizeof(unsigned long);
	if (ftr_group_new(&group, &options))
		return -1;
	return ftr_group_filter(group, "*", 0) < 0 ? -1 : ftr_group_attach(group);
}

__attribute__((constructor)) static void books_open(void)
{
	pid = getpid();
	if (attach())
		wrong++;
}

__attribute__((destructor)) static void books_close(void)
{
	const char *path = getenv("FTR_BOOKS_OUT");
	/* A shell in between has nothing to tell. */
	FILE *out = path && pid == getpid() && entries ? fopen(path, "w") : NULL;
	struct ftr_stats stats = FTR_STATS_INIT;

	if (!out)
		return;
	ftr_stats_get(&stats);
	fprintf(out, "sites %lu entries %lu exits %lu unwound %lu open %lu missed %lu wrong %lu\n",
		(unsigned long)stats.attached, entries, exits, unwound, n_open,
		(unsigned long)ftr_group_missed(group), wrong);
	fclose(out);
}
