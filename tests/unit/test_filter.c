/* SPDX-License-Identifier: MIT */
/*
 * Patterns as they are split and matched, and lists of rules as they grow.
 */
#include "lib/filter.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "lib/error.h"

static struct ftr__rule parsed(const char *pattern)
{
	struct ftr__rule rule;

	ck_assert_int_eq(ftr__rule_parse(&rule, pattern), 0);
	return rule;
}

static bool matches(const char *pattern, const char *module, const char *name)
{
	struct ftr__rule rule = parsed(pattern);
	bool result = ftr__rule_module(&rule, module) && ftr__rule_site(&rule, name, 1);

	ftr__rule_free(&rule);
	return result;
}

START_TEST(test_patterns)
{
	ck_assert(matches("*", "lua", "luaV_execute"));
	ck_assert(matches("luaV_*", "lua", "luaV_execute"));
	ck_assert(!matches("luaV_*", "lua", "luaH_get"));
	ck_assert(matches("lua?_get", "lua", "luaH_get"));
	ck_assert(matches("[a-l]uaH_[!s]et", "lua", "luaH_get"));
	ck_assert(!matches("luaH", "lua", "luaH_get"));
	ck_assert(matches("a\\*b", "lua", "a*b"));
	ck_assert(!matches("a\\*b", "lua", "axb"));
	ck_assert(matches("lua:luaH_get", "lua", "luaH_get"));
	ck_assert(!matches("lua:luaH_get", "luac", "luaH_get"));
	ck_assert(matches("libc.so.*:mem*", "libc.so.6", "memcpy"));
	ck_assert(!matches("libc.so.*:mem*", "libm.so.6", "memcpy"));
	ck_assert(matches("*:*", "anything", "at_all"));
}
END_TEST

/* A colon that is quoted, in brackets or doubled belongs to a name. */
START_TEST(test_colons)
{
	ck_assert(matches("a\\:b", "m", "a:b"));
	ck_assert(matches("a[:x]b", "m", "a:b"));
	ck_assert(matches("ns::fn", "m", "ns::fn"));
	ck_assert(matches("mod:ns::fn", "mod", "ns::fn"));
	ck_assert(!matches("mod:ns::fn", "ns", "ns::fn"));
}
END_TEST

START_TEST(test_removal_and_text)
{
	struct ftr__rule rule = parsed("!lua:x*");

	ck_assert(rule.remove);
	ck_assert_str_eq(rule.text, "lua:x*");
	ck_assert_str_eq(rule.module, "lua");
	ck_assert_str_eq(rule.name, "x*");
	ftr__rule_free(&rule);
	rule = parsed("x*");
	ck_assert(!rule.remove);
	ck_assert_ptr_null(rule.module);
	ftr__rule_free(&rule);
}
END_TEST

START_TEST(test_bad_patterns)
{
	struct ftr__rule rule;
	char *text = malloc(FTR__PATTERN_MAX + 2);

	ck_assert_int_eq(ftr__rule_parse(&rule, ""), -EINVAL);
	ck_assert(ftr__error_last()[0]);
	ck_assert_int_eq(ftr__rule_parse(&rule, "!"), -EINVAL);
	memset(text, 'a', FTR__PATTERN_MAX + 1);
	text[FTR__PATTERN_MAX + 1] = 0;
	ck_assert_int_eq(ftr__rule_parse(&rule, text), -EINVAL);
	text[FTR__PATTERN_MAX] = 0;
	ck_assert_int_eq(ftr__rule_parse(&rule, text), 0);
	ftr__rule_free(&rule);
	free(text);
}
END_TEST

START_TEST(test_addresses)
{
	static const uintptr_t ips[] = { 50, 10, 30, 20, 40 };
	struct ftr__filter filter = { NULL, 0 }, grown;
	struct ftr__rule rule;
	uintptr_t ip;

	ck_assert_int_eq(ftr__rule_ips(&rule, ips, 5), 0);
	for (ip = 0; ip < 60; ip++)
		ck_assert_int_eq(ftr__rule_site(&rule, "any", ip), ip && ip % 10 == 0);
	ck_assert(ftr__rule_module(&rule, "any"));
	ck_assert_int_eq(ftr__filter_extend(&grown, &filter, &rule, false), 0);
	ftr__filter_forget(&grown, 20, 40);
	for (ip = 0; ip < 60; ip++)
		ck_assert_int_eq(ftr__rule_site(&grown.rules[0], "any", ip),
				 ip == 10 || ip == 40 || ip == 50);
	ftr__filter_free(&grown);
}
END_TEST

/* --- lists ---------------------------------------------------------------------- */

static struct ftr__filter list;

static void extend(const char *pattern, bool exclude, bool reset)
{
	struct ftr__rule rule = parsed(pattern);
	struct ftr__filter grown;

	rule.exclude = exclude;
	ck_assert_int_eq(ftr__filter_extend(&grown, &list, &rule, reset), 0);
	ftr__filter_free(&list);
	list = grown;
}

/** The rules as one text: "+a -b" for the filter, "[+a]" for what is excluded. */
static const char *shown(void)
{
	static char text[256];
	size_t i;

	text[0] = 0;
	for (i = 0; i < list.n; i++) {
		const struct ftr__rule *rule = &list.rules[i];

		strcat(text, i ? " " : "");
		strcat(text, rule->exclude ? "[" : "");
		strcat(text, rule->remove ? "-" : "+");
		strcat(text, rule->text);
		strcat(text, rule->exclude ? "]" : "");
	}
	return text;
}

START_TEST(test_rules_in_order)
{
	extend("a*", false, false);
	extend("!ab", false, false);
	extend("ax", true, false);
	ck_assert_str_eq(shown(), "+a* -ab [+ax]");
	/* The same again moves to the end: it decides last. */
	extend("a*", false, false);
	ck_assert_str_eq(shown(), "[+ax] +a*");
	extend("b", false, true);
	ck_assert_str_eq(shown(), "[+ax] +b");
	extend("c", true, true);
	ck_assert_str_eq(shown(), "+b [+c]");
	ftr__filter_free(&list);
	ck_assert_uint_eq(list.n, 0);
}
END_TEST

/** A program that adds and removes for ever does not grow its list. */
START_TEST(test_toggling_does_not_grow)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		extend("a*", false, false);
		extend("!a*", false, false);
		extend("b", true, false);
		extend("!b", true, false);
		ck_assert_uint_le(list.n, 4);
	}
	ftr__filter_free(&list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter");

	UNIT_CASE(suite, test_patterns);
	UNIT_CASE(suite, test_colons);
	UNIT_CASE(suite, test_removal_and_text);
	UNIT_CASE(suite, test_bad_patterns);
	UNIT_CASE(suite, test_addresses);
	UNIT_CASE(suite, test_rules_in_order);
	UNIT_CASE(suite, test_toggling_does_not_grow);
	return unit_main(suite);
}
