/* SPDX-License-Identifier: MIT */
/*
 * What unwind_gdb.sh looks at: main calls parent calls the traced function,
 * under each caller in turn.  The debugger stops in parent, so that it never
 * has a breakpoint of its own on a site.
 */
#include <ftr/ftr.h>
#include <stdio.h>

long parent(long n);
long traced(long n);
long deep(long n);
long deep_parent(long n);

static unsigned ran, returned;

__attribute__((noinline)) static void handler_calls(struct ftr_regs *regs)
{
	__asm__ volatile("" : : "r"(regs) : "memory");
}

static int handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		   struct ftr_regs *regs)
{
	handler_calls(regs);
	ran++;
	return 0;
}

/* The debugger stops here, too; not the same code. */
__attribute__((noinline)) static void handler_returns(struct ftr_regs *regs)
{
	__asm__ volatile("nop" : : "r"(regs) : "memory");
}

static void handler_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	handler_returns(regs);
	returned++;
}

FTR_TRACEABLE long deep(long n)
{
	volatile long kept[3] = { n, 1, 2 };

	return n ? deep(n - 1) + kept[1] : 0;
}

__attribute__((noinline)) long deep_parent(long n)
{
	volatile long kept[5] = { n, 2, 3, 4, 5 };

	return deep(n) + kept[1] - 2;
}

FTR_TRACEABLE long traced(long n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 1;
}

__attribute__((noinline)) long parent(long n)
{
	volatile long kept[5] = { n, 2, 3, 4, 5 };

	return traced(n) + kept[1] - 2;
}

static int attach(struct ftr_group **group, uint32_t flags, ftr_exit_fn exit)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = "debuggee";
	options.entry = handler;
	options.exit = exit;
	options.flags = flags;
	return ftr_group_new(group, &options) || ftr_group_filter(*group, "traced", 0) < 0 ||
	       ftr_group_filter(*group, "deep", 0) < 0 || ftr_group_attach(*group);
}

/* One group of each kind; result of the first that fails, or 0. */
static int rounds(ftr_exit_fn exit)
{
	static const uint32_t flags[] = { 0, FTR_GROUP_NO_SIMD, FTR_GROUP_REGS,
					  FTR_GROUP_REGS | FTR_GROUP_NO_SIMD };
	struct ftr_group *group;
	unsigned i, before;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (attach(&group, flags[i], exit)) {
			printf("%s\n", ftr_last_error());
			return 1;
		}
		before = ran;
		if (parent(5) != 6 || ran != before + 1)
			return 2;
		if (exit && deep_parent(3) != 3)
			return 3;
		if (ftr_group_detach(group) || ftr_group_free(group))
			return 4;
	}
	return 0;
}

int main(void)
{
	int result = rounds(NULL);

	if (!result)
		result = rounds(handler_exit);
	printf("debuggee: %u calls, %u returns\n", ran, returned);
	return result;
}
