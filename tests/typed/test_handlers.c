/* SPDX-License-Identifier: MIT */
/*
 * T2: typed handlers of groups, at every signature of the table, by both callers.
 */
#include "tests/live/live.h"
#include "tests/typed/cases.h"

#include <stdarg.h>

static const struct typed_case *now;
static unsigned entries, exits;
static int data_of_it;
static int entry_result;

static void expect(const struct typed_value *v, const void *is, const void *expected,
		   const char *what, unsigned number)
{
	ck_assert_msg(v->equal(is, expected), "%s %u of %s", what, number, now->prototype);
}

static int seeing(struct ftr_call *call, void **args, void *data)
{
	entries++;
	ck_assert_ptr_eq(data, &data_of_it);
	for (unsigned i = 0; i < now->n; i++)
		expect(&now->args[i], args[i], now->args[i].in, "entry's argument", i + 1);
	return entry_result;
}

/** Gives the function other values than its caller. */
static int changing(struct ftr_call *call, void **args, void *data)
{
	seeing(call, args, data);
	for (unsigned i = 0; i < now->n; i++)
		memcpy(args[i], now->args[i].other, now->args[i].size);
	return 0;
}

/** Gives it one other value, which one by `one`. */
static unsigned one;
static int changing_one(struct ftr_call *call, void **args, void *data)
{
	seeing(call, args, data);
	memcpy(args[one], now->args[one].other, now->args[one].size);
	return 0;
}

static void seeing_exit(struct ftr_call *call, void **args, void *ret, void *data)
{
	exits++;
	ck_assert_ptr_eq(data, &data_of_it);
	for (unsigned i = 0; i < now->n; i++)
		expect(&now->args[i], args[i], now->args[i].in, "exit's argument", i + 1);
	if (now->result.size)
		expect(&now->result, ret, now->result.in, "exit's result", 0);
	else
		ck_assert_ptr_null(ret);
}

static void changing_exit(struct ftr_call *call, void **args, void *ret, void *data)
{
	seeing_exit(call, args, ret, data);
	if (now->result.size)
		memcpy(ret, now->result.other, now->result.size);
}

/** Call the case's function; the handlers ran as often. */
static void call(unsigned n_entries, unsigned n_exits)
{
	entries = exits = 0;
	memset(now->result.seen ? now->result.seen : &entries, 0x55, now->result.size);
	for (unsigned i = 0; i < now->n; i++)
		memset(now->args[i].seen, 0x55, now->args[i].size);
	now->call(now->function);
	ck_assert_msg(entries == n_entries && exits == n_exits, "%u entries, %u exits of %s",
		      entries, exits, now->prototype);
}

static void check_arguments(bool others, unsigned except)
{
	for (unsigned i = 0; i < now->n; i++)
		expect(&now->args[i], now->args[i].seen,
		       others != (i == except) ? now->args[i].other : now->args[i].in,
		       "function's argument", i + 1);
}

static void check_result(bool other)
{
	if (now->result.size)
		expect(&now->result, now->result.seen, other ? now->result.other : now->result.in,
		       "caller's result", 0);
}

static void set(struct ftr_group *group, const struct ftr_signature *signature,
		ftr_typed_entry_fn entry, ftr_typed_fn exit)
{
	ck_ok(ftr_group_set_typed(group, signature, entry, exit));
	ck_ok(ftr_group_attach(group));
}

static int plain(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		 struct ftr_regs *regs)
{
	ck_abort_msg("the plain handler of a typed group ran");
}

static struct ftr_group *group_for(uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;
	uintptr_t ip = (uintptr_t)now->function;

	/* Whatever it is made with, if anything, is not called. */
	options.entry = flags ? plain : NULL;
	options.data = &data_of_it;
	options.flags = flags;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter_ips(group, &ip, 1, 0), 1);
	return group;
}

/* A few of the arguments are large. */
static bool fits_exits(void)
{
	size_t size = 0;

	for (unsigned i = 0; i < now->n; i++)
		size += (now->args[i].size + 15) / 16 * 16;
	return size <= FTR_ENTRY_DATA_MAX;
}

static void check_entries(struct ftr_group *group, const struct ftr_signature *signature)
{
	set(group, signature, seeing, NULL);
	call(1, 0);
	check_arguments(false, now->n);
	check_result(false);
	ck_ok(ftr_group_detach(group));

	set(group, signature, changing, NULL);
	call(1, 0);
	check_arguments(true, now->n);
	check_result(false);
	ck_ok(ftr_group_detach(group));

	if (!now->n)
		return;
	one = (unsigned)(now - typed_cases) % now->n;
	set(group, signature, changing_one, NULL);
	call(1, 0);
	check_arguments(false, one);
	ck_ok(ftr_group_detach(group));
}

static void check_exits(struct ftr_group *group, const struct ftr_signature *signature)
{
	if (!fits_exits()) {
		ck_fails(ftr_group_set_typed(group, signature, NULL, seeing_exit), -EOPNOTSUPP);
		return;
	}
	set(group, signature, NULL, seeing_exit);
	call(0, 1);
	check_arguments(false, now->n);
	check_result(false);
	ck_ok(ftr_group_detach(group));

	/* What the entry changes the exit does not see. */
	set(group, signature, changing, changing_exit);
	call(1, 1);
	check_arguments(true, now->n);
	check_result(true);
	ck_ok(ftr_group_detach(group));

	set(group, signature, seeing, changing_exit);
	entry_result = 1;
	call(1, 0);
	entry_result = 0;
	check_result(false);
	ck_ok(ftr_group_detach(group));
}

static void every_signature(uint32_t flags)
{
	for (unsigned i = 0; i < typed_n_cases; i++) {
		struct ftr_signature *signature;

		now = &typed_cases[i];
		if (TYPED_SKIPPED(now))
			continue;
		ck_ok(ftr_signature_parse(&signature, now->prototype));
		struct ftr_group *group = group_for(flags);
		check_entries(group, signature);
		check_exits(group, signature);
		ck_ok(ftr_group_free(group));
		ftr_signature_free(signature);
	}
}

START_TEST(test_every_signature)
{
	every_signature(0);
}
END_TEST

START_TEST(test_every_signature_with_all_registers)
{
	every_signature(FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS);
}
END_TEST

/* --- arguments that nobody named ------------------------------------------------ */

/** first, n, then n pairs of a long and a double. */
FTR_TRACEABLE double sum(long first, long n, ...);
FTR_TRACEABLE double sum(long first, long n, ...)
{
	double result = (double)first;
	va_list list;

	va_start(list, n);
	while (n--) {
		result = result * 3 + (double)va_arg(list, long);
		result = result * 3 + va_arg(list, double);
	}
	va_end(list);
	return result;
}

static int adding(struct ftr_call *call, void **args, void *data)
{
	/* What lay below the stack pointer is no argument any more. */
	volatile char stack[4096];

	for (size_t i = 0; i < sizeof stack; i++)
		stack[i] = 0x55;
	*(long *)args[0] += 100;
	return 0;
}

static double call_sum(long first)
{
	return sum(first, 6, 1L, 2., 3L, 4., 5L, 6., 7L, 8., 9L, 10., 11L, 12.);
}

/** Those of registers and those of the stack come through a change of others. */
START_TEST(test_variadic_rest)
{
	struct ftr_group *group = live_group("variadic", plain, NULL, 0);
	struct ftr_signature *signature;
	double expected = call_sum(107);

	ck_ok(ftr_signature_parse(&signature, "double (long, long, ...)"));
	ck_ok(ftr_group_set_typed(group, signature, adding, NULL));
	ck_assert_int_eq(ftr_group_filter(group, "sum", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert(call_sum(7) == expected);
	live_drop(group);
	ftr_signature_free(signature);
}
END_TEST

/* --- narrow integers ----------------------------------------------------------- */

/** As clang takes them: what a caller passes has been extended to an int. */
FTR_TRACEABLE long wide(int a, int b, int c, int d);
FTR_TRACEABLE long wide(int a, int b, int c, int d)
{
	LIVE_OPAQUE(a);
	return ((a * 1000L + b) * 1000 + c) * 1000 + d;
}

static int narrowing(struct ftr_call *call, void **args, void *data)
{
	*(signed char *)args[0] = -1;
	*(unsigned char *)args[1] = 200;
	*(short *)args[2] = -2;
	*(unsigned short *)args[3] = 300;
	return 0;
}

START_TEST(test_narrow_integers)
{
	struct ftr_group *group = live_group("narrow", NULL, NULL, 0);
	struct ftr_signature *signature;
	long expected = wide(-1, 200, -2, 300);

	ck_ok(ftr_signature_parse(&signature, "long (signed char, unsigned char, short,"
					      " unsigned short)"));
	ck_ok(ftr_group_set_typed(group, signature, narrowing, NULL));
	ck_assert_int_eq(ftr_group_filter(group, "wide", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(wide(100, -100, 30000, -30000), expected);
	live_drop(group);
	ftr_signature_free(signature);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("typed handlers");

	LIVE_CASE(suite, test_variadic_rest, 30);
	LIVE_CASE(suite, test_narrow_integers, 30);
	LIVE_CASE(suite, test_every_signature, 60);
	LIVE_CASE(suite, test_every_signature_with_all_registers, 60);
	return live_main(suite);
}
