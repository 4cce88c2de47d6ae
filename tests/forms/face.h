/* SPDX-License-Identifier: MIT */
/**
 * @file face.h
 * Lets the library loose on a file that lies, and watches.
 */
#ifndef FORMS_FACE_H
#define FORMS_FACE_H

#include <ftr/ftr.h>

#include "tests/live/load.h"

/** What is found of a module; see take_census(). */
struct census {
	const struct loaded *loaded;
	int sites;
	int in_functions; /**< of these, in functions that the test can call */
};

/** For ftr_site_for_each(): whatever is found can be read, and lies where it may. */
int take_census(const struct ftr_site *site, void *census);

/** The report says something where sites are missing. */
void check_report(const struct loaded *loaded, int sites);

/**
 * Load the file, start the library, trace what it finds there, shut down; the
 * text must come out of it unchanged.
 * @return how many sites were found.
 */
int face(const char *path);

#endif /* FORMS_FACE_H */
