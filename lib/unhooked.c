/* SPDX-License-Identifier: MIT */
/*
 * See unhooked.h.  Floor 5.
 */
#include "lib/unhooked.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

/*
 * Functions that return twice, and functions that look at their own return
 * address: to keep it beyond their return, or to learn who called.
 */
static const char *const defaults[] = {
	"setjmp", "_setjmp", "__setjmp", "sigsetjmp", "__sigsetjmp", "savectx",
	"getcontext", "__getcontext", "vfork", "__vfork", "clone", "__clone", "clone3",
	"dlopen", "dlmopen", "dlsym", "dlvsym", "dl_iterate_phdr",
};

static struct ftr__filter list;
static bool filled;
static unsigned version = 1; /* of the list; 0: none */
/* Whether a rule may speak of names that begin so. */
static bool may_begin[256];

static bool fill(void)
{
	for (size_t i = 0; i < FTR__ARRAY_SIZE(defaults); i++) {
		struct ftr__filter longer;
		struct ftr__rule rule;
		if (ftr__rule_parse(&rule, defaults[i]))
			return false;
		if (ftr__filter_extend(&longer, &list, &rule, false)) {
			ftr__rule_free(&rule);
			return false;
		}
		ftr__filter_free(&list);
		list = longer;
	}
	return true;
}

/* Most names differ from all patterns in the first character. */
static void index_list(void)
{
	memset(may_begin, false, sizeof may_begin);
	for (size_t i = 0; i < list.n; i++) {
		const char *glob = list.rules[i].name;
		if (!glob || strchr("*?[\\", *glob))
			memset(may_begin, true, sizeof may_begin);
		else
			may_begin[(unsigned char)*glob] = true;
	}
	version++;
}

const struct ftr__filter *ftr__unhooked_list(void)
{
	if (!filled) {
		filled = fill();
		if (!filled)
			ftr__filter_free(&list);
		index_list();
	}
	return filled ? &list : NULL;
}

int ftr__unhooked_add(const struct ftr__rule *rule, bool reset)
{
	struct ftr__filter longer;

	if (!ftr__unhooked_list())
		return ftr__fail(ENOMEM, "no memory for a list of patterns");
	int result = ftr__filter_extend(&longer, &list, rule, reset);
	if (result)
		return result;
	ftr__filter_free(&list);
	list = longer;
	index_list();
	return 0;
}

static bool is_listed(const struct ftr__module *m, size_t number)
{
	const char *name = ftr__site_name(m, &m->sites[number]);
	bool in = false;

	if (!may_begin[(unsigned char)*name])
		return false;
	for (size_t i = 0; i < list.n; i++) {
		const struct ftr__rule *rule = &list.rules[i];
		if (in == rule->remove && ftr__rule_site(rule, name, 0) &&
		    ftr__rule_module(rule, m->name))
			in = !rule->remove;
	}
	return in;
}

/* Few, or by somebody's wish all. */
static bool find_alone(struct ftr__module *m)
{
	size_t n = 0, room = 0;

	if (!ftr__unhooked_list())
		return false;
	if (m->alone_version == version)
		return true;
	m->alone_version = 0;
	for (size_t i = 0; i < m->n_sites; i++) {
		if (!is_listed(m, i))
			continue;
		if (n == room) {
			room = room ? 2 * room : 16;
			void *grown = realloc(m->alone, room * sizeof *m->alone);
			if (!grown)
				return false;
			m->alone = grown;
		}
		m->alone[n++] = (uint32_t)i;
	}
	m->n_alone = n;
	m->alone_version = version;
	return true;
}

/* How many of the list are below. */
static size_t alone_below(const struct ftr__module *m, size_t number)
{
	size_t low = 0, high = m->n_alone;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->alone[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ftr__unhooked(struct ftr__module *m, size_t number)
{
	if (!find_alone(m))
		return true;
	size_t i = alone_below(m, number);
	return i < m->n_alone && m->alone[i] == number;
}

size_t ftr__unhooked_alike(struct ftr__module *m, size_t number, size_t n)
{
	size_t alike = 0;

	if (!find_alone(m))
		return n;
	size_t i = alone_below(m, number);
	while (alike < n && i < m->n_alone && m->alone[i] == number + alike) {
		i++;
		alike++;
	}
	if (alike)
		return alike;
	return i < m->n_alone && m->alone[i] - number < n ? m->alone[i] - number : n;
}
