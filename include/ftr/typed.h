/* SPDX-License-Identifier: MIT */
/**
 * @file typed.h
 * Calls by type: signatures from C prototypes, handlers that get decoded
 * arguments, C functions made of handlers.  libffi passes the values.
 */
#ifndef FTR_TYPED_H
#define FTR_TYPED_H

#include <ftr/common.h>
#include <ftr/group.h>

FTR_BEGIN_DECLS

/** How a function is called; made of its prototype, immutable. */
struct ftr_signature;
/** A call that a typed handler sees; valid until the handler returns. */
struct ftr_call;
/** A C function made of a handler. */
struct ftr_closure;

/**
 * Make a signature of a C prototype: "double (int, const char *, struct { float;
 * float; })", "void qsort(void *base, size_t n, size_t size, int (*)(const void *,
 * const void *))".  Names may be left out.
 *
 *  - All arithmetic types, _Complex ones and, on x86_64, __int128; pointers to
 *    anything; enums, as their tag; structs by value, their members (named or
 *    not, arrays and structs among them) written out where they first appear.
 *  - The type names of the C library's headers.  off_t, time_t and ino_t are a
 *    long, as functions of plain names take them; off64_t and such have 64 bits.
 *    Any other name is fine behind a pointer, and only there.
 *  - A variadic function's fixed parameters, then "...": what is passed beyond
 *    them is not seen, and ftr_call_original() is not available.  To see them
 *    name them: where all calls pass the same types, "int (const char *, int,
 *    mode_t)" does for open(2).
 *  - i386: stdcall, fastcall, thiscall and regparm(n) as attributes or (but for
 *    regparm) as "__stdcall".  regparm where registers hold all parameters, and
 *    not for closures; fastcall and thiscall where nothing wider than a word
 *    comes before the last argument in a register.  Elsewhere these mean
 *    nothing, as for compilers.
 *  - Not available: unions by value, bit-fields, packed or aligned structs,
 *    vectors, __float128, structs with members of no size, more than 64 KiB of
 *    arguments.
 *
 * @param signature  receives it; free it by ftr_signature_free().
 * @param prototype  at most 4,096 bytes, 127 parameters.
 * @return 0; -EINVAL: a NULL, or not a prototype; -EOPNOTSUPP: one that is not
 * available here; both with a sentence that names the column; -ENOMEM.
 * Context: any thread, handler.
 */
FTR_API int ftr_signature_parse(struct ftr_signature **signature, const char *prototype);

/**
 * Free a signature; what was made with it keeps it as long as it is needed.
 * @param signature  NULL: nothing is done.
 * Context: any thread, handler.
 */
FTR_API void ftr_signature_free(struct ftr_signature *signature);

/**
 * A handler that takes the place of a function: of a closure, around a replaced
 * function, or at a traced function's exit.
 *
 * @param args  a pointer to each argument, args[0] the first: *(int *)args[0] is
 *              an int, *(struct point *)args[1] a struct by value.  Of a
 *              variadic function the fixed ones.
 * @param ret   where the result belongs, of the type that the function returns;
 *              zero before it is written (a struct: undefined).  Of a void
 *              function of no meaning.
 * @param data  as given with the handler.
 */
typedef void (*ftr_typed_fn)(struct ftr_call *call, void **args, void *ret, void *data);

/**
 * An entry handler that gets the arguments.
 *
 * @param args  a pointer to each argument, as for ftr_typed_fn: what is written
 *              there the function gets, and the groups that come after.
 * @param data  the group's (ftr_group_options.data).
 * @return 0; non-zero cancels this call's exit handler.
 */
typedef int (*ftr_typed_entry_fn)(struct ftr_call *call, void **args, void *data);

/**
 * Let a group have typed handlers, in place of those it was made with.
 *
 * It may be made with none.  All functions that the group comes to hold are
 * taken to have the signature.  The rules for handlers hold (ftr_entry_fn).  The
 * stack holds a copy of the arguments twice while they run.
 *
 * @param group      is not attached, and has not FTR_GROUP_NO_SIMD.
 * @param signature  may be freed after.
 * @param entry      called before the function; or NULL.
 * @param exit       called when it returns, with the arguments as they came to
 *                   the group (not as they are by now), and its result, which it
 *                   may change; or NULL.  A struct that is returned in memory is
 *                   where the caller wants it.  Of a frame that was unwound past
 *                   (FTR_GROUP_UNWOUND_EXITS) ret is NULL.
 * @return 0; -EINVAL: a NULL, no handler, not a group, FTR_GROUP_NO_SIMD; -EBUSY:
 * the group is attached, or a thread may still be in its handler; -EOPNOTSUPP: an
 * exit handler with more than 4,096 bytes of arguments, or on a thread with a
 * hardware shadow stack; -ENOMEM; or an error of ftr_init().
 * Context: any thread.
 */
FTR_API int ftr_group_set_typed(struct ftr_group *group, const struct ftr_signature *signature,
				ftr_typed_entry_fn entry, ftr_typed_fn exit);

/**
 * Make a C function of a handler, for callers that want a function pointer.
 *
 * @param closure    receives it; free it by ftr_closure_free().
 * @param signature  how the function is called.
 * @param fn         called for each call of the function, in the caller's thread.
 * @param data       handed to fn.
 * @param code       receives the function's address, to be cast to its type.
 * @return 0; -EINVAL: a NULL; -EOPNOTSUPP: regparm; -ENOMEM; -EACCES: libffi gets no executable memory
 * for it (a security policy of the system forbids that; libffi's static
 * trampolines, where it was built with them, need none).
 * Context: any thread.
 */
FTR_API int ftr_closure_new(struct ftr_closure **closure, const struct ftr_signature *signature,
			    ftr_typed_fn fn, void *data, void **code);

/**
 * Free a closure: no thread may be in its function, or call it again.
 * @param closure  NULL: nothing is done.
 * Context: any thread.
 */
FTR_API void ftr_closure_free(struct ftr_closure *closure);

/**
 * Let a handler take a function's place, as ftr_replace() does: each call of fn
 * calls around instead, in the caller's thread, which may call fn as it was by
 * ftr_call_original(), with these arguments or others, once, often or not at
 * all.  ftr_restore() undoes it.
 *
 * around is no handler of a group: it may call what it likes, fn too (which calls
 * around again), wait as long as it likes, change its stack (swapcontext(3)) and be
 * left by an exception or longjmp(3).  That is noticed by the stack pointer: when the
 * thread calls such a handler again, or while it waits in the kernel; until then,
 * or where the handler ran on a stack that is not the thread's own, the thread
 * counts as inside around for ftr_restore().
 *
 * The closure that is made for it stays when fn is restored, and serves again for
 * what is around fn with the same signature: there is one for each function and
 * signature, and one more for each handler for whose end nobody waited.
 *
 * Where fn is variadic a call that passed its start before ftr_restore() may get to
 * around for a moment after it: the data has to stay.
 *
 * @param signature  may be freed after.
 * @return as ftr_replace(), and -EOPNOTSUPP and -EACCES as ftr_closure_new().
 * Context: any thread, handler.
 */
FTR_API int ftr_replace_typed(void *fn, const struct ftr_signature *signature,
			      ftr_typed_fn around, void *data);

/**
 * Call the function whose place a handler has taken.
 *
 * @param args  pointers to the arguments that it gets: those of the handler, or
 *              others of the same types.
 * @param ret   receives what it returns; may be the handler's ret; NULL: that is
 *              thrown away.
 * @return 0; -EINVAL: a NULL, or not a call of ftr_replace_typed(); -EOPNOTSUPP:
 * the function is variadic.  Context: the handler that got the call.
 */
FTR_API int ftr_call_original(struct ftr_call *call, void **args, void *ret);

/**
 * The address of what was called: of a traced function its site, as a handler
 * gets it; of a replaced function the function; of a closure its code.
 * Context: the handler that got the call.
 */
FTR_API uintptr_t ftr_call_ip(const struct ftr_call *call);

FTR_END_DECLS

#endif /* FTR_TYPED_H */
