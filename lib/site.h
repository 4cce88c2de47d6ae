/* SPDX-License-Identifier: MIT */
/*
 * Sites.  Floor 4; guarded by the library's lock, but for what ftr_site_find()
 * and the trap handler read.
 */
#ifndef FTR__SITE_H
#define FTR__SITE_H

#include "lib/slot.h"

/* The flags of a site, a byte in its module's `flags`. */
enum {
	FTR__SITE_TOUCHED = 1, /* its bytes were written, or are about to be */
	FTR__SITE_NORMAL = 2,  /* its bytes are those of its call or its nop */
	FTR__SITE_LEFT = 4,    /* left out of the update under way */
	FTR__SITE_JUMPS = 8,   /* with a slot: what stands there is no call of it, but
				* a jump to the site's stub, which leads to it */
	FTR__SITE_ALIGNED = 16,/* its address is a multiple of four */
	/* The length of its call, less one: for a look at many sites. */
	FTR__SITE_LENGTH = 7 * 32
};

/* What never changes; the rest is in its module's columns. */
struct ftr_site {
	uintptr_t ip;
	uint8_t found[FTR__PATCH_MAX]; /* the bytes as found: restored by shutdown */
	uint32_t name;    /* offset in the module's names: size, then the name */
	int16_t function; /* from ip to the function's start */
	uint8_t length : 4, normal : 1; /* length of its call; it was found normal */
	uint8_t kind : 2, pad : 6;      /* pad: bytes up to the end of what was found */
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct ftr_site) == 24, "24 bytes a site");
_Static_assert(FTR__PATCH_MAX <= 8, "three bits for a length");

static inline uint8_t ftr__site_first_flags(const struct ftr_site *site)
{
	return (uint8_t)((site->length - 1) * 32 | (site->ip % 4 ? 0 : FTR__SITE_ALIGNED) |
			 (site->normal ? FTR__SITE_NORMAL : 0));
}

struct ftr__module;

/* The address that stands for a slot in a span: its code, or 0 for none. */
uintptr_t ftr__site_target(uint32_t slot);

/* Where a site with the slot of a lone replacement jumps instead of calling it; 0:
 * it is another slot. */
uintptr_t ftr__site_jump(uint32_t slot);

/* The bytes of a site: a nop, the call of a slot, or a jump to its stub. */
void ftr__site_encode(const struct ftr__module *module, const struct ftr_site *site,
		      uint32_t slot, bool jumps, uint8_t *bytes);

/*
 * The change that makes the bytes as found normal, or that puts them back.
 * false: nothing to do, or not possible.  *instructions: of the pad.
 */
bool ftr__site_normalise(const struct ftr_site *site, struct ftr__span *span,
			 unsigned *instructions);
bool ftr__site_restore(const struct ftr__module *module, const struct ftr_site *site,
		       struct ftr__span *span);

static inline uintptr_t ftr__site_function(const struct ftr_site *site)
{
	return site->ip - (uintptr_t)(intptr_t)site->function;
}

#endif
