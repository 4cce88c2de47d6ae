/* SPDX-License-Identifier: MIT */
/*
 * Words for what the compiler has no words for.  Floor 1.
 */
#ifndef FTR__COMPILER_H
#define FTR__COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTR__LIKELY(x)   __builtin_expect(!!(x), 1)
#define FTR__UNLIKELY(x) __builtin_expect(!!(x), 0)

/* One load or store, neither split, repeated nor moved across a FTR__BARRIER(). */
#define FTR__READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define FTR__WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* Publish a pointer whose target is complete, and read it. */
#define FTR__PUBLISH(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)
#define FTR__FETCH(x)      __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

/* For the compiler alone: the other side of the pair runs membarrier(2). */
#define FTR__BARRIER() __asm__ volatile("" ::: "memory")

#define FTR__ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Reads the program's data, also what is between its variables. */
#define FTR__READS_ALL __attribute__((no_sanitize("address")))

/* The path from site to handler and the trap handler run between any two
 * instructions of the application: no profiling, sanitizer or stack protector
 * call.  (The whole library is compiled for general registers only.)  And no
 * probe: a section by itself tells where it is, also in a static program. */
#if defined(__clang__)
#define FTR__BARE                                                                  \
	__attribute__((no_sanitize("all"), no_stack_protector, patchable_function_entry(0), \
		       section("ftr_bare")))
#else
#define FTR__BARE                                                                  \
	__attribute__((no_sanitize("all"), no_instrument_function, no_stack_protector, \
		       patchable_function_entry(0), section("ftr_bare")))
#endif

/*
 * Counters of 64 bits that several threads count.  Where a word has 32 it takes
 * a compare-and-swap of two; gcc has that without floating point registers in
 * this older form alone.  A torn first look costs one more turn.  Aligned, for
 * it may not cross a cache line.
 */
typedef uint64_t ftr__counter __attribute__((aligned(8)));

FTR__BARE static inline void ftr__count(ftr__counter *counter)
{
	if (sizeof(long) == sizeof *counter) {
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
		return;
	}
	uint64_t found = *(volatile ftr__counter *)counter, seen;
	do {
		seen = found;
		found = __sync_val_compare_and_swap(counter, seen, seen + 1);
	} while (found != seen);
}

FTR__BARE static inline uint64_t ftr__counted(const ftr__counter *counter)
{
	if (sizeof(long) == sizeof *counter)
		return __atomic_load_n(counter, __ATOMIC_RELAXED);
	return __sync_val_compare_and_swap((ftr__counter *)counter, 0, 0);
}

static inline uintptr_t ftr__align_down(uintptr_t value, uintptr_t to)
{
	return value & ~(to - 1);
}

static inline uintptr_t ftr__align_up(uintptr_t value, uintptr_t to)
{
	return (value + to - 1) & ~(to - 1);
}

#endif
