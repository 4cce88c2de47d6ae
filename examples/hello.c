/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <ftr/ftr.h>

static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	printf("%s(%d)\n", ftr_site_name(ftr_site_find(ip)), (int)ftr_regs_arg(regs, 0));
	return 0;
}

int main(void)
{
	struct ftr_group_options options = { sizeof options, "hello", on_entry };
	struct ftr_group *group;
	if (ftr_group_new(&group, &options) || ftr_group_filter(group, "fib", 0) < 0 || ftr_group_attach(group))
		return fprintf(stderr, "%s\n", ftr_last_error()), 1;
	printf("fib(3) = %d\n", fib(3));
	ftr_group_detach(group);
	printf("fib(20) = %d, untraced\n", fib(20));
}
