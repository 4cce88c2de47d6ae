/* SPDX-License-Identifier: MIT */
/*
 * See loader.h.  Floor 4.
 *
 * The C library does not see to the lock of dl_iterate_phdr() in fork(): a
 * child finds it locked for good if another thread of the parent held it.  So
 * a fork waits until none of our threads is in there, and they wait for it.
 */
#include "lib/loader.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/error.h"
#include "lib/thread.h"

static unsigned walkers; /* threads in dl_iterate_phdr(), or about to be */
static int forking;     /* forks that wait, or go on */

/* A thread that holds the loader's lock in a callback of its own may wait for
 * the fork, and the fork for us, who wait for that thread: nobody waits for
 * ever. */
enum { FORK_PATIENCE = 10000, PAUSE_NS = 100000 };

static void pause_shortly(void)
{
	struct timespec pause = { 0, PAUSE_NS };

	nanosleep(&pause, NULL);
}

static void enter(struct ftr__thread *self)
{
	/* Pairs with ftr__loader_before_fork(): one of the two sees the other. */
	__atomic_add_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
	/* Who is in there already goes on: the fork waits for it. */
	bool inner = self && self->walks;
	for (int i = 0; !inner && __atomic_load_n(&forking, __ATOMIC_SEQ_CST) &&
			i < FORK_PATIENCE; i++) {
		__atomic_sub_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
		pause_shortly();
		__atomic_add_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
	}
	if (self)
		self->walks++;
}

static void leave(struct ftr__thread *self)
{
	if (self)
		self->walks--;
	__atomic_sub_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
}

static int walk(int (*fn)(struct dl_phdr_info *info, size_t size, void *arg), void *arg)
{
	struct ftr__thread *self = ftr__thread_self();

	enter(self);
	int result = dl_iterate_phdr(fn, arg);
	leave(self);
	return result;
}

static unsigned own_walks(void)
{
	return ftr__self ? ftr__self->walks : 0;
}

void ftr__loader_before_fork(void)
{
	__atomic_add_fetch(&forking, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < FORK_PATIENCE; i++) {
		if (__atomic_load_n(&walkers, __ATOMIC_SEQ_CST) <= own_walks())
			return;
		pause_shortly();
	}
}

void ftr__loader_after_fork(bool child)
{
	if (!child) {
		__atomic_sub_fetch(&forking, 1, __ATOMIC_SEQ_CST);
		return;
	}
	walkers = own_walks();
	forking = 0;
}

static bool copy(struct ftr__loaded *to, const struct dl_phdr_info *info, bool program)
{
	size_t size = info->dlpi_phnum * sizeof *info->dlpi_phdr;

	*to = (struct ftr__loaded){ .base = info->dlpi_addr, .where = info->dlpi_phdr,
				    .phnum = info->dlpi_phnum, .program = program };
	to->path = strdup(program ? "/proc/self/exe" : info->dlpi_name ? info->dlpi_name : "");
	to->phdr = malloc(size + 1);
	if (!to->path || !to->phdr) {
		free(to->path);
		free(to->phdr);
		return false;
	}
	memcpy(to->phdr, info->dlpi_phdr, size);
	return true;
}

static int collect(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct ftr__loaded_list *list = arg;
	void *grown = realloc(list->list, (list->n + 1) * sizeof *list->list);

	if (!grown)
		return -ENOMEM;
	list->list = grown;
	/* The program comes first (dl_iterate_phdr(3)). */
	if (!copy(&list->list[list->n], info, list->n == 0))
		return -ENOMEM;
	list->n++;
	list->state.adds = info->dlpi_adds;
	list->state.subs = info->dlpi_subs;
	return 0;
}

int ftr__loader_list(struct ftr__loaded_list *list)
{
	memset(list, 0, sizeof *list);
	if (walk(collect, list) == 0)
		return 0;
	ftr__loader_free(list);
	return ftr__fail(ENOMEM, "no memory for the list of modules");
}

void ftr__loader_free(struct ftr__loaded_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->list[i].path);
		free(list->list[i].phdr);
	}
	free(list->list);
	list->list = NULL;
	list->n = 0;
}

struct locked {
	int (*fn)(const struct ftr__loader_state *state, void *arg);
	void *arg;
	int result;
};

/* In the first call the lock is held; one call is enough. */
static int run(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct locked *locked = arg;
	struct ftr__loader_state state = { info->dlpi_adds, info->dlpi_subs };

	locked->result = locked->fn(&state, locked->arg);
	return 1;
}

int ftr__loader_locked(int (*fn)(const struct ftr__loader_state *state, void *arg), void *arg)
{
	struct locked locked = { .fn = fn, .arg = arg };

	walk(run, &locked);
	return locked.result;
}
