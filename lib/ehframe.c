/* SPDX-License-Identifier: MIT */
/*
 * The binary search table of .eh_frame_hdr, and single records of .eh_frame
 * (Linux Standard Base Core, "The .eh_frame section").  Floor 1; no state.  Both
 * lie in a module's memory: used under the loader's lock alone, or of a module
 * that stays.
 */
#include "lib/ehframe.h"

#include <string.h>

/* DWARF pointer encodings, as linkers write them here. */
enum {
	VERSION = 1,
	PE_ABSPTR = 0x00,
	PE_UDATA4 = 0x03,
	PE_SDATA4 = 0x0b,
	PE_FORMAT = 0x0f,
	PE_SDATA4_DATAREL = 0x3b,
	HEADER_SIZE = 12
};

struct ftr__ehframe ftr__ehframe_open(uintptr_t header, size_t size)
{
	struct ftr__ehframe eh = { .base = header };
	const uint8_t *bytes = (const uint8_t *)header;
	uint32_t count;

	if (!header || size < HEADER_SIZE || bytes[0] != VERSION || bytes[2] != PE_UDATA4 ||
	    bytes[3] != PE_SDATA4_DATAREL)
		return eh;
	/* The pointer to .eh_frame takes four bytes in every encoding in use. */
	if ((bytes[1] & 0x0f) != 0x0b && (bytes[1] & 0x0f) != PE_UDATA4)
		return eh;
	memcpy(&count, bytes + 8, sizeof count);
	if (count > (size - HEADER_SIZE) / (2 * sizeof(int32_t)))
		return eh;
	eh.table = (const int32_t *)(header + HEADER_SIZE);
	eh.n = count;
	return eh;
}

bool ftr__ehframe_starts(const struct ftr__ehframe *eh, uintptr_t addr)
{
	size_t low = 0, high = eh->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uintptr_t at = eh->base + (uintptr_t)(intptr_t)eh->table[2 * middle];
		if (at == addr)
			return true;
		if (at < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* --- single records ----------------------------------------------------------- */

/* Their length, without the four bytes that it takes; 0: none, or a long one. */
static size_t record_size(const uint8_t *record)
{
	uint32_t size;

	memcpy(&size, record, sizeof size);
	return size == UINT32_MAX ? 0 : size;
}

/* The encoding of addresses in its FDEs; -1: of another form. */
static int read_cie(const uint8_t *cie, struct ftr__fde *fde)
{
	static const uint8_t head[] = { 0, 0, 0, 0, VERSION, 'z', 'R', 0, 1,
					-(int)sizeof(void *) & 0x7f };
	const uint8_t *at = cie + sizeof(uint32_t), *end = at + record_size(cie);

	if ((size_t)(end - at) < sizeof head + 3 || memcmp(at, head, sizeof head))
		return -1;
	at += sizeof head;
	fde->return_column = at[0];
	fde->common = at + 3;
	fde->common_size = (size_t)(end - fde->common);
	return at[1] == 1 ? at[2] : -1; /* behind the length of what z is about */
}

bool ftr__ehframe_read(const uint8_t *bytes, uintptr_t start, struct ftr__fde *fde)
{
	const uint8_t *at = bytes + sizeof(uint32_t), *end = at + record_size(bytes);
	uint32_t back;

	if ((size_t)(end - at) < sizeof back + 2 * sizeof(void *) + 1)
		return false;
	memcpy(&back, at, sizeof back);
	int encoding = read_cie(at - back, fde);
	if (encoding < 0)
		return false;
	int format = encoding & PE_FORMAT;
	size_t width = format == PE_ABSPTR ? sizeof(uintptr_t) : sizeof(uint32_t);
	if (format != PE_ABSPTR && format != PE_UDATA4 && format != PE_SDATA4)
		return false;
	at += sizeof back + width;
	fde->start = start;
	fde->size = 0;
	memcpy(&fde->size, at, width);
	at += width;
	fde->own = at + 1;
	fde->own_size = (size_t)(end - fde->own);
	return *at == 0; /* bytes of what z is about */
}
