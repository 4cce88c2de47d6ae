/* SPDX-License-Identifier: MIT */
/*
 * The binary search table of .eh_frame_hdr.  Floor 1; no state.  The table
 * lies in the module's memory: used under the loader's lock alone.
 */
#include "lib/ehframe.h"

#include <string.h>

/* DWARF pointer encodings, as linkers write them here. */
enum {
	VERSION = 1,
	PE_UDATA4 = 0x03,
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
