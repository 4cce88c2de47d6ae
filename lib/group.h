/* SPDX-License-Identifier: MIT */
/*
 * Groups.  Floor 5; guarded by the library's lock, but for what handlers read.
 */
#ifndef FTR__GROUP_H
#define FTR__GROUP_H

#include "lib/filter.h"
#include "lib/grace.h"
#include "lib/site.h"

/* The threads that a group is limited to; immutable. */
struct ftr__threads {
	size_t n;
	pid_t tids[]; /* sorted */
};

struct ftr__sites {
	struct ftr_site **list; /* sorted by address */
	size_t n;
};

enum ftr__group_state {
	FTR__GROUP_DETACHED,
	FTR__GROUP_ATTACHED,
	/* Off its sites, but a handler may still run. */
	FTR__GROUP_LEAVING,
	/* The same, and ftr__group_left() is going to be called. */
	FTR__GROUP_LEAVING_ASYNC
};

struct ftr_group {
	struct ftr__member member; /* what the sets copy */
	struct ftr__typing *typing; /* its typed handlers (lib/typed.h), or NULL */
	void *data;
	char *name;
	ftr__counter missed;            /* written by handlers' threads, atomically */
	const struct ftr__threads *threads; /* NULL: all */
	enum ftr__group_state state;
	uint64_t left_at; /* number of the update that made it LEAVING */
	bool list_changed; /* since `epoch` was drawn: sets of old are no match */
	struct ftr__filter filter;
	struct ftr__sites sites;   /* what the filter holds */
	/* While attached: those of them that a partial update left out. */
	struct ftr__sites left;
	struct ftr__grace_item leaving; /* of an asynchronous detach */
	void (*done)(void *arg);
	void *done_arg;
	struct ftr_group *next;             /* among all groups */
};

struct ftr_group *ftr__group_new(const struct ftr_group_options *options);
void ftr__group_free(struct ftr_group *group);
bool ftr__group_has_handler(const struct ftr_group *group);
/* Whether this is a group: the pointer is not looked into. */
bool ftr__group_known(const struct ftr_group *group);
/* The latest of all groups. */
struct ftr_group *ftr__group_first(void);

/* Compute what a filter holds now; -ENOMEM. */
int ftr__group_match(const struct ftr__filter *filter, struct ftr__sites *sites);

/* Match again after modules came; an attached group's sites change with it. */
int ftr__group_rematch(struct ftr_group *group);
/* Let an attached group hold these sites; the list is not stored. */
int ftr__group_move(struct ftr_group *group, const struct ftr__sites *sites);
/* Forget the sites of a module that went. */
void ftr__group_forget(struct ftr_group *group, const struct ftr__module *module);

/* Give the group a new filter, taken over on success. */
int ftr__group_set_filter(struct ftr_group *group, struct ftr__filter *filter,
			  struct ftr__sites *sites);

/* An attached group is to run in these threads alone; *old is the former list,
 * free after a grace period. */
int ftr__group_set_threads(struct ftr_group *group, const struct ftr__threads *threads,
			   const struct ftr__threads **old);

/* Updates that made groups LEAVING, so far: who then waits for all handlers may
 * take those for DETACHED that left by then. */
uint64_t ftr__group_leavings(void);
void ftr__group_left(struct ftr_group *group, uint64_t leavings);

/*
 * Attach and detach as one batch.  Detached groups are LEAVING after; after an
 * error those that were to be attached may be too.
 *
 * left: sites that can't be changed now are left out, and listed there (the list
 * to be freed); NULL: that is an error.  A group that was to be detached and could not be
 * everywhere stays ATTACHED there.  One that is attached with sites left out
 * may be among those to attach.
 */
int ftr__group_update(struct ftr_group *const *attach, size_t n_attach,
		      struct ftr_group *const *detach, size_t n_detach,
		      struct ftr__sites *left);

#endif
