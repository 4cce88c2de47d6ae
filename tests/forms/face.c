/* SPDX-License-Identifier: MIT */
/* See face.h. */
#include "tests/forms/face.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/live/live.h"

static uint64_t calls;

static int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	calls++;
	return 0;
}

int take_census(const struct ftr_site *site, void *arg)
{
	struct census *census = arg;
	uintptr_t ip = ftr_site_ip(site);

	if (strcmp(ftr_site_module(site), census->loaded->module))
		return 0;
	census->sites++;
	ck_assert_uint_lt(ip - census->loaded->text, census->loaded->text_size - 4);
	ck_assert_uint_ge(strlen(ftr_site_name(site)), 1);
	for (int i = 0; i < PLUGIN_FUNCTIONS; i++)
		census->in_functions +=
			ftr_site_function(site) == (uintptr_t)census->loaded->plugin->call[i];
	return 0;
}

void check_report(const struct loaded *loaded, int sites)
{
	static char text[65536];
	FILE *file = tmpfile();
	size_t n;

	ck_assert_ptr_nonnull(file);
	ck_ok(ftr_dump(fileno(file)));
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	if (sites < PLUGIN_FUNCTIONS)
		ck_assert_msg(live_stats().sites_refused > 0 || strstr(text, loaded->module),
			      "nothing said about what is missing:\n%s", text);
}

static void trace_what_is_there(const struct loaded *loaded, int sites)
{
	struct ftr_group *group = live_group("hostile", count_call, NULL, 0);
	char pattern[128];

	snprintf(pattern, sizeof(pattern), "%s:*", loaded->module);
	if (!sites) {
		ck_fails(ftr_group_filter(group, pattern, 0), -ENOENT);
	} else {
		ck_assert_int_eq(ftr_group_filter(group, pattern, 0), sites);
		ck_ok(ftr_group_attach(group));
		load_call_all(loaded);
		ck_ok(ftr_group_detach(group));
	}
	ck_ok(ftr_group_free(group));
}

int face(const char *path)
{
	struct loaded loaded;
	struct census census = { &loaded, 0, 0 };
	unsigned char *text;

	load(&loaded, path);
	text = malloc(loaded.text_size);
	ck_assert_ptr_nonnull(text);
	memcpy(text, (const void *)loaded.text, loaded.text_size);
	ck_ok(ftr_init(NULL));
	ck_ok(ftr_site_for_each(take_census, &census));
	check_report(&loaded, census.sites);
	calls = 0;
	trace_what_is_there(&loaded, census.sites);
	ck_assert_uint_eq(calls, census.in_functions);
	load_call_all(&loaded);
	ck_assert_uint_eq(calls, census.in_functions);
	ck_ok(ftr_shutdown());
	ck_assert_mem_eq((const void *)loaded.text, text, loaded.text_size);
	unload(&loaded);
	ck_ok(ftr_sites_refresh());
	free(text);
	return census.sites;
}
