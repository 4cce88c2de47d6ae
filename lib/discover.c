/* SPDX-License-Identifier: MIT */
/*
 * Finding sites.  Floor 4; no state.
 *
 * A table's entry is where the compiler put its nops or its call.  It becomes
 * a site only where it is certain that five bytes can be taken: it lies in an
 * executable, not writable segment; a symbol, or the unwinder's table, says
 * that a function begins there (nops before the function's label, `N,M`, never
 * run, and a call into them would be jumped into the middle of); and what
 * stands there is a form that the backend knows.  Anything else is refused and
 * counted with its reason.
 */
#include "lib/discover.h"

#include <stdlib.h>
#include <string.h>

#include "lib/ehframe.h"
#include "lib/error.h"

/* A function's nops before its label are looked over for so far, bytes. */
enum { PREFIX_MAX = 4096 };

struct finder {
	struct ftr__module *module;
	const struct ftr__elf *elf;
	struct ftr__ehframe eh;
	size_t names_used, names_room;
	size_t last_function; /* entries come in order: go on from here */
};

static void refuse(struct ftr__module *module, const char *reason, size_t n)
{
	for (size_t i = 0; i < FTR__REFUSALS_MAX; i++) {
		struct ftr__refusal *r = &module->refusals[i];
		if (r->reason && strcmp(r->reason, reason))
			continue;
		r->reason = reason;
		r->n += n;
		return;
	}
}

/* The loaded segment that holds [addr, addr + size) of memory, or NULL. */
static const ElfW(Phdr) *segment_of(const struct ftr__module *m, uintptr_t addr, size_t size)
{
	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t start = m->base + p->p_vaddr;
		if (p->p_type == PT_LOAD && (p->p_flags & PF_R) && addr >= start && size <= p->p_memsz &&
		    addr - start <= p->p_memsz - size)
			return p;
	}
	return NULL;
}

static struct ftr__ehframe open_ehframe(const struct ftr__module *m)
{
	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t at = m->base + p->p_vaddr;
		if (p->p_type == PT_GNU_EH_FRAME && segment_of(m, at, p->p_memsz))
			return ftr__ehframe_open(at, p->p_memsz);
	}
	return (struct ftr__ehframe){ 0 };
}

/* The first function symbol at or above a file address; n_functions: none. */
static size_t function_at_or_above(struct finder *f, uintptr_t addr)
{
	const struct ftr__function *list = f->elf->functions;
	size_t n = f->elf->n_functions, low = 0, high = n;

	/* Usually the next one. */
	for (size_t i = f->last_function; i < n && i < f->last_function + 4; i++)
		if (list[i].addr >= addr && (!i || list[i - 1].addr < addr))
			return f->last_function = i;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (list[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return f->last_function = low;
}

static const struct ftr__function *symbol_at(struct finder *f, uintptr_t addr)
{
	uintptr_t in_file = addr - f->module->base;
	size_t i = function_at_or_above(f, in_file);

	return i < f->elf->n_functions && f->elf->functions[i].addr == in_file
		       ? &f->elf->functions[i] : NULL;
}

static bool starts(struct finder *f, uintptr_t addr)
{
	return symbol_at(f, addr) || ftr__ehframe_starts(&f->eh, addr);
}

/*
 * The function that an entry belongs to: it begins at the entry; or right
 * before it, with a landing pad between; or behind it, with nothing but nops
 * between.  0: not known.
 */
static uintptr_t function_of(struct finder *f, uintptr_t entry, uintptr_t end)
{
	enum { LANDING = 4 };

	if (starts(f, entry))
		return entry;
	if (segment_of(f->module, entry - LANDING, LANDING) &&
	    ftr__backend->landing_length((const uint8_t *)entry - LANDING, LANDING) == LANDING &&
	    starts(f, entry - LANDING))
		return entry - LANDING;
	for (uintptr_t at = entry; at < end && at - entry < PREFIX_MAX;) {
		size_t length = ftr__backend->nop_length((const uint8_t *)at, end - at);
		if (!length)
			return 0;
		at += length;
		if (at < end && starts(f, at))
			return at;
	}
	return 0;
}

/* size, then the name: a site's record in module->names. */
static bool add_name(struct finder *f, const char *name, uint32_t size, uint32_t *offset)
{
	size_t length = strlen(name) + 1, need = sizeof size + length;

	if (f->names_used + need > f->names_room) {
		size_t room = 2 * f->names_room + need + 4096;
		char *grown = room > UINT32_MAX ? NULL : realloc(f->module->names, room);
		if (!grown)
			return false;
		f->module->names = grown;
		f->names_room = room;
	}
	*offset = (uint32_t)f->names_used;
	memcpy(f->module->names + f->names_used, &size, sizeof size);
	memcpy(f->module->names + f->names_used + sizeof size, name, length);
	f->names_used += need;
	return true;
}

/* "name@@VERSION" is a symbol's name with its version. */
static bool name_site(struct finder *f, struct ftr_site *site, uintptr_t function)
{
	const struct ftr__function *symbol = symbol_at(f, function);
	char text[256];

	if (!symbol) {
		uintptr_t offset = function - f->module->base;
		char digits[2 * sizeof offset + 1], *d = digits + sizeof digits - 1;
		*d = 0;
		do
			*--d = "0123456789abcdef"[offset & 15];
		while ((offset >>= 4) != 0);
		text[0] = '0';
		text[1] = 'x';
		strcpy(text + 2, d);
		return add_name(f, text, 0, &site->name);
	}
	const char *name = f->elf->names + symbol->name;
	const char *version = strchr(name, '@');
	if (!version || version == name || (size_t)(version - name) >= sizeof text)
		return add_name(f, name, symbol->size, &site->name);
	memcpy(text, name, (size_t)(version - name));
	text[version - name] = 0;
	return add_name(f, text, symbol->size, &site->name);
}

/* Why the entry is no site; NULL: *site is filled in but for its name. */
static const char *examine(struct finder *f, uintptr_t entry, enum ftr__table_kind kind,
			   struct ftr_site *site, uintptr_t *function)
{
	const ElfW(Phdr) *segment = segment_of(f->module, entry, 1);
	struct ftr__form form;

	if (!segment || !(segment->p_flags & PF_X))
		return "the table's entry is outside the module's code";
	if (segment->p_flags & PF_W)
		return "the code segment is writable";
	/* Code ends where the file's part of the segment does. */
	uintptr_t end = f->module->base + segment->p_vaddr + segment->p_filesz;
	if (entry >= end)
		return "the table's entry is outside the module's code";
	*function = function_of(f, entry, end);
	if (!*function)
		return "no symbol or unwind entry tells where the function begins";
	uintptr_t ip = *function;
	ip += ftr__backend->landing_length((const uint8_t *)ip, end - ip);
	if (kind == FTR__TABLE_MCOUNT && ip != entry)
		return "the profiling call is not at the function's entry";
	const char *reason = ftr__backend->site_form((const uint8_t *)ip, end - ip, kind, &form);
	if (reason)
		return reason;
	*site = (struct ftr_site){ .ip = ip, .function = (int16_t)(ip - *function),
				   .length = form.site_length & 15, .kind = form.kind & 3,
				   .pad = form.pad_length & 63, .normal = !form.normal_size };
	size_t room = end - ip < FTR__PATCH_MAX ? end - ip : FTR__PATCH_MAX;
	memcpy(site->found, (const void *)ip, room);
	return NULL;
}

static int by_ip(const void *a, const void *b)
{
	const struct ftr_site *x = a, *y = b;

	return x->ip < y->ip ? -1 : x->ip > y->ip;
}

static void sort_sites(struct ftr__module *m)
{
	size_t kept = 0;
	bool sorted = true;

	for (size_t i = 1; i < m->n_sites; i++)
		sorted = sorted && m->sites[i - 1].ip + m->sites[i - 1].pad <= m->sites[i].ip;
	if (sorted)
		return;
	qsort(m->sites, m->n_sites, sizeof *m->sites, by_ip);
	for (size_t i = 0; i < m->n_sites; i++) {
		/* One place named twice is one site; overlapping ones are none. */
		if (kept && m->sites[i].ip < m->sites[kept - 1].ip + m->sites[kept - 1].pad) {
			if (m->sites[i].ip != m->sites[kept - 1].ip)
				refuse(m, "it overlaps another site", 1);
			continue;
		}
		m->sites[kept++] = m->sites[i];
	}
	m->n_sites = kept;
}

static int take_table(struct finder *f, const struct ftr__table *table)
{
	size_t n = table->size / sizeof(uintptr_t);

	if (!segment_of(f->module, table->addr, table->size)) {
		refuse(f->module, "the table lies outside the module's memory", n ? n : 1);
		return 0;
	}
	struct ftr_site *grown =
		realloc(f->module->sites, (f->module->n_sites + n + 1) * sizeof *grown);
	if (!grown)
		return ftr__fail(ENOMEM, "no memory for %zu sites", n);
	f->module->sites = grown;
	for (size_t i = 0; i < n; i++) {
		struct ftr_site *site = &grown[f->module->n_sites];
		uintptr_t entry, function = 0;
		/* gcc gives __mcount_loc no alignment. */
		memcpy(&entry, (const char *)table->addr + i * sizeof entry, sizeof entry);
		/* Linkers leave 0 for functions that they dropped. */
		if (!entry || entry == f->module->base)
			continue;
		const char *reason = examine(f, entry, table->kind, site, &function);
		if (reason)
			refuse(f->module, reason, 1);
		else if (!name_site(f, site, function))
			return ftr__fail(ENOMEM, "no memory for the names of sites");
		else
			f->module->n_sites++;
	}
	return 0;
}

static int make_columns(struct ftr__module *m)
{
	m->slots = calloc(m->n_sites + 1, sizeof *m->slots);
	m->flags = malloc(m->n_sites + 1);
	if (!m->slots || !m->flags)
		return ftr__fail(ENOMEM, "no memory for %zu sites", m->n_sites);
	for (size_t i = 0; i < m->n_sites; i++)
		m->flags[i] = ftr__site_first_flags(&m->sites[i]);
	return 0;
}

int ftr__discover(struct ftr__module *module, const struct ftr__elf *elf,
		  const struct ftr__table *tables, size_t n_tables)
{
	struct finder f = { .module = module, .elf = elf, .eh = open_ehframe(module) };
	int result = 0;

	for (size_t i = 0; i < n_tables && !result; i++)
		result = take_table(&f, &tables[i]);
	if (result)
		return result;
	sort_sites(module);
	/* Keep what is used. */
	void *exact = realloc(module->sites, (module->n_sites + 1) * sizeof *module->sites);
	if (exact)
		module->sites = exact;
	exact = realloc(module->names, f.names_used + 1);
	if (exact)
		module->names = exact;
	return make_columns(module);
}
