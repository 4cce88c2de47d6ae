/* SPDX-License-Identifier: MIT */
/*
 * What a site's bytes are before and after a change.  Floor 4; no state.
 */
#include "lib/site.h"

#include <string.h>

#include "lib/jump.h"

uintptr_t ftr__site_target(uint32_t slot)
{
	return slot ? ftr__slot_address(slot) : 0;
}

uintptr_t ftr__site_jump(uint32_t slot)
{
	return slot ? ftr__set_jump(ftr__set_of(ftr__slot_owner(slot))) : 0;
}

void ftr__site_encode(const struct ftr__module *module, const struct ftr_site *site,
		      uint32_t slot, bool jumps, uint8_t *bytes)
{
	uintptr_t direct = ftr__site_jump(slot);

	if (direct || (slot && jumps))
		ftr__backend->text.encode_jump(bytes, site->length, site->ip,
					       direct ? direct : ftr__jump_stub(module, site));
	else
		ftr__backend->text.encode(bytes, site->length, site->ip, ftr__site_target(slot));
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

bool ftr__site_normalise(const struct ftr_site *site, struct ftr__span *span,
			 unsigned *instructions)
{
	struct ftr__form form;

	form_of(site, &form);
	if (!form.normal_size)
		return false;
	*instructions = form.instructions;
	*span = (struct ftr__span){ .n = 1, .literal = true, .size = form.normal_size,
				    .length = form.pad_length };
	memcpy(span->before.bytes, site->found, FTR__PATCH_MAX);
	memcpy(span->after.bytes, form.normal, FTR__PATCH_MAX);
	return true;
}

/*
 * Only what is one instruction now, as long as what was found, can be put back
 * without a rendezvous: nobody can stand inside, and five single nops may
 * follow the head of one.  A longer pad has a boundary behind the call, where
 * a return address may point.
 */
bool ftr__site_restore(const struct ftr__module *module, const struct ftr_site *site,
		       struct ftr__span *span)
{
	size_t i = ftr__site_number(module, site);

	if (!(module->flags[i] & FTR__SITE_NORMAL) || site->pad != site->length)
		return false;
	*span = (struct ftr__span){ .n = 1, .literal = true, .size = site->length,
				    .length = site->length };
	ftr__site_encode(module, site, module->slots[i], module->flags[i] & FTR__SITE_JUMPS,
			 span->before.bytes);
	memcpy(span->after.bytes, site->found, FTR__PATCH_MAX);
	return memcmp(span->before.bytes, span->after.bytes, site->length) != 0;
}
