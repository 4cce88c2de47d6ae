/* SPDX-License-Identifier: MIT */
/*
 * Exports: probes.  Floor 6.
 */
#include <stdlib.h>

#include "lib/core.h"
#include "lib/error.h"
#include "lib/grace.h"
#include "lib/options.h"
#include "lib/probe.h"
#include "lib/thread.h"

/* --- making and freeing ------------------------------------------------------------ */

static int check_options(const struct ftr_probe_options *o)
{
	const uint32_t known = FTR_PROBE_NO_JUMP | FTR_PROBE_FORCE | FTR_PROBE_REENTRANT;

	if (o->flags & ~known)
		return ftr__fail(EINVAL, "ftr_probe_options: unknown flags %#x", o->flags & ~known);
	if (!o->pre && !o->post)
		return ftr__fail(EINVAL, "ftr_probe_options: no handler");
	if (!o->symbol == !o->addr)
		return ftr__fail(EINVAL, "ftr_probe_options: either a symbol or an address, not %s",
				 o->symbol ? "both" : "neither");
	if (o->symbol && !o->symbol[0])
		return ftr__fail(EINVAL, "ftr_probe_options: the symbol is empty");
	return 0;
}

struct new_args {
	struct ftr_probe **probe;
	const struct ftr_probe_options *options;
};

static int new_locked(void *arg)
{
	struct new_args *args = arg;
	struct ftr_probe *probe = ftr__probe_new(args->options);

	if (!probe)
		return ftr__fail(ENOMEM, "no memory for a probe");
	int result = ftr__probe_resolve(probe);
	if (result)
		ftr__probe_free(probe);
	else
		*args->probe = probe;
	return result;
}

FTR_API int ftr_probe_new(struct ftr_probe **probe, const struct ftr_probe_options *options)
{
	struct ftr_probe_options copy;

	if (!probe || !options)
		return ftr__fail(EINVAL, "ftr_probe_new: a NULL argument");
	if (!ftr__options_take(&copy, sizeof copy, options, options->size, sizeof copy))
		return ftr__fail(EINVAL, "ftr_probe_options: a size of %zu bytes (%zu known) or a"
				 " non-zero tail", options->size, sizeof copy);
	int result = check_options(&copy);
	struct new_args args = { probe, &copy };
	return result ? result : ftr__core_run(new_locked, &args);
}

static int check_probe(const struct ftr_probe *probe)
{
	return ftr__probe_known(probe) ? 0 : ftr__fail(EINVAL, "%p is not a probe",
						       (const void *)probe);
}

static int free_locked(void *arg)
{
	struct ftr_probe *probe = arg;
	int result = check_probe(probe);

	if (result)
		return result;
	if (probe->state == FTR__PROBE_ENABLED)
		return ftr__fail(EBUSY, "the probe at %#lx is enabled", (unsigned long)probe->addr);
	if (probe->state == FTR__PROBE_LEAVING)
		return ftr__fail(EBUSY, "a thread may still be in a handler of the probe at %#lx:"
				 " disable it again", (unsigned long)probe->addr);
	ftr__probe_free(probe);
	return 0;
}

FTR_API int ftr_probe_free(struct ftr_probe *probe)
{
	return ftr__core_run(free_locked, probe);
}

FTR_API enum ftr_probe_kind ftr_probe_kind(const struct ftr_probe *probe)
{
	return probe ? probe->kind : FTR_PROBE_BREAKPOINT;
}

FTR_API uintptr_t ftr_probe_addr(const struct ftr_probe *probe)
{
	return probe ? probe->addr : 0;
}

FTR_API uint64_t ftr_probe_hits(const struct ftr_probe *probe)
{
	return probe ? ftr__counted(&probe->hits) : 0;
}

FTR_API uint64_t ftr_probe_missed(const struct ftr_probe *probe)
{
	return probe ? ftr__probe_missed(probe) : 0;
}

FTR_API void *ftr_probe_data(const struct ftr_probe *probe)
{
	return probe ? probe->data : NULL;
}

/* --- enabling and disabling -------------------------------------------------------------- */

struct update_args {
	struct ftr_probe *const *list;
	size_t n;
	bool begun; /* handlers may have run, or may still */
	struct ftr__leaving leaving;
};

static int check_listed_once(struct ftr_probe *probe, int error)
{
	if (probe->listed)
		return ftr__fail(error, "the probe at %#lx is listed twice",
				 (unsigned long)probe->addr);
	probe->listed = true;
	return 0;
}

/* Those that were looked at; what is not a probe is not looked into. */
static void unlist(const struct update_args *args)
{
	for (size_t i = 0; i < args->n; i++)
		if (ftr__probe_known(args->list[i]))
			args->list[i]->listed = false;
}

typedef int check_fn(struct ftr_probe *probe);

static int check_all(const struct update_args *args, check_fn *check, int listed_twice)
{
	int result = 0;

	for (size_t i = 0; i < args->n && !result; i++) {
		result = check_probe(args->list[i]);
		if (!result)
			result = check_listed_once(args->list[i], listed_twice);
		if (!result)
			result = check(args->list[i]);
	}
	unlist(args);
	return result;
}

static int check_enable(struct ftr_probe *probe)
{
	if (probe->state == FTR__PROBE_ENABLED)
		return ftr__fail(EBUSY, "the probe at %#lx is enabled already",
				 (unsigned long)probe->addr);
	if (ftr__probe_is_home(probe))
		return 0;
	if (!probe->symbol)
		return ftr__fail(ENOENT, "the module of the probe at %#lx was unloaded",
				 (unsigned long)probe->addr);
	return ftr__probe_resolve(probe);
}

static int enable_locked(void *arg)
{
	struct update_args *args = arg;
	int result = check_all(args, check_enable, EBUSY);

	if (result)
		return result;
	args->begun = true;
	result = ftr__probes_enable(args->list, args->n);
	if (result)
		args->leaving = ftr__probes_leaving();
	return result;
}

static int check_disable(struct ftr_probe *probe)
{
	return probe->state != FTR__PROBE_DISABLED
		       ? 0 : ftr__fail(EINVAL, "the probe at %#lx is not enabled",
				       (unsigned long)probe->addr);
}

/* Those that are LEAVING are off already: they are waited for. */
static int disable_enabled(const struct update_args *args)
{
	struct ftr_probe **list = malloc((args->n + 1) * sizeof *list);
	size_t n = 0;

	if (!list)
		return ftr__fail(ENOMEM, "no memory to disable probes");
	for (size_t i = 0; i < args->n; i++)
		if (args->list[i]->state == FTR__PROBE_ENABLED)
			list[n++] = args->list[i];
	int result = n ? ftr__probes_disable(list, n) : 0;
	free(list);
	return result;
}

static int disable_locked(void *arg)
{
	struct update_args *args = arg;
	int result = check_all(args, check_disable, EINVAL);

	if (!result)
		result = disable_enabled(args);
	if (result)
		return result;
	args->begun = true;
	args->leaving = ftr__probes_leaving();
	return 0;
}

static int left_locked(void *arg)
{
	const struct update_args *args = arg;

	ftr__probes_left(args->leaving, true);
	return 0;
}

static int stay_locked(void *arg)
{
	const struct update_args *args = arg;

	ftr__probes_left(args->leaving, false);
	return 0;
}

/* -EDEADLK, -ETIMEDOUT. */
static int wait_left(struct update_args *args)
{
	pid_t late = 0;
	int result = 0;

	if (ftr__thread_inside())
		result = ftr__fail(EDEADLK, "called from inside a handler: the breakpoints are away,"
				   " but the handler that called still runs; disable again from"
				   " elsewhere");
	else if (ftr__grace_wait(ftr__core_detach_timeout(), &late))
		result = ftr__fail(ETIMEDOUT, "thread %d stayed inside a handler for more than %u ms;"
				   " the breakpoints are away, disable again", (int)late,
				   ftr__core_detach_timeout());
	ftr__core_run_stopped(result ? stay_locked : left_locked, args);
	return result;
}

FTR_API int ftr_probe_enable_many(struct ftr_probe *const *probes, size_t n)
{
	struct update_args args = { .list = probes, .n = n };

	if (!probes || !n)
		return ftr__fail(EINVAL, "ftr_probe_enable_many: no probes");
	int result = ftr__core_run(enable_locked, &args);
	/* A failed one may have let handlers run; its error is the one to tell. */
	if (result && args.begun) {
		pid_t late;
		bool waited = !ftr__thread_inside() &&
			      !ftr__grace_wait(ftr__core_detach_timeout(), &late);
		ftr__core_run_stopped(waited ? left_locked : stay_locked, &args);
	}
	return result;
}

FTR_API int ftr_probe_disable_many(struct ftr_probe *const *probes, size_t n)
{
	struct update_args args = { .list = probes, .n = n };

	if (!probes || !n)
		return ftr__fail(EINVAL, "ftr_probe_disable_many: no probes");
	int result = ftr__core_run(disable_locked, &args);
	return result || !args.begun ? result : wait_left(&args);
}

FTR_API int ftr_probe_enable(struct ftr_probe *probe)
{
	return ftr_probe_enable_many(&probe, 1);
}

FTR_API int ftr_probe_disable(struct ftr_probe *probe)
{
	return ftr_probe_disable_many(&probe, 1);
}
