/* SPDX-License-Identifier: MIT */
/*
 * What an entry handler costs, ns a call.
 *
 * usage: entry MODULE-DIRECTORY
 *
 * Hot: one function called in a loop, over the same loop with a function that
 * has no site (subjects.S).  The floors are calls from the function's entry to
 * hand-written code that saves what must be saved and calls the same empty
 * handler (floor.S).  All variants take turns in every round.
 *
 * Cold: 40,000 functions called in turn, through pointers, so that neither
 * their code nor the branch predictor's memory of it stays in the core; the
 * floors are written into the same functions by hand.
 */
#include "bench/handler.h"
#include "bench/measure.h"
#include "bench/protocol.h"

#include <stdio.h>
#include <string.h>

enum {
	HOT_CALLS = 100000,
	HOT_ROUNDS = 61,
	COLD_FUNCTIONS = 40000,
	COLD_PASSES = 3,
	COLD_ROUNDS = 15,
	TRAP_CALLS = 2000
};

enum {
	PLAIN, OFF, GPR, XMM, YMM, ZMM, NOSIMD, ARGS, ARGS_WIDE, TWO_NOSIMD, TWO, CROWD,
	PT_REGS, PT_REGS_XMM, PT_REGS_YMM, PT_REGS_ZMM, FLAGS, REGS_NOSIMD, LOOKED_AT, REGS, TRAP,
	VARIANTS
};

void bench_loop_plain(long n), bench_loop_off(long n), bench_loop_floor_gpr(long n),
	bench_loop_floor_xmm(long n), bench_loop_floor_ymm(long n), bench_loop_floor_zmm(long n),
	bench_loop_floor_pt_regs(long n), bench_loop_floor_pt_regs_xmm(long n),
	bench_loop_floor_pt_regs_ymm(long n), bench_loop_floor_pt_regs_zmm(long n),
	bench_loop_floor_flags(long n), bench_loop_args_nosimd(long n), bench_loop_args(long n),
	bench_loop_args_wide(long n),
	bench_loop_regs_nosimd(long n), bench_loop_regs(long n), bench_loop_two_nosimd(long n),
	bench_loop_regs_looked_at(long n), bench_loop_two(long n), bench_loop_trap(long n);

/* Set the upper parts of vector register 0, in full width; zero all of them. */
void bench_widen(void), bench_narrow(void);

struct variant {
	const char *name;
	void (*loop)(long n);
	int floor;            /* what it is compared with; itself: a floor */
	const char *function; /* a group is attached to it */
	uint32_t flags;
	int groups;
	ftr_entry_fn entry; /* NULL: bench_entry() */
	struct bench_series ns;
};

static struct variant variants[VARIANTS] = {
	[PLAIN] = { "a call of a function without a site", bench_loop_plain, PLAIN },
	[OFF] = { "libftr, detached: a five-byte nop", bench_loop_off, OFF },
	[GPR] = { "floor: 9 registers", bench_loop_floor_gpr, GPR },
	[XMM] = { "floor: 9 registers, xmm0-7", bench_loop_floor_xmm, XMM },
	[YMM] = { "floor: 9 registers, ymm0-7", bench_loop_floor_ymm, YMM },
	[ZMM] = { "floor: 9 registers, zmm0-7", bench_loop_floor_zmm, ZMM },
	[NOSIMD] = { "libftr, args, no SIMD", bench_loop_args_nosimd, GPR, "bench_fn_args_nosimd",
		     FTR_GROUP_NO_SIMD, 1 },
	[ARGS] = { "libftr, args (the default)", bench_loop_args, GPR, "bench_fn_args", 0, 1 },
	[ARGS_WIDE] = { "libftr, args, upper halves in use", bench_loop_args_wide, XMM,
			"bench_fn_args_wide", 0, 1 },
	[TWO_NOSIMD] = { "libftr, two groups, no SIMD", bench_loop_two_nosimd, NOSIMD,
			 "bench_fn_two_nosimd", FTR_GROUP_NO_SIMD, 2 },
	[TWO] = { "libftr, two groups", bench_loop_two, ARGS, "bench_fn_two", 0, 2 },
	/* Measured last, with these groups attached to a function of their own. */
	[CROWD] = { "libftr, 64 more groups elsewhere", bench_loop_args_nosimd, NOSIMD,
		    "bench_fn_crowd", FTR_GROUP_NO_SIMD, 64 },
	[PT_REGS] = { "floor: a pt_regs", bench_loop_floor_pt_regs, PT_REGS },
	[PT_REGS_XMM] = { "floor: a pt_regs, xmm0-7", bench_loop_floor_pt_regs_xmm, PT_REGS_XMM },
	[PT_REGS_YMM] = { "floor: a pt_regs, ymm0-7", bench_loop_floor_pt_regs_ymm, PT_REGS_YMM },
	[PT_REGS_ZMM] = { "floor: a pt_regs, zmm0-7", bench_loop_floor_pt_regs_zmm, PT_REGS_ZMM },
	[FLAGS] = { "floor: a pt_regs, pushfq, popfq", bench_loop_floor_flags, FLAGS },
	[REGS_NOSIMD] = { "libftr, regs, no SIMD", bench_loop_regs_nosimd, PT_REGS,
			  "bench_fn_regs_nosimd", FTR_GROUP_REGS | FTR_GROUP_NO_SIMD, 1 },
	[LOOKED_AT] = { "libftr, regs, no SIMD, pt_regs used", bench_loop_regs_looked_at, PT_REGS,
			"bench_fn_regs_looked_at", FTR_GROUP_REGS | FTR_GROUP_NO_SIMD, 1,
			bench_looks },
	[REGS] = { "libftr, regs", bench_loop_regs, PT_REGS, "bench_fn_regs", FTR_GROUP_REGS, 1 },
	[TRAP] = { "floor of a trap: int3, SIGTRAP, return", bench_loop_trap, TRAP },
};

static struct ftr_group *new_group(const char *pattern, uint32_t flags, ftr_entry_fn entry)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = pattern;
	options.entry = entry ? entry : bench_entry;
	options.flags = flags;
	bench_check(ftr_group_new(&group, &options), "ftr_group_new");
	bench_check(ftr_group_filter(group, pattern, 0), pattern);
	return group;
}

/* Which vector registers the CPU has: 0: xmm, 1: ymm, 2: zmm.  For subjects.S. */
extern int bench_widest;

static int widest(void)
{
	return __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
}

static int available(int i)
{
	return !((i == YMM || i == PT_REGS_YMM) && widest() < 1) &&
	       !((i == ZMM || i == PT_REGS_ZMM) && widest() < 2);
}

/* Where upper parts are in use the library saves registers as wide as the CPU
 * has them. */
static void choose_floors(void)
{
	variants[ARGS_WIDE].floor += widest();
}

/* A handler that is not called would be cheap. */
static int check_calls(const struct ftr_site *site, void *arg)
{
	if (*(const volatile unsigned char *)ftr_site_ip(site) != 0xe8)
		bench_fail("%s: %s holds no call", (const char *)arg, ftr_site_name(site));
	return 0;
}

static void check_none_missed(void)
{
	struct ftr_stats stats = FTR_STATS_INIT;

	bench_check(ftr_stats_get(&stats), "ftr_stats_get");
	if (stats.missed)
		bench_fail("%llu calls were missed", (unsigned long long)stats.missed);
}

static void attach(struct ftr_group *group, const char *name)
{
	bench_check(ftr_group_attach(group), name);
	ftr_group_for_each(group, check_calls, (void *)name);
}

static void attach_variant(const struct variant *variant)
{
	for (int g = 0; g < variant->groups; g++)
		attach(new_group(variant->function, variant->flags, variant->entry),
		       variant->name);
}

static void attach_hot(void)
{
	for (int i = 0; i < VARIANTS; i++)
		if (i != CROWD)
			attach_variant(&variants[i]);
}

static double time_loop(const struct variant *variant)
{
	long n = variant == &variants[TRAP] ? TRAP_CALLS : HOT_CALLS;
	uint64_t start;

	if (variant == &variants[ARGS_WIDE])
		bench_widen();
	variant->loop(n / 100);
	start = bench_now();
	variant->loop(n);
	uint64_t took = bench_now() - start;
	if (variant == &variants[ARGS_WIDE])
		bench_narrow();
	return (double)took / (double)n;
}

static void measure_hot(void)
{
	for (int round = 0; round < HOT_ROUNDS; round++) {
		for (int i = 0; i < VARIANTS; i++) {
			if (!available(i) || i == CROWD)
				continue;
			if (i == TRAP)
				bench_traps_take();
			bench_add(&variants[i].ns, time_loop(&variants[i]));
			if (i == TRAP)
				bench_traps_give();
		}
	}
}

static void measure_crowd(void)
{
	attach_variant(&variants[CROWD]);
	for (int round = 0; round < HOT_ROUNDS; round++)
		bench_add(&variants[CROWD].ns, time_loop(&variants[CROWD]));
}

/* A difference too small to print is none: no "-0.00". */
static double over(double value, double base)
{
	double difference = value - base;

	return difference > -0.005 && difference < 0.005 ? 0 : difference;
}

static const char *short_name(const char *name)
{
	const char *colon = strstr(name, "floor: ");

	return colon ? colon + strlen("floor: ") : name + strlen("libftr, ");
}

static void print_row(const struct variant *table, int i, int base)
{
	double low = bench_min(&table[i].ns), middle = bench_median(&table[i].ns);
	double base_min = bench_min(&table[base].ns);
	int floor = table[i].floor;

	if (i == base) {
		printf("  %-40s %8.2f %8.2f   (subtracted below)\n", table[i].name, low, middle);
		return;
	}
	low = over(low, base_min);
	middle = over(middle, bench_median(&table[base].ns));
	printf("  %-40s %8.2f %8.2f", table[i].name, low, middle);
	if (floor != i)
		printf("   %5.2f x %s", low / over(bench_min(&table[floor].ns), base_min),
		       short_name(table[floor].name));
	putchar('\n');
}

static void print_hot(void)
{
	printf("\nentry, hot: ns a call over a call without a site; %d rounds of %d calls\n"
	       "(floors: save the registers named, call the empty handler, restore, return)\n",
	       HOT_ROUNDS, HOT_CALLS);
	printf("  %-40s %8s %8s   %s\n", "", "min", "median", "min, over its floor's");
	for (int i = 0; i < VARIANTS; i++)
		if (available(i))
			print_row(variants, i, PLAIN);
}

enum { COLD_OFF, COLD_GPR, COLD_VECTORS, COLD_NOSIMD, COLD_ARGS, COLD_PT_REGS, COLD_REGS,
       COLD_VARIANTS };

static struct variant cold[COLD_VARIANTS] = {
	[COLD_OFF] = { .name = "detached: five-byte nops" },
	[COLD_GPR] = { .name = "floor: 9 registers", .floor = COLD_GPR },
	[COLD_VECTORS] = { .name = "floor: 9 registers, vectors 0-7", .floor = COLD_VECTORS },
	[COLD_NOSIMD] = { .name = "libftr, args, no SIMD", .floor = COLD_GPR, .groups = 1,
			  .flags = FTR_GROUP_NO_SIMD },
	[COLD_ARGS] = { .name = "libftr, args (the default)", .floor = COLD_VECTORS, .groups = 1 },
	[COLD_PT_REGS] = { .name = "floor: a pt_regs", .floor = COLD_PT_REGS },
	[COLD_REGS] = { .name = "libftr, regs, no SIMD", .floor = COLD_PT_REGS, .groups = 1,
			.flags = FTR_GROUP_REGS | FTR_GROUP_NO_SIMD },
};

static double time_passes(const struct bench_module *module)
{
	uint64_t start;

	bench_call_all(module);
	start = bench_now();
	for (int pass = 0; pass < COLD_PASSES; pass++)
		bench_call_all(module);
	return (double)(bench_now() - start) / (double)bench_count(module) / COLD_PASSES;
}

static void measure_cold_variant(const struct bench_module *module, int i, struct ftr_group *group)
{
	const uintptr_t vectors[] = { module->floor_xmm, module->floor_ymm, module->floor_zmm };
	uintptr_t floors[COLD_VARIANTS] = {
		[COLD_GPR] = module->floor_gpr,
		[COLD_VECTORS] = vectors[widest()],
		[COLD_PT_REGS] = module->floor_pt_regs,
	};

	if (floors[i])
		bench_protocol(module, floors[i]);
	else if (group)
		attach(group, cold[i].name);
	bench_add(&cold[i].ns, time_passes(module));
	if (floors[i])
		bench_protocol(module, 0);
	else if (group)
		bench_check(ftr_group_detach(group), "detach");
}

static void measure_cold(const char *dir)
{
	const struct bench_module *module = bench_load(dir, "nop", COLD_FUNCTIONS);
	struct ftr_group *groups[COLD_VARIANTS] = { NULL };

	bench_protocol_start(module, 1);
	bench_check(ftr_sites_refresh(), "refresh");
	for (int i = 0; i < COLD_VARIANTS; i++)
		if (cold[i].groups)
			groups[i] = new_group("nop-*:*", cold[i].flags, NULL);
	for (int round = 0; round < COLD_ROUNDS; round++)
		for (int i = 0; i < COLD_VARIANTS; i++)
			measure_cold_variant(module, i, groups[i]);
}

static void print_cold(void)
{
	printf("\nentry, cold: ns a call over the same with the sites off; %d functions in turn, "
	       "%d rounds of %d passes\n", COLD_FUNCTIONS, COLD_ROUNDS, COLD_PASSES);
	for (int i = 0; i < COLD_VARIANTS; i++)
		print_row(cold, i, COLD_OFF);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		bench_fail("usage: entry MODULE-DIRECTORY");
	bench_check(ftr_init(NULL), "ftr_init");
	bench_widest = widest();
	choose_floors();
	attach_hot();
	measure_hot();
	measure_crowd();
	print_hot();
	measure_cold(argv[1]);
	print_cold();
	check_none_missed();
	return 0;
}
