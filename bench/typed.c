/* SPDX-License-Identifier: MIT */
/*
 * What replacement and typed handlers cost, ns a call.
 *
 * usage: typed
 *
 * A replaced function is held against a plain call of the same code; typed
 * handlers against what libffi alone takes for the same job: a closure that calls
 * on by ffi_call().
 */
#include "bench/handler.h"
#include "bench/measure.h"

#include <ffi.h>
#include <stdio.h>

enum { CALLS = 100000, ROUNDS = 61 };

/* One body in many places, each at the start of a cache line, without a site and
 * with one. */
#define SUBJECT(name, attributes)                                                 \
	attributes __attribute__((noipa, aligned(64))) long name(long a, const char *b, \
								   double c);          \
	long name(long a, const char *b, double c)                                \
	{                                                                         \
		__asm__ volatile("" : "+r"(a));                                   \
		return a + 1;                                                     \
	}                                                                         \
	static __attribute__((noipa, aligned(64))) void loop_##name(long n)       \
	{                                                                         \
		for (; n > 0; n--)                                                \
			name(n, "text", 1.5);                                     \
	}

#define SITE __attribute__((patchable_function_entry(5)))
SUBJECT(plain, )
SUBJECT(replaced, SITE)
SUBJECT(entered, SITE)
SUBJECT(changed, SITE)
SUBJECT(left, SITE)
SUBJECT(around, SITE)

typedef long subject_fn(long a, const char *b, double c);
static subject_fn *volatile closure;

static __attribute__((noipa, aligned(64))) void loop_closure(long n)
{
	for (subject_fn *fn = closure; n > 0; n--)
		fn(n, "text", 1.5);
}

enum { PLAIN, REPLACED, FFI, AROUND, ENTRY, CHANGING, EXIT, VARIANTS };

static const struct {
	const char *name;
	void (*loop)(long n);
} variants[VARIANTS] = {
	{ "a call of a function without a site", loop_plain },
	{ "a call of a replaced function", loop_replaced },
	{ "libffi alone: closure, ffi_call()", loop_closure },
	{ "handler around, calls the original", loop_around },
	{ "typed entry handler", loop_entered },
	{ "typed entry handler, changes an argument", loop_changed },
	{ "typed exit handler", loop_left },
};

static struct bench_series ns[VARIANTS];

/* --- libffi alone ------------------------------------------------------------------ */

static void pass_on(ffi_cif *cif, void *ret, void **args, void *fn)
{
	ffi_call(cif, FFI_FN(fn), ret, args);
}

static void make_closure(void)
{
	static ffi_type *types[] = { &ffi_type_slong, &ffi_type_pointer, &ffi_type_double };
	static ffi_cif cif;
	void *code;
	ffi_closure *c = ffi_closure_alloc(sizeof *c, &code);

	if (!c || ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 3, &ffi_type_slong, types) != FFI_OK ||
	    ffi_prep_closure_loc(c, &cif, pass_on, (void *)plain, code) != FFI_OK)
		bench_fail("libffi has no closure");
	closure = (subject_fn *)code;
}

/* --- libftr -------------------------------------------------------------------------- */

static void call_on(struct ftr_call *call, void **args, void *ret, void *data)
{
	ftr_call_original(call, args, ret);
}

static int nothing(struct ftr_call *call, void **args, void *data)
{
	return 0;
}

static int change(struct ftr_call *call, void **args, void *data)
{
	*(long *)args[0] += 1;
	return 0;
}

static void nothing_at_exit(struct ftr_call *call, void **args, void *ret, void *data)
{
}

static void attach(const struct ftr_signature *signature, const char *function,
		   ftr_typed_entry_fn entry, ftr_typed_fn exit)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = function;
	options.entry = bench_entry;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	bench_check(ftr_group_set_typed(group, signature, entry, exit), "ftr_group_set_typed");
	bench_check(ftr_group_filter(group, function, 0), function);
	bench_check(ftr_group_attach(group), function);
}

static void set_up(void)
{
	struct ftr_signature *s;

	make_closure();
	bench_check(ftr_signature_parse(&s, "long (long, const char *, double)"), "parse");
	bench_check(ftr_replace((void *)replaced, (void *)plain, NULL), "ftr_replace");
	bench_check(ftr_replace_typed((void *)around, s, call_on, NULL), "ftr_replace_typed");
	attach(s, "entered", nothing, NULL);
	attach(s, "changed", change, NULL);
	attach(s, "left", NULL, nothing_at_exit);
	ftr_signature_free(s);
}

static double time_loop(void (*loop)(long n))
{
	uint64_t start;

	loop(CALLS / 100);
	start = bench_now();
	loop(CALLS);
	return (double)(bench_now() - start) / CALLS;
}

int main(void)
{
	set_up();
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < VARIANTS; i++)
			bench_add(&ns[i], time_loop(variants[i].loop));
	double base = bench_min(&ns[PLAIN]);
	double ffi = bench_min(&ns[FFI]) - base;
	printf("\ntyped: ns a call over %s (%.2f): min, median; min over libffi's\n",
	       variants[PLAIN].name, base);
	for (int i = REPLACED; i < VARIANTS; i++)
		printf("  %-42s %8.2f %8.2f %8.2f x\n", variants[i].name, bench_min(&ns[i]) - base,
		       bench_median(&ns[i]) - bench_median(&ns[PLAIN]),
		       (bench_min(&ns[i]) - base) / ffi);
	return 0;
}
