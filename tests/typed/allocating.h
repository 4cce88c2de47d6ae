/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TYPED_ALLOCATING_H
#define TESTS_TYPED_ALLOCATING_H

/** Make a list of n nodes and free it: how many there were.  failed: how many
 *  could not be had. */
unsigned allocating_list(unsigned n, unsigned *failed);

#endif
