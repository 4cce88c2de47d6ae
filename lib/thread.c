/* SPDX-License-Identifier: MIT */
/*
 * The pool of thread nodes.  Floor 1.
 *
 * Invariant: chunks are only ever added, at the head of a list; a node belongs
 * to the thread whose id is in `tid`, which it got by compare-and-swap from 0
 * (or from its own id: a node that an ended thread of the same id left).  Nobody
 * waits for a lock: registration may run in any signal handler.
 */
#include "lib/thread.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "lib/stack.h"
#include "lib/sys.h"

__thread struct ftr__thread *ftr__self __attribute__((tls_model("initial-exec")));

enum { CHUNK_SIZE = 64 * 1024 };

/* -ESRCH, of tgkill(2). */
enum { NO_SUCH_THREAD = -3 };

struct chunk {
	struct chunk *next;
	struct ftr__thread nodes[];
};

enum { NODES_PER_CHUNK = (CHUNK_SIZE - sizeof(struct chunk)) / sizeof(struct ftr__thread) };

static struct chunk *chunks;

FTR__BARE static struct chunk *chunk_add(void)
{
	long at = ftr__sys_map(CHUNK_SIZE);
	if (at < 0 && at > -4096)
		return NULL;
	struct chunk *chunk = (struct chunk *)at;
	chunk->next = FTR__FETCH(chunks);
	while (!__atomic_compare_exchange_n(&chunks, &chunk->next, chunk, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return chunk;
}

FTR__BARE static struct ftr__thread *chunk_claim(struct chunk *chunk, pid_t from, pid_t tid)
{
	for (size_t i = 0; i < NODES_PER_CHUNK; i++) {
		pid_t expected = from;
		if (FTR__READ_ONCE(chunk->nodes[i].tid) == from &&
		    __atomic_compare_exchange_n(&chunk->nodes[i].tid, &expected, tid, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return &chunk->nodes[i];
	}
	return NULL;
}

FTR__BARE static struct ftr__thread *claim(pid_t from, pid_t tid)
{
	struct ftr__thread *node = NULL;

	for (struct chunk *c = FTR__FETCH(chunks); c && !node; c = c->next)
		node = chunk_claim(c, from, tid);
	return node;
}

/* Who takes nodes from threads that ended; 0: nobody does. */
static pid_t reclaiming;

/*
 * One at a time takes nodes that have an owner: else one could see that a
 * thread has ended, and free its node when the next thread of the same id, or
 * of any, owns it already.  Who does it has signals blocked and is soon done,
 * unless it lost its processor; who waits for it some milliseconds, in vain,
 * goes on without.
 */
FTR__BARE static bool reclaim_begin(pid_t tid)
{
	enum { YIELDS = 16, NAPS = 64, NAP_NS = 100000 };
	const struct timespec nap = { 0, NAP_NS };

	for (unsigned tries = 0; tries < YIELDS + NAPS; tries++) {
		pid_t before = 0;
		if (__atomic_compare_exchange_n(&reclaiming, &before, tid, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
		/* Left in the middle: by this thread (SIGTRAP is not blocked),
		 * or in the parent of a fork. */
		if (before == tid)
			return true;
		if (ftr__sys_tgkill(ftr__sys_getpid(), before, 0) == NO_SUCH_THREAD)
			__atomic_compare_exchange_n(&reclaiming, &before, 0, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		else if (tries < YIELDS)
			ftr__syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		else
			ftr__syscall(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
	}
	return false;
}

FTR__BARE static void reclaim_end(void)
{
	__atomic_store_n(&reclaiming, 0, __ATOMIC_RELEASE);
}

/* Free the nodes whose threads have ended; how many are free then. */
FTR__BARE static size_t reclaim(void)
{
	pid_t pid = ftr__sys_getpid();
	size_t n_free = 0;

	for (struct chunk *c = FTR__FETCH(chunks); c; c = c->next) {
		for (size_t i = 0; i < NODES_PER_CHUNK; i++) {
			pid_t tid = FTR__READ_ONCE(c->nodes[i].tid);
			if (tid && ftr__sys_tgkill(pid, tid, 0) != NO_SUCH_THREAD)
				continue;
			n_free += !tid || __atomic_compare_exchange_n(
						  &c->nodes[i].tid, &tid, 0, false,
						  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
		}
	}
	return n_free;
}

/* More room, if there is hardly any even when the dead are gone: so that a
 * process with many living threads does not look again for each new one. */
FTR__BARE static struct ftr__thread *node_from_more(pid_t tid, bool alone)
{
	struct chunk *grown = NULL;

	if (!alone || reclaim() < NODES_PER_CHUNK / 4)
		grown = chunk_add();
	return grown ? chunk_claim(grown, 0, tid) : claim(0, tid);
}

/* The node of an ended thread of this id, or a free one. */
FTR__BARE static struct ftr__thread *node_get(pid_t tid)
{
	bool alone = reclaim_begin(tid);
	struct ftr__thread *node = alone ? claim(tid, tid) : NULL;

	if (!node)
		node = claim(0, tid);
	if (!node)
		node = node_from_more(tid, alone);
	if (alone)
		reclaim_end();
	return node;
}

FTR__BARE static uint64_t boot_time(void)
{
	struct timespec now = { 0, 0 };

	ftr__syscall(SYS_clock_gettime, CLOCK_BOOTTIME, (long)&now, 0, 0, 0, 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

FTR__BARE static void node_reset(struct ftr__thread *node)
{
	node->born = boot_time();
	node->life++;
	node->nested = 0;
	node->looking = 0;
	node->walks = 0;
	node->api_depth = 0;
	node->api_frame = 0;
	node->quiet = 0;
	for (unsigned i = 0; i < FTR__AROUND_BUCKETS; i++) {
		FTR__WRITE_ONCE(node->around[i].frame, 0);
		FTR__WRITE_ONCE(node->around[i].elsewhere, 0);
	}
	node->looked = 0;
	node->error[0] = 0;
	node->look_after = 0;
	/* None was taken by its last owner while there were inherited ones. */
	if (node->records)
		node->inherited = node->records;
	node->records = NULL;
	node->watched = NULL;
	node->watched_nested = NULL;
	node->tls = (uintptr_t)&ftr__self;
	node->stack_low = 0;
	node->stack_high = 0;
	/* Who waits for the former owner waits no more. */
	FTR__WRITE_ONCE(node->frame, 0);
	FTR__WRITE_ONCE(node->answered, FTR__READ_ONCE(node->asked));
}

static pid_t process;

void ftr__thread_init(void)
{
	process = ftr__sys_getpid();
}

FTR__BARE bool ftr__thread_is_at_home(void)
{
	return !process || process == ftr__sys_getpid();
}

FTR__BARE struct ftr__thread *ftr__thread_register(void)
{
	/* A signal's handler in between would make a second node. */
	uint64_t old = ftr__sys_block_signals();
	struct ftr__thread *node = ftr__self;
	if (!node && ftr__thread_is_at_home()) {
		node = node_get(ftr__sys_gettid());
		if (node) {
			node_reset(node);
			ftr__self = node;
		}
	}
	ftr__sys_restore_signals(old);
	return node;
}

bool ftr__thread_for_each(bool (*fn)(struct ftr__thread *thread, void *arg), void *arg)
{
	for (struct chunk *c = FTR__FETCH(chunks); c; c = c->next)
		for (size_t i = 0; i < NODES_PER_CHUNK; i++)
			if (FTR__READ_ONCE(c->nodes[i].tid) > 0 && fn(&c->nodes[i], arg))
				return true;
	return false;
}

/* "/proc/self/task/N/stat" without stdio: this runs in signal handlers too. */
static void stat_path(char *path, pid_t tid)
{
	static const char head[] = "/proc/self/task/", tail[] = "/stat";
	char digits[12];
	int n = 0;

	for (const char *c = head; *c; c++)
		*path++ = *c;
	do
		digits[n++] = (char)('0' + tid % 10);
	while ((tid /= 10) != 0);
	while (n)
		*path++ = digits[--n];
	for (size_t i = 0; i < sizeof tail; i++)
		*path++ = tail[i];
}

/* Field 22 of stat: clock ticks since boot; 0: no such thread. */
static uint64_t start_time(pid_t tid)
{
	char path[48], text[768];
	uint64_t ticks = 0;

	stat_path(path, tid);
	long fd = ftr__syscall(SYS_openat, -100 /* AT_FDCWD */, (long)path, 0 /* O_RDONLY */,
			       0, 0, 0);
	if (fd < 0)
		return 0;
	long length = ftr__syscall(SYS_read, fd, (long)text, sizeof text, 0, 0, 0);
	ftr__syscall(SYS_close, fd, 0, 0, 0, 0, 0);

	/* The name, field 2, may hold anything: go on behind its last ')'. */
	long at = length - 1;
	while (at > 0 && text[at] != ')')
		at--;
	for (int field = 2; at >= 0 && at < length && field < 22; at++)
		field += text[at] == ' ';
	for (; at > 0 && at < length && text[at] >= '0' && text[at] <= '9'; at++)
		ticks = ticks * 10 + (uint64_t)(text[at] - '0');
	return ticks;
}

bool ftr__thread_alive(const struct ftr__thread *thread)
{
	pid_t tid = FTR__READ_ONCE(thread->tid);

	if (ftr__sys_tgkill(ftr__sys_getpid(), tid, 0) == NO_SUCH_THREAD)
		return false;
	/* Somebody has that id.  Where /proc does not tell who, the owner. */
	uint64_t ticks = start_time(tid);
	if (!ticks)
		return true;
	/* A later thread of the same id started after this node was taken;
	 * two ticks are for the clock's grain. */
	long hz = sysconf(_SC_CLK_TCK);
	return ticks * 1000000000u / (uint64_t)hz <= thread->born + 2000000000u / (uint64_t)hz;
}

/* The outer frame's stack may be unmapped by now. */
FTR__BARE static bool frame_lives(const struct ftr__thread *self)
{
	const struct ftr__regs_head *head = (const struct ftr__regs_head *)self->frame;

	return ftr__sys_is_readable(self->frame) && (head->mark & FTR__MARK_MASK) == FTR__MARK;
}

/* The stack of signals that the thread has, or is on. */
FTR__BARE static bool signal_stack(const struct ftr__thread *self, uintptr_t sp, stack_t *stack)
{
	if (ftr__syscall(SYS_sigaltstack, 0, (long)stack, 0, 0, 0, 0) >= 0 &&
	    !(stack->ss_flags & SS_DISABLE))
		return true;
	return sp >= self->frame && ftr__stack_disarmed(sp, stack);
}

FTR__BARE static bool jumped_over(const struct ftr__thread *self, uintptr_t sp)
{
	stack_t alt;
	bool enabled = signal_stack(self, sp, &alt);
	bool now_on_alt = enabled && ftr__stack_has(&alt, sp);
	bool outer_on_alt = enabled && ftr__stack_has(&alt, self->frame);

	/* Left the signal's stack: what ran there is over. */
	if (outer_on_alt && !now_on_alt)
		return true;
	if (now_on_alt == outer_on_alt && sp >= self->frame)
		return true;
	return !frame_lives(self);
}

FTR__BARE bool ftr__thread_jumped_over(struct ftr__thread *self, uintptr_t sp)
{
	/* Nested close below the outer frame: the common case, no system call. */
	if (sp < self->frame && self->frame - sp < 64 * 1024 && ++self->nested % 64)
		return false;
	return jumped_over(self, sp);
}

bool ftr__thread_inside(void)
{
	struct ftr__thread *self = ftr__self;

	if (!self || !self->frame)
		return false;
	if (!jumped_over(self, (uintptr_t)__builtin_frame_address(0)))
		return true;
	/* Its handler is gone: so that nobody waits for it. */
	FTR__WRITE_ONCE(self->frame, 0);
	return false;
}

void ftr__thread_forked(void)
{
	for (struct chunk *c = FTR__FETCH(chunks); c; c = c->next)
		for (size_t i = 0; i < NODES_PER_CHUNK; i++)
			if (&c->nodes[i] != ftr__self)
				FTR__WRITE_ONCE(c->nodes[i].tid, 0);
	ftr__thread_init();
	if (!ftr__self)
		return;
	ftr__self->tid = ftr__sys_gettid();
	ftr__self->born = boot_time();
}

FTR__BARE uintptr_t ftr__thread_look(void)
{
	struct ftr__thread *self = ftr__thread_self();
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	if (!self)
		return 0;
	uintptr_t before = self->looking;
	__atomic_store_n(&self->looking, frame, __ATOMIC_SEQ_CST);
	/* A look-up from below the frame of another is inside it; from the same
	 * place or above it, the other was jumped out of. */
	return before > frame ? before : 0;
}

FTR__BARE void ftr__thread_looked(uintptr_t before)
{
	if (ftr__self)
		__atomic_store_n(&ftr__self->looking, before, __ATOMIC_RELEASE);
}

static bool looks(struct ftr__thread *thread, void *arg)
{
	return FTR__FETCH(thread->looking) && thread != ftr__self;
}

bool ftr__thread_lookers(unsigned timeout_ms)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned waited = 0; ftr__thread_for_each(looks, NULL); waited++) {
		struct timespec pause = { 0, 1000000 };
		if (waited >= timeout_ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
