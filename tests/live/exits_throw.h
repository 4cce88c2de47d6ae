/* SPDX-License-Identifier: MIT */
/*
 * What the program and the library of exits_throw.sh share, and the hooks,
 * which are no traced code.
 */
#ifndef TESTS_EXITS_THROW_H
#define TESTS_EXITS_THROW_H

#ifdef __cplusplus
extern "C" {
#endif

/** A line of the transcript. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** In the library: calls it with something to destroy; throws by itself. */
long library_calls(long (*fn)(long), long n);
long library_throws(long n);
long library_catches(long (*fn)(long), long n);

/**
 * Hook all functions as `how` says: "plain", not at all; "args", "nosimd", "regs",
 * "all", kinds of groups; "unwound", told of what was unwound; "toggle", on and
 * off while the program runs.  0, or 77: the machine can't.
 */
int hooks_begin(const char *how);

/** What was seen agrees in itself: 0.  ran: how many cases did. */
int hooks_end(unsigned ran);

/** In a child process, whose calls count on their own: before, and behind the last. */
void hooks_child(void);
void hooks_child_end(void);

#ifdef __cplusplus
}
#endif

#endif /* TESTS_EXITS_THROW_H */
