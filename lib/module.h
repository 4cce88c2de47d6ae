/* SPDX-License-Identifier: MIT */
/*
 * Modules (program and shared objects) and their sites.  Floor 4; guarded by
 * the library's lock.
 */
#ifndef FTR__MODULE_H
#define FTR__MODULE_H

#include "lib/loader.h"
#include "lib/site.h"

/* Why places are no sites, and how many. */
struct ftr__refusal {
	const char *reason; /* a constant text */
	size_t n;
};
enum { FTR__REFUSALS_MAX = 16 };

struct ftr__module {
	uintptr_t base;
	uintptr_t low, high;         /* of its executable segments */
	char *path, *name;           /* name: without directories */
	const ElfW(Phdr) *where;     /* identity, not for reading */
	ElfW(Phdr) *phdr;            /* copied */
	size_t phnum;
	struct ftr__elf elf;         /* between reading and adopting; then what is asked for */
	bool symbols_read;           /* by lib/boundary.c, after adopting */
	bool read;                   /* its file was read */
	uint32_t number;             /* never used twice */
	struct ftr_site *sites;      /* sorted by address */
	size_t n_sites;
	/* Of each site, by its number; apart from `sites`, since a batch goes
	 * through one of these for many sites at a time. */
	uint32_t *slots;             /* whose call stands there; 0: a nop */
	uint8_t *flags;              /* FTR__SITE_* */
	uintptr_t *ips;              /* its address; made by the first that asks */
	uint32_t *pending;           /* its state in the update under way (lib/update.c), or
				      * FTR__SITE_SETTLED; made by the first that asks */
	/* The numbers of the sites, sorted, whose functions exits leave alone, by that
	 * version of the list (lib/unhooked.h). */
	uint32_t *alone;
	size_t n_alone;
	unsigned alone_version;
	char *names;
	struct ftr__refusal refusals[FTR__REFUSALS_MAX];
	struct ftr__jumps *jumps;    /* stubs of its sites (lib/jump.h), or NULL */
	bool registered;             /* by FTR_MODULE */
	bool gone;                   /* no longer loaded: its pages are not touched */
	bool reread;                 /* not gone: another stands for it */
	const char *note;            /* why there are no sites, or NULL */
};

/* `pending` while no update is under way. */
#define FTR__SITE_SETTLED UINT32_MAX

static inline size_t ftr__site_number(const struct ftr__module *module,
				      const struct ftr_site *site)
{
	return (size_t)(site - module->sites);
}

/* All modules, sorted by address. */
struct ftr__modules {
	size_t n;
	struct ftr__module *list[];
};

/* The current list; never NULL once there was a refresh.  Under the lock, or
 * inside ftr__trap_read_lock() or ftr__thread_look(). */
const struct ftr__modules *ftr__modules(void);

/* A module that was read but is not in the list yet; NULL: no memory, or no
 * descriptor for its file. */
struct ftr__module *ftr__module_read(const struct ftr__loaded *loaded, bool scan);
void ftr__module_free(struct ftr__module *module);

/*
 * Find the module's sites in its memory.  Under the loader's lock: the module
 * is loaded as it was read.
 */
int ftr__module_adopt(struct ftr__module *module, bool scan);

/* The loaded segment at an address: a number of its own, and where it ends. */
uint32_t ftr__module_segment(const struct ftr__module *module, uintptr_t addr, uintptr_t *end);

/* Replace the list; modules that are in the old one alone are not freed.
 * *idle: nobody reads them any more. */
int ftr__modules_replace(struct ftr__module *const *list, size_t n, bool *idle);

/* Whether this is the module that `loaded` speaks of, unchanged in memory. */
bool ftr__module_same(const struct ftr__module *module, const struct ftr__loaded *loaded);

/* The addresses of all sites, apart from what else there is to say of them; NULL: no
 * memory. */
const uintptr_t *ftr__module_ips(struct ftr__module *module);

/* The site at an address, or of the function around it; NULL.  In a read
 * section or under the lock. */
struct ftr_site *ftr__site_find(uintptr_t addr, struct ftr__module **module);
struct ftr__module *ftr__module_of(const struct ftr_site *site);
const char *ftr__site_name(const struct ftr__module *module, const struct ftr_site *site);
bool ftr__site_is_touched(uintptr_t addr);

/* Records of FTR_MODULE. */
int ftr__module_register(struct ftr_module_record *record);
int ftr__module_unregister(struct ftr_module_record *record);
/* Around a fork. */
void ftr__module_records_lock(void);
void ftr__module_records_unlock(void);
bool ftr__module_has_record(const struct ftr__module *module);
/* Changes whenever one was registered or unregistered. */
unsigned ftr__module_registrations(void);

#endif
