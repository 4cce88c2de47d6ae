/* SPDX-License-Identifier: MIT */
/*
 * T2: handlers around the functions of every signature of the table: they see
 * what was passed, call on with it or with something else, and change the result.
 */
#include "tests/live/live.h"
#include "tests/typed/cases.h"

static const struct typed_case *now;
static unsigned calls;
static int data_of_it;

static void expect(const struct typed_value *v, const void *is, const void *expected,
		   const char *what, unsigned number)
{
	ck_assert_msg(v->equal(is, expected), "%s %u of %s", what, number, now->prototype);
}

static void see(struct ftr_call *call, void **args, void *data)
{
	calls++;
	ck_assert_ptr_eq(data, &data_of_it);
	ck_assert_uint_eq(ftr_call_ip(call), (uintptr_t)now->function);
	for (unsigned i = 0; i < now->n; i++)
		expect(&now->args[i], args[i], now->args[i].in, "handler's argument", i + 1);
}

static bool variadic(void)
{
	return strstr(now->prototype, "...") != NULL;
}

static void give(void *ret, const void *value)
{
	if (now->result.size)
		memcpy(ret, value, now->result.size);
}

static void passing_on(struct ftr_call *call, void **args, void *ret, void *data)
{
	see(call, args, data);
	if (variadic()) {
		ck_fails(ftr_call_original(call, args, ret), -EOPNOTSUPP);
		give(ret, now->result.in);
		return;
	}
	ck_ok(ftr_call_original(call, args, ret));
	if (now->result.size)
		expect(&now->result, ret, now->result.in, "original's result", 0);
}

/** Calls on with values of its own, and returns one. */
static void changing(struct ftr_call *call, void **args, void *ret, void *data)
{
	void *others[TYPED_ARGS_MAX];
	/* Not a byte more is stored than the type has. */
	_Alignas(16) unsigned char result[5000];

	see(call, args, data);
	for (unsigned i = 0; i < now->n; i++)
		others[i] = now->args[i].other;
	memset(result, 0x77, sizeof result);
	if (!variadic()) {
		ck_ok(ftr_call_original(call, others, result));
		if (now->result.size)
			expect(&now->result, result, now->result.in, "original's result", 0);
		size_t end = sizeof result;
		while (end > now->result.size && result[end - 1] == 0x77)
			end--;
		ck_assert_msg(end == now->result.size, "%zu bytes for the result of %s", end,
			      now->prototype);
	}
	give(ret, now->result.other);
}

static void call(void)
{
	calls = 0;
	memset(now->result.seen ? now->result.seen : &calls, 0x55, now->result.size);
	for (unsigned i = 0; i < now->n; i++)
		memset(now->args[i].seen, 0x55, now->args[i].size);
	now->call(now->function);
	ck_assert_uint_eq(calls, 1);
}

static void check(bool others)
{
	for (unsigned i = 0; i < now->n && !variadic(); i++)
		expect(&now->args[i], now->args[i].seen,
		       others ? now->args[i].other : now->args[i].in, "function's argument",
		       i + 1);
	if (now->result.size)
		expect(&now->result, now->result.seen,
		       others ? now->result.other : now->result.in, "caller's result", 0);
}

static void try_around(ftr_typed_fn around, bool others)
{
	struct ftr_signature *signature;

	ck_ok(ftr_signature_parse(&signature, now->prototype));
	if (strstr(now->prototype, "regparm")) {
		ck_fails(ftr_replace_typed(now->function, signature, around, &data_of_it),
			 -EOPNOTSUPP);
		ftr_signature_free(signature);
		return;
	}
	ck_ok(ftr_replace_typed(now->function, signature, around, &data_of_it));
	ftr_signature_free(signature);
	call();
	check(others);
	ck_ok(ftr_restore(now->function));
}

START_TEST(test_every_signature)
{
	for (unsigned i = 0; i < typed_n_cases; i++) {
		now = &typed_cases[i];
		if (TYPED_SKIPPED(now))
			continue;
		try_around(passing_on, false);
		try_around(changing, true);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("around");

#ifdef ELSEWHERE
	if (live_lacks_breakpoints())
		return 77;
#endif
	LIVE_CASE(suite, test_every_signature, 120);
	return live_main(suite);
}
