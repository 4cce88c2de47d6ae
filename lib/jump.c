/* SPDX-License-Identifier: MIT */
/*
 * See jump.h.  Floor 4.
 *
 * Areas stay for ever, since unwinders were told of them.
 */
#include "lib/jump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/error.h"
#include "lib/exec.h"
#include "lib/search.h"
#include "lib/unwind.h"

/* What a stub reads. */
struct words {
	uintptr_t next;   /* behind the site's instruction: what a call would push */
	uintptr_t target; /* a slot */
};

struct ftr__jumps {
	struct ftr__jumps *spare; /* the next one that serves no module */
	uintptr_t code;           /* of the first stub that serves */
	struct words *words;
	size_t room;              /* how many there are */
};

static struct ftr__jumps *spare;
static size_t n_areas;

enum { PAGE = 4096 };

static uintptr_t code_end(const struct ftr__jumps *jumps)
{
	return jumps->code + jumps->room * ftr__backend->jump_size;
}

/* Whether every stub is reached from all of the module's text. */
static bool reaches(const struct ftr__jumps *jumps, const struct ftr__module *m)
{
	uintptr_t low = jumps->code < m->low ? jumps->code : m->low;
	uintptr_t high = code_end(jumps) > m->high ? code_end(jumps) : m->high;

	return !ftr__backend->reach || high - low < ftr__backend->reach;
}

static struct ftr__jumps *take_spare(const struct ftr__module *m)
{
	for (struct ftr__jumps **at = &spare; *at; at = &(*at)->spare) {
		struct ftr__jumps *jumps = *at;
		if (jumps->room < m->n_sites || !reaches(jumps, m))
			continue;
		*at = jumps->spare;
		return jumps;
	}
	return NULL;
}

int ftr__jump_reserve(const struct ftr__module *m, size_t code_size, size_t data_size,
		   uintptr_t *at)
{
	uintptr_t reach = ftr__backend->reach ? ftr__backend->reach : UINTPTR_MAX / 2;
	uintptr_t top = m->high > UINTPTR_MAX - reach ? UINTPTR_MAX : m->low + reach;
	uintptr_t bottom = m->high > reach ? m->high - reach : 0x10000;
	int result = -ENOSPC;

	if (m->high - m->low < FTR__SLOT_NEAR)
		result = ftr__exec_reserve(m->high, m->low + FTR__SLOT_NEAR, code_size, data_size,
					   true, at);
	if (result == -ENOSPC)
		result = ftr__exec_reserve(m->high, top, code_size, data_size, false, at);
	if (result == -ENOSPC)
		result = ftr__exec_reserve(bottom, m->low, code_size, data_size, true, at);
	return result;
}

static int fill(uintptr_t at, size_t code_size, size_t n)
{
	uint8_t *code = calloc(1, code_size);

	if (!code)
		return ftr__fail(ENOMEM, "no memory to make stubs in");
	ftr__backend->jumps_emit(code, at, n, code_size);
	int result = ftr__exec_seal(at, code, code_size);
	free(code);
	return result;
}

/* Unwinders know the area by the address of what would be its first stub: that
 * one is left out. */
static int make(const struct ftr__module *m, struct ftr__jumps *jumps)
{
	size_t size = ftr__backend->jump_size;
	size_t code_size = ftr__align_up((m->n_sites + 1) * size, PAGE);
	size_t n = code_size / size;
	size_t data_size = ftr__align_up(n * sizeof(struct words), PAGE);
	uintptr_t at;
	int result = ftr__jump_reserve(m, code_size, data_size, &at);

	if (result)
		return result;
	const struct ftr__unwind_area unwind = { at, code_size, &ftr__backend->jump_cfi,
						 "ftr_jump", 0 };
	result = fill(at, code_size, n);
	if (!result)
		result = ftr__unwind_area(&unwind);
	if (result) {
		munmap((void *)at, code_size + data_size);
		return result;
	}
	/* Data, and never a thread's own. */
	ftr__search_ignore(at + code_size, at + code_size + data_size);
	n_areas++;
	*jumps = (struct ftr__jumps){ .code = at + size,
				      .words = (struct words *)(at + code_size) + 1,
				      .room = n - 1 };
	return 0;
}

static struct ftr__jumps *get(const struct ftr__module *m, int *result)
{
	struct ftr__jumps *jumps = take_spare(m);

	if (jumps)
		return jumps;
	jumps = malloc(sizeof *jumps);
	*result = jumps ? make(m, jumps) : ftr__fail(ENOMEM, "no memory for a list of stubs");
	if (!*result)
		return jumps;
	free(jumps);
	return NULL;
}

int ftr__jump_prepare(struct ftr__module *m)
{
	int result = 0;

	if (m->jumps)
		return 0;
	m->jumps = get(m, &result);
	for (size_t i = 0; m->jumps && i < m->n_sites; i++)
		m->jumps->words[i].next = m->sites[i].ip + m->sites[i].length;
	return result;
}

uintptr_t ftr__jump_stub(const struct ftr__module *m, const struct ftr_site *site)
{
	return m->jumps->code + ftr__site_number(m, site) * ftr__backend->jump_size;
}

void ftr__jump_lead(const struct ftr__module *m, size_t number, size_t n, uint32_t slot)
{
	/* By a return to what the stub pushed. */
	uintptr_t target = slot ? ftr__slot_address(slot) : ftr__backend->just_return;

	for (size_t i = number; i < number + n; i++)
		FTR__PUBLISH(m->jumps->words[i].target, target);
}

size_t ftr__jump_areas(void)
{
	return n_areas;
}

void ftr__jump_forget(struct ftr__module *m)
{
	if (!m->jumps)
		return;
	m->jumps->spare = spare;
	spare = m->jumps;
	m->jumps = NULL;
}
