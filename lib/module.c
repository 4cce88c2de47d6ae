/* SPDX-License-Identifier: MIT */
/*
 * The list of modules.  Floor 4.
 *
 * Guarded by the library's lock; the trap handler reads the published list
 * inside ftr__trap_read_lock(), ftr_site_find() and its like between
 * ftr__thread_look() and ftr__thread_looked().  A list or module that was taken
 * out is freed once neither can have it; kept where that can't be told.
 */
#include "lib/module.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/discover.h"
#include "lib/error.h"
#include "lib/thread.h"
#include "lib/trap.h"

static struct ftr__modules *published;

const struct ftr__modules *ftr__modules(void)
{
	return FTR__FETCH(published);
}

/* --- FTR_MODULE -------------------------------------------------------------- */

/* Taken by constructors and destructors, with the loader's lock held; guards
 * the list alone, and no other lock is taken under it. */
static pthread_mutex_t records_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ftr_module_record *records;
static unsigned registrations;

void ftr__module_records_lock(void)
{
	pthread_mutex_lock(&records_lock);
}

void ftr__module_records_unlock(void)
{
	pthread_mutex_unlock(&records_lock);
}

static bool valid(const struct ftr_module_record *r)
{
	return r && r->size == sizeof *r && (!r->patchable_start == !r->patchable_stop) &&
	       (!r->mcount_start == !r->mcount_stop) && r->patchable_start <= r->patchable_stop &&
	       r->mcount_start <= r->mcount_stop;
}

int ftr__module_register(struct ftr_module_record *record)
{
	if (!valid(record))
		return ftr__fail(EINVAL, "the module record is NULL, of another size, or has a table"
				 " that ends before it starts");
	pthread_mutex_lock(&records_lock);
	struct ftr_module_record *r = records;
	while (r && r != record)
		r = r->next;
	if (!r) {
		record->next = records;
		records = record;
		registrations++;
	}
	pthread_mutex_unlock(&records_lock);
	return 0;
}

int ftr__module_unregister(struct ftr_module_record *record)
{
	pthread_mutex_lock(&records_lock);
	struct ftr_module_record **at = &records;
	while (*at && *at != record)
		at = &(*at)->next;
	bool found = *at != NULL;
	if (found) {
		*at = record->next;
		registrations++;
	}
	pthread_mutex_unlock(&records_lock);
	return found ? 0 : ftr__fail(EINVAL, "the module record is not registered");
}

unsigned ftr__module_registrations(void)
{
	return FTR__READ_ONCE(registrations);
}

static bool in_range(const struct ftr__module *m, const void *p)
{
	for (size_t i = 0; i < m->phnum; i++) {
		uintptr_t start = m->base + m->phdr[i].p_vaddr;
		if (m->phdr[i].p_type == PT_LOAD && (uintptr_t)p - start < m->phdr[i].p_memsz)
			return true;
	}
	return false;
}

bool ftr__module_has_record(const struct ftr__module *m)
{
	bool found = false;

	pthread_mutex_lock(&records_lock);
	for (struct ftr_module_record *r = records; r && !found; r = r->next)
		found = in_range(m, r);
	pthread_mutex_unlock(&records_lock);
	return found;
}

/* The tables that this module registered. */
static size_t registered_tables(const struct ftr__module *m, struct ftr__table *tables)
{
	size_t n = 0;

	pthread_mutex_lock(&records_lock);
	for (struct ftr_module_record *r = records; r; r = r->next) {
		if (!in_range(m, r) || n + 2 > FTR__TABLES_MAX)
			continue;
		if (r->patchable_start)
			tables[n++] = (struct ftr__table){
				FTR__TABLE_PATCHABLE, (uintptr_t)r->patchable_start,
				(size_t)((char *)r->patchable_stop - (char *)r->patchable_start) };
		if (r->mcount_start)
			tables[n++] = (struct ftr__table){
				FTR__TABLE_MCOUNT, (uintptr_t)r->mcount_start,
				(size_t)((char *)r->mcount_stop - (char *)r->mcount_start) };
	}
	pthread_mutex_unlock(&records_lock);
	return n;
}

/* --- one module --------------------------------------------------------------- */

static void code_range(struct ftr__module *m)
{
	m->low = UINTPTR_MAX;
	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t start = m->base + p->p_vaddr;
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		if (start < m->low)
			m->low = start;
		if (start + p->p_memsz > m->high)
			m->high = start + p->p_memsz;
	}
	if (m->low > m->high)
		m->low = m->high = m->base;
}

/* The program's own name is behind the link /proc/self/exe. */
static char *name_of(const struct ftr__loaded *loaded)
{
	char *resolved = loaded->program ? realpath(loaded->path, NULL) : NULL;
	const char *path = resolved ? resolved : loaded->path;
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path);

	free(resolved);
	return name;
}

struct ftr__module *ftr__module_read(const struct ftr__loaded *loaded, bool scan)
{
	static uint32_t numbers;
	struct ftr__module *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->base = loaded->base;
	m->where = loaded->where;
	m->phnum = loaded->phnum;
	m->number = ++numbers;
	m->path = strdup(loaded->path);
	m->name = name_of(loaded);
	m->phdr = malloc(loaded->phnum * sizeof *m->phdr + 1);
	if (!m->path || !m->name || !m->phdr) {
		ftr__module_free(m);
		return NULL;
	}
	memcpy(m->phdr, loaded->phdr, loaded->phnum * sizeof *m->phdr);
	code_range(m);
	m->registered = ftr__module_has_record(m);
	int result = -ENOENT;
	if ((scan || m->registered) && m->path[0])
		result = ftr__elf_read(&m->elf, m->path, m->phdr, m->phnum);
	m->read = !result;
	if (result != -ENOMEM)
		return m;
	ftr__module_free(m); /* known without its sites, it would stay so */
	return NULL;
}

void ftr__module_free(struct ftr__module *m)
{
	free(m->path);
	free(m->name);
	free(m->phdr);
	free(m->sites);
	free(m->slots);
	free(m->flags);
	free(m->pending);
	free(m->alone);
	if (!ftr__batch_stuck) /* else the patches stay, and point there */
		free(m->ips);
	free(m->names);
	ftr__elf_free(&m->elf);
	free(m);
}

bool ftr__module_same(const struct ftr__module *m, const struct ftr__loaded *loaded)
{
	if (m->base != loaded->base || m->where != loaded->where || m->phnum != loaded->phnum ||
	    strcmp(m->path, loaded->path) ||
	    memcmp(m->phdr, loaded->phdr, m->phnum * sizeof *m->phdr))
		return false;
	/* Unloaded and loaded again at the same place since? Then all its code is
	 * as in the file, also where it was written to.  Code that somebody put
	 * back in part is left to the verification of a batch. */
	bool written = false, as_found = true;
	for (size_t i = 0; i < m->n_sites; i++) {
		const struct ftr_site *site = &m->sites[i];
		uint8_t should[FTR__PATCH_MAX];
		as_found = as_found && !memcmp((const void *)site->ip, site->found,
						     site->length);
		if (!(m->flags[i] & FTR__SITE_TOUCHED) || !(m->flags[i] & FTR__SITE_NORMAL))
			continue;
		ftr__site_encode(m, site, m->slots[i], m->flags[i] & FTR__SITE_JUMPS, should);
		written |= memcmp(should, site->found, site->length) != 0;
	}
	return written != as_found;
}

/* Addresses in the file, moved to where the module is. */
static void relocate(struct ftr__table *tables, size_t n, uintptr_t base)
{
	for (size_t i = 0; i < n; i++)
		tables[i].addr += base;
}

/*
 * A table that was dropped leaves functions with pads and no way to find them:
 * gold does that under --gc-sections.  Whether there were any can't be told.
 */
static const char *why_none(const struct ftr__module *m)
{
	if (m->n_sites)
		return NULL;
	if (!m->read)
		return "its file can't be read, or is another than was loaded";
	if (!m->elf.sections)
		return "its file has no section headers; FTR_MODULE in the program would serve";
	if (!m->elf.n_tables)
		return "no __patchable_function_entries or __mcount_loc section (not compiled for"
		       " tracing, or the linker dropped it, as gold does with --gc-sections)";
	return "none of the table's entries can be a site";
}

int ftr__module_adopt(struct ftr__module *m, bool scan)
{
	struct ftr__table tables[FTR__TABLES_MAX];
	size_t n = registered_tables(m, tables);

	if (!n && scan) {
		n = m->elf.n_tables;
		memcpy(tables, m->elf.tables, sizeof m->elf.tables);
		relocate(tables, n, m->base);
	}
	int result = n ? ftr__discover(m, &m->elf, tables, n) : 0;
	m->note = why_none(m);
	ftr__elf_free(&m->elf);
	return result;
}

/* --- the list ------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	const struct ftr__module *x = *(struct ftr__module *const *)a;
	const struct ftr__module *y = *(struct ftr__module *const *)b;

	return x->low < y->low ? -1 : x->low > y->low;
}

int ftr__modules_replace(struct ftr__module *const *list, size_t n, bool *idle)
{
	enum { LOOK_UP_MS = 100 };

	struct ftr__modules *modules = malloc(sizeof *modules + n * sizeof *list);
	struct ftr__modules *before = published;

	if (!modules)
		return ftr__fail(ENOMEM, "no memory for the list of modules");
	modules->n = n;
	if (n)
		memcpy(modules->list, list, n * sizeof *list);
	qsort(modules->list, n, sizeof *list, by_address);
	FTR__PUBLISH(published, modules);
	ftr__trap_quiesce();
	*idle = ftr__thread_lookers(LOOK_UP_MS);
	if (*idle)
		free(before);
	return 0;
}

uint32_t ftr__module_segment(const struct ftr__module *m, uintptr_t addr, uintptr_t *end)
{
	enum { SEGMENTS = 64 };

	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t start = m->base + p->p_vaddr;
		if (p->p_type == PT_LOAD && addr - start < p->p_memsz) {
			*end = start + p->p_memsz;
			return m->number * SEGMENTS + (uint32_t)(i % SEGMENTS);
		}
	}
	*end = m->high;
	return m->number * SEGMENTS;
}

const uintptr_t *ftr__module_ips(struct ftr__module *m)
{
	if (m->ips)
		return m->ips;
	m->ips = malloc(m->n_sites * sizeof *m->ips);
	for (size_t i = 0; m->ips && i < m->n_sites; i++)
		m->ips[i] = m->sites[i].ip;
	return m->ips;
}

/* --- looking up: in the trap handler, too ---------------------------------------- */

FTR__BARE static struct ftr__module *module_at(uintptr_t addr)
{
	const struct ftr__modules *modules = FTR__FETCH(published);
	size_t low = 0, high = modules ? modules->n : 0;

	/* The last module that starts at or below addr. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (modules->list[middle]->low <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || addr >= modules->list[low - 1]->high)
		return NULL;
	return modules->list[low - 1];
}

/* The last site at or below addr. */
FTR__BARE static struct ftr_site *site_below(const struct ftr__module *m, uintptr_t addr)
{
	size_t low = 0, high = m->n_sites;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->sites[middle].ip <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &m->sites[low - 1] : NULL;
}

FTR__BARE bool ftr__site_is_touched(uintptr_t addr)
{
	struct ftr__module *m = module_at(addr);
	struct ftr_site *site = m ? site_below(m, addr) : NULL;

	return site && site->ip == addr &&
	       (m->flags[ftr__site_number(m, site)] & FTR__SITE_TOUCHED);
}

static uint32_t function_size(const struct ftr__module *m, const struct ftr_site *site)
{
	uint32_t size;

	memcpy(&size, m->names + site->name, sizeof size);
	return size;
}

const char *ftr__site_name(const struct ftr__module *m, const struct ftr_site *site)
{
	return m->names + site->name + sizeof(uint32_t);
}

struct ftr__module *ftr__module_of(const struct ftr_site *site)
{
	return module_at(site->ip);
}

struct ftr_site *ftr__site_find(uintptr_t addr, struct ftr__module **module)
{
	struct ftr__module *m = module_at(addr);

	if (!m)
		return NULL;
	*module = m;
	struct ftr_site *site = site_below(m, addr);
	if (site) {
		uintptr_t start = ftr__site_function(site);
		uint32_t size = function_size(m, site);
		/* Without a size: the site's own bytes. */
		if (addr - start < (size ? size : (uintptr_t)site->function + site->length))
			return site;
	}
	/* In the landing pad before the next site. */
	struct ftr_site *next = site ? site + 1 : m->sites;
	if (m->n_sites && next < m->sites + m->n_sites && addr >= ftr__site_function(next) &&
	    addr < next->ip)
		return next;
	return NULL;
}
