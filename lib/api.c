/* SPDX-License-Identifier: MIT */
/*
 * Exports: start and stop, errors, statistics, report, trap.  Floor 6.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/batch.h"
#include "lib/core.h"
#include "lib/dispatch.h"
#include "lib/error.h"
#include "lib/fault.h"
#include "lib/grace.h"
#include "lib/group.h"
#include "lib/jump.h"
#include "lib/module.h"
#include "lib/normal.h"
#include "lib/options.h"
#include "lib/probe.h"
#include "lib/record.h"
#include "lib/rendezvous.h"
#include "lib/replace.h"
#include "lib/slot.h"
#include "lib/stub.h"
#include "lib/thread.h"
#include "lib/trap.h"
#include "lib/update.h"

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

FTR_API const char *ftr_version_string(void)
{
	return STRING(FTR_VERSION_MAJOR) "." STRING(FTR_VERSION_MINOR) "." STRING(
		FTR_VERSION_PATCH);
}

FTR_API const char *ftr_strerror(int error)
{
	switch (error < 0 ? 0u - (unsigned)error : (unsigned)error) {
	case 0: return "success";
	case EACCES: return "text or memory can't be written";
	case EAGAIN: return "a thread is in the way; try again";
	case EALREADY: return "the library is in use already";
	case EBUSY: return "still in use";
	case EDEADLK: return "called from inside a handler";
	case EILSEQ: return "text does not hold the bytes expected";
	case EINVAL: return "invalid argument";
	case EIO: return "writing failed";
	case ENOENT: return "nothing matched";
	case ENOMEM: return "out of memory";
	case ENOSPC: return "no room for trampolines within reach";
	case ENOSYS: return "the kernel lacks membarrier SYNC_CORE";
	case EOPNOTSUPP: return "not available in this version or on this machine";
	case EPERM: return "protected code, or a group without FTR_GROUP_IPMODIFY";
	case ETIMEDOUT: return "a thread stayed inside a handler";
	default: return "unknown error";
	}
}

FTR_API const char *ftr_last_error(void)
{
	return ftr__error_last();
}

FTR_API int ftr_init(const struct ftr_options *options)
{
	struct ftr_options copy = FTR_OPTIONS_INIT;
	const unsigned known = FTR_TEXT_STRICT | FTR_TEXT_POPULATE | FTR_NO_SCAN;

	if (options && !ftr__options_take(&copy, sizeof copy, options, options->size,
					  sizeof options->size))
		return ftr__fail(EINVAL, "ftr_options: a size of %zu bytes (%zu known) or a non-zero"
				 " tail", options->size, sizeof copy);
	if (copy.flags & ~known)
		return ftr__fail(EINVAL, "ftr_options: unknown flags %#x", copy.flags & ~known);
	return ftr__core_start(&copy);
}

/* --- shutdown ------------------------------------------------------------------- */

/* A shutdown of which the wait was not over yet; under the lock. */
static struct {
	bool owed;
	uint64_t ticket;
	struct ftr__leaving probes;
	struct ftr__restored restored;
} shutdown_wait;

static int detach_all(void)
{
	struct ftr_group *attached[256];
	int result = 0;

	/* In batches of so many: all groups go, the order does not matter. */
	for (size_t n = 1; n && !result;) {
		n = 0;
		for (struct ftr_group *g = ftr__group_first(); g; g = g->next)
			if (g->state == FTR__GROUP_ATTACHED && n < FTR__ARRAY_SIZE(attached))
				attached[n++] = g;
		if (n)
			result = ftr__group_update(NULL, 0, attached, n, NULL);
	}
	return result;
}

static int shutdown_locked(void *arg)
{
	int result = ftr__probes_disable_all();

	if (!result)
		result = ftr__replacements_end_all();
	if (!result)
		result = detach_all();
	if (!result)
		result = ftr__normal_restore();
	if (result)
		return result;
	if (shutdown_wait.owed)
		ftr__probes_left(shutdown_wait.probes, false);
	shutdown_wait.owed = true;
	shutdown_wait.probes = ftr__probes_leaving();
	unsigned owed = shutdown_wait.restored.buckets;
	shutdown_wait.restored = ftr__replacements_ended();
	shutdown_wait.restored.buckets |= owed;
	shutdown_wait.ticket = ftr__set_age();
	/* A thread may have met a breakpoint and not come to the handler yet:
	 * only with one thread is there none. */
	if (ftr__rendezvous_alone()) {
		ftr__trap_uninstall();
		ftr__fault_uninstall();
	}
	ftr__core_stop();
	return 0;
}

static int wait_for_handlers(void)
{
	pid_t late = 0;

	int result = ftr__grace_wait(ftr__core_detach_timeout(), &late);
	if (!result)
		result = ftr__around_wait(shutdown_wait.restored.buckets,
					  ftr__core_detach_timeout(), &late);
	if (!result)
		return 0;
	if (result == -EDEADLK)
		return ftr__fail(EDEADLK, "ftr_shutdown() was called from inside a handler around a"
				 " function: the text is restored, but that handler still runs");
	return ftr__fail(ETIMEDOUT, "thread %d stayed inside a handler for more than %u ms",
			 (int)late, ftr__core_detach_timeout());
}

static int shutdown_done(void *arg)
{
	ftr__set_reap(shutdown_wait.ticket);
	ftr__probes_left(shutdown_wait.probes, true);
	for (struct ftr_group *g = ftr__group_first(); g; g = g->next)
		ftr__group_left(g, shutdown_wait.restored.leavings);
	ftr__replacements_left(&shutdown_wait.restored);
	shutdown_wait.restored.buckets = 0;
	shutdown_wait.owed = false;
	return 0;
}

FTR_API int ftr_shutdown(void)
{
	int result = 0;

	if (ftr__thread_inside())
		return ftr__fail(EDEADLK, "ftr_shutdown() was called from inside a handler");
	if (ftr__core_started())
		result = ftr__core_run(shutdown_locked, NULL);
	else if (!FTR__READ_ONCE(shutdown_wait.owed))
		return 0;
	if (!result)
		result = wait_for_handlers();
	return result ? result : ftr__core_run_stopped(shutdown_done, NULL);
}

/* --- statistics ------------------------------------------------------------------ */

static int stats_locked(void *arg)
{
	struct ftr_stats *stats = arg;
	const struct ftr__modules *modules = ftr__modules();

	for (size_t i = 0; i < modules->n; i++) {
		const struct ftr__module *m = modules->list[i];
		stats->sites += m->n_sites;
		for (size_t j = 0; j < m->n_sites; j++)
			stats->attached += m->slots[j] != 0;
		for (size_t j = 0; j < FTR__REFUSALS_MAX && m->refusals[j].reason; j++)
			stats->sites_refused += m->refusals[j].n;
	}
	stats->sets = ftr__slot_sets();
	for (const struct ftr_probe *p = ftr__probe_first(); p; p = p->next)
		stats->probes += p->state == FTR__PROBE_ENABLED;
	return 0;
}

FTR_API int ftr_stats_get(struct ftr_stats *stats)
{
	struct ftr_stats now = FTR_STATS_INIT;

	if (!stats || stats->size < sizeof stats->size)
		return ftr__fail(EINVAL, "ftr_stats: NULL, or its size is not set");
	int result = ftr__core_run(stats_locked, &now);
	if (result)
		return result;
	now.batches = ftr__batch_count;
	now.pokes_int3 = ftr__batch_pokes[FTR__WAY_INT3];
	now.pokes_atomic = ftr__batch_pokes[FTR__WAY_ATOMIC];
	now.pokes_skip = ftr__batch_pokes[FTR__WAY_SKIP];
	now.traps = ftr__counted(&ftr__trap_count);
	now.traps_foreign = ftr__counted(&ftr__trap_foreign_count);
	now.syncs = ftr__sync_count;
	now.missed = ftr__counted(&ftr__dispatch_missed);
	now.grace_periods = ftr__grace_count;
	now.last_batch_ns = ftr__batch_last_ns;
	now.probes_forced = ftr__probes_forced;
	now.faults = ftr__counted(&ftr__fault_count);
	now.size = stats->size;
	memcpy(stats, &now, now.size < sizeof now ? now.size : sizeof now);
	return 0;
}

/* --- report ---------------------------------------------------------------------- */

static void dump_site(FILE *f, const struct ftr__module *m, size_t i)
{
	const struct ftr_site *site = &m->sites[i];
	uint32_t slot = m->slots[i];
	const struct ftr__set *set = ftr__slot_owner(slot);

	fprintf(f, "%#lx %s:%s (%u)%s%s tramp: %#lx (slot %u) ->", (unsigned long)site->ip,
		m->name, ftr__site_name(m, site), set->n, set->any & FTR_GROUP_REGS ? " R" : "",
		set->any & FTR_GROUP_IPMODIFY ? " I" : "",
		(unsigned long)ftr__slot_address(slot), slot);
	for (uint32_t j = 0; j < set->n; j++)
		fprintf(f, " %s", set->members[j].group->name);
	fputc('\n', f);
}

static void dump_probe(FILE *f, const struct ftr_probe *probe)
{
	char name[256];

	ftr__probe_name(probe, name, sizeof name);
	fprintf(f, "probe %#lx %s %s%s%s hits %llu, missed %llu\n", (unsigned long)probe->addr, name,
		probe->kind == FTR_PROBE_SITE ? "site" : "breakpoint",
		probe->state == FTR__PROBE_ENABLED ? "" : " [disabled]",
		probe->module_number ? "" : " [gone]",
		(unsigned long long)ftr__counted(&probe->hits),
		(unsigned long long)ftr__probe_missed(probe));
}

static void dump_module(FILE *f, const struct ftr__module *m)
{
	fprintf(f, "# module %s at %#lx: %zu sites%s", m->name, (unsigned long)m->base, m->n_sites,
		m->registered ? ", registered" : "");
	if (m->note)
		fprintf(f, "; %s", m->note);
	fputc('\n', f);
	for (size_t i = 0; i < FTR__REFUSALS_MAX && m->refusals[i].reason; i++)
		fprintf(f, "#   refused %zu: %s\n", m->refusals[i].n, m->refusals[i].reason);
}

static void dump_totals(FILE *f)
{
	const uint64_t *pokes = ftr__batch_pokes;

	fprintf(f, "# batches %llu, pokes int3 %llu, atomic %llu, skip %llu, last batch %llu ns,"
		   " text writer %s, backend %s\n",
		(unsigned long long)ftr__batch_count, (unsigned long long)pokes[FTR__WAY_INT3],
		(unsigned long long)pokes[FTR__WAY_ATOMIC],
		(unsigned long long)pokes[FTR__WAY_SKIP], (unsigned long long)ftr__batch_last_ns,
		ftr__text_writer(), ftr__backend->name);
	fprintf(f, "# traps %llu, foreign %llu, syncs %llu, grace periods %llu, missed %llu\n",
		(unsigned long long)ftr__trap_count, (unsigned long long)ftr__trap_foreign_count,
		(unsigned long long)ftr__sync_count, (unsigned long long)ftr__grace_count,
		(unsigned long long)ftr__counted(&ftr__dispatch_missed));
	fprintf(f, "# slots %zu in %zu pages of %zu areas, waiting to serve again %zu;"
		   " stubs %zu in %zu areas; detours %zu\n", ftr__slot_count(),
		ftr__slot_pages(), ftr__slot_areas(), ftr__slot_waiting(), ftr__stub_count(),
		ftr__stub_areas(), ftr__detour_count());
	fprintf(f, "# return hooks: records %zu in %zu pages, pending %zu; jumps in %zu areas\n",
		ftr__record_count(), ftr__record_pages(), ftr__record_pending(),
		ftr__jump_areas());
}

static int dump_locked(void *arg)
{
	const struct ftr__modules *modules = ftr__modules();
	FILE *f = arg;

	for (size_t i = 0; i < modules->n; i++)
		for (size_t j = 0; j < modules->list[i]->n_sites; j++)
			if (modules->list[i]->slots[j])
				dump_site(f, modules->list[i], j);
	for (const struct ftr_probe *p = ftr__probe_first(); p; p = p->next)
		dump_probe(f, p);
	for (size_t i = 0; i < modules->n; i++)
		dump_module(f, modules->list[i]);
	dump_totals(f);
	return 0;
}

FTR_API int ftr_dump(int fd)
{
	if (fd < 0)
		return ftr__fail(EINVAL, "%d is no descriptor", fd);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");
	if (!f) {
		if (copy >= 0)
			close(copy);
		return ftr__fail(EIO, "descriptor %d can't be written to", fd);
	}
	int result = ftr__core_run(dump_locked, f);
	bool failed = ferror(f);
	failed |= fclose(f) != 0;
	if (!result && failed)
		return ftr__fail(EIO, "writing to descriptor %d failed", fd);
	return result;
}

FTR_API int ftr_handle_trap(int sig, siginfo_t *info, void *ucontext)
{
	if (sig != SIGTRAP || !info || !ucontext)
		return 0;
	return ftr__trap_handle(info, ucontext);
}
