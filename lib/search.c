/* SPDX-License-Identifier: MIT */
/*
 * Words, stacks, and the frames of signals that are on them.  Floor 3.
 */
#include "lib/search.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/backend.h"
#include "lib/error.h"
#include "lib/sys.h"

enum {
	STACK_BOUND = 16 << 20, /* of a stack, bytes above sp that are looked at */
	STACKS_MAX = 4          /* that signal frames lead to, of one thread */
};

/* Two markers write the same value. */
FTR__BARE bool ftr__search_word(struct ftr__search *s, uintptr_t word)
{
	size_t low = 0, high = s->n;

	if (word <= s->ranges[0].after || word >= s->ranges[s->n - 1].end)
		return false;
	/* The last range that starts below word. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->ranges[middle].after < word)
			low = middle + 1;
		else
			high = middle;
	}
	struct ftr__inside *range = &s->ranges[low - 1];
	if (word >= range->end)
		return false;
	if (!range->enterable)
		FTR__WRITE_ONCE(range->occupied, true);
	return range->enterable;
}

FTR__BARE bool ftr__search_words(struct ftr__search *s, const uintptr_t *words, size_t n)
{
	bool enterable = false;

	for (size_t i = 0; i < n; i++)
		enterable |= ftr__search_word(s, words[i]);
	return enterable;
}

FTR__BARE long ftr__search_read(const struct ftr__search *s, void *to, size_t size, uintptr_t at)
{
	return ftr__syscall(SYS_pread64, s->mem, (long)to, (long)size, (long)at,
			    sizeof(long) == 8 ? 0 : (long)((uint64_t)at >> 32), 0);
}

/* Stacks still to be looked at. */
struct stacks {
	uintptr_t sp[STACKS_MAX];
	size_t n;
};

/* A frame of a signal that came on this stack; its context has the stack that
 * was interrupted. */
FTR__BARE static void follow_frames(const struct ftr__search *s, struct stacks *stacks,
				    const uintptr_t *words, size_t n, uintptr_t at,
				    uintptr_t start, uintptr_t end)
{
	for (size_t i = 0; i < n; i++, at += sizeof *words) {
		uintptr_t sp;
		size_t r = 0;
		while (r < s->n_restorers && words[i] != s->restorers[r].ip)
			r++;
		if (r == s->n_restorers || stacks->n == STACKS_MAX ||
		    ftr__search_read(s, &sp, sizeof sp, at + s->restorers[r].frame_sp) != sizeof sp)
			continue;
		/* The same stack: what is above is read anyway. */
		if (sp < start || sp >= end)
			stacks->sp[stacks->n++] = sp;
	}
}

/*
 * The mapping that sp is in, or below which a stack has grown; NULL: a stack
 * that is younger than the search, of a thread that never was inside.  Where
 * it ends other threads' stacks may begin, guard pages read as zero.
 */
FTR__BARE static const struct ftr__mapping *mapping_of(const struct ftr__search *s, uintptr_t sp)
{
	size_t low = 0, high = s->maps.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->maps.list[middle].end <= sp)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->maps.n ? &s->maps.list[low] : NULL;
}

/* One stack, from sp up to the end of its mapping. */
FTR__BARE static bool check_one_stack(struct ftr__search *s, struct stacks *stacks, uintptr_t sp)
{
	uintptr_t words[128]; /* alternate signal stacks are small */
	uintptr_t start = ftr__align_down(sp, sizeof *words), at = start;
	const struct ftr__mapping *map = mapping_of(s, sp);
	bool enterable = false;

	if (!map)
		return false;
	uintptr_t end = map->end - start < STACK_BOUND ? map->end : start + STACK_BOUND;
	while (at < end) {
		size_t size = end - at < sizeof words ? end - at : sizeof words;
		long got = ftr__search_read(s, words, size, at);
		if (got < (long)sizeof *words)
			break;
		enterable |= ftr__search_words(s, words, (size_t)got / sizeof *words);
		follow_frames(s, stacks, words, (size_t)got / sizeof *words, at, start,
			      end);
		at += (size_t)got;
	}
	return enterable;
}

FTR__BARE bool ftr__search_stack(struct ftr__search *s, uintptr_t sp)
{
	struct stacks stacks = { { sp }, 1 };
	bool enterable = false;

	for (size_t i = 0; i < stacks.n; i++)
		enterable |= check_one_stack(s, &stacks, stacks.sp[i]);
	return enterable;
}

static void add_restorer(struct ftr__search *s, uintptr_t ip, size_t frame_sp)
{
	for (size_t i = 0; i < s->n_restorers; i++)
		if (s->restorers[i].ip == ip && s->restorers[i].frame_sp == frame_sp)
			return;
	if (ip && s->n_restorers < FTR__RESTORERS_MAX)
		s->restorers[s->n_restorers++] = (struct ftr__restorer){ ip, frame_sp };
}

/* Those that handlers without a restorer return to; and what the kernel has of
 * each signal's action, flags second and restorer third (Linux
 * include/linux/signal_types.h, struct sigaction). */
static void find_restorers(struct ftr__search *s)
{
	enum { SIGNALS = 64 };

	for (int siginfo = 0; siginfo < 2; siginfo++)
		add_restorer(s, ftr__backend->signal_restorer(siginfo),
			     ftr__backend->frame_sp[siginfo]);
	for (long sig = 1; sig <= SIGNALS; sig++) {
		uintptr_t action[8] = { 0 };
		if (ftr__syscall(SYS_rt_sigaction, sig, 0, (long)action, FTR__KERNEL_SIGSET_SIZE,
				 0, 0) == 0)
			add_restorer(s, action[2],
				     ftr__backend->frame_sp[(action[1] & SA_SIGINFO) != 0]);
	}
}

/* Above lie the program's arguments and its environment: text and numbers of any
 * kind, for as long as the process lives, and no frame of a signal. */
static void leave_out_arguments(struct ftr__search *s)
{
	uintptr_t start = ftr__maps_initial_sp();

	for (size_t i = 0; i < s->maps.n; i++)
		if (s->maps.list[i].start < start && start < s->maps.list[i].end)
			s->maps.list[i].end = ftr__align_down(start, sizeof(uintptr_t));
}

int ftr__search_open(struct ftr__search *s, struct ftr__inside *ranges, size_t n)
{
	*s = (struct ftr__search){ .ranges = ranges, .n = n };
	s->mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (s->mem < 0)
		return ftr__fail(EACCES, "/proc/self/mem can't be read (errno %d): no look at the"
				 " threads' stacks", errno);
	int result = ftr__maps_read(&s->maps);
	if (result)
		return result;
	leave_out_arguments(s);
	find_restorers(s);
	return 0;
}

void ftr__search_close(struct ftr__search *s)
{
	if (s->mem >= 0)
		close(s->mem);
	ftr__maps_free(&s->maps);
}
