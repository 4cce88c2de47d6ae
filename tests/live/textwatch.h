/* SPDX-License-Identifier: MIT */
/**
 * @file textwatch.h
 * For tests of misuse: a few traced functions, and an eye on the program's text.
 */
#ifndef TESTS_TEXTWATCH_H
#define TESTS_TEXTWATCH_H

#include "tests/live/live.h"

/** traced_0 to traced_3: each returns its number. */
enum { TRACED_FUNCTIONS = 4 };
extern int (*const traced[TRACED_FUNCTIONS])(void);

/** The program's executable segment. */
extern uintptr_t text_start;
extern size_t text_size;

/** Start the library by its defaults, and keep the text. */
void start(void);

/** From here on the text is right as it is now. */
void keep_text(void);

/** Byte for byte as it was kept, or the test fails; `after` says after what. */
void check_text(const char *after);

/** The call fails as it should, says something, and the text is as it was. */
#define REFUSED(call, error)           \
	do {                           \
		ck_fails(call, error); \
		check_text(#call);     \
	} while (0)

/** An entry handler that counts, see calls_of_all(). */
int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs);

/** Call every traced function once: how many of these calls were counted. */
uint64_t calls_of_all(void);

/** A group that counts the calls of all traced functions. */
struct ftr_group *counting(uint32_t flags);

/** How many sites the filter holds. */
int sites_held(const struct ftr_group *group);

/** For walks: ends them at once. */
int end_walk(const struct ftr_site *site, void *arg);

#endif /* TESTS_TEXTWATCH_H */
