/* SPDX-License-Identifier: MIT */
/*
 * Probes as objects, and where they are.  Floor 5; under the library's lock and
 * the loader's.
 */
#include "lib/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boundary.h"
#include "lib/error.h"

/* All of them, the latest first; and by their pointers. */
static struct ftr_probe *probes;
enum { BUCKETS = 1024 };
static struct ftr_probe *buckets[BUCKETS];

static struct ftr_probe **bucket_of(const struct ftr_probe *probe)
{
	return &buckets[((uintptr_t)probe / 64) % BUCKETS];
}

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for a probe");
}

/* "module:name", or a name alone. */
static bool take_symbol(struct ftr_probe *probe, const char *text)
{
	const char *colon = strrchr(text, ':');

	probe->symbol = strdup(colon ? colon + 1 : text);
	probe->module = colon ? strndup(text, (size_t)(colon - text)) : NULL;
	return probe->symbol && (!colon || probe->module);
}

static void release(struct ftr_probe *probe)
{
	if (probe->rider)
		ftr__group_free(probe->rider);
	free(probe->symbol);
	free(probe->module);
	free(probe);
}

static void link_in(struct ftr_probe *probe)
{
	struct ftr_probe **bucket = bucket_of(probe);

	probe->next = probes;
	if (probes)
		probes->before = probe;
	probes = probe;
	probe->bucket = *bucket;
	*bucket = probe;
}

struct ftr_probe *ftr__probe_new(const struct ftr_probe_options *options)
{
	struct ftr_probe *probe = calloc(1, sizeof *probe);

	if (!probe)
		return NULL;
	probe->pre = options->pre;
	probe->post = options->post;
	probe->data = options->data;
	probe->flags = options->flags;
	probe->offset = options->offset;
	probe->addr = options->addr + options->offset;
	if (options->symbol && !take_symbol(probe, options->symbol)) {
		release(probe);
		return NULL;
	}
	link_in(probe);
	return probe;
}

void ftr__probe_free(struct ftr_probe *probe)
{
	struct ftr_probe **at = bucket_of(probe);

	while (*at != probe)
		at = &(*at)->bucket;
	*at = probe->bucket;
	*(probe->before ? &probe->before->next : &probes) = probe->next;
	if (probe->next)
		probe->next->before = probe->before;
	release(probe);
}

bool ftr__probe_known(const struct ftr_probe *probe)
{
	const struct ftr_probe *p = *bucket_of(probe);

	while (p && p != probe)
		p = p->bucket;
	return p != NULL;
}

struct ftr_probe *ftr__probe_first(void)
{
	return probes;
}

/* --- places -------------------------------------------------------------------- */

static int find_symbol(struct ftr_probe *probe)
{
	unsigned n;

	if (!probe->symbol)
		return 0;
	uintptr_t addr = ftr__boundary_symbol(probe->module, probe->symbol, &n);
	if (!n)
		return ftr__fail(ENOENT, "there is no function %.200s in %.100s", probe->symbol,
				 probe->module ? probe->module : "any module");
	probe->addr = addr + probe->offset;
	return 0;
}

/* A group that holds this site alone. */
static int make_rider(struct ftr_probe *probe, const struct ftr_site *site)
{
	struct ftr_group_options options = { .size = sizeof options, .name = "probe",
					     .entry = ftr__probe_ride, .data = probe,
					     .flags = FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS };
	struct ftr__filter none = { 0 }, filter;
	struct ftr__sites sites;
	struct ftr__rule rule;

	if (probe->flags & FTR_PROBE_REENTRANT)
		options.flags |= FTR_GROUP_REENTRANT;
	if (probe->rider)
		ftr__group_free(probe->rider);
	probe->rider = ftr__group_new(&options);
	if (!probe->rider)
		return no_memory();
	probe->rider->member.flags |= FTR__MEMBER_PROBE;
	int result = ftr__rule_ips(&rule, &site->ip, 1);
	if (result)
		return result;
	result = ftr__filter_extend(&filter, &none, &rule, false);
	if (result) {
		ftr__rule_free(&rule);
		return result;
	}
	result = ftr__group_match(&filter, &sites);
	if (!result)
		result = ftr__group_set_filter(probe->rider, &filter, &sites);
	if (result)
		ftr__filter_free(&filter);
	return result;
}

/* The site that a probe at an address rides on: there, or first in its function. */
static const struct ftr_site *site_for(uintptr_t addr)
{
	struct ftr__module *module;
	const struct ftr_site *site = ftr__site_find(addr, &module);

	if (site && (site->ip == addr || ftr__site_function(site) == addr))
		return site;
	return NULL;
}

int ftr__probe_resolve(struct ftr_probe *probe)
{
	struct ftr__boundary around;
	struct ftr__insn insn;
	int result = find_symbol(probe);

	if (!result)
		result = ftr__boundary_check(probe->addr, probe->flags & FTR_PROBE_FORCE, &around,
					     &insn);
	if (result)
		return result;
	const struct ftr_site *site = site_for(probe->addr);
	probe->kind = site ? FTR_PROBE_SITE : FTR_PROBE_BREAKPOINT;
	probe->length = (unsigned)insn.length;
	probe->next_ip = probe->addr + (site && site->ip == probe->addr ? site->length : insn.length);
	if (insn.sets_thread && probe->post)
		return ftr__fail(EOPNOTSUPP, "the instruction at %#lx may set what thread-local"
				 " variables are found by: no handler can run behind it",
				 (unsigned long)probe->addr);
	if (site)
		result = make_rider(probe, site);
	if (!result)
		probe->module_number = around.module->number;
	return result;
}

bool ftr__probe_is_home(const struct ftr_probe *probe)
{
	const struct ftr__modules *modules = ftr__modules();

	for (size_t i = 0; i < modules->n; i++)
		if (modules->list[i]->number == probe->module_number && !modules->list[i]->gone)
			return true;
	return false;
}

void ftr__probe_name(const struct ftr_probe *probe, char *text, size_t room)
{
	struct ftr__boundary around;
	struct ftr__insn insn;

	if (!ftr__probe_is_home(probe)) {
		snprintf(text, room, "%s", probe->symbol ? probe->symbol : "?");
		return;
	}
	ftr__boundary_check(probe->addr, true, &around, &insn);
	if (around.module && around.name)
		snprintf(text, room, "%s:%s+%#lx", around.module->name, around.name,
			 (unsigned long)(probe->addr - around.named));
	else
		snprintf(text, room, "%s:%#lx", around.module ? around.module->name : "?",
			 (unsigned long)probe->addr);
}
