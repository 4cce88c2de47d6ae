/* SPDX-License-Identifier: MIT */
/*
 * Groups of all kinds over random parts of the program, attached, detached,
 * exchanged, filtered anew, freed and made again at random, by one thread.
 */
#include <errno.h>
#include <ftr/ftr.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/soak/soak.h"

enum { GROUPS = 8, TRIES = 200 };

struct subject {
	struct ftr_group *group;
	bool attached;
	_Atomic unsigned long calls;
	unsigned long check;
};

static struct subject subjects[GROUPS];
struct soak_changes soak_changes;

static const char *const patterns[] = {
	"*", "lua_*", "luaV_*", "luaH_*", "l*", "soak_*", "soak_step", "a_*", "str_*", "[l-z]*",
	"*a*", "luaD_precall", "plugin_*:*",
};
static const char *const excluded[] = { "luaV_execute", "soak_twice", "*e", "lua_s*" };

__attribute__((target("general-regs-only"))) static int handler_plain(
	uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	struct subject *subject = ftr_group_data(group);

	atomic_fetch_add_explicit(&subject->calls, 1, memory_order_relaxed);
	return 0;
}

/* Uses vector registers as a user's handler would. */
static int handler_busy(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			struct ftr_regs *regs)
{
	struct subject *subject = ftr_group_data(group);
	char text[96], copy[96];

	snprintf(text, sizeof(text), "%#lx %#lx %.3f", (unsigned long)ip,
		 (unsigned long)parent_ip, (double)ftr_regs_arg(regs, 0));
	memcpy(copy, text, sizeof(copy));
	if (ftr_regs_ip(regs) - ip > 15 || copy[0] != '0')
		soak_fail("a handler saw nonsense");
	atomic_fetch_add_explicit(&subject->calls, 1, memory_order_relaxed);
	return 0;
}

/* The exit finds what its own entry left. */
static int handler_enter(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	uintptr_t *left = ftr_entry_data(regs);

	left[0] = ip;
	left[1] = parent_ip;
	return handler_plain(ip, parent_ip, group, regs);
}

static void handler_leave(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	const uintptr_t *left = ftr_entry_data(regs);

	if (left[0] != ip || left[1] != parent_ip)
		soak_fail("an exit of %#lx from %#lx has the data of %#lx from %#lx",
			  (unsigned long)ip, (unsigned long)parent_ip, (unsigned long)left[0],
			  (unsigned long)left[1]);
	handler_plain(ip, parent_ip, group, regs);
}

static const struct kind {
	ftr_entry_fn entry;
	uint32_t flags;
	ftr_exit_fn exit;
} kinds[] = {
	{ handler_plain, FTR_GROUP_NO_SIMD, NULL },
	{ handler_plain, FTR_GROUP_NO_SIMD | FTR_GROUP_REGS, NULL },
	{ handler_plain, FTR_GROUP_NO_SIMD | FTR_GROUP_REENTRANT, NULL },
	{ handler_busy, 0, NULL },
	{ handler_busy, FTR_GROUP_REGS, NULL },
	{ handler_busy, FTR_GROUP_ALL_VECTORS, NULL },
	{ handler_enter, 0, handler_leave },
	{ handler_enter, FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_REGS, handler_leave },
};

static void make(struct subject *subject, struct soak_random *random)
{
	const struct kind *kind = &kinds[soak_random(random, sizeof(kinds) / sizeof(*kinds))];
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = "soak";
	options.entry = kind->entry;
	options.exit = kind->exit;
	options.entry_data_size = kind->exit ? 2 * sizeof(uintptr_t) : 0;
	options.flags = kind->flags;
	options.data = subject;
	soak_ok("ftr_group_new", ftr_group_new(&subject->group, &options));
}

/* -EAGAIN: a thread may stand in a pad, or blocks SIGTRAP. */
static bool patiently(int (*call)(struct ftr_group *), struct ftr_group *group, const char *what)
{
	int result = -EAGAIN;

	for (int i = 0; i < TRIES && result == -EAGAIN; i++) {
		result = call(group);
		soak_changes.again += result == -EAGAIN;
		if (result == -EAGAIN)
			sched_yield();
	}
	if (result != -EAGAIN)
		soak_ok(what, result);
	soak_changes.put_off += result == -EAGAIN;
	return result == 0;
}

/* No handler runs once detach has returned (H8). */
static void detach(struct subject *subject)
{
	if (!patiently(ftr_group_detach, subject->group, "ftr_group_detach"))
		return;
	subject->attached = false;
	subject->check = atomic_load(&subject->calls);
	soak_changes.detached++;
}

static void check_silent(const struct subject *subject)
{
	if (!subject->attached && subject->check != atomic_load(&subject->calls))
		soak_fail("a handler ran after its group was detached");
}

static void attach(struct subject *subject)
{
	check_silent(subject);
	subject->attached = patiently(ftr_group_attach, subject->group, "ftr_group_attach");
	soak_changes.attached += subject->attached;
	if (!subject->attached)
		subject->check = atomic_load(&subject->calls);
}

static void change_filter(struct subject *subject, struct soak_random *random)
{
	const char *pattern = patterns[soak_random(random, sizeof(patterns) / sizeof(*patterns))];
	unsigned reset = soak_random(random, 2) ? FTR_FILTER_RESET : 0;
	int result;

	if (soak_random(random, 4)) {
		result = ftr_group_filter(subject->group, pattern, FTR_FILTER_PENDING | reset);
	} else {
		pattern = excluded[soak_random(random, sizeof(excluded) / sizeof(*excluded))];
		result = ftr_group_exclude(subject->group, pattern, FTR_FILTER_PENDING | reset);
	}
	soak_changes.again += result == -EAGAIN;
	if (result < 0 && result != -EAGAIN)
		soak_ok(pattern, result);
	soak_changes.filters++;
}

static int update(struct subject *in, struct subject *out)
{
	return ftr_group_update(&in->group, 1, &out->group, 1);
}

/* One batch takes a group off and puts another on. */
static void exchange(struct subject *in, struct subject *out)
{
	int result = -EAGAIN;

	if (in->attached || !out->attached)
		return;
	check_silent(in);
	for (int i = 0; i < TRIES && result == -EAGAIN; i++)
		result = update(in, out);
	if (result == -EAGAIN) {
		soak_changes.put_off++;
		return;
	}
	soak_ok("ftr_group_update", result);
	in->attached = true;
	out->attached = false;
	out->check = atomic_load(&out->calls);
	soak_changes.updates++;
}

static void renew(struct subject *subject, struct soak_random *random)
{
	if (subject->attached)
		detach(subject);
	if (subject->attached)
		return;
	soak_ok("ftr_group_free", ftr_group_free(subject->group));
	atomic_store(&subject->calls, 0);
	subject->check = 0;
	make(subject, random);
	change_filter(subject, random);
}

static void set_done(void *arg)
{
	atomic_store((atomic_bool *)arg, true);
}

/* Where a thread stands in a new library's pad it stays as it is. */
static void refresh(void)
{
	int result = ftr_sites_refresh();

	if (result != -EAGAIN)
		soak_ok("ftr_sites_refresh", result);
}

static void detach_without_wait(struct subject *subject)
{
	static atomic_bool done;
	int result = -EAGAIN;

	atomic_store(&done, false);
	for (int i = 0; i < TRIES && result == -EAGAIN; i++)
		result = ftr_group_detach_async(subject->group, set_done, &done);
	if (result == -EAGAIN)
		return;
	soak_ok("ftr_group_detach_async", result);
	while (!atomic_load(&done)) {
		refresh();
		sched_yield();
	}
	subject->attached = false;
	subject->check = atomic_load(&subject->calls);
	soak_changes.detached++;
}

void changes_start(void)
{
	struct soak_random random = { 12345 };

	for (int i = 0; i < GROUPS; i++) {
		make(&subjects[i], &random);
		change_filter(&subjects[i], &random);
	}
}

void changes_one(struct soak_random *random)
{
	struct subject *subject = &subjects[soak_random(random, GROUPS)];

	switch (soak_random(random, 12)) {
	case 0:
		renew(subject, random);
		break;
	case 1:
	case 2:
		change_filter(subject, random);
		break;
	case 3:
	case 4:
	case 5:
		exchange(subject, &subjects[soak_random(random, GROUPS)]);
		break;
	case 6:
		refresh();
		break;
	case 7:
		if (subject->attached)
			detach_without_wait(subject);
		break;
	default:
		if (subject->attached)
			detach(subject);
		else
			attach(subject);
	}
}

void changes_stop(void)
{
	for (int i = 0; i < GROUPS; i++) {
		while (subjects[i].attached)
			detach(&subjects[i]);
		check_silent(&subjects[i]);
		soak_ok("ftr_group_free", ftr_group_free(subjects[i].group));
		memset(&subjects[i], 0, sizeof(subjects[i]));
	}
}
