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

static unsigned ran;

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

static int attach(struct ftr_group **group, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = "debuggee";
	options.entry = handler;
	options.flags = flags;
	return ftr_group_new(group, &options) || ftr_group_filter(*group, "traced", 0) < 0 ||
	       ftr_group_attach(*group);
}

int main(void)
{
	static const uint32_t flags[] = { 0, FTR_GROUP_NO_SIMD, FTR_GROUP_REGS,
					  FTR_GROUP_REGS | FTR_GROUP_NO_SIMD };
	struct ftr_group *group;
	unsigned i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (attach(&group, flags[i])) {
			printf("%s\n", ftr_last_error());
			return 1;
		}
		if (parent(5) != 6 || ran != i + 1)
			return 2;
		if (ftr_group_detach(group) || ftr_group_free(group))
			return 3;
	}
	printf("debuggee: %u calls\n", ran);
	return 0;
}
