/* SPDX-License-Identifier: MIT */
/*
 * What a group holds, as an ordered list of rules.  Floor 5; the group's lock.
 */
#ifndef FTR__FILTER_H
#define FTR__FILTER_H

#include "lib/compiler.h"

enum { FTR__PATTERN_MAX = 4096 };

/* A pattern, or a list of addresses. */
struct ftr__rule {
	char *text;     /* as given, without '!'; NULL: addresses */
	const char *module; /* the glob before ':', inside `globs`; NULL: any */
	const char *name;   /* the glob of names */
	char *globs;
	uintptr_t *ips; /* sorted */
	size_t n_ips;
	bool remove;
	bool exclude; /* belongs to what is left alone */
	bool pending; /* for modules yet to come, too */
};

struct ftr__filter {
	struct ftr__rule *rules;
	size_t n;
};

/* Split a pattern; -EINVAL with a sentence, -ENOMEM. */
int ftr__rule_parse(struct ftr__rule *rule, const char *pattern);
int ftr__rule_ips(struct ftr__rule *rule, const uintptr_t *ips, size_t n);
void ftr__rule_free(struct ftr__rule *rule);

/* Whether a rule speaks of sites of this module; of this site in it. */
bool ftr__rule_module(const struct ftr__rule *rule, const char *module);
bool ftr__rule_site(const struct ftr__rule *rule, const char *name, uintptr_t ip);

/* A copy of a filter with one rule more, or with the rules of one side (those
 * whose `exclude` is the rule's) dropped first; -ENOMEM.  Takes over the rule
 * where it succeeds. */
int ftr__filter_extend(struct ftr__filter *out, const struct ftr__filter *from,
		       const struct ftr__rule *rule, bool reset);
void ftr__filter_free(struct ftr__filter *filter);

/* Forget addresses in [low, high): a module went. */
void ftr__filter_forget(struct ftr__filter *filter, uintptr_t low, uintptr_t high);

#endif
