/* SPDX-License-Identifier: MIT */
/*
 * Probes.  Floor 5; guarded by the library's lock, but for what handlers read.
 */
#ifndef FTR__PROBE_H
#define FTR__PROBE_H

#include "lib/group.h"
#include "lib/point.h"

enum ftr__probe_state {
	FTR__PROBE_DISABLED,
	FTR__PROBE_ENABLED,
	/* Off its instruction, but a handler may still run. */
	FTR__PROBE_LEAVING
};

struct ftr_probe {
	ftr_pre_fn pre;
	ftr_post_fn post;
	void *data;
	uint32_t flags;
	enum ftr_probe_kind kind;
	enum ftr__probe_state state;
	uintptr_t addr;
	uintptr_t next_ip;       /* behind the instruction, of a site or landing pad */
	char *module, *symbol;   /* as asked for; NULL: by address */
	size_t offset;
	uint32_t module_number;  /* of its module; 0: that is gone */
	unsigned length;         /* of its instruction */
	struct ftr__point *point;/* while enabled, of a breakpoint's */
	struct ftr_group *rider; /* of a site's: the group that rides on it */
	uint64_t left_at;        /* which update made it LEAVING */
	ftr__counter hits, missed;
	bool listed;             /* in the call under way */
	struct ftr_probe *next, *before; /* among all */
	struct ftr_probe *bucket;/* the next one in its bucket */
};

/* What a thread runs at a point: immutable, freed after a grace period. */
struct ftr__runs {
	uint32_t n;
	bool posts; /* some probe has a post handler */
	struct ftr__runs *next; /* among those to be freed */
	struct ftr_probe *probes[]; /* newest first */
};

/* In place of the group whose handler runs: what a probe's handler may do. */
extern struct ftr_group ftr__probe_rights;

/* The entry handler of a rider. */
int ftr__probe_ride(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs);

struct ftr_probe *ftr__probe_new(const struct ftr_probe_options *options);
/* Find its place, and what is there; as of ftr_probe_new(). */
int ftr__probe_resolve(struct ftr_probe *probe);
void ftr__probe_free(struct ftr_probe *probe);
/* Whether this is a probe: the pointer is not looked into. */
bool ftr__probe_known(const struct ftr_probe *probe);
struct ftr_probe *ftr__probe_first(void);

/* All or none; after an error handlers may have run. */
int ftr__probes_enable(struct ftr_probe *const *probes, size_t n);
int ftr__probes_disable(struct ftr_probe *const *probes, size_t n);
int ftr__probes_disable_all(void);

/*
 * Who waits for handlers: what was let go so far, and which probes are LEAVING;
 * ftr__probes_left(), after a grace period that began later, frees and settles.
 */
struct ftr__leaving {
	struct ftr__runs *runs;
	uint64_t until;        /* which updates of probes */
	uint64_t sets, riders; /* ftr__set_age(), ftr__group_leavings() */
};
struct ftr__leaving ftr__probes_leaving(void);
void ftr__probes_left(struct ftr__leaving leaving, bool waited);

/* A module went; or it is still there, and was read anew. */
void ftr__probes_forget(const struct ftr__module *module);
void ftr__probes_rehome(const struct ftr__module *from, const struct ftr__module *to);

/* Batches that set breakpoints though somebody blocked SIGTRAP. */
extern uint64_t ftr__probes_forced;

static inline uint64_t ftr__probe_missed(const struct ftr_probe *probe)
{
	return ftr__counted(&probe->missed) +
	       (probe->rider ? ftr__counted(&probe->rider->missed) : 0);
}

/* Whether its module is still the one that it was found in. */
bool ftr__probe_is_home(const struct ftr_probe *probe);

/* Where its instruction is called in reports: "module:function+0x12". */
void ftr__probe_name(const struct ftr_probe *probe, char *text, size_t room);

#endif
