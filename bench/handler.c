/* SPDX-License-Identifier: MIT */
/*
 * The handlers that do nothing, in a file of their own: no caller sees through
 * them.  The floors call bench_handler, the library bench_entry.  They are so
 * short that they keep the promise of FTR_GROUP_NO_SIMD under any compiler's
 * flags.
 */
#include "bench/handler.h"

int bench_handler(uintptr_t ip, uintptr_t parent_ip)
{
	return 0;
}

void bench_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
}

int bench_looks(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	return ftr_regs_pt_regs(regs) == NULL;
}

int bench_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	return 0;
}

int bench_cancel(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	return 1;
}
