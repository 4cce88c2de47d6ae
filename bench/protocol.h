/* SPDX-License-Identifier: MIT */
/* The floor of a batch: the int3 protocol and nothing else; see protocol.c. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "bench/measure.h"

/** Register for membarrier and make the module's text private to the process,
 *  if `populate`, so that no later write copies a page. */
void bench_protocol_start(const struct bench_module *module, int populate);

/** Turn every site of the module into `call target`; 0: into a nop.  Threads
 *  may run the sites meanwhile, between bench_traps_take() and _give(). */
void bench_protocol(const struct bench_module *module, uintptr_t target);

/** The same by one aligned store a site and one sync: the sites of the generated
 *  modules lie at the start of a quadword. */
void bench_stores(const struct bench_module *module, uintptr_t target);

/** Take SIGTRAP over: a breakpoint is resumed as the nop that stood there.
 *  Give it back to whom it was taken from. */
void bench_traps_take(void);
void bench_traps_give(void);

#endif /* BENCH_PROTOCOL_H */
