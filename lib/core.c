/* SPDX-License-Identifier: MIT */
/*
 * See core.h.  Floor 5.
 *
 * A refresh reads the files of new modules without any lock, then takes both
 * and goes on only if the loader's list is still the one that was read.
 */
#include "lib/core.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/error.h"
#include "lib/grace.h"
#include "lib/group.h"
#include "lib/module.h"
#include "lib/normal.h"
#include "lib/prologue.h"
#include "lib/record.h"
#include "lib/probe.h"
#include "lib/thread.h"
#include "lib/trap.h"
#include "lib/update.h"

enum { DETACH_TIMEOUT_MS = 1000 };

/* More than any errno: try again. */
enum { STALE = -5000, BUSY = -5001 };

/* Guards all state of floors 3 to 5.  Taken inside the loader's lock. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* All below: under the lock. */
static struct {
	bool started;
	unsigned flags; /* FTR_TEXT_*, FTR_NO_SCAN */
	unsigned detach_timeout_ms;
	bool listed; /* the list of modules is that of `loader` and `records` */
	struct ftr__loader_state loader;
	unsigned records;
	bool behind; /* an attached group could not follow a refresh */
	unsigned outside; /* user's callbacks that run under the lock */
} core;

unsigned ftr__core_detach_timeout(void)
{
	return core.detach_timeout_ms;
}

bool ftr__core_started(void)
{
	return FTR__READ_ONCE(core.started);
}

void ftr__core_stop(void)
{
	core.started = false;
	core.listed = false;
}

/* --- fork -------------------------------------------------------------------- */

/* None of our threads holds the loader's lock, and no batch is under way. */
static void before_fork(void)
{
	ftr__loader_before_fork();
	pthread_mutex_lock(&lock);
	ftr__module_records_lock();
}

static void after_fork_in_parent(void)
{
	ftr__module_records_unlock();
	pthread_mutex_unlock(&lock);
	ftr__loader_after_fork(false);
}

static void after_fork_in_child(void)
{
	ftr__thread_forked();
	ftr__trap_forked();
	ftr__grace_forked();
	ftr__loader_after_fork(true);
	ftr__module_records_unlock();
	/* The mutex belongs to a thread id of the parent's. */
	lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

/* --- start --------------------------------------------------------------------- */

static const char *const poke_names[] = { "auto", "int3", "atomic", "skip" };

/* The environment decides where the program does not. */
static int poke_of(const struct ftr_options *options, unsigned *poke)
{
	const char *text = getenv("FTR_POKE");

	*poke = options->poke;
	if (*poke == FTR_POKE_AUTO && text && *text) {
		for (*poke = 0; *poke < FTR__ARRAY_SIZE(poke_names); ++*poke)
			if (!strcmp(text, poke_names[*poke]))
				return 0;
		return ftr__fail(EINVAL, "FTR_POKE=%.32s: not auto, int3, atomic or skip", text);
	}
	if (*poke > FTR_POKE_SKIP)
		return ftr__fail(EINVAL, "%u is no poke strategy", *poke);
	return 0;
}

/* The writer that serves here is known: /proc/self/mem stores no eight bytes at
 * once. */
static int poke_works(unsigned poke)
{
	if (strcmp(ftr__text_writer(), "mem") || (poke != FTR_POKE_ATOMIC && poke != FTR_POKE_SKIP))
		return 0;
	return ftr__fail(EOPNOTSUPP, "the poke strategy %s stores to text, which may not or can't be"
			 " made writable here", poke_names[poke]);
}

static int text_of(unsigned *flags)
{
	const char *text = getenv("FTR_TEXT");

	if (!text || !*text)
		return 0;
	if (strcmp(text, "strict"))
		return ftr__fail(EINVAL, "FTR_TEXT=%.32s: not strict", text);
	*flags |= FTR_TEXT_STRICT;
	return 0;
}

/* Where a breakpoint of a batch may have stood.  In the trap handler. */
FTR__BARE static bool is_touched(uintptr_t addr)
{
	return ftr__site_is_touched(addr) || ftr__prologue_is_touched(addr);
}

static int start(const struct ftr_options *options)
{
	static bool hooked;
	unsigned flags = options->flags, poke;
	int result = poke_of(options, &poke);

	if (!result)
		result = text_of(&flags);
	if (!result)
		result = ftr__grace_init();
	if (!result)
		result = ftr__slot_init();
	if (!result && !hooked &&
	    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child))
		result = ftr__fail(ENOMEM, "no memory for the fork handlers");
	if (result)
		return result;
	hooked = true;
	ftr__text_set_strict(flags & FTR_TEXT_STRICT);
	result = ftr__text_probe();
	if (!result)
		result = poke_works(poke);
	if (result)
		return result;
	ftr__batch_set_poke(poke);
	ftr__thread_init();
	ftr__trap_is_site = is_touched;
	ftr__points_start();
	result = ftr__trap_install();
	if (result)
		return result;
	ftr__record_set_depth(options->exit_depth);
	core.flags = flags;
	core.detach_timeout_ms =
		options->detach_timeout_ms ? options->detach_timeout_ms : DETACH_TIMEOUT_MS;
	FTR__WRITE_ONCE(core.started, true);
	return 0;
}

/* --- refresh ------------------------------------------------------------------- */

struct refresh {
	struct ftr__loaded_list loaded;
	struct ftr__module **fresh; /* read for loaded.list[i], or NULL */
	unsigned records;
	struct ftr__module **list; /* the new list */
	size_t n;
};

/* Known by what is cheap to compare. */
static struct ftr__module *known(const struct ftr__loaded *loaded)
{
	const struct ftr__modules *modules = ftr__modules();

	for (size_t i = 0; modules && i < modules->n; i++) {
		struct ftr__module *m = modules->list[i];
		if (!m->gone && m->base == loaded->base && m->where == loaded->where &&
		    !strcmp(m->path, loaded->path))
			return m;
	}
	return NULL;
}

/* Registered since it was looked at, or no longer. */
static bool record_changed(const struct ftr__module *m)
{
	return ftr__module_has_record(m) != m->registered && (m->registered || !m->n_sites);
}

static void refresh_free(struct refresh *r)
{
	for (size_t i = 0; r->fresh && i < r->loaded.n; i++)
		if (r->fresh[i])
			ftr__module_free(r->fresh[i]);
	free(r->fresh);
	free(r->list);
	ftr__loader_free(&r->loaded);
}

/* Without locks but for a moment: `modules` may only change under ours. */
static int refresh_read(struct refresh *r, bool scan)
{
	memset(r, 0, sizeof *r);
	r->records = ftr__module_registrations();
	int result = ftr__loader_list(&r->loaded);
	if (result)
		return result;
	r->fresh = calloc(r->loaded.n + 1, sizeof *r->fresh);
	r->list = calloc(r->loaded.n + 1, sizeof *r->list);
	for (size_t i = 0; r->fresh && r->list && i < r->loaded.n; i++) {
		pthread_mutex_lock(&lock);
		bool is_known = known(&r->loaded.list[i]) != NULL;
		pthread_mutex_unlock(&lock);
		if (is_known)
			continue;
		r->fresh[i] = ftr__module_read(&r->loaded.list[i], scan);
		if (!r->fresh[i])
			return ftr__fail(ENOMEM, "no memory, or no descriptor, to read the module %s",
					 r->loaded.list[i].path);
	}
	return r->fresh && r->list ? 0 : ftr__fail(ENOMEM, "no memory for the list of modules");
}

/* Take a module's sites from all groups while it is still loaded. */
static int detach_module(struct ftr__module *m)
{
	int result = 0;

	for (struct ftr_group *g = ftr__group_first(); g && !result; g = g->next) {
		struct ftr__sites kept = { malloc((g->sites.n + 1) * sizeof *kept.list), 0 };
		if (!kept.list)
			return ftr__fail(ENOMEM, "no memory to detach a module");
		for (size_t i = 0; i < g->sites.n; i++)
			if (g->sites.list[i]->ip < m->low || g->sites.list[i]->ip >= m->high)
				kept.list[kept.n++] = g->sites.list[i];
		result = ftr__group_move(g, &kept);
		free(kept.list);
	}
	return result;
}

/* Which of the known modules stay; STALE: one has to be read anew. */
static int refresh_sort_out(struct refresh *r)
{
	int result = 0;

	for (size_t i = 0; i < r->loaded.n; i++) {
		struct ftr__module *m = known(&r->loaded.list[i]);
		if (m && record_changed(m)) {
			int detached = detach_module(m);
			if (detached)
				return detached;
			m->gone = m->reread = true;
		} else if (m && (!ftr__module_same(m, &r->loaded.list[i]) ||
				 ftr__points_lost(m) || ftr__prologues_lost(m))) {
			m->gone = true;
		}
		if (m && !m->gone) {
			r->list[r->n++] = m;
			/* Another thread may have adopted it meanwhile. */
			if (r->fresh[i])
				ftr__module_free(r->fresh[i]);
			r->fresh[i] = NULL;
		} else if (!r->fresh[i]) {
			result = STALE;
		}
	}
	return result;
}

static bool kept(const struct refresh *r, const struct ftr__module *m)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i] == m)
			return true;
	return false;
}

/* What a module that is still there was read as. */
static const struct ftr__module *successor(const struct refresh *r, const struct ftr__module *m)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i]->base == m->base && r->list[i]->where == m->where)
			return r->list[i];
	return NULL;
}

/* Nothing is read from or written to the pages of what is gone. */
static void forget_gone(const struct refresh *r, const struct ftr__modules *before)
{
	for (size_t i = 0; before && i < before->n; i++) {
		struct ftr__module *m = before->list[i];
		if (kept(r, m))
			continue;
		for (struct ftr_group *g = ftr__group_first(); g; g = g->next)
			ftr__group_forget(g, m);
		ftr__update_forget(m);
		const struct ftr__module *again = m->reread ? successor(r, m) : NULL;
		if (again) {
			ftr__probes_rehome(m, again);
			ftr__prologues_rehome(m, again);
		} else {
			ftr__probes_forget(m);
		}
	}
}

/* Publish the new list; free what is in the old one alone. */
static int refresh_replace(struct refresh *r)
{
	const struct ftr__modules *before = ftr__modules();
	size_t n = 0;
	struct ftr__module **gone = calloc(before ? before->n + 1 : 1, sizeof *gone);

	if (!gone)
		return ftr__fail(ENOMEM, "no memory for the list of modules");
	for (size_t i = 0; before && i < before->n; i++)
		if (!kept(r, before->list[i]))
			gone[n++] = before->list[i];
	forget_gone(r, before);
	bool idle = false;
	int result = ftr__modules_replace(r->list, r->n, &idle);
	for (size_t i = 0; i < n && !result && idle; i++)
		ftr__module_free(gone[i]);
	free(gone);
	return result;
}

/* New modules: find their sites, publish the list, make nops of their calls. */
static int refresh_adopt(struct refresh *r)
{
	size_t first = r->n;
	int result = 0;

	for (size_t i = 0; i < r->loaded.n && !result; i++) {
		if (!r->fresh[i])
			continue;
		result = ftr__module_adopt(r->fresh[i], !(core.flags & FTR_NO_SCAN));
		r->list[r->n++] = r->fresh[i];
	}
	struct ftr__module **adopted = calloc(r->n + 1, sizeof *adopted);
	if (adopted)
		memcpy(adopted, r->list, r->n * sizeof *adopted);
	else
		result = ftr__fail(ENOMEM, "no memory for the list of modules");
	if (!result)
		result = refresh_replace(r); /* sorts the list */
	if (!result)
		memset(r->fresh, 0, r->loaded.n * sizeof *r->fresh); /* the list's now */
	core.behind |= !result;
	for (size_t i = first; i < r->n && !result; i++)
		result = ftr__normal_adopt(adopted[i]);
	free(adopted);
	return result;
}

static int rematch(void)
{
	int result = 0;

	core.behind = false;
	for (struct ftr_group *g = ftr__group_first(); g; g = g->next) {
		int one = ftr__group_rematch(g);
		result = result ? result : one;
	}
	core.behind = result != 0;
	return result;
}

/* Under both locks, the loader's state as it was read. */
static int refresh_apply(struct refresh *r, const struct ftr__loader_state *state)
{
	bool changed = !ftr__modules();

	if (state->adds != r->loaded.state.adds || state->subs != r->loaded.state.subs)
		return STALE;
	int result = refresh_sort_out(r);
	if (result)
		return result;
	for (size_t i = 0; i < r->loaded.n; i++)
		changed |= r->fresh[i] != NULL;
	changed |= ftr__modules() && r->n != ftr__modules()->n;
	if (changed)
		result = refresh_adopt(r);
	if (result)
		return result;
	core.loader = *state;
	core.records = r->records;
	core.listed = true;
	if (changed)
		rematch(); /* a failure leaves core.behind */
	if (changed && (core.flags & FTR_TEXT_POPULATE))
		ftr__normal_populate();
	return 0;
}

/* --- running under the locks ------------------------------------------------------ */

struct run {
	int (*fn)(void *arg);
	void *arg;
	const struct ftr_options *options; /* to start with */
	struct refresh *refresh;           /* to apply first, or NULL */
	bool strictly;
};

static bool up_to_date(const struct ftr__loader_state *state)
{
	return core.listed && core.loader.adds == state->adds &&
	       core.loader.subs == state->subs && core.records == ftr__module_registrations();
}

static int run_locked(struct run *run, const struct ftr__loader_state *state)
{
	int result = core.started ? 0 : start(run->options);

	if (!result && run->refresh)
		result = refresh_apply(run->refresh, state);
	/* Modules stay as they are while a callback walks over them. */
	if (!result && !up_to_date(state) && !core.outside)
		result = STALE;
	if (!result && core.behind)
		result = rematch();
	if (result && (result == STALE || run->strictly || !core.listed || !core.behind))
		return result;
	return run->fn ? run->fn(run->arg) : 0;
}

/* Nobody waits for our lock with the loader's in hand. */
static int try_locked(const struct ftr__loader_state *state, void *arg)
{
	if (pthread_mutex_trylock(&lock))
		return BUSY;
	int result = run_locked(arg, state);
	pthread_mutex_unlock(&lock);
	return result;
}

static int run_once(struct run *run)
{
	int result;

	while ((result = ftr__loader_locked(try_locked, run)) == BUSY) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
	}
	return result;
}

static int run_refreshed(struct run *run)
{
	int result = run_once(run);

	while (result == STALE) {
		struct refresh refresh;
		result = refresh_read(&refresh, !(core.flags & FTR_NO_SCAN));
		if (!result) {
			run->refresh = &refresh;
			result = run_once(run);
			run->refresh = NULL;
		}
		refresh_free(&refresh);
	}
	return result;
}

static int run_guarded(struct run *run)
{
	struct ftr__thread *self = ftr__thread_self();

	if (!self)
		return -ENOMEM;
	if (self->api_depth)
		return ftr__fail(EDEADLK, "called from a handler that interrupted the library in"
				 " this thread");
	/* Opening a file is a cancellation point: not with a lock in hand. */
	int cancel;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	self->api_depth = 1;
	uintptr_t outer = self->api_frame;
	self->api_frame = (uintptr_t)__builtin_frame_address(0);
	int result = run_refreshed(run);
	self->api_frame = outer;
	self->api_depth = 0;
	if (ftr__grace_pending() && !ftr__thread_inside())
		ftr__grace_poll();
	pthread_setcancelstate(cancel, NULL);
	return result;
}

static const struct ftr_options defaults = FTR_OPTIONS_INIT;

int ftr__core_run(int (*fn)(void *arg), void *arg)
{
	struct run run = { .fn = fn, .arg = arg, .options = &defaults };

	return run_guarded(&run);
}

int ftr__core_run_strictly(int (*fn)(void *arg), void *arg)
{
	struct run run = { .fn = fn, .arg = arg, .options = &defaults, .strictly = true };

	return run_guarded(&run);
}

int ftr__core_run_stopped(int (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	int result = fn(arg);
	pthread_mutex_unlock(&lock);
	return result;
}

/* Unless another thread has come further meanwhile. */
static int start_undone(void *arg)
{
	if (!core.listed)
		core.started = false;
	return 0;
}

int ftr__core_start(const struct ftr_options *options)
{
	struct run run = { .options = options };

	if (ftr__core_started())
		return ftr__fail(EALREADY, "the library is in use already");
	int result = run_guarded(&run);
	if (result)
		ftr__core_run_stopped(start_undone, NULL);
	return result;
}

struct ftr__core_out ftr__core_call_out(void)
{
	struct ftr__core_out out = { ftr__self->api_depth };

	ftr__self->api_depth = 0;
	core.outside++;
	return out;
}

void ftr__core_call_in(struct ftr__core_out out)
{
	core.outside--;
	ftr__self->api_depth = out.depth;
}
