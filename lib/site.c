/* SPDX-License-Identifier: MIT */
/*
 * What a site's bytes are before and after a change.  Floor 4; no state.
 */
#include "lib/site.h"

#include <string.h>

static uintptr_t target_of(uint32_t slot)
{
	return slot ? ftr__slot_address(slot) : 0;
}

void ftr__site_patches(struct ftr__patch *patches, size_t n, uint32_t before, uint32_t after)
{
	ftr__backend->encode_patches(patches, n, target_of(before), target_of(after));
}

void ftr__site_patch(const struct ftr_site *site, uint32_t slot, uint32_t segment,
		     struct ftr__patch *patch)
{
	ftr__site_begin(site, segment, patch);
	ftr__site_patches(patch, 1, site->slot, slot);
}

static void form_of(const struct ftr_site *site, struct ftr__form *form)
{
	/* `found` holds the first bytes alone; a long pad's others are in the
	 * text still as they were. */
	uint8_t bytes[64];

	memcpy(bytes, (const void *)site->ip, site->pad);
	memcpy(bytes, site->found, site->pad < FTR__PATCH_MAX ? site->pad : FTR__PATCH_MAX);
	enum ftr__table_kind table = site->kind == FTR_SITE_PATCHABLE ? FTR__TABLE_PATCHABLE
								      : FTR__TABLE_MCOUNT;
	ftr__backend->site_form(bytes, site->pad, table, form);
}

bool ftr__site_normalise(const struct ftr_site *site, uint32_t segment,
			 struct ftr__patch *patch, unsigned *instructions)
{
	struct ftr__form form;

	form_of(site, &form);
	if (!form.normal_size)
		return false;
	*instructions = form.instructions;
	*patch = (struct ftr__patch){ .ip = site->ip, .size = form.normal_size,
				      .length = form.pad_length, .segment = segment };
	memcpy(patch->before, site->found, FTR__PATCH_MAX);
	memcpy(patch->after, form.normal, FTR__PATCH_MAX);
	return true;
}

/*
 * Only what is one instruction now, as long as what was found, can be put back
 * without a rendezvous: nobody can stand inside, and five single nops may
 * follow the head of one.  A longer pad has a boundary behind the call, where
 * a return address may point.
 */
bool ftr__site_restore(const struct ftr_site *site, uint32_t segment, struct ftr__patch *patch)
{
	if (!(site->flags & FTR__SITE_NORMAL) || site->pad != site->length)
		return false;
	ftr__site_patch(site, 0, segment, patch);
	memcpy(patch->after, site->found, site->length);
	return memcmp(patch->before, patch->after, site->length) != 0;
}
