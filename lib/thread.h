/* SPDX-License-Identifier: MIT */
/*
 * Threads, as the hot path and the waiting side see them.  Floor 1.
 *
 * Each thread that ever reached a handler owns a node in a pool that is never
 * unmapped, so that the waiting side may read every node at any time.  Nodes
 * of threads that have ended are taken again.
 */
#ifndef FTR__THREAD_H
#define FTR__THREAD_H

#include "lib/compiler.h"
#include "lib/hot.h"
#include <sys/types.h>

enum { FTR__ERROR_ROOM = 384 };

struct ftr__record;

enum { FTR__AROUND_BUCKETS = 8 };

/* How a thread is inside handlers around functions of one bucket (lib/around.h). */
struct ftr__inside_around {
	/* 0, or where on the thread's own stack the outermost one began. */
	uintptr_t frame;
	/* How many of those were over. */
	uint32_t over;
	/* How many are on other stacks; written atomically. */
	uint32_t elsewhere;
};

struct ftr__thread {
	/* 0: outside handlers; else the address of the outermost entry's frame
	 * (struct ftr__regs_head).  Written by its thread alone, on entry
	 * before the handler set is loaded.  Pairs with the membarrier in
	 * ftr__grace_wait(). */
	uintptr_t frame;
	/* How often a waiting side asked to hear when frame gets 0, and which
	 * question the thread last saw on leaving (ftr__grace_notice()). */
	uint32_t asked, answered;
	/* Return hooks (lib/record.h): free records, but perhaps for the first. */
	struct ftr__record *records;
	/* Where the thread's static TLS is: its ftr__self. */
	uintptr_t tls;
	/* The question that the asynchronous round waits for (lib/grace.c). */
	uint32_t awaited;
	/* Calls inside handlers: now and then one looks more closely. */
	uint32_t nested;
	/* The owner; 0: the node is free. */
	pid_t tid;
	/* How deep its thread is in the library's own calls (lib/core.h). */
	uint32_t api_depth;
	uintptr_t api_frame; /* where the call of the library under way began; 0: none */
	/* How deep it is in ftr__grace_quietly(). */
	uint32_t quiet;
	/* How deep it is in walks over the loader's list (lib/loader.c). */
	uint32_t walks;
	/* Frame of a look-up of sites that is under way; 0: none. */
	uintptr_t looking;
	/* The rendezvous for which its thread looked at its own stack. */
	uint32_t looked;
	/* More of them: that an ended thread left; that others handed back; for
	 * handlers in handlers; that were never used.  Room for data blocks. */
	struct ftr__record *inherited, *returned, *spare, *fresh, *fresh_end;
	uintptr_t data, data_end;
	uint32_t n_records;  /* all that the node has */
	uint32_t look_after; /* so many calls, for records whose calls are over */
	/* The newest of whose unwinding a group wants to hear; those of them that
	 * handlers in handlers took since. */
	struct ftr__record *watched, *watched_nested;
	/* The thread's own stack, 0: not looked for yet. */
	uintptr_t stack_low, stack_high;
	struct ftr__inside_around around[FTR__AROUND_BUCKETS];
	uint32_t life; /* how many threads had the node */
	/* CLOCK_BOOTTIME at registration, ns: tells a thread from a later one
	 * that got its id. */
	uint64_t born;
	char error[FTR__ERROR_ROOM];
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct ftr__thread, frame) == FTR__THREAD_FRAME, "frame");
_Static_assert(offsetof(struct ftr__thread, asked) == FTR__THREAD_ASKED, "asked");
_Static_assert(offsetof(struct ftr__thread, answered) == FTR__THREAD_ANSWERED, "answered");
_Static_assert(offsetof(struct ftr__thread, records) == FTR__THREAD_RECORDS, "records");
_Static_assert(offsetof(struct ftr__thread, tls) == FTR__THREAD_TLS, "tls");

/* This thread's node, or NULL before its first call.  Initial-exec, one word:
 * a library that is loaded by dlopen() has room for that. */
extern __thread struct ftr__thread *ftr__self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * Give the calling thread a node.  Async-signal-safe; takes no lock.
 * NULL: no memory.
 */
struct ftr__thread *ftr__thread_register(void);

static inline struct ftr__thread *ftr__thread_self(void)
{
	return FTR__LIKELY(ftr__self != NULL) ? ftr__self : ftr__thread_register();
}

/* Call fn for each node that has an owner, until it returns true. */
bool ftr__thread_for_each(bool (*fn)(struct ftr__thread *thread, void *arg), void *arg);

/* Whether this is the process that ftr__thread_init() saw, not a child of vfork(2)
 * that runs in its memory. */
bool ftr__thread_is_at_home(void);

/* Whether the thread that owns the node still runs; reads /proc. */
bool ftr__thread_alive(const struct ftr__thread *thread);

/*
 * Whether the handler that the calling thread is inside by `frame` was jumped
 * over (H7): its frame is below sp on the same stack, or is no more what it
 * was.  The second is looked at for one call in 64 alone: until then a thread
 * that jumped and then went deeper misses calls.
 */
bool ftr__thread_jumped_over(struct ftr__thread *self, uintptr_t sp);

/* Whether the calling thread is inside a handler that was not jumped over. */
bool ftr__thread_inside(void);

/* Around a look-up of sites: what it reads is kept until ftr__thread_lookers()
 * says that nobody looks.  A handler may be left in between by siglongjmp(3):
 * the next look-up of the thread notices. */
uintptr_t ftr__thread_look(void);
void ftr__thread_looked(uintptr_t before);
/* Wait until no thread looks at what was withdrawn before; false: one may. */
bool ftr__thread_lookers(unsigned timeout_ms);

/* Remember the process: threads are registered in it alone, not in a child of
 * vfork(2) that runs in its memory. */
void ftr__thread_init(void);

/* In the child of a fork: only the calling thread lives. */
void ftr__thread_forked(void);

#endif
