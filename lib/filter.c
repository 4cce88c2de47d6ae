/* SPDX-License-Identifier: MIT */
/*
 * Patterns and lists of addresses.  Floor 5; no state of its own.
 */
#include "lib/filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

/* The ':' that ends the module's glob: not one that is quoted by '\' or stands
 * inside [...].  A "::" is part of a name. */
static char *module_end(char *text)
{
	bool bracket = false;

	for (char *c = text; *c; c++) {
		if (*c == '\\' && c[1])
			c++;
		else if (*c == '[')
			bracket = true;
		else if (*c == ']')
			bracket = false;
		else if (*c == ':' && c[1] == ':')
			c++;
		else if (*c == ':' && !bracket)
			return c;
	}
	return NULL;
}

int ftr__rule_parse(struct ftr__rule *rule, const char *pattern)
{
	*rule = (struct ftr__rule){ .remove = *pattern == '!' };
	pattern += rule->remove;
	size_t length = strnlen(pattern, FTR__PATTERN_MAX + 1);
	if (!length || length > FTR__PATTERN_MAX)
		return ftr__fail(EINVAL, length ? "a pattern is longer than %d bytes"
						: "a pattern is empty (0 of %d bytes)",
				 FTR__PATTERN_MAX);
	rule->text = strdup(pattern);
	rule->globs = strdup(pattern);
	if (!rule->text || !rule->globs) {
		ftr__rule_free(rule);
		return ftr__fail(ENOMEM, "no memory for a pattern");
	}
	char *colon = module_end(rule->globs);
	rule->name = colon ? colon + 1 : rule->globs;
	rule->module = colon ? rule->globs : NULL;
	if (colon)
		*colon = 0;
	if (!*rule->name)
		rule->name = "*"; /* "module:" */
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uintptr_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int ftr__rule_ips(struct ftr__rule *rule, const uintptr_t *ips, size_t n)
{
	*rule = (struct ftr__rule){ .n_ips = n };
	rule->ips = malloc(n * sizeof *ips);
	if (!rule->ips)
		return ftr__fail(ENOMEM, "no memory for %zu addresses", n);
	memcpy(rule->ips, ips, n * sizeof *ips);
	qsort(rule->ips, n, sizeof *ips, by_value);
	return 0;
}

void ftr__rule_free(struct ftr__rule *rule)
{
	free(rule->text);
	free(rule->globs);
	free(rule->ips);
	*rule = (struct ftr__rule){ 0 };
}

bool ftr__rule_module(const struct ftr__rule *rule, const char *module)
{
	return !rule->module || fnmatch(rule->module, module, 0) == 0;
}

bool ftr__rule_site(const struct ftr__rule *rule, const char *name, uintptr_t ip)
{
	if (rule->ips)
		return bsearch(&ip, rule->ips, rule->n_ips, sizeof ip, by_value) != NULL;
	return (rule->name[0] == '*' && !rule->name[1]) || fnmatch(rule->name, name, 0) == 0;
}

static bool copy_rule(struct ftr__rule *to, const struct ftr__rule *from)
{
	*to = (struct ftr__rule){ 0 };
	int result = from->ips ? ftr__rule_ips(to, from->ips, from->n_ips)
			       : ftr__rule_parse(to, from->text);
	if (result)
		return false;
	to->remove = from->remove;
	to->exclude = from->exclude;
	to->pending = from->pending;
	return true;
}

/* A later rule of the same text decides about the same sites. */
static bool overridden(const struct ftr__rule *old, const struct ftr__rule *by)
{
	return old->exclude == by->exclude && old->text && by->text && !strcmp(old->text, by->text);
}

/* A rule that removes where nothing was added before says nothing. */
static bool idle(const struct ftr__filter *filter, const struct ftr__rule *rule)
{
	if (!rule->remove)
		return false;
	for (size_t i = 0; i < filter->n; i++)
		if (filter->rules[i].exclude == rule->exclude)
			return false;
	return true;
}

int ftr__filter_extend(struct ftr__filter *out, const struct ftr__filter *from,
		       const struct ftr__rule *rule, bool reset)
{
	out->n = 0;
	out->rules = calloc(from->n + 1, sizeof *out->rules);
	if (!out->rules)
		return ftr__fail(ENOMEM, "no memory for a filter");
	for (size_t i = 0; i < from->n; i++) {
		const struct ftr__rule *old = &from->rules[i];
		if ((reset && old->exclude == rule->exclude) || overridden(old, rule) ||
		    idle(out, old))
			continue;
		if (!copy_rule(&out->rules[out->n], old)) {
			ftr__filter_free(out);
			return ftr__fail(ENOMEM, "no memory for a filter");
		}
		out->n++;
	}
	if (!idle(out, rule))
		out->rules[out->n++] = *rule;
	else
		ftr__rule_free((struct ftr__rule *)rule);
	return 0;
}

void ftr__filter_free(struct ftr__filter *filter)
{
	for (size_t i = 0; i < filter->n; i++)
		ftr__rule_free(&filter->rules[i]);
	free(filter->rules);
	filter->rules = NULL;
	filter->n = 0;
}

void ftr__filter_forget(struct ftr__filter *filter, uintptr_t low, uintptr_t high)
{
	for (size_t i = 0; i < filter->n; i++) {
		struct ftr__rule *rule = &filter->rules[i];
		size_t kept = 0;
		for (size_t j = 0; j < rule->n_ips; j++)
			if (rule->ips[j] < low || rule->ips[j] >= high)
				rule->ips[kept++] = rule->ips[j];
		rule->n_ips = kept;
	}
}
