/* SPDX-License-Identifier: MIT */
/*
 * What return hooks cost, ns a call: an entry and an exit handler that do
 * nothing.
 *
 * usage: exit
 *
 * One function called in a loop, and the same through four frames without a
 * site: a tracer that swaps return addresses makes the processor mispredict the
 * return of each of them.  With BENCH_XRAY, where clang and its runtime are there,
 * LLVM's XRay runs beside, in the same process and in turn.  exits.S tells what the floor is.
 */
#include "bench/handler.h"
#include "bench/measure.h"

#include <stdio.h>

enum { CALLS = 100000, ROUNDS = 61 };

void bench_exit_plain(long n), bench_exit_floor(long n), bench_exit_kept(long n),
	bench_exit_swapped(long n), bench_exit_nosimd(long n), bench_exit_default(long n),
	bench_exit_cancelled(long n);
void bench_chain_plain(long n), bench_chain_floor(long n), bench_chain_kept(long n),
	bench_chain_swapped(long n), bench_chain_nosimd(long n), bench_chain_default(long n),
	bench_chain_cancelled(long n);

enum {
	PLAIN, FLOOR, KEPT, SWAPPED, NOSIMD, DEFAULT, CANCELLED,
#ifdef BENCH_XRAY
	XRAY,
#endif
	VARIANTS
};

#ifdef BENCH_XRAY
/* From <xray/xray_interface.h>, which is C++. */
int __xray_set_handler(void (*entry)(int32_t id, int type));
int __xray_patch(void);
enum { XRAY_SUCCESS = 1 };

void bench_exit_xray(long n), bench_chain_xray(long n);

static long entries, exits;

static void xray_count(int32_t id, int type)
{
	if (type)
		exits++;
	else
		entries++;
}

static void xray_ignore(int32_t id, int type)
{
}

static void attach_xray(void)
{
	if (__xray_patch() != XRAY_SUCCESS)
		bench_fail("XRay did not patch");
	__xray_set_handler(xray_count);
	bench_exit_xray(CALLS);
	if (entries != CALLS || exits != CALLS)
		bench_fail("XRay's handler ran %ld and %ld times in %d calls", entries, exits, CALLS);
	__xray_set_handler(xray_ignore);
}
#endif

static const char *const names[VARIANTS] = {
	"a call of a function without a site",
	"floor: jump out, call the body",
	"floor that keeps all registers",
	"swapped return address",
	"libftr, no SIMD",
	"libftr, the default",
	"libftr, no SIMD, each exit cancelled",
#ifdef BENCH_XRAY
	"XRay: xmm0-7, upper halves unprotected",
#endif
};

static void (*const loops[2][VARIANTS])(long n) = {
	{ bench_exit_plain, bench_exit_floor, bench_exit_kept, bench_exit_swapped,
	  bench_exit_nosimd, bench_exit_default, bench_exit_cancelled,
#ifdef BENCH_XRAY
	  bench_exit_xray,
#endif
	},
	{ bench_chain_plain, bench_chain_floor, bench_chain_kept, bench_chain_swapped,
	  bench_chain_nosimd, bench_chain_default, bench_chain_cancelled,
#ifdef BENCH_XRAY
	  bench_chain_xray,
#endif
	},
};

static struct bench_series ns[2][VARIANTS];

static void attach(const char *function, ftr_entry_fn entry, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = function;
	options.entry = entry;
	options.exit = bench_exit;
	options.flags = flags;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	bench_check(ftr_group_filter(group, function, 0), function);
	bench_check(ftr_group_attach(group), function);
}

static double time_loop(void (*loop)(long n))
{
	uint64_t start;

	loop(CALLS / 100);
	start = bench_now();
	loop(CALLS);
	return (double)(bench_now() - start) / CALLS;
}

static void print(int chain)
{
	const struct bench_series *all = ns[chain];
	double base = bench_min(&all[PLAIN]), floor = bench_min(&all[FLOOR]) - base;
	double kept = bench_min(&all[KEPT]) - base;

	printf("\nexit%s: ns a call over %s: min, median; min over either floor's\n",
	       chain ? ", five frames, the leaf hooked" : "", names[PLAIN]);
	for (int i = FLOOR; i < VARIANTS; i++)
		printf("  %-40s %8.2f %8.2f %8.2f x %8.2f x\n", names[i],
		       bench_min(&all[i]) - base,
		       bench_median(&all[i]) - bench_median(&all[PLAIN]),
		       (bench_min(&all[i]) - base) / floor, (bench_min(&all[i]) - base) / kept);
}

static void check_none_missed(void)
{
	struct ftr_stats stats = FTR_STATS_INIT;

	bench_check(ftr_stats_get(&stats), "ftr_stats_get");
	if (stats.missed)
		bench_fail("%llu calls were missed", (unsigned long long)stats.missed);
}

int main(void)
{
	attach("bench_fn_exit_nosimd", bench_entry, FTR_GROUP_NO_SIMD);
	attach("bench_fn_exit_default", bench_entry, 0);
	attach("bench_fn_exit_cancelled", bench_cancel, FTR_GROUP_NO_SIMD);
#ifdef BENCH_XRAY
	attach_xray();
#endif
	for (int round = 0; round < ROUNDS; round++)
		for (int chain = 0; chain < 2; chain++)
			for (int i = 0; i < VARIANTS; i++)
				bench_add(&ns[chain][i], time_loop(loops[chain][i]));
	print(0);
	print(1);
	check_none_missed();
	return 0;
}
