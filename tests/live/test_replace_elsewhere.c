/* SPDX-License-Identifier: MIT */
/*
 * T1, B2: functions without a site are replaced by a jump at their start.
 */
#include "tests/live/live.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#ifdef __clang__
#define PLAIN __attribute__((noinline, optnone))
#else
#define PLAIN __attribute__((noipa))
#endif

PLAIN long plain(long x);
PLAIN long plain(long x)
{
	return x + 1;
}

static volatile long global = 5;

/** Its first instruction reads memory by its own address. */
PLAIN long reading(long x);
PLAIN long reading(long x)
{
	return global + x;
}

PLAIN long calling(long x);
PLAIN long calling(long x)
{
	long y = plain(x);

	return y * plain(x + 1);
}

PLAIN long recursive(long x);
PLAIN long recursive(long x)
{
	long more = x > 0 ? recursive(x - 1) : -1;

	LIVE_OPAQUE(more);
	return more + 1;
}

static long replaced(long x)
{
	return x + 100;
}

static void *original;

static long wrapped(long x)
{
	return 1000 + ((live_fn)original)(x);
}

static void check(live_fn fn, long x, long result)
{
	unsigned char before[32];

	memcpy(before, (void *)fn, sizeof before);
	ck_assert_int_eq(fn(x), result);
	for (int i = 0; i < 3; i++) {
		ck_ok(ftr_replace(fn, wrapped, &original));
		ck_assert_int_eq(((live_fn)original)(x), result);
		ck_assert_int_eq(fn(x), result + 1000);
		ck_ok(ftr_restore(fn));
		ck_assert_int_eq(fn(x), result);
		ck_assert_int_eq(((live_fn)original)(x), result);
		ck_assert_mem_eq(before, (void *)fn, sizeof before);
	}
}

START_TEST(test_calls_go_elsewhere)
{
	check(plain, 1, 2);
	check(reading, 2, 7);
	check(calling, 3, 20);
	check(recursive, 0, 0);
}
END_TEST

/** Each call of itself goes to what takes its place, the last one too. */
START_TEST(test_recursion)
{
	ck_ok(ftr_replace(recursive, wrapped, &original));
	ck_assert_int_eq(recursive(2), 3002);
	ck_ok(ftr_restore(recursive));
	ck_assert_int_eq(recursive(2), 2);
}
END_TEST

static pid_t no_group(void)
{
	return 4711;
}

/** In the C library, which is far away. */
START_TEST(test_another_module)
{
	pid_t group = getpgrp(), (*was)(void);
	void *fn = (void *)getpgrp;

	ck_ok(ftr_replace(fn, no_group, (void **)&was));
	ck_assert_int_eq(getpgrp(), 4711);
	ck_assert_int_eq(was(), group);
	ck_ok(ftr_restore(fn));
	ck_assert_int_eq(getpgrp(), group);
}
END_TEST

START_TEST(test_many)
{
	struct ftr_replacement list[] = { { plain, replaced, NULL }, { reading, replaced, NULL },
					  { recursive, replaced, NULL } };
	void *fns[] = { recursive, plain, reading };

	ck_ok(ftr_replace_many(list, 3));
	ck_assert_int_eq(plain(1) + reading(1) + recursive(1), 303);
	ck_assert_int_eq(((live_fn)list[1].original)(1), 6);
	ck_fails(ftr_replace(plain, wrapped, NULL), -EBUSY);
	ck_ok(ftr_restore_many(fns, 3));
	ck_assert_int_eq(plain(1) + reading(1), 8);
	ck_fails(ftr_restore(plain), -ENOENT);
}
END_TEST

/* --- with sites --------------------------------------------------------------------- */

FTR_TRACEABLE long sited(long x);
FTR_TRACEABLE long sited(long x)
{
	LIVE_OPAQUE(x);
	return x + 3;
}

static int nothing(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		   struct ftr_regs *regs)
{
	return 0;
}

/** Those elsewhere are undone where those on sites can't be had. */
START_TEST(test_all_or_none)
{
	struct ftr_replacement list[] = { { plain, replaced, NULL }, { sited, replaced, NULL } };
	struct ftr_group *group = live_attach("ip", nothing, NULL, FTR_GROUP_IPMODIFY, sited);
	unsigned char before[16];

	memcpy(before, (void *)plain, sizeof before);
	ck_fails(ftr_replace_many(list, 2), -EBUSY);
	ck_assert(strstr(ftr_last_error(), "change ip"));
	ck_assert_mem_eq(before, (void *)plain, sizeof before);
	ck_assert_int_eq(plain(1) + sited(1), 6);
	live_drop(group);
	ck_ok(ftr_replace_many(list, 2));
	ck_assert_int_eq(plain(1) + sited(1), 202);
	ck_ok(ftr_shutdown());
	ck_assert_int_eq(plain(1) + sited(1), 6);
	ck_assert_mem_eq(before, (void *)plain, sizeof before);
	ck_fails(ftr_restore(plain), -ENOENT);
	ck_ok(ftr_replace_many(list, 2));
	ck_ok(ftr_shutdown());
}
END_TEST

/* Somebody else's byte, in the jump's distance; or the jump's own again. */
static void spoil(live_fn fn)
{
	unsigned char *byte = (unsigned char *)fn;
	uintptr_t page = (uintptr_t)fn & ~4095ul;

	while (*byte != 0xe9)
		byte++;
	ck_assert_int_eq(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	byte[4] ^= 1;
	ck_assert_int_eq(mprotect((void *)page, 8192, PROT_READ | PROT_EXEC), 0);
}

/** The same, backwards: those on sites are undone where those elsewhere can't be. */
START_TEST(test_all_or_none_restored)
{
	struct ftr_replacement list[] = { { plain, replaced, NULL }, { sited, replaced, NULL } };
	void *fns[] = { sited, plain };

	ck_ok(ftr_replace_many(list, 2));
	spoil(plain);
	ck_fails(ftr_restore_many(fns, 2), -EILSEQ);
	spoil(plain);
	ck_assert_int_eq(plain(1) + sited(1), 202);
	ck_fails(ftr_replace(sited, wrapped, NULL), -EBUSY);
	ck_ok(ftr_restore_many(fns, 2));
	ck_assert_int_eq(plain(1) + sited(1), 6);
	ck_ok(ftr_replace_many(list, 2));
	ck_ok(ftr_shutdown());
}
END_TEST

/* --- what can't be replaced ------------------------------------------------------------- */

#ifdef __x86_64__
#define AX "rax"
#else
#define AX "eax"
#endif

__asm__(".text\n"
	".type too_short, @function\n"
	"too_short: ret\n"
	".size too_short, . - too_short\n"
	".balign 16\n"
	".type looping, @function\n"
	"looping: push %" AX "\n"
	"1: pop %" AX "\n"
	"   nop\n nop\n nop\n nop\n"
	"   push %" AX "\n"
	"   dec %ecx\n"
	"   jnz 1b\n"
	"   pop %" AX "\n"
	"   ret\n"
	".size looping, . - looping\n"
	".balign 16\n"
	".type from_the_start, @function\n"
	"from_the_start: dec %ecx\n"
	"   nop\n nop\n nop\n nop\n"
	"   inc %eax\n"
	"   test %ecx, %ecx\n"
	"   jnz from_the_start\n"
	"   ret\n"
	".size from_the_start, . - from_the_start\n"
	".balign 16\n"
	".type short_loop, @function\n"
	"short_loop: inc %eax\n"
	"   dec %ecx\n"
	"   jnz short_loop\n"
	"   ret\n"
	".size short_loop, . - short_loop\n"
	".balign 16\n"
	".type calling_early, @function\n"
	"calling_early: call *%" AX "\n"
	"   nop\n nop\n nop\n"
	"   ret\n"
	".size calling_early, . - calling_early\n"
	".balign 16\n"
	".type standing, @function\n"
	"standing: push %" AX "\n"
	"   pop %" AX "\n"
#ifdef __x86_64__
	"   syscall\n"
#else
	"   int $0x80\n"
#endif
	"   nop\n nop\n"
	"   ret\n"
	".size standing, . - standing\n");

extern const char from_the_start[], short_loop[];
extern const char too_short[], looping[], calling_early[], standing[];

START_TEST(test_no_room)
{
	ck_fails(ftr_replace((void *)too_short, replaced, NULL), -EOPNOTSUPP);
	ck_fails(ftr_replace((void *)looping, replaced, NULL), -EOPNOTSUPP);
	ck_assert(strstr(ftr_last_error(), "jumps behind the first"));
	ck_fails(ftr_replace((void *)from_the_start, replaced, NULL), -EOPNOTSUPP);
	ck_assert(strstr(ftr_last_error(), "back to the start"));
	ck_fails(ftr_replace((void *)calling_early, replaced, NULL), -EOPNOTSUPP);
	ck_assert(strstr(ftr_last_error(), "come back"));
	/* Where no function begins. */
	ck_fails(ftr_replace((void *)(looping + 2), replaced, NULL), -ENOENT);
	ck_fails(ftr_replace((void *)(standing + 3), replaced, NULL), -EINVAL);
	ck_fails(ftr_replace((void *)&global, replaced, NULL), -EINVAL);
	ck_fails(ftr_replace((void *)8, replaced, NULL), -EINVAL);
}
END_TEST

static long turns(const void *fn, long count)
{
	long result = 0;

	__asm__ volatile("call *%2" : "+a"(result), "+c"(count) : "d"(fn) : "memory", "cc");
	return result;
}

/** A loop of the first instructions alone goes on where they went. */
START_TEST(test_short_loop)
{
	ck_assert_int_eq(turns(short_loop, 5), 5);
	ck_ok(ftr_replace((void *)short_loop, replaced, &original));
	ck_assert_int_eq(turns(original, 5), 5);
	ck_ok(ftr_restore((void *)short_loop));
	ck_assert_int_eq(turns(short_loop, 5), 5);
}
END_TEST

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	++*(unsigned *)ftr_probe_data(probe);
	return 0;
}

/** A probe and a jump can't have the same bytes. */
START_TEST(test_probes)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe, *other;
	unsigned hits = 0;

	options.addr = (uintptr_t)plain;
	options.pre = pre;
	options.data = &hits;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(plain(1), 2);
	ck_assert_uint_eq(hits, 1);
	ck_fails(ftr_replace(plain, replaced, NULL), -EBUSY);
	ck_ok(ftr_probe_disable(probe));

	ck_ok(ftr_replace(plain, replaced, NULL));
	ck_fails(ftr_probe_enable(probe), -EBUSY);
	ck_fails(ftr_probe_new(&other, &options), -EBUSY);
	ck_assert_int_eq(plain(1), 101);
	ck_ok(ftr_restore(plain));
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(plain(1), 2);
	ck_assert_uint_eq(hits, 2);
	ck_ok(ftr_probe_disable(probe));
	ck_ok(ftr_probe_free(probe));
}
END_TEST

/* The jump's last byte, and the one behind it, are those of the instruction that was
 * there: ff c0. */
long below(long), last_byte(long);
#ifdef __x86_64__
#define ARGUMENT "lea (%rdi), %rax; nop"
#else
#define ARGUMENT "mov 4(%esp), %eax"
#endif
__asm__(".pushsection .text\n"
	".globl below, last_byte\n"
	".type below, @function; .type last_byte, @function\n"
	"below: mov $101, %eax; ret\n"
	".size below, . - below\n"
	"last_byte: " ARGUMENT "; .byte 0xff, 0xc0; ret\n"
	".size last_byte, . - last_byte\n"
	".popsection");

/** A probe made before is not written into it. */
START_TEST(test_probe_at_the_last_byte_of_a_jump)
{
	/* Its address on the stack would be taken for a thread's; sanitizers leave
	 * it there. */
	static struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	const unsigned char *bytes = (const unsigned char *)(uintptr_t)last_byte;
	struct ftr_probe *probe;
	unsigned hits = 0;

	if (LIVE_SANITIZED)
		return;
	options.addr = (uintptr_t)last_byte + 4;
	options.pre = pre;
	options.data = &hits;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_replace(last_byte, below, NULL));
	ck_assert_mem_eq(bytes + 4, "\xff\xc0", 2);
	ck_fails(ftr_probe_enable(probe), -EBUSY);
	ck_assert_int_eq(last_byte(1), 101);
	ck_ok(ftr_restore(last_byte));
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(last_byte(1), 2);
	ck_assert_uint_eq(hits, 1);
	ck_ok(ftr_probe_disable(probe));
	ck_ok(ftr_probe_free(probe));
}
END_TEST

/* --- threads --------------------------------------------------------------------------- */

static int ends[2];

/** Waits in a system call, with its pc among the first instructions. */
static void *stand(void *arg)
{
	long result = SYS_read;
	char byte;

#ifdef __x86_64__
	__asm__ volatile("call standing" : "+a"(result)
			 : "D"((long)ends[0]), "S"(&byte), "d"(1L) : "rcx", "r11", "memory");
#else
	__asm__ volatile("push %%ebx; mov %2, %%ebx; call standing; pop %%ebx" : "+a"(result)
			 : "c"(&byte), "S"((long)ends[0]), "d"(1L) : "memory");
#endif
	return (void *)result;
}

static pid_t tid_of_stander;
static sem_t started;

static void *stand_and_tell(void *arg)
{
	tid_of_stander = live_tid();
	sem_post(&started);
	return stand(arg);
}

START_TEST(test_a_thread_stands_there)
{
	unsigned char before[16];
	pthread_t thread;
	void *result;

	memcpy(before, standing, sizeof before);
	sem_init(&started, 0, 0);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stand_and_tell, NULL), 0);
	sem_wait(&started);
	while (!live_waits_in(tid_of_stander, SYS_read))
		sched_yield();
	ck_fails(ftr_replace((void *)standing, replaced, NULL), -EAGAIN);
	ck_assert_mem_eq(before, standing, sizeof before);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	pthread_join(thread, &result);
	ck_assert_int_eq((long)result, 1);
	ck_ok(ftr_replace((void *)standing, replaced, NULL));
	ck_ok(ftr_restore((void *)standing));
	ck_assert_mem_eq(before, standing, sizeof before);
}
END_TEST

PLAIN long buggy(long x);
PLAIN long buggy(long x)
{
	LIVE_OPAQUE(x);
	return x & 7 ? x * 3 : -1;
}

static long fixed(long x)
{
	return x * 3;
}

static void asking(struct live_worker *worker)
{
	for (long x = 0; x < 64; x++) {
		long got = buggy(x);

		worker->counts[got == -1]++;
		worker->bad += got != x * 3 && !(got == -1 && !(x & 7));
	}
	/* Its pc can be seen now and then. */
	sched_yield();
}

/* A thread may be among the first instructions for a while. */
static void replace_surely(live_fn fn, live_fn with)
{
	int result;

	while ((result = ftr_replace(fn, with, &original)) == -EAGAIN)
		;
	ck_ok(result);
}

START_TEST(test_patched_under_load)
{
	struct live_worker workers[2] = { 0 };
	unsigned long rounds = live_rounds(300);

	for (unsigned i = 0; i < 2; i++)
		live_worker_start(&workers[i], asking, NULL);
	for (unsigned long i = 0; i < rounds; i++) {
		replace_surely(buggy, fixed);
		ck_assert_int_eq(buggy(8), 24);
		ck_assert_int_eq(((live_fn)original)(8), -1);
		ck_ok(ftr_restore(buggy));
		ck_assert_int_eq(buggy(8), -1);
	}
	for (unsigned i = 0; i < 2; i++) {
		live_worker_stop(&workers[i]);
		ck_assert_uint_eq(workers[i].bad, 0);
		ck_assert_uint_gt(workers[i].counts[0], 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace elsewhere");

	if (live_lacks_breakpoints())
		return 77;
	LIVE_CASE(suite, test_calls_go_elsewhere, 30);
	LIVE_CASE(suite, test_recursion, 30);
	LIVE_CASE(suite, test_another_module, 30);
	LIVE_CASE(suite, test_many, 30);
	LIVE_CASE(suite, test_all_or_none, 30);
	LIVE_CASE(suite, test_all_or_none_restored, 30);
	LIVE_CASE(suite, test_no_room, 30);
	LIVE_CASE(suite, test_short_loop, 30);
	LIVE_CASE(suite, test_probes, 30);
	LIVE_CASE(suite, test_probe_at_the_last_byte_of_a_jump, 30);
	LIVE_CASE(suite, test_a_thread_stands_there, 60);
	LIVE_CASE(suite, test_patched_under_load, 120);
	return live_main(suite);
}
