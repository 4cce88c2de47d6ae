/* SPDX-License-Identifier: MIT */
/*
 * See stack.h.  Floor 1.
 *
 * glibc and musl put a thread's static TLS at the upper end of its stack: the
 * stack is what the mapping that has the TLS holds below it.  The main thread's
 * is the one that the kernel put the program's arguments on; nothing else is
 * mapped as far below its end as it may grow, or 64 MiB where that is more (Linux
 * arch/x86/mm/mmap.c, mmap_base(): 128 MiB at least, less what the stack's place is
 * chosen at random).
 */
#include "lib/stack.h"

#include <sys/auxv.h>

#include "lib/sys.h"

enum { MAIN_STACK_MAX = 64 << 20 };

/* --- /proc/self/maps ------------------------------------------------------------- */

struct reader {
	long fd;
	char text[512];
	long at, end;
};

FTR__BARE static int next_char(struct reader *r)
{
	if (r->at == r->end) {
		r->end = ftr__syscall(SYS_read, r->fd, (long)r->text, sizeof r->text, 0, 0, 0);
		r->at = 0;
	}
	return r->end > 0 ? (unsigned char)r->text[r->at++] : -1;
}

/* A number in hexadecimal digits; *end: what follows it. */
FTR__BARE static uintptr_t next_number(struct reader *r, int *end)
{
	uintptr_t value = 0;

	for (;;) {
		int c = next_char(r);
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)c - '0'
				 : c >= 'a' && c <= 'f' ? (unsigned)c - 'a' + 10 : 16;
		if (digit > 15) {
			*end = c;
			return value;
		}
		value = value * 16 + digit;
	}
}

/* The mapping that has an address. */
FTR__BARE static bool find_mapping(struct reader *r, uintptr_t addr, uintptr_t *start,
				   uintptr_t *end)
{
	int c = 0;

	while (c >= 0) {
		*start = next_number(r, &c);
		*end = next_number(r, &c);
		if (addr >= *start && addr < *end)
			return true;
		while (c >= 0 && c != '\n')
			c = next_char(r);
	}
	return false;
}

FTR__BARE static bool mapping_of(uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	static const char path[] = "/proc/self/maps";
	struct reader r;

	r.fd = ftr__syscall(SYS_openat, -100 /* AT_FDCWD */, (long)path,
			    02000000 /* O_CLOEXEC */, 0, 0, 0);
	r.at = r.end = 0;
	if (r.fd < 0)
		return false;
	bool found = find_mapping(&r, addr, start, end);
	ftr__syscall(SYS_close, r.fd, 0, 0, 0, 0, 0);
	return found;
}

/* --- stacks -------------------------------------------------------------------------- */

struct between {
	uintptr_t low, high;
};

FTR__BARE static bool begins_between(struct ftr__thread *thread, void *arg)
{
	const struct between *b = arg;
	uintptr_t tls = FTR__READ_ONCE(thread->tls);

	return tls > b->low && tls < b->high;
}

/* Without a guard page between them two stacks may be one mapping. */
FTR__BARE bool ftr__stack_was_own(uintptr_t tls, uintptr_t addr)
{
	struct between b = { addr, tls };
	uintptr_t start, end;

	return addr < tls && mapping_of(tls, &start, &end) && addr >= start &&
	       !ftr__thread_for_each(begins_between, &b);
}

/* How far the main thread's stack may grow, or has grown. */
FTR__BARE static uintptr_t main_stack_size(uintptr_t size)
{
	enum { STACK = 3 /* RLIMIT_STACK */ };
	uint64_t limit[2];

	if (ftr__syscall(SYS_prlimit64, 0, STACK, 0, (long)limit, 0, 0) == 0 && limit[0] > size)
		size = limit[0] < MAIN_STACK_MAX ? (uintptr_t)limit[0] : MAIN_STACK_MAX;
	return size;
}

FTR__BARE static void find_own(struct ftr__thread *self)
{
	uintptr_t start, end;

	self->stack_low = 1; /* nothing is below an end of 0 */
	self->stack_high = 0;
	if (ftr__sys_gettid() == ftr__sys_getpid()) {
		if (!mapping_of(getauxval(AT_EXECFN), &start, &end))
			return;
		self->stack_low = end - main_stack_size(end - start);
		self->stack_high = end;
	} else if (mapping_of(self->tls, &start, &end)) {
		self->stack_low = start;
		self->stack_high = self->tls;
	}
}

FTR__BARE bool ftr__stack_is_own(struct ftr__thread *self, uintptr_t addr)
{
	if (!self->stack_low)
		find_own(self);
	return addr >= self->stack_low && addr < self->stack_high;
}

/* --- signals' stacks ------------------------------------------------------------- */

/* Of <linux/signal.h>, which does not go with <signal.h>. */
enum { DISARMED = (int)(1u << 31) /* SS_AUTODISARM */ };

FTR__BARE bool ftr__stack_has(const stack_t *stack, uintptr_t addr)
{
	return addr - (uintptr_t)stack->ss_sp < stack->ss_size;
}

FTR__BARE bool ftr__stack_disarmed(uintptr_t sp, stack_t *stack)
{
	enum { PAGE = 4096, LOOK = 64 * 1024 };
	uintptr_t at = ftr__align_up(sp, sizeof(uintptr_t));

	for (uintptr_t end = at + LOOK; at < end; at += sizeof(uintptr_t)) {
		const stack_t *found = (const stack_t *)at;
		/* From page to page: the next one may be none. */
		if (at % PAGE > PAGE - sizeof *found && !ftr__sys_is_readable(at + sizeof *found))
			return false;
		if ((found->ss_flags & ~SS_ONSTACK) == DISARMED && ftr__stack_has(found, sp) &&
		    ftr__stack_has(found, at)) {
			*stack = *found;
			return true;
		}
	}
	return false;
}

FTR__BARE bool ftr__stack_is_for_signals(uintptr_t sp)
{
	stack_t stack;

	if (ftr__syscall(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0) >= 0 &&
	    !(stack.ss_flags & SS_DISABLE))
		return ftr__stack_has(&stack, sp);
	return ftr__stack_disarmed(sp, &stack);
}
