/* SPDX-License-Identifier: MIT */
#ifndef SOAK_H
#define SOAK_H

#include <stdbool.h>
#include <stdint.h>

/* Say it and end the process by abort(): a core shows where all threads are. */
void soak_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Fail with the library's sentence unless result is 0. */
void soak_ok(const char *what, int result);

/* Numbers that repeat with the seed.  Of one thread. */
struct soak_random {
	uint64_t state;
};
uint32_t soak_random(struct soak_random *random, uint32_t below);

/* --- changes.c: groups that come and go ------------------------------------------- */

struct soak_changes {
	unsigned long attached, detached, updates, filters, again, put_off;
};
void changes_start(void);
void changes_one(struct soak_random *random);
/* Everything off and freed. */
void changes_stop(void);
extern struct soak_changes soak_changes;

/* --- lua.c: a real program ---------------------------------------------------------- */

/* Load the interpreter's library and the program to run; false: not there. */
bool lua_open(const char *library, const char *program);
/* Run the program once in an interpreter of its own; its result is compared with
 * that of the first run. */
void lua_work(void);

/* --- leaks.c ------------------------------------------------------------------------- */

struct soak_usage {
	long mappings, descriptors, bytes;
	/* What the library keeps for threads that may be late: trampoline slots;
	 * and mappings that its trampolines are, at most. */
	long slots, trampolines;
};
struct soak_usage usage_now(void);

#endif
