/* SPDX-License-Identifier: MIT */
/*
 * See stored.h.  Floor 5.
 */
#include "lib/stored.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

enum { PATTERNS = 3, TAG = 0x40000000 };
static const uint8_t patterns[PATTERNS] = { 0x15, 0x2a, 0x53 };

struct probe {
	const struct ftr__storing *storing;
	size_t room;    /* of the largest argument */
	uint8_t *memory; /* one for each argument */
	uint8_t *stack;  /* what was stored, of each pattern */
	size_t stack_size;
	uintptr_t general[PATTERNS][6];
};

static void **arguments(const struct probe *p, void **args)
{
	for (unsigned i = 0; i < p->storing->n; i++)
		args[i] = p->memory + i * p->room;
	return args;
}

static bool run_pattern(struct probe *p, unsigned i)
{
	void *args[FTR__PARAMETERS_MAX + 1];
	struct ftr__values values = { .stack = p->stack + i * p->stack_size,
				      .stack_size = p->stack_size, .how = p->storing->how };

	memset(p->memory, patterns[i], p->room * p->storing->n);
	bool done = p->storing->store(p->storing->arg, p->storing->n, arguments(p, args), &values);
	memcpy(p->general[i], values.general, sizeof values.general);
	return done;
}

/* Bytes of the stack up to the last one that follows the pattern. */
static size_t stored_on_stack(const struct probe *p)
{
	size_t size = 0;

	for (size_t at = 0; at < p->stack_size; at++) {
		bool stored = true;
		for (unsigned i = 0; i < PATTERNS; i++)
			stored = stored && p->stack[i * p->stack_size + at] == patterns[i];
		size = stored ? at + 1 : size;
	}
	return ftr__align_up(size, sizeof(void *));
}

static unsigned stored_in_registers(const struct probe *p)
{
	unsigned n = 0;

	for (unsigned r = 0; r < ftr__backend->typed->n_general[p->storing->how]; r++) {
		bool stored = true;
		for (unsigned i = 0; i < PATTERNS; i++)
			stored = stored && (uint8_t)p->general[i][r] == patterns[i];
		n = stored ? r + 1 : n;
	}
	return n;
}

/*
 * x86_64: where a struct of an integer and a floating point word takes the sixth
 * general register, libffi 3.4 copies it there as a whole, and overwrites what the
 * first vector register was to get.  The truth is what fewer arguments give, the
 * last of which is the first in a vector register.  A tag in each word of the
 * arguments tells where it came from.
 */
static uint32_t first_vector(const struct probe *p, unsigned n)
{
	void *args[FTR__PARAMETERS_MAX + 1];
	struct ftr__values values = { .stack = p->stack, .how = p->storing->how };
	uint32_t tag;

	if (!p->storing->store(p->storing->arg, n, arguments(p, args), &values))
		return 0;
	memcpy(&tag, values.vector[0], sizeof tag);
	return values.n_vectors ? tag : 0;
}

static void find_first_vector(const struct probe *p, struct ftr__stored *stored)
{
	unsigned n = 0;
	uint32_t tag = 0;

	for (uint32_t i = 0; i < p->storing->n; i++)
		for (uint32_t j = 0; j < p->room / sizeof tag; j++) {
			tag = TAG | i << 20 | j;
			memcpy(p->memory + i * p->room + j * sizeof tag, &tag, sizeof tag);
		}
	tag = 0;
	while (!tag && n < p->storing->n)
		tag = first_vector(p, ++n);
	if (!tag || first_vector(p, p->storing->n) == tag)
		return;
	stored->mend = true;
	stored->mend_argument = (tag & ~(uint32_t)TAG) >> 20;
	stored->mend_at = (tag & 0xfffff) * sizeof tag;
	size_t size = p->storing->sizes[stored->mend_argument] - stored->mend_at;
	stored->mend_size = size < 8 ? size : 8;
}

static bool open_probe(struct probe *p)
{
	p->room = sizeof(uintptr_t);
	for (unsigned i = 0; i < p->storing->n; i++)
		if (p->storing->sizes[i] > p->room)
			p->room = p->storing->sizes[i];
	p->room = ftr__align_up(p->room, 16);
	p->stack_size = ftr__align_up(p->storing->stack_room, sizeof(void *)) + sizeof(void *);
	p->memory = malloc(p->room * (p->storing->n + 1));
	p->stack = calloc(PATTERNS, p->stack_size);
	return p->memory && p->stack;
}

int ftr__stored_find(struct ftr__stored *stored, const struct ftr__storing *storing)
{
	struct probe p = { .storing = storing };
	bool memory = open_probe(&p), done = memory;

	for (unsigned i = 0; i < PATTERNS && done; i++)
		done = run_pattern(&p, i);
	if (done) {
		stored->n_general = stored_in_registers(&p);
		stored->stack_size = stored_on_stack(&p);
		if (ftr__backend->typed->vectors)
			find_first_vector(&p, stored);
	}
	free(p.memory);
	free(p.stack);
	if (!memory)
		return ftr__fail(ENOMEM, "no memory for a signature");
	return done ? 0 : ftr__fail(EOPNOTSUPP, "libffi can't pass the types of this prototype");
}

/* --- where arguments lie ------------------------------------------------------------- */

/* What was stored, of each pattern: now each byte of each argument is another one. */
struct look {
	struct probe probe;
	uint8_t (*vectors)[8][16];
};

static uint8_t pattern(uint32_t i, uint32_t j, uint32_t run)
{
	return (uint8_t)(((i << 20 | j << 2 | run) * 2654435761u) >> 24);
}

static void fill(const struct probe *p, unsigned run)
{
	for (uint32_t i = 0; i < p->storing->n; i++)
		for (uint32_t j = 0; j < p->storing->sizes[i]; j++)
			p->memory[i * p->room + j] = pattern(i, j, run);
}

static bool run_look(struct look *look, unsigned run)
{
	struct probe *p = &look->probe;
	void *args[FTR__PARAMETERS_MAX + 1];
	struct ftr__values values = { .stack = p->stack + run * p->stack_size,
				      .stack_size = p->stack_size, .how = p->storing->how };

	fill(p, run);
	bool done = p->storing->store(p->storing->arg, p->storing->n, arguments(p, args), &values);
	memcpy(p->general[run], values.general, sizeof values.general);
	memcpy(look->vectors[run], values.vector, sizeof values.vector);
	return done;
}

/* Whether an argument is here: its bytes in every run, `step` bytes apart. */
static bool is_here(const struct probe *p, uint32_t i, const void *here, size_t step)
{
	for (uint32_t run = 0; run < PATTERNS; run++)
		for (uint32_t j = 0; j < p->storing->sizes[i]; j++)
			if (((const uint8_t *)here)[run * step + j] != pattern(i, j, run))
				return false;
	return true;
}

static struct ftr__argument find_place(const struct look *look, uint32_t i)
{
	const struct probe *p = &look->probe;
	size_t size = p->storing->sizes[i];
	struct ftr__argument found = { .where = FTR__NOWHERE };
	unsigned times = 0;

	for (uint32_t r = 0; r < ftr__backend->typed->n_general[p->storing->how] &&
			     size <= sizeof(uintptr_t); r++)
		if (is_here(p, i, &p->general[0][r], sizeof p->general[0])) {
			found = (struct ftr__argument){ .where = FTR__GENERAL, .at = r };
			times++;
		}
	/* The low halves are all that an argument has. */
	for (uint32_t r = 0; r < 8 && size <= 8 && ftr__backend->typed->vectors; r++)
		if (is_here(p, i, look->vectors[0][r], sizeof look->vectors[0])) {
			found = (struct ftr__argument){ .where = FTR__VECTOR, .at = r };
			times++;
		}
	for (size_t at = 0; at + size <= p->stack_size; at += sizeof(uintptr_t))
		if (is_here(p, i, p->stack + at, p->stack_size)) {
			found = (struct ftr__argument){ .where = FTR__STACK,
							 .at = (uint32_t)at };
			times++;
		}
	if (found.where == FTR__GENERAL)
		found.at = ftr__backend->typed->general_at[found.at];
	return times == 1 ? found : (struct ftr__argument){ .where = FTR__NOWHERE };
}

bool ftr__stored_places(struct ftr__argument *places, const struct ftr__storing *storing)
{
	struct look look = { .probe = { .storing = storing } };

	look.vectors = calloc(PATTERNS, sizeof *look.vectors);
	bool done = open_probe(&look.probe) && look.vectors;
	for (unsigned i = 0; i < PATTERNS && done; i++)
		done = run_look(&look, i);
	for (unsigned i = 0; i < storing->n && done; i++) {
		places[i] = find_place(&look, i);
		done = places[i].where != FTR__NOWHERE;
	}
	free(look.vectors);
	free(look.probe.memory);
	free(look.probe.stack);
	return done;
}

FTR__BARE void ftr__stored_point(const struct ftr__argument *places, unsigned n,
				 const struct ftr__values *values, void **args)
{
	for (unsigned i = 0; i < n; i++) {
		switch (places[i].where) {
		case FTR__GENERAL: args[i] = (char *)values->pt + places[i].at; break;
		case FTR__VECTOR:
			args[i] = (char *)values->vectors + places[i].at * values->stride;
			break;
		default: args[i] = (char *)values->stack + places[i].at; break;
		}
	}
}

FTR__BARE void ftr__stored_extend(const struct ftr__argument *places, unsigned n, void **args)
{
	for (unsigned i = 0; i < n; i++) {
		switch (places[i].extend) {
		case FTR__SIGNED_BYTE: *(int32_t *)args[i] = *(const int8_t *)args[i]; break;
		case FTR__BYTE: *(uint32_t *)args[i] = *(const uint8_t *)args[i]; break;
		case FTR__SIGNED_HALF: *(int32_t *)args[i] = *(const int16_t *)args[i]; break;
		case FTR__HALF: *(uint32_t *)args[i] = *(const uint16_t *)args[i]; break;
		default: break;
		}
	}
}
