/* SPDX-License-Identifier: MIT */
/* The handlers that do nothing, and the hand-written floors that call one. */
#ifndef BENCH_HANDLER_H
#define BENCH_HANDLER_H

#include <ftr/ftr.h>
#include <stdint.h>

#define BENCH_HIDDEN __attribute__((visibility("hidden")))

BENCH_HIDDEN int bench_handler(uintptr_t ip, uintptr_t parent_ip);
BENCH_HIDDEN int bench_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs);
/* Asks for its pt_regs. */
BENCH_HIDDEN int bench_looks(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs);
/* An entry handler that wants no exit. */
BENCH_HIDDEN int bench_cancel(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			      struct ftr_regs *regs);
BENCH_HIDDEN void bench_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs);

#endif /* BENCH_HANDLER_H */
