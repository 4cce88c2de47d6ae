/* SPDX-License-Identifier: MIT */
/*
 * A module that allocates, for faults to be injected into.
 */
#include "tests/typed/allocating.h"

#include <stdlib.h>

struct node {
	struct node *next;
	char payload[40];
};

unsigned allocating_list(unsigned n, unsigned *failed)
{
	struct node *list = NULL;
	unsigned made = 0;

	*failed = 0;
	while (n--) {
		struct node *node = malloc(sizeof *node);
		if (!node) {
			++*failed;
			continue;
		}
		node->next = list;
		list = node;
		made++;
	}
	while (list) {
		struct node *next = list->next;
		free(list);
		list = next;
	}
	return made;
}
