/* SPDX-License-Identifier: MIT */
/**
 * @file faults.h
 * One call out of the library that fails: the n-th of a kind.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>

enum fault {
	FAULT_MEMORY,     /**< malloc, calloc, realloc, strdup: ENOMEM */
	FAULT_MAPPING,    /**< mmap: ENOMEM */
	FAULT_PROTECTION, /**< mprotect: EACCES */
	FAULT_OPENING,    /**< open, fopen, opendir, memfd_create: EMFILE */
	FAULT_WRITING,    /**< pwrite: EIO */
	FAULT_SIGNALS,    /**< sigaction: EINVAL */
	FAULT_HANDLERS,   /**< pthread_atfork: ENOMEM */
	FAULTS
};

/** From here on this thread's call number `at` of the kind fails, from 1 on. */
void fault_arm(enum fault kind, unsigned at);

/** Nothing fails any more.  Whether it came to the call that was to fail. */
bool fault_disarm(void);

#endif /* TESTS_FAULTS_H */
