/* SPDX-License-Identifier: MIT */
/*
 * Traces one fixture, built in one site form, and holds everything that the
 * library says and does against what the fixture knows of itself:
 *
 *   the sites found are the functions of the fixture, all and no others;
 *   each call of each function reaches the handler once, with the right ip and
 *   parent_ip, by the args caller and by the regs caller, while a second
 *   thread runs the same functions;
 *   off means off, with a canonical nop at the site;
 *   ftr_shutdown() puts the text back.
 *
 * The fixture is linked in, or the shared object that `module=` names.  What is
 * to be expected comes from the command line, see options[]; the driver knows
 * no compiler.  The first thing that is wrong ends it with a sentence.
 */
#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftr/ftr.h>

#include "fixture.h"

enum {
	CALLS = 200,
	PAD_MAX = 64,
	ATTEMPTS = 10000,
	HANGS_AFTER = 60 /* seconds: a thread waits for the other in vain */
};

extern const struct fixture_table fixture_table __attribute__((weak));

static const char *opt_module, *opt_name, *opt_before = "", *opt_kind = "patchable";
static const char *opt_endbr = "0", *opt_length = "5", *opt_pad = "5", *opt_sites = "all";
static const char *opt_names = "symbols", *opt_refused = "0", *opt_reason, *opt_scan = "yes";

static const struct {
	const char *name;
	const char **value;
} options[] = {
	{ "module", &opt_module },   /* a shared object; else the program itself */
	{ "name", &opt_name },       /* the module's name, if not its file's */
	{ "before", &opt_before },   /* the site's bytes as built, hex, ".." for any */
	{ "kind", &opt_kind },       /* patchable, call or nop */
	{ "endbr", &opt_endbr },     /* 1: an endbr stands before the site */
	{ "length", &opt_length },   /* the site's length */
	{ "pad", &opt_pad },         /* nops in all, from the site on */
	{ "sites", &opt_sites },     /* "none": the form is to be refused */
	{ "names", &opt_names },     /* "stripped": dynamic symbols; "offsets": none */
	{ "refused", &opt_refused }, /* places refused */
	{ "reason", &opt_reason },   /* words of the report, with '_' for ' ' */
	{ "scan", &opt_scan },       /* "no": FTR_NO_SCAN */
};

static const struct fixture_table *table;
static size_t length, pad, endbr;
static uintptr_t site_of[FIXTURE_FUNCTIONS];
static unsigned char built[FIXTURE_FUNCTIONS][PAD_MAX];

/* The fixture's text as built, from its lowest function to its highest. */
static uintptr_t text_start;
static size_t text_length;
static unsigned char *text_built;

/* What the handlers saw in this thread. */
static __thread uint64_t seen[FIXTURE_FUNCTIONS];
static __thread uintptr_t seen_parent[FIXTURE_FUNCTIONS];

static int stop;
static uint64_t rounds;

static void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf(" [ftr_last_error: %s]\n", ftr_last_error());
	fflush(stdout);
	_exit(1);
}

static void check_call(const char *what, int error)
{
	if (error)
		fail("%s: %s", what, ftr_strerror(error));
}

static void parse_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *equal = strchr(argv[i], '=');
		size_t o = 0;

		if (!equal)
			fail("not an option: %s", argv[i]);
		for (; o < sizeof(options) / sizeof(options[0]); o++)
			if (!strncmp(options[o].name, argv[i], (size_t)(equal - argv[i])))
				break;
		if (o == sizeof(options) / sizeof(options[0]))
			fail("unknown option: %s", argv[i]);
		*options[o].value = equal + 1;
	}
	length = strtoul(opt_length, NULL, 10);
	pad = strtoul(opt_pad, NULL, 10);
	endbr = strtoul(opt_endbr, NULL, 10) * 4;
	if (pad > PAD_MAX)
		fail("pad too long");
}

/* A name as ftr_site_module() gives it: no directories. */
static const char *module_name(const char *argv0)
{
	const char *path = opt_module ? opt_module : argv0;
	const char *slash = strrchr(path, '/');

	return opt_name ? opt_name : slash ? slash + 1 : path;
}

static void open_fixture(void)
{
	void *handle;

	if (!opt_module) {
		table = &fixture_table;
		if (!table)
			fail("no fixture is linked in");
		return;
	}
	handle = dlopen(opt_module, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		fail("dlopen: %s", dlerror());
	table = dlsym(handle, "fixture_table");
	if (!table)
		fail("no table in %s", opt_module);
}

static int hex_matches(const char *pattern, const unsigned char *bytes)
{
	char hex[3];

	for (; pattern[0] && pattern[1]; pattern += 2, bytes++) {
		snprintf(hex, sizeof(hex), "%02x", *bytes);
		if (strncmp(pattern, "..", 2) && strncmp(pattern, hex, 2))
			return 0;
	}
	return 1;
}

/* Before the library has seen the text: is the form the one to be tested? */
static void note_text_as_built(void)
{
	static const unsigned char endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	static const unsigned char endbr32[] = { 0xf3, 0x0f, 0x1e, 0xfb };

	if (table->n != FIXTURE_FUNCTIONS)
		fail("the fixture's table has %zu functions", table->n);
	for (size_t i = 0; i < table->n; i++) {
		const unsigned char *code = (const unsigned char *)table->functions[i].address;
		int starts = !memcmp(code, sizeof(long) == 8 ? endbr64 : endbr32, 4);

		if (starts != (endbr != 0))
			fail("%s: endbr expected %d, found %d", table->functions[i].name,
			     endbr != 0, starts);
		site_of[i] = table->functions[i].address + endbr;
		memcpy(built[i], (const void *)site_of[i], PAD_MAX);
		if (!hex_matches(opt_before, built[i]))
			fail("%s: built in another form than %s", table->functions[i].name,
			     opt_before);
	}
}

static void keep_text_as_built(void)
{
	uintptr_t end = 0;

	text_start = UINTPTR_MAX;
	for (size_t i = 0; i < table->n; i++) {
		if (site_of[i] - endbr < text_start)
			text_start = site_of[i] - endbr;
		if (site_of[i] + pad > end)
			end = site_of[i] + pad;
	}
	text_length = end - text_start;
	text_built = malloc(text_length);
	if (!text_built)
		fail("no memory");
	memcpy(text_built, (const void *)text_start, text_length);
}

static void call_all(struct fixture_books *books)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct fixture_function *f = &table->functions[i];
		long result;

		if (!f->call)
			continue;
		result = f->call(books, 5);
		if (result != f->result_of_5)
			fail("%s(5) is %ld, not %ld", f->name, result, f->result_of_5);
	}
}

static void *run_meanwhile(void *arg)
{
	struct fixture_books books;

	memset(&books, 0, sizeof(books));
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		call_all(&books);
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELEASE);
	}
	return arg;
}

/* The second thread runs through every function after the latest change. */
static void let_the_other_run(void)
{
	uint64_t start = __atomic_load_n(&rounds, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&rounds, __ATOMIC_ACQUIRE) < start + 2)
		sched_yield();
}

static size_t function_of_site(uintptr_t ip)
{
	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++)
		if (site_of[i] == ip)
			return i;
	return FIXTURE_FUNCTIONS;
}

static int note_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	size_t i = function_of_site(ip);

	if (i == FIXTURE_FUNCTIONS)
		fail("a call with ip %#zx, which is no site", (size_t)ip);
	seen[i]++;
	seen_parent[i] = parent_ip;
	if (ftr_regs_ip(regs) != ip + length)
		fail("%s: goes on at %#zx, not after the site's %zu bytes",
		     table->functions[i].name, (size_t)ftr_regs_ip(regs), length);
	return 0;
}

static enum ftr_site_kind expected_kind(void)
{
	if (!strcmp(opt_kind, "call"))
		return FTR_SITE_FENTRY_CALL;
	return strcmp(opt_kind, "nop") ? FTR_SITE_PATCHABLE : FTR_SITE_FENTRY_NOP;
}

struct base {
	uintptr_t addr, base;
};

static int look_for_base(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct base *base = arg;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && base->addr - info->dlpi_addr - p->p_vaddr < p->p_memsz) {
			base->base = info->dlpi_addr;
			return 1;
		}
	}
	return 0;
}

/* What a module's addresses in its file are relative to; 0 if not PIC. */
static uintptr_t base_of(uintptr_t addr)
{
	struct base base = { addr, 0 };

	if (!dl_iterate_phdr(look_for_base, &base))
		fail("no module at %#zx", (size_t)addr);
	return base.base;
}

/* The name that is left when a module was stripped. */
static void check_stripped_name(const struct fixture_function *f, const char *name)
{
	char offset[32];

	if (f->exported && opt_module && strcmp(opt_names, "offsets")) {
		if (strcmp(name, f->name))
			fail("%s, of a dynamic symbol, is called %s", f->name, name);
		return;
	}
	snprintf(offset, sizeof(offset), "%#zx", (size_t)(f->address - base_of(f->address)));
	if (strcmp(name, offset))
		fail("%s, without a symbol, is called %s, not %s", f->name, name, offset);
}

static void check_site(const struct ftr_site *site, size_t i)
{
	const struct fixture_function *f = &table->functions[i];

	if (ftr_site_function(site) != f->address)
		fail("%s: function %#zx, not %#zx", f->name, (size_t)ftr_site_function(site),
		     (size_t)f->address);
	if (ftr_site_kind(site) != expected_kind())
		fail("%s: kind %d", f->name, ftr_site_kind(site));
	if (strcmp(opt_names, "symbols"))
		check_stripped_name(f, ftr_site_name(site));
	else if (strcmp(ftr_site_name(site), f->name))
		fail("%s is called %s", f->name, ftr_site_name(site));
	if (ftr_site_find(ftr_site_ip(site)) != site || ftr_site_find(f->address) != site)
		fail("%s: not found by its address", f->name);
}

struct walk {
	const char *module;
	size_t found[FIXTURE_FUNCTIONS];
	size_t strangers;
};

static int look_at_site(const struct ftr_site *site, void *arg)
{
	struct walk *walk = arg;
	size_t i = function_of_site(ftr_site_ip(site));

	if (i < FIXTURE_FUNCTIONS) {
		walk->found[i]++;
		if (strcmp(ftr_site_module(site), walk->module))
			fail("%s: in module %s, not %s", ftr_site_name(site),
			     ftr_site_module(site), walk->module);
		check_site(site, i);
	} else if (!strcmp(ftr_site_module(site), walk->module)) {
		fail("a site at %#zx, named %s, is no function's of the fixture",
		     (size_t)ftr_site_ip(site), ftr_site_name(site));
	}
	return 0;
}

static void check_sites(const char *module)
{
	struct walk walk;
	size_t expected = strcmp(opt_sites, "none") != 0;

	memset(&walk, 0, sizeof(walk));
	walk.module = module;
	if (ftr_site_for_each(look_at_site, &walk))
		fail("ftr_site_for_each");
	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++)
		if (walk.found[i] != expected)
			fail("%s: %zu sites, not %zu", table->functions[i].name, walk.found[i],
			     expected);
}

/* Whether the text has these words; '_' in them is a blank. */
static int says(const char *text, const char *words)
{
	for (; *text; text++) {
		size_t i = 0;

		while (words[i] && text[i] == (words[i] == '_' ? ' ' : words[i]))
			i++;
		if (!words[i])
			return 1;
	}
	return 0;
}

/* The report names what was refused, and why. */
static void check_refused(void)
{
	struct ftr_stats stats = FTR_STATS_INIT;
	static char text[65536];
	FILE *file = tmpfile();
	size_t n;

	check_call("ftr_stats_get", ftr_stats_get(&stats));
	if (stats.sites_refused != strtoul(opt_refused, NULL, 10))
		fail("%llu places refused, not %s", (unsigned long long)stats.sites_refused,
		     opt_refused);
	if (!file)
		fail("tmpfile");
	check_call("ftr_dump", ftr_dump(fileno(file)));
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = 0;
	fclose(file);
	if (opt_reason && !says(text, opt_reason))
		fail("the report does not say \"%s\":\n%s\n", opt_reason, text);
}

/* Pads of single nops wait for the other thread to be out of them. */
static void attach(struct ftr_group *group)
{
	int error = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && error == -EAGAIN; i++) {
		error = ftr_group_attach(group);
		if (error)
			sched_yield();
	}
	check_call("ftr_group_attach", error);
}

static void check_no_handler_ran(const char *when)
{
	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++)
		if (seen[i])
			fail("%s: the handler of %s ran", when, table->functions[i].name);
}

static void forget_calls(void)
{
	memset(seen, 0, sizeof(seen));
	memset(seen_parent, 0, sizeof(seen_parent));
}

static void check_parents(const struct fixture_books *books)
{
	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++)
		if (seen_parent[i] != books->parent[i])
			fail("%s: parent_ip %#zx, but it returns to %#zx",
			     table->functions[i].name, (size_t)seen_parent[i],
			     (size_t)books->parent[i]);
}

/* Attached: each run of a body is one run of the handler. */
static void check_calls_counted(void)
{
	struct fixture_books books;

	memset(&books, 0, sizeof(books));
	forget_calls();
	for (int n = 0; n < CALLS; n++) {
		call_all(&books);
		check_parents(&books);
	}
	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++)
		if (books.runs[i] < CALLS || seen[i] != books.runs[i])
			fail("%s: ran %llu times, counted %llu", table->functions[i].name,
			     (unsigned long long)books.runs[i], (unsigned long long)seen[i]);
	forget_calls();
}

static void check_calls_untraced(const char *when)
{
	struct fixture_books books;

	memset(&books, 0, sizeof(books));
	forget_calls();
	for (int n = 0; n < CALLS; n++)
		call_all(&books);
	check_no_handler_ran(when);
}

/* The length of the nop at p; 0 if it is none. */
static size_t nop_length(const unsigned char *p)
{
	size_t prefixes = 0;
	unsigned char modrm;

	while (p[prefixes] == 0x66 || p[prefixes] == 0x2e)
		prefixes++;
	p += prefixes;
	if (p[0] == 0x90)
		return prefixes + 1;
	if (p[0] != 0x0f || p[1] != 0x1f)
		return 0;
	modrm = p[2];
	if (modrm & 0x38 || (modrm >> 6 == 0 && (modrm & 7) == 5) || modrm >> 6 == 3)
		return 0;
	return prefixes + 3 + ((modrm & 7) == 4) + (modrm >> 6 == 1 ? 1 : modrm >> 6 == 2 ? 4 : 0);
}

/* From the site on: nops, or a jump over the rest, up to the pad's very end. */
static void check_pad_is_nops(const char *when, size_t i)
{
	const unsigned char *code = (const unsigned char *)site_of[i];
	size_t at = 0, n;

	for (; at < pad; at += n) {
		n = code[at] == 0xeb && code[at + 1] < 0x80 ? 2u + code[at + 1]
							    : nop_length(code + at);
		if (!n)
			fail("%s: %s: no nop at site + %zu", when, table->functions[i].name, at);
	}
	if (at != pad)
		fail("%s: %s: a nop crosses the pad's end", when, table->functions[i].name);
}

/* Nothing but pads was written. */
static void check_text_between(const char *when)
{
	const unsigned char *now = (const unsigned char *)text_start;

	for (size_t at = 0; at < text_length; at++) {
		size_t i = 0;

		if (now[at] == text_built[at])
			continue;
		while (i < FIXTURE_FUNCTIONS && text_start + at - site_of[i] >= pad)
			i++;
		if (i == FIXTURE_FUNCTIONS)
			fail("%s: text changed at %#zx, in no pad", when, (size_t)text_start + at);
	}
}

static void check_text_detached(const char *when)
{
	static const unsigned char nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	static const unsigned char nop6[] = { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++) {
		if (memcmp((const void *)site_of[i], length == 6 ? nop6 : nop5, length))
			fail("%s: %s: no canonical nop of %zu bytes", when,
			     table->functions[i].name, length);
		check_pad_is_nops(when, i);
	}
	check_text_between(when);
}

/* Restored means as built; but a pad longer than the site may stay split. */
static void check_text_restored(const char *when)
{
	for (size_t i = 0; i < FIXTURE_FUNCTIONS; i++) {
		if (!memcmp((const void *)site_of[i], built[i], pad))
			continue;
		if (pad == length || strcmp(opt_sites, "all"))
			fail("%s: %s: not the bytes it was built with", when,
			     table->functions[i].name);
		check_pad_is_nops(when, i);
	}
	check_text_between(when);
}

static struct ftr_group *group_on(const char *module, uint32_t flags)
{
	struct ftr_group_options group_options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;
	char pattern[512];
	int matched;

	group_options.name = "forms";
	group_options.entry = note_call;
	group_options.flags = flags;
	check_call("ftr_group_new", ftr_group_new(&group, &group_options));
	snprintf(pattern, sizeof(pattern), "%s:*", module);
	matched = ftr_group_filter(group, pattern, 0);
	if (!strcmp(opt_sites, "none")) {
		if (matched != -ENOENT)
			fail("the filter matched %d", matched);
	} else if (matched != FIXTURE_FUNCTIONS) {
		fail("the filter matched %d sites, not %d", matched, FIXTURE_FUNCTIONS);
	}
	return group;
}

static void trace(struct ftr_group *group)
{
	for (int again = 0; again < 2; again++) {
		attach(group);
		let_the_other_run();
		check_calls_counted();
		check_call("ftr_group_detach", ftr_group_detach(group));
		check_text_detached("detached");
		let_the_other_run();
		check_calls_untraced("detached");
	}
}

static void trace_all_ways(const char *module)
{
	struct ftr_group *args = group_on(module, 0);
	struct ftr_group *regs = group_on(module, FTR_GROUP_REGS);

	if (!strcmp(opt_sites, "none")) {
		if (ftr_group_attach(args) != -EINVAL || !*ftr_last_error())
			fail("attached to nothing");
	} else {
		trace(args);
		trace(regs);
		attach(args);
	}
	check_call("ftr_shutdown", ftr_shutdown());
	check_text_restored("shut down");
	let_the_other_run();
	check_calls_untraced("shut down");
	check_call("ftr_group_free", ftr_group_free(args));
	check_call("ftr_group_free", ftr_group_free(regs));
}

int main(int argc, char **argv)
{
	struct ftr_options init = FTR_OPTIONS_INIT;
	pthread_t thread;

	alarm(HANGS_AFTER);
	parse_options(argc, argv);
	open_fixture();
	note_text_as_built();
	keep_text_as_built();
	if (pthread_create(&thread, NULL, run_meanwhile, NULL))
		fail("pthread_create");
	let_the_other_run();
	init.flags = strcmp(opt_scan, "no") ? 0 : FTR_NO_SCAN;
	check_call("ftr_init", ftr_init(&init));
	check_sites(module_name(argv[0]));
	check_refused();
	trace_all_ways(module_name(argv[0]));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return 0;
}
