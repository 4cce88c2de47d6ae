/* SPDX-License-Identifier: MIT */
/*
 * See point.h.  Floor 4.
 *
 * The table is immutable: a new one is published, and the old one freed once no
 * thread is in a handler that may have it.
 */
#include "lib/point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/fault.h"
#include "lib/trap.h"

struct table {
	size_t n;
	struct ftr__point *points[]; /* sorted by address */
};

static struct table *published;

/* Made, not published: new ones, and detours of old ones. */
static struct ftr__point **fresh;
static size_t n_fresh, fresh_room;
static struct {
	struct ftr__point *point;
	uintptr_t post;
} *fresh_posts;
static size_t n_posts, posts_room;

/* Of modules that are gone. */
static struct ftr__point **former;
static size_t n_former, former_room;

/* --- in the handlers ---------------------------------------------------------- */

/* The first at or above an address. */
FTR__BARE static size_t lower_bound(const struct table *table, uintptr_t addr)
{
	size_t low = 0, high = table ? table->n : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->points[middle]->addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

FTR__BARE static struct ftr__point *look_up(uintptr_t addr)
{
	const struct table *table = FTR__FETCH(published);
	size_t i = lower_bound(table, addr);

	return table && i < table->n && table->points[i]->addr == addr ? table->points[i] : NULL;
}

FTR__BARE static enum ftr__trap_claim claim(uintptr_t addr, uintptr_t *to)
{
	const struct ftr__point *point = look_up(addr);

	if (!point)
		return FTR__TRAP_FOREIGN;
	*to = point->pre;
	return FTR__FETCH(point->enabled) ? FTR__TRAP_OURS : FTR__TRAP_FORMER;
}

/* All registers are as they should be. */
static const struct ftr__moved_step none = { .reg = UINT8_MAX };

/* An instruction that is done, and is in the detour as it was in the program. */
FTR__BARE static bool locate_behind(const struct ftr__point *point,
				    const struct ftr__detour_map *map, uintptr_t ip,
				    uintptr_t start, struct ftr__fault_place *place)
{
	if (ip != start + map->insn + map->length)
		return false;
	*place = (struct ftr__fault_place){ .ip = point->addr + map->length, .again = ip,
					    .step = &none };
	return true;
}

/* A fault in a detour, before or in its instruction. */
FTR__BARE static bool locate(uintptr_t ip, bool behind, struct ftr__fault_place *place)
{
	uintptr_t start;
	const struct ftr__point *point = ftr__detour_find(ip, &start);

	if (!point)
		return false;
	const struct ftr__detour_map *map = start == point->pre ? &point->pre_map : &point->post_map;
	unsigned offset = (unsigned)(ip - start);
	if (behind)
		return locate_behind(point, map, ip, start, place);
	if (offset >= map->insn_end)
		return false;
	place->step = &none;
	for (unsigned i = 0; i < map->n_steps && map->steps[i].at <= offset; i++)
		place->step = &map->steps[i];
	place->ip = point->addr;
	place->again = offset < map->insn ? start : start + map->insn;
	return true;
}

void ftr__points_start(void)
{
	ftr__trap_claim = claim;
	ftr__fault_locate = locate;
}

/* --- making -------------------------------------------------------------------- */

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for a probe");
}

static bool grow(void *list, size_t *room, size_t n, size_t size)
{
	void **at = list;

	if (n < *room)
		return true;
	size_t wanted = *room ? 2 * *room : 64;
	void *grown = realloc(*at, wanted * size);
	if (!grown)
		return false;
	*at = grown;
	*room = wanted;
	return true;
}

/* All memory of a module, which its instructions may refer to. */
static void span_of(const struct ftr__module *m, uintptr_t *low, uintptr_t *high)
{
	*low = m->low;
	*high = m->high;
	for (size_t i = 0; i < m->phnum; i++) {
		uintptr_t start = m->base + m->phdr[i].p_vaddr;
		if (m->phdr[i].p_type != PT_LOAD)
			continue;
		if (start < *low)
			*low = start;
		if (start + m->phdr[i].p_memsz > *high)
			*high = start + m->phdr[i].p_memsz;
	}
}

static int make_detour(struct ftr__point *point, const struct ftr__module *module, bool post,
		     uintptr_t *at)
{
	struct ftr__detour_request request = { .bytes = point->found, .room = point->room,
					     .ip = point->addr, .point = point, .post = post };

	span_of(module, &request.low, &request.high);
	return ftr__detour_make(&request, at, post ? &point->post_map : &point->pre_map);
}

static void take_bytes(struct ftr__point *point, const struct ftr__module *module)
{
	uintptr_t end;

	ftr__module_segment(module, point->addr, &end);
	point->room = end - point->addr < FTR__INSN_MAX ? (uint8_t)(end - point->addr)
							: FTR__INSN_MAX;
	ftr__points_original(point->addr, point->found, point->room);
}

static int make(const struct ftr__module *module, uintptr_t addr, unsigned length,
		struct ftr__point **point)
{
	struct ftr__point *p = calloc(1, sizeof *p);

	if (!p || !grow(&fresh, &fresh_room, n_fresh, sizeof *fresh)) {
		free(p);
		return no_memory();
	}
	p->addr = addr;
	p->module = module;
	p->length = (uint8_t)length;
	take_bytes(p, module);
	int result = make_detour(p, module, false, &p->pre);
	if (result) {
		free(p);
		return result;
	}
	fresh[n_fresh++] = *point = p;
	return 0;
}

/* The same instruction at the same address needs the same detour. */
static struct ftr__point *revive(const struct ftr__module *module, uintptr_t addr, unsigned length)
{
	struct ftr__point now = { .addr = addr };

	take_bytes(&now, module);
	for (size_t i = 0; i < n_former; i++) {
		struct ftr__point *p = former[i];
		if (p->addr != addr || p->length != length || memcmp(p->found, now.found, length))
			continue;
		if (!grow(&fresh, &fresh_room, n_fresh, sizeof *fresh))
			return NULL;
		former[i] = former[--n_former];
		p->module = module;
		memcpy(p->found, now.found, sizeof now.found);
		p->room = now.room;
		fresh[n_fresh++] = p;
		return p;
	}
	return NULL;
}

int ftr__point_get(const struct ftr__module *module, uintptr_t addr, unsigned length,
		   struct ftr__point **point)
{
	*point = look_up(addr);
	if (n_fresh && fresh[n_fresh - 1]->addr == addr)
		*point = fresh[n_fresh - 1];
	if (!*point)
		*point = revive(module, addr, length);
	return *point ? 0 : make(module, addr, length, point);
}

int ftr__point_want_post(struct ftr__point *point)
{
	if (point->post)
		return 0;
	if (!grow(&fresh_posts, &posts_room, n_posts, sizeof *fresh_posts))
		return no_memory();
	fresh_posts[n_posts].point = point;
	int result = make_detour(point, point->module, true, &point->post);
	if (result) {
		point->post = 0;
		return result;
	}
	n_posts++;
	return 0;
}

/* --- the table ------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct ftr__point *x = *(struct ftr__point *const *)a;
	const struct ftr__point *y = *(struct ftr__point *const *)b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* The points of before that stay, and the fresh ones. */
static struct table *table_of(const struct ftr__module *without)
{
	size_t before = published ? published->n : 0;
	struct table *table = malloc(sizeof *table + (before + n_fresh) * sizeof *table->points);

	if (!table)
		return NULL;
	table->n = 0;
	for (size_t i = 0; i < before; i++)
		if (published->points[i]->module != without)
			table->points[table->n++] = published->points[i];
	for (size_t i = 0; i < n_fresh; i++)
		table->points[table->n++] = fresh[i];
	qsort(table->points, table->n, sizeof *table->points, by_address);
	return table;
}

static void replace(struct table *table)
{
	struct table *before = published;

	FTR__PUBLISH(published, table);
	ftr__trap_quiesce();
	free(before);
}

int ftr__points_publish(void)
{
	int result = ftr__detours_seal();

	if (result)
		return result;
	n_posts = 0;
	if (!n_fresh)
		return 0;
	struct table *table = table_of(NULL);
	if (!table)
		return no_memory();
	n_fresh = 0;
	replace(table);
	return 0;
}

static void keep_former(struct ftr__point *point)
{
	point->module = NULL;
	if (grow(&former, &former_room, n_former, sizeof *former))
		former[n_former++] = point;
}

/* A point may have been made for another module before: its detour is there. */
void ftr__points_drop(void)
{
	for (size_t i = 0; i < n_posts; i++)
		fresh_posts[i].point->post = 0;
	n_posts = 0;
	for (size_t i = 0; i < n_fresh; i++) {
		if (ftr__detour_is_sealed(fresh[i]->pre))
			keep_former(fresh[i]);
		else
			free(fresh[i]);
	}
	n_fresh = 0;
	ftr__detours_drop();
}

struct ftr__point *ftr__point_find(uintptr_t addr)
{
	return look_up(addr);
}

size_t ftr__point_count(void)
{
	return published ? published->n : 0;
}

struct ftr__point *ftr__point_at(size_t i)
{
	return published->points[i];
}

/* --- text ------------------------------------------------------------------------ */

void ftr__points_original(uintptr_t addr, uint8_t *bytes, size_t n)
{
	memcpy(bytes, (const void *)addr, n);
	for (size_t i = lower_bound(published, addr); published && i < published->n; i++) {
		const struct ftr__point *p = published->points[i];
		if (p->addr - addr >= n)
			break;
		if (p->enabled)
			bytes[p->addr - addr] = p->found[0];
	}
}

/* Other probes' breakpoints lie behind it, not in it: it is one instruction. */
int ftr__point_verify(const struct ftr__point *point)
{
	const uint8_t *text = (const uint8_t *)point->addr;
	uint8_t first = point->enabled ? ftr__backend->text.breakpoint : point->found[0];

	if (text[0] == first && !memcmp(text + 1, point->found + 1, point->length - 1u))
		return 0;
	char expected[3 * FTR__INSN_MAX + 1], found[3 * FTR__INSN_MAX + 1];
	for (unsigned i = 0; i < point->length; i++) {
		snprintf(expected + 3 * i, 4, " %02x", i ? point->found[i] : first);
		snprintf(found + 3 * i, 4, " %02x", text[i]);
	}
	return ftr__fail(EILSEQ, "the probed instruction at %#lx does not hold the bytes expected:"
			 " expected%s, found%s", (unsigned long)point->addr, expected, found);
}

bool ftr__points_lost(const struct ftr__module *module)
{
	size_t enabled = 0, there = 0;

	for (size_t i = 0; published && i < published->n; i++) {
		const struct ftr__point *p = published->points[i];
		if (p->module != module || !p->enabled)
			continue;
		enabled++;
		there += *(const uint8_t *)p->addr == ftr__backend->text.breakpoint;
	}
	return enabled && !there;
}

void ftr__points_forget(const struct ftr__module *module)
{
	bool any = false;

	for (size_t i = 0; published && i < published->n; i++)
		any |= published->points[i]->module == module;
	struct table *table = any ? table_of(module) : NULL;
	for (size_t i = 0; any && i < published->n; i++) {
		struct ftr__point *p = published->points[i];
		if (p->module != module)
			continue;
		FTR__PUBLISH(p->enabled, false);
		p->runs = NULL;
		if (table)
			keep_former(p);
		else
			p->module = NULL;
	}
	if (table)
		replace(table);
}
