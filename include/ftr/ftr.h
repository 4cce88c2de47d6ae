/* SPDX-License-Identifier: MIT */
/**
 * @file ftr.h
 * libftr: the kernel's function tracer inside one's own process.
 *
 * The umbrella of the public headers.  Include this one; link with `-lftr`
 * (`pkg-config --cflags --libs ftr`).  Usable from C99 and from C++.
 *
 * In one paragraph: compilers leave a call site at each function's entry when
 * asked to (`-fpatchable-function-entry=5`, or `-pg -mfentry -mrecord-mcount`).
 * libftr finds these *sites*, and while the program runs turns any number of
 * them at once into calls to the handlers of the *groups* that were attached
 * to them; and back.
 *
 * Errors: every function that can fail returns 0 (or a count) or a negative
 * errno value out of the closed set that ftr_strerror() knows;
 * ftr_last_error() gives the calling thread's sentence about it.
 *
 * Contexts, as named in the description of each function:
 *  - *any thread*: may be called from every thread at any time, but not from
 *    an asynchronous signal handler.  A call made by a handler that
 *    interrupted the library itself in the same thread gives -EDEADLK.
 *  - *handler*: may also be called from inside an entry handler.
 *  - *async-signal-safe*: may be called from everywhere.
 */
#ifndef FTR_FTR_H
#define FTR_FTR_H

#include <ftr/common.h>
#include <ftr/site.h>
#include <ftr/regs.h>
#include <ftr/group.h>
#include <ftr/exit.h>
#include <ftr/probe.h>
#include <ftr/replace.h>
#include <ftr/typed.h>

#endif /* FTR_FTR_H */
