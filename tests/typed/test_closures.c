/* SPDX-License-Identifier: MIT */
/*
 * T2: closures of every signature of the table, called by what the C compiler
 * makes of the prototype.
 */
#include "tests/live/live.h"
#include "tests/typed/cases.h"

static const struct typed_case *now;
static unsigned calls;
static int data_of_it;

static void fill(const struct typed_value *v, int byte)
{
	if (v->size)
		memset(v->seen, byte, v->size);
}

/** Sees what the caller passes; gives the case's result. */
static void seeing(struct ftr_call *call, void **args, void *ret, void *data)
{
	calls++;
	ck_assert_ptr_eq(data, &data_of_it);
	ck_assert_uint_ne(ftr_call_ip(call), 0);
	for (unsigned i = 0; i < now->n; i++)
		ck_assert_msg(now->args[i].equal(args[i], now->args[i].in),
			      "argument %u of %s", i + 1, now->prototype);
	if (now->result.size)
		memcpy(ret, now->result.in, now->result.size);
}

static void check_result(const struct typed_case *c)
{
	ck_assert_msg(!c->result.size || c->result.equal(c->result.seen, c->result.in),
		      "result of %s", c->prototype);
}

START_TEST(test_every_signature)
{
	ck_assert_uint_ge(typed_n_cases, 150);
	for (unsigned i = 0; i < typed_n_cases; i++) {
		struct ftr_signature *signature;
		struct ftr_closure *closure;
		void *code;

		now = &typed_cases[i];
		if (TYPED_SKIPPED(now))
			continue;
		ck_ok(ftr_signature_parse(&signature, now->prototype));
		if (strstr(now->prototype, "regparm")) {
			ck_fails(ftr_closure_new(&closure, signature, seeing, &data_of_it, &code),
				 -EOPNOTSUPP);
			ftr_signature_free(signature);
			continue;
		}
		ck_ok(ftr_closure_new(&closure, signature, seeing, &data_of_it, &code));
		/* The closure keeps what it needs. */
		ftr_signature_free(signature);
		fill(&now->result, 0x55);
		calls = 0;
		now->call(code);
		ck_assert_uint_eq(calls, 1);
		check_result(now);
		ftr_closure_free(closure);
	}
}
END_TEST

/** The table itself: its callers and functions agree without the library. */
START_TEST(test_table)
{
	for (unsigned i = 0; i < typed_n_cases; i++) {
		const struct typed_case *c = &typed_cases[i];

		fill(&c->result, 0x55);
		for (unsigned j = 0; j < c->n; j++)
			fill(&c->args[j], 0x55);
		c->call(c->function);
		check_result(c);
		for (unsigned j = 0; j < c->n; j++) {
			ck_assert(c->args[j].equal(c->args[j].seen, c->args[j].in));
		}
	}
}
END_TEST

static void doing_nothing(struct ftr_call *call, void **args, void *ret, void *data)
{
}

/** A handler that writes no result has returned zero. */
START_TEST(test_result_is_zero)
{
	struct ftr_signature *signature;
	struct ftr_closure *closure;
	void *code;

	ck_ok(ftr_signature_parse(&signature, "double (int)"));
	ck_ok(ftr_closure_new(&closure, signature, doing_nothing, NULL, &code));
	ck_assert(((double (*)(int))code)(7) == 0);
	ftr_closure_free(closure);
	ftr_signature_free(signature);
	ck_ok(ftr_signature_parse(&signature, "short ()"));
	ck_ok(ftr_closure_new(&closure, signature, doing_nothing, NULL, &code));
	ck_assert_int_eq(((short (*)(void))code)(), 0);
	ftr_closure_free(closure);
	ftr_signature_free(signature);
}
END_TEST

/** E1. */
START_TEST(test_misuse)
{
	struct ftr_signature *signature;
	struct ftr_closure *closure;
	void *code;

	ck_fails(ftr_signature_parse(NULL, "int (void)"), -EINVAL);
	ck_fails(ftr_signature_parse(&signature, NULL), -EINVAL);
	ck_fails(ftr_signature_parse(&signature, "int (what)"), -EINVAL);
	ck_assert_ptr_null(signature);
	ck_ok(ftr_signature_parse(&signature, "int (void)"));
	ck_fails(ftr_closure_new(NULL, signature, seeing, NULL, &code), -EINVAL);
	ck_fails(ftr_closure_new(&closure, NULL, seeing, NULL, &code), -EINVAL);
	ck_fails(ftr_closure_new(&closure, signature, NULL, NULL, &code), -EINVAL);
	ck_fails(ftr_closure_new(&closure, signature, seeing, NULL, NULL), -EINVAL);
	ftr_signature_free(signature);
	ftr_signature_free(NULL);
	ftr_closure_free(NULL);
	ck_assert_uint_eq(ftr_call_ip(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("closures");

	LIVE_CASE(suite, test_table, 30);
	LIVE_CASE(suite, test_every_signature, 30);
	LIVE_CASE(suite, test_result_is_zero, 30);
	LIVE_CASE(suite, test_misuse, 30);
	return live_main(suite);
}
