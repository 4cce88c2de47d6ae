/* SPDX-License-Identifier: MIT */
/*
 * A peer: LLVM's XRay beside libftr and beside the same floors, in one process.
 *
 * usage: xray entry|patch MODULE-DIRECTORY
 *
 * XRay's sleds are in 40,000 generated functions of the program and in
 * bench_fn_xray (clang -fxray-instrument, sleds at entries alone); libftr's
 * sites are in a module of as many functions.  XRay writes its sleds by plain
 * stores, with no sync of the cores.
 */
#include "bench/handler.h"
#include "bench/measure.h"
#include "bench/protocol.h"

#include <stdio.h>
#include <string.h>

enum { CALLS = 100000, ROUNDS = 41, PATCH_ROUNDS = 15, FUNCTIONS = 40000 };

/* From <xray/xray_interface.h>, which is C++. */
int __xray_set_handler(void (*entry)(int32_t id, int type));
int __xray_patch(void);
int __xray_unpatch(void);
enum { XRAY_SUCCESS = 1 };

int bench_fn_xray(int n);
void bench_loop_plain(long n), bench_loop_floor_gpr(long n), bench_loop_floor_xmm(long n),
	bench_loop_args(long n), bench_loop_args_nosimd(long n);

static long handled;

static void count(int32_t id, int type)
{
	handled++;
}

static void ignore(int32_t id, int type)
{
}

static void loop_xray(long n)
{
	for (; n; n--)
		bench_fn_xray((int)n);
}

static void patch(int (*change)(void))
{
	if (change() != XRAY_SUCCESS)
		bench_fail("XRay did not patch");
}

static double time_loop(void (*loop)(long n))
{
	uint64_t start;

	loop(CALLS / 100);
	start = bench_now();
	loop(CALLS);
	return (double)(bench_now() - start) / CALLS;
}

static struct ftr_group *new_group(const char *pattern, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.entry = bench_entry;
	options.flags = flags;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	bench_check(ftr_group_filter(group, pattern, 0), pattern);
	return group;
}

static void check_xray_calls(void)
{
	__xray_set_handler(count);
	loop_xray(CALLS);
	if (handled != CALLS)
		bench_fail("XRay's handler ran %ld times in %d calls", handled, CALLS);
	__xray_set_handler(ignore);
}

enum { PLAIN, GPR, XMM, NOSIMD, ARGS, XRAY, LOOPS };

static const struct {
	const char *name;
	void (*loop)(long n);
} loops[LOOPS] = {
	[PLAIN] = { "a call of a function without a site", bench_loop_plain },
	[GPR] = { "floor: 9 registers", bench_loop_floor_gpr },
	[XMM] = { "floor: 9 registers, xmm0-7", bench_loop_floor_xmm },
	[NOSIMD] = { "libftr, args, no SIMD", bench_loop_args_nosimd },
	[ARGS] = { "libftr, args: vectors 0-7 in full width", bench_loop_args },
	[XRAY] = { "XRay: xmm0-7, upper halves unprotected", loop_xray },
};

static void measure_entry(void)
{
	static struct bench_series ns[LOOPS];
	double base, middle, floor;

	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < LOOPS; i++)
			bench_add(&ns[i], time_loop(loops[i].loop));
	base = bench_min(&ns[PLAIN]);
	middle = bench_median(&ns[PLAIN]);
	floor = bench_min(&ns[XMM]) - base;
	printf("\npeers, entry handler: ns a call over a call without a site: min, median; min over "
	       "the xmm0-7 floor's\n");
	for (int i = PLAIN + 1; i < LOOPS; i++)
		printf("  %-40s %8.2f %8.2f %8.2f\n", loops[i].name, bench_min(&ns[i]) - base,
		       bench_median(&ns[i]) - middle, (bench_min(&ns[i]) - base) / floor);
}

enum { FLOOR_ON, FLOOR_OFF, LIBFTR_ON, LIBFTR_OFF, XRAY_ON, XRAY_OFF, TIMES };
static struct bench_series times[TIMES];

static uint64_t lap(int which, uint64_t start)
{
	uint64_t now = bench_now();

	bench_add(&times[which], (double)(now - start) / 1e6);
	return bench_now();
}

static void measure_patching(const struct bench_module *module, struct ftr_group *group)
{
	uint64_t t;

	for (int round = 0; round < PATCH_ROUNDS; round++) {
		t = bench_now();
		bench_protocol(module, module->floor_gpr);
		t = lap(FLOOR_ON, t);
		bench_protocol(module, 0);
		t = lap(FLOOR_OFF, t);
		bench_check(ftr_group_attach(group), "attach");
		t = lap(LIBFTR_ON, t);
		bench_check(ftr_group_detach(group), "detach");
		t = lap(LIBFTR_OFF, t);
		patch(__xray_patch);
		t = lap(XRAY_ON, t);
		patch(__xray_unpatch);
		lap(XRAY_OFF, t);
	}
}

static void print_patching(double first_libftr, double first_xray)
{
	static const char *const names[TIMES] = { "floor: on", "floor: off", "libftr: attach",
		"libftr: detach", "XRay: patch", "XRay: unpatch" };

	printf("\npeers, %d functions on and off again, pages private: ms, min (median), "
	       "min over the floor's\n", FUNCTIONS);
	for (int i = 0; i < TIMES; i++)
		printf("  %-40s %8.3f (%8.3f) %8.2f\n", names[i], bench_min(&times[i]),
		       bench_median(&times[i]), bench_min(&times[i]) / bench_min(&times[i & 1]));
	printf("  first of all, pages as in the file (once): libftr %.3f, XRay %.3f\n", first_libftr,
	       first_xray);
	printf("  goal: ahead of XRay: attach %.2f of its patch, detach %.2f of its unpatch\n",
	       bench_min(&times[LIBFTR_ON]) / bench_min(&times[XRAY_ON]),
	       bench_min(&times[LIBFTR_OFF]) / bench_min(&times[XRAY_OFF]));
}

/* Of XRay, and of libftr, before either wrote to its functions. */
static double first_ms(struct ftr_group *group)
{
	uint64_t start = bench_now();

	if (group)
		bench_check(ftr_group_attach(group), "attach");
	else
		patch(__xray_patch);
	return (double)(bench_now() - start) / 1e6;
}

static void peer_entry(void)
{
	patch(__xray_patch);
	check_xray_calls();
	bench_check(ftr_group_attach(new_group("bench_fn_args", 0)), "attach");
	bench_check(ftr_group_attach(new_group("bench_fn_args_nosimd", FTR_GROUP_NO_SIMD)),
		    "attach");
	measure_entry();
}

static void peer_patch(const char *dir)
{
	const struct bench_module *module = bench_load(dir, "nop", FUNCTIONS);
	struct ftr_group *group;
	double libftr, xray;

	bench_check(ftr_init(NULL), "ftr_init");
	group = new_group("nop-*:*", 0);
	libftr = first_ms(group);
	bench_check(ftr_group_detach(group), "detach");
	xray = first_ms(NULL);
	check_xray_calls();
	patch(__xray_unpatch);
	bench_protocol_start(module, 0);
	measure_patching(module, group);
	print_patching(libftr, xray);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "entry"))
		peer_entry();
	else if (argc == 3 && !strcmp(argv[1], "patch"))
		peer_patch(argv[2]);
	else
		bench_fail("usage: xray entry|patch MODULE-DIRECTORY");
	return 0;
}
