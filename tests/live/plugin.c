/* SPDX-License-Identifier: MIT */
/*
 * A traced shared object, built as plugin_a, plugin_b and plugin_r.  The
 * functions of plugin_a are a_one, a_two, a_hidden; those of the others are
 * named after them, and lie at the same offsets.  With PLUGIN_EVENTFUL its
 * constructor and destructor call them.
 */
#include "tests/live/plugin.h"

#ifdef PLUGIN_REGISTERED
#include <ftr/ftr.h>
FTR_MODULE;
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)
#define NAME(suffix) PASTE(PLUGIN, suffix)

#if defined(__clang__)
#define KEPT __attribute__((noinline, used))
#else
#define KEPT __attribute__((noipa, used))
#endif

KEPT long NAME(_one)(long x);
long NAME(_one)(long x)
{
	return x + 1;
}

KEPT long NAME(_two)(long x);
long NAME(_two)(long x)
{
	return x + 2;
}

KEPT static long NAME(_hidden)(long x)
{
	return x + 3;
}

#ifdef PLUGIN_EVENTFUL
#define NO_SITE __attribute__((patchable_function_entry(0)))

NO_SITE static void tell(enum plugin_event event)
{
	long wrong = (NAME(_one)(1) != 2) + (NAME(_two)(1) != 3) + (NAME(_hidden)(1) != 4);

	if (plugin_notice)
		plugin_notice(event, wrong);
}

NO_SITE __attribute__((constructor)) static void on_load(void)
{
	tell(PLUGIN_LOADED);
}

NO_SITE __attribute__((destructor)) static void on_unload(void)
{
	tell(PLUGIN_UNLOADED);
}
#endif

extern const struct plugin plugin;
const struct plugin plugin = { { NAME(_one), NAME(_two), NAME(_hidden) } };
