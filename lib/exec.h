/* SPDX-License-Identifier: MIT */
/*
 * Memory for generated code: complete when it becomes executable, never
 * written after (P10).  Floor 1.
 */
#ifndef FTR__EXEC_H
#define FTR__EXEC_H

#include "lib/compiler.h"

/*
 * Reserve code_size + data_size bytes (multiples of pages) within [low, high),
 * as high or as low as there is room: data, readable and writable and zero, follows the code.  0 with *at, or
 * -ENOSPC, -ENOMEM, -EACCES.  The range is not accessible as code before
 * ftr__exec_seal().
 */
int ftr__exec_reserve(uintptr_t low, uintptr_t high, size_t code_size, size_t data_size,
		      bool highest, uintptr_t *at);

/*
 * Make the reserved range at `at` hold code_size bytes of code, readable and
 * executable.  0, or -EACCES with a sentence.
 */
int ftr__exec_seal(uintptr_t at, const void *code, size_t code_size);

/* The same without a sentence: async-signal-safe, system calls alone. */
bool ftr__exec_seal_quietly(uintptr_t at, const void *code, size_t code_size);

/*
 * The same for pages that threads may be running, of which what they run stays
 * as it is: in one step.  -EACCES, too, where that can't be done;
 * ftr__exec_replaces() tells beforehand.
 */
int ftr__exec_replace(uintptr_t at, const void *code, size_t code_size);
bool ftr__exec_replaces(void);

#endif
