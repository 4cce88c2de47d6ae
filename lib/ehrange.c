/* SPDX-License-Identifier: MIT */
/*
 * Reading one description of .eh_frame, of which nothing is trusted.  Floor 1; no
 * state.
 */
#include "lib/ehrange.h"

#include <string.h>

/* DWARF pointer encodings. */
enum { PE_FORMAT = 0x0f, PE_APPLIED = 0x70, PE_ALIGNED = 0x50 };

/* Bytes of a record, checked to be there before they are read. */
struct cursor {
	uintptr_t at, end;
	bool (*readable)(const void *arg, uintptr_t addr, size_t size);
	const void *arg;
};

static bool take(struct cursor *c, void *to, size_t n)
{
	if (c->end - c->at < n || c->at > c->end)
		return false;
	memcpy(to, (const void *)c->at, n);
	c->at += n;
	return true;
}

static bool take_byte(struct cursor *c, uint8_t *byte)
{
	return take(c, byte, 1);
}

static bool take_uleb(struct cursor *c, uint64_t *value)
{
	uint8_t byte = 0x80;

	*value = 0;
	for (unsigned shift = 0; byte & 0x80 && shift < 64; shift += 7) {
		if (!take_byte(c, &byte))
			return false;
		*value |= (uint64_t)(byte & 0x7f) << shift;
	}
	return !(byte & 0x80);
}

/* Bytes of a pointer of this encoding; 0: not known. */
static size_t pointer_size(uint8_t encoding)
{
	switch (encoding & 7) {
	case 0:
		return sizeof(uintptr_t);
	case 2:
		return 2;
	case 3:
		return 4;
	case 4:
		return 8;
	default:
		return 0;
	}
}

static bool take_pointer(struct cursor *c, uint8_t encoding, uintptr_t *value)
{
	size_t size = pointer_size(encoding);
	uint64_t wide = 0;

	if (!size || !take(c, &wide, size))
		return false;
	*value = (uintptr_t)wide;
	return true;
}

/* A record's bytes behind its length. */
static bool open_record(struct cursor *c, uintptr_t at)
{
	uint32_t length;

	if (!c->readable(c->arg, at, sizeof length))
		return false;
	memcpy(&length, (const void *)at, sizeof length);
	if (!length || length == UINT32_MAX || !c->readable(c->arg, at, length + sizeof length))
		return false;
	c->at = at + sizeof length;
	c->end = c->at + length;
	return true;
}

/* The augmentation of a CIE: how addresses are encoded, and whether its frames are
 * signals' (Linux Standard Base Core, "The Common Information Entry Format"). */
static bool read_cie(struct cursor *c, uint8_t *encoding, bool *signal_frame)
{
	uint8_t version, letters[8], skipped;
	uintptr_t personality;
	uint64_t number;
	uint32_t id;
	size_t n = 0;

	*encoding = 0;
	*signal_frame = false;
	if (!take(c, &id, sizeof id) || id || !take_byte(c, &version))
		return false;
	do
		if (n == sizeof letters || !take_byte(c, &letters[n]))
			return false;
	while (letters[n++]);
	if (letters[0] != 'z')
		return !letters[0];
	if (!take_uleb(c, &number) || !take_uleb(c, &number))
		return false;
	if (version == 1 ? !take_byte(c, &skipped) : !take_uleb(c, &number))
		return false;
	if (!take_uleb(c, &number))
		return false;
	for (size_t i = 1; letters[i]; i++) {
		if (letters[i] == 'S')
			*signal_frame = true;
		else if (letters[i] == 'R' && !take_byte(c, encoding))
			return false;
		else if (letters[i] == 'L' && !take_byte(c, &skipped))
			return false;
		else if (letters[i] == 'P' && (!take_byte(c, &skipped) ||
					       (skipped & PE_APPLIED) == PE_ALIGNED ||
					       !take_pointer(c, skipped, &personality)))
			return false;
	}
	return true;
}

/* The table says where it starts. */
static bool read_fde(struct cursor *c, uintptr_t fde, struct ftr__ehframe_range *range)
{
	uint8_t encoding;
	uintptr_t size;
	uint32_t back;

	if (!open_record(c, fde) || !take(c, &back, sizeof back) || !back)
		return false;
	struct cursor cie = *c, rest = *c;
	if (!open_record(&cie, c->at - sizeof back - back) ||
	    !read_cie(&cie, &encoding, &range->signal_frame))
		return false;
	if (!take_pointer(&rest, encoding, &size) || !take_pointer(&rest, encoding & PE_FORMAT, &size))
		return false;
	range->end = range->start + size;
	return range->end > range->start;
}

bool ftr__ehframe_find(const struct ftr__ehframe *eh, uintptr_t addr,
		       bool (*readable)(const void *arg, uintptr_t addr, size_t size),
		       const void *arg, struct ftr__ehframe_range *range)
{
	struct cursor c = { .readable = readable, .arg = arg };
	size_t low = 0, high = eh->n;

	/* The last that starts at or below addr. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (eh->base + (uintptr_t)(intptr_t)eh->table[2 * middle] <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	const int32_t *entry = &eh->table[2 * (low - 1)];
	range->start = eh->base + (uintptr_t)(intptr_t)entry[0];
	return read_fde(&c, eh->base + (uintptr_t)(intptr_t)entry[1], range) && addr < range->end;
}
