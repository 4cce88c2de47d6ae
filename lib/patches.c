/* SPDX-License-Identifier: MIT */
/*
 * See patches.h.  Floor 4; under the library's lock and the loader's.
 */
#include "lib/patches.h"

#include <sys/mman.h>

/*
 * Memory for the largest update so far is kept: fresh pages would cost more
 * than the update itself.
 */
static struct ftr__store ips_store, spans_store, order_store, ways_store;

void *ftr__store_get(struct ftr__store *store, size_t size)
{
	if (store->memory && size <= store->size)
		return store->memory;
	size = ftr__align_up(size + size / 2 + 1, 4096);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (store->memory)
		munmap(store->memory, store->size);
	store->memory = p;
	store->size = size;
	return p;
}

bool ftr__patches_get(struct ftr__patches *patches, size_t n, size_t n_spans)
{
	*patches = (struct ftr__patches){ 0 };
	patches->ips = ftr__store_get(&ips_store, n * sizeof *patches->ips);
	patches->spans = ftr__store_get(&spans_store, n_spans * sizeof *patches->spans);
	patches->order = ftr__store_get(&order_store, n * sizeof *patches->order);
	patches->ways = ftr__store_get(&ways_store, n * sizeof *patches->ways);
	return patches->ips && patches->spans && patches->order && patches->ways;
}

void ftr__patches_add(struct ftr__patches *patches, uintptr_t ip,
		      const struct ftr__module *module)
{
	struct ftr__span *span = ftr__patches_next(patches);
	uintptr_t end;

	span->first = patches->n;
	span->ips = &patches->ips[patches->n];
	span->segment = ftr__module_segment(module, ip, &end);
	patches->ips[patches->n++] = ip;
	patches->n_spans++;
}

/* A batch that could not be undone keeps its patches, these too. */
int ftr__patches_run(struct ftr__patches *patches, unsigned flags)
{
	static struct ftr__patches under_way;

	if (ftr__batch_stuck)
		return ftr__batch_run(patches, flags);
	under_way = *patches;
	int result = ftr__batch_run(&under_way, flags);
	*patches = under_way;
	if (ftr__batch_stuck)
		ips_store = spans_store = order_store = ways_store = (struct ftr__store){ 0 };
	return result;
}
