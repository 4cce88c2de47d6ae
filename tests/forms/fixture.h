/* SPDX-License-Identifier: MIT */
/**
 * @file fixture.h
 * What the traced code of the form tests shows of itself.
 *
 * fixture.c is compiled in each site form and linked with driver.c, or made a
 * shared object that driver.c opens.  Its functions keep books of their own
 * (how often each body ran, and to which return address), so that the driver
 * can hold the library's calls against the truth.
 */
#ifndef FORMS_FIXTURE_H
#define FORMS_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

enum {
	FIXTURE_PLAIN,
	FIXTURE_LEAF,
	FIXTURE_STATIC,
	FIXTURE_OUTER,
	FIXTURE_TAIL,
	FIXTURE_RECURSE,
	FIXTURE_LOOP,
	FIXTURE_SPLIT,
	FIXTURE_COLD,
	FIXTURE_ALIGNED,
	FIXTURE_WEAK,
	FIXTURE_HIDDEN,
	FIXTURE_VARIADIC,
	FIXTURE_SUM,
	FIXTURE_FUNCTIONS
};

/** The books of one thread: only the fixture's functions write here. */
struct fixture_books {
	uint64_t runs[FIXTURE_FUNCTIONS];      /**< how often the body ran */
	uintptr_t parent[FIXTURE_FUNCTIONS];   /**< its latest return address */
};

/** One function of the fixture. */
struct fixture_function {
	const char *name;
	uintptr_t address;
	/** NULL for what only other functions of the fixture call. */
	long (*call)(struct fixture_books *books, long x);
	long result_of_5;                      /**< what call(books, 5) returns */
	int exported;                          /**< has a dynamic symbol in a shared object */
};

struct fixture_table {
	size_t n;
	const struct fixture_function *functions;
};

/** The only object that a fixture exports besides its functions. */
extern const struct fixture_table fixture_table;

#endif /* FORMS_FIXTURE_H */
