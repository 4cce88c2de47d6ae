/* SPDX-License-Identifier: MIT */
/*
 * What an entry handler costs on i386, ns a call: one function called in a
 * loop, over the same loop with a function that has no site (subjects.S).  All
 * variants take turns in every round.
 */
#include "bench/handler.h"
#include "bench/measure.h"

#include <stdio.h>
#include <string.h>

enum { CALLS = 100000, ROUNDS = 61 };

enum {
	PLAIN, OFF, GPR, XMM, YMM, ZMM, NOSIMD, ARGS, PUSHA, FLAGS, FLAT_NOSIMD, LOOKED_AT,
	OVERLAY_NOSIMD, FLAT, VARIANTS
};

void bench_loop_plain(long n), bench_loop_off(long n), bench_loop_floor_gpr(long n),
	bench_loop_floor_xmm(long n), bench_loop_floor_ymm(long n), bench_loop_floor_zmm(long n),
	bench_loop_floor_pusha(long n), bench_loop_floor_flags(long n),
	bench_loop_args_nosimd(long n), bench_loop_args(long n), bench_loop_flat_nosimd(long n),
	bench_loop_flat(long n), bench_loop_flat_looked_at(long n),
	bench_loop_overlay_nosimd(long n);

static struct variant {
	const char *name;
	void (*loop)(long n);
	int floor;            /* what it is compared with; itself: a floor */
	const char *function; /* a group is attached to it */
	uint32_t flags;
	ftr_entry_fn entry; /* NULL: bench_entry() */
	struct bench_series ns;
} variants[VARIANTS] = {
	[PLAIN] = { "a call of a function without a site", bench_loop_plain, PLAIN },
	[OFF] = { "libftr, detached: a five-byte nop", bench_loop_off, OFF },
	[GPR] = { "floor: 3 registers", bench_loop_floor_gpr, GPR },
	[XMM] = { "floor: 3 registers, xmm0-7", bench_loop_floor_xmm, XMM },
	[YMM] = { "floor: 3 registers, ymm0-7", bench_loop_floor_ymm, YMM },
	[ZMM] = { "floor: 3 registers, zmm0-7", bench_loop_floor_zmm, ZMM },
	[NOSIMD] = { "libftr, args, no SIMD", bench_loop_args_nosimd, GPR, "bench_fn_args_nosimd",
		     FTR_GROUP_NO_SIMD },
	[ARGS] = { "libftr, args (the default)", bench_loop_args, XMM, "bench_fn_args", 0 },
	[PUSHA] = { "floor: pusha and a pointer", bench_loop_floor_pusha, PUSHA },
	[FLAGS] = { "floor: pushf, pusha and a pointer, popf", bench_loop_floor_flags, FLAGS },
	[FLAT_NOSIMD] = { "libftr, regs, no SIMD", bench_loop_flat_nosimd, PUSHA,
			  "bench_fn_flat_nosimd", FTR_GROUP_REGS | FTR_GROUP_NO_SIMD },
	[LOOKED_AT] = { "libftr, regs, no SIMD, pt_regs used", bench_loop_flat_looked_at, PUSHA,
			"bench_fn_flat_looked_at", FTR_GROUP_REGS | FTR_GROUP_NO_SIMD,
			bench_looks },
	[OVERLAY_NOSIMD] = { "libftr, regs, overlay, no SIMD", bench_loop_overlay_nosimd, PUSHA,
			     "bench_fn_overlay_nosimd", FTR_GROUP_SP_OVERLAY | FTR_GROUP_NO_SIMD },
	[FLAT] = { "libftr, regs", bench_loop_flat, PUSHA, "bench_fn_flat", FTR_GROUP_REGS },
};

/* Which vector registers the CPU has: 0: xmm, 1: ymm, 2: zmm. */
static int widest(void)
{
	return __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
}

static int available(int i)
{
	return !(i == YMM && widest() < 1) && !(i == ZMM && widest() < 2);
}

/* A handler that is not called would be cheap. */
static int check_call(const struct ftr_site *site, void *arg)
{
	if (*(const volatile unsigned char *)ftr_site_ip(site) != 0xe8)
		bench_fail("%s holds no call", ftr_site_name(site));
	return 0;
}

static void attach(const struct variant *variant)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = variant->function;
	options.entry = variant->entry ? variant->entry : bench_entry;
	options.flags = variant->flags;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	bench_check(ftr_group_filter(group, variant->function, 0), variant->function);
	bench_check(ftr_group_attach(group), variant->name);
	ftr_group_for_each(group, check_call, NULL);
}

static double time_loop(const struct variant *variant)
{
	uint64_t start;

	variant->loop(CALLS / 100);
	start = bench_now();
	variant->loop(CALLS);
	return (double)(bench_now() - start) / CALLS;
}

static void measure(void)
{
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < VARIANTS; i++)
			if (available(i))
				bench_add(&variants[i].ns, time_loop(&variants[i]));
}

static void print_row(int i)
{
	double base = bench_min(&variants[PLAIN].ns), low = bench_min(&variants[i].ns);
	double middle = bench_median(&variants[i].ns);
	int floor = variants[i].floor;

	if (i == PLAIN) {
		printf("  %-40s %8.2f %8.2f   (subtracted below)\n", variants[i].name, low, middle);
		return;
	}
	middle -= bench_median(&variants[PLAIN].ns);
	printf("  %-40s %8.2f %8.2f", variants[i].name, low - base, middle);
	if (floor != i)
		printf("   %5.2f x %s", (low - base) / (bench_min(&variants[floor].ns) - base),
		       variants[floor].name + strlen("floor: "));
	putchar('\n');
}

int main(void)
{
	bench_check(ftr_init(NULL), "ftr_init");
	variants[ARGS].floor += widest();
	for (int i = 0; i < VARIANTS; i++)
		if (variants[i].function)
			attach(&variants[i]);
	measure();
	printf("\nentry, hot: ns a call over a call without a site; %d rounds of %d calls\n"
	       "(floors: save the registers named, call the empty handler, restore, return)\n",
	       ROUNDS, CALLS);
	printf("  %-40s %8s %8s   %s\n", "", "min", "median", "min, over its floor's");
	for (int i = 0; i < VARIANTS; i++)
		if (available(i))
			print_row(i);
	return 0;
}
