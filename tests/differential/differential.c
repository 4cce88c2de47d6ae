/* SPDX-License-Identifier: MIT */
/*
 * B4: a run with probes is a run without.
 *
 *     differential [-q EVERY] [WORK...]
 *
 * Each work (work.c) is run and single-stepped by the trap flag, which tells which
 * instructions it runs, in their order, with which registers.  Then all
 * instructions of the functions that it runs, or of those chosen, are probed
 *
 *     all at once, with a handler before each: it sees the same instructions in
 *         the same order with the same registers and flags
 *     all at once, with one behind each: it sees the same, one instruction later
 *     one at a time, with handlers on both sides: as often as it was stepped over
 *
 * and the results are the same each time.  -q: a quick look, with less to do; of
 * the instructions that run, and these alone, one in EVERY is probed one at a time.
 * What can't be probed is listed by its reason; less than 95 % is a failure.
 */
#include <asm/ptrace.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <ftr/ftr.h>

#include "lib/boundary.h"
#include "lib/core.h"
#include "tests/differential/work.h"

enum {
	TRACE_MAX = 4 << 20,
	INSNS_MAX = 1 << 18,
	FLAGS = 0xcd5, /* CF PF AF ZF SF DF OF */
	TRAP_FLAG = 0x100
};

enum { REGS = sizeof(long) == 8 ? 17 : 9, SP_BIT = 1 << 7 };

/* One instruction that was run: where, and a digest of each register before it. */
struct event {
	uintptr_t ip;
	uint16_t regs[REGS];
	/* Bits: what depends on what was on the stack before, which the program
	 * never wrote; all where they are not known. */
	uint32_t any;
};

struct insn {
	uintptr_t ip;
	struct ftr_probe *before, *behind, *both;
	unsigned long runs; /* how often it was stepped over */
};

static struct event *trace, *seen;
static size_t n_trace, n_seen; /* there is room for one more */
static struct insn *insns;
static size_t n_insns;
static unsigned long errors;

static void fail(const char *what)
{
	printf("FAILED: %s: %s\n", what, ftr_last_error());
	exit(1);
}

static void wrong(const char *what, const struct work *work, uintptr_t ip)
{
	Dl_info info;

	if (++errors > 20)
		return;
	if (dladdr((void *)ip, &info))
		printf("WRONG: %s: %s at %s+%#lx\n", work->name, what, info.dli_fname,
		       (unsigned long)(ip - (uintptr_t)info.dli_fbase));
	else
		printf("WRONG: %s: %s at %#lx\n", work->name, what, (unsigned long)ip);
}

/* --- registers ------------------------------------------------------------------- */

static const char *const names[REGS] = {
#ifdef __x86_64__
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
	"r13", "r14", "r15", "flags"
#else
	"eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "flags"
#endif
};

/* The flags of a step may have been pushed, or come from a system call. */
static uint16_t digest_of(uintptr_t value)
{
	uint64_t digest = (value & ~(uint64_t)TRAP_FLAG) * 0x9e3779b97f4a7c15u;

	return (uint16_t)(digest >> 48 ^ digest >> 29);
}

static void of_context(const greg_t *g, struct event *event)
{
#ifdef __x86_64__
	static const unsigned char order[] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
					       REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11,
					       REG_R12, REG_R13, REG_R14, REG_R15 };
#else
	static const unsigned char order[] = { REG_EAX, REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI,
					       REG_EBP, REG_ESP };
#endif
	for (size_t i = 0; i < REGS - 1; i++)
		event->regs[i] = digest_of((uintptr_t)g[order[i]]);
	event->regs[REGS - 1] = digest_of((uintptr_t)g[REG_EFL] & FLAGS);
}

static void of_pt_regs(const struct pt_regs *p, struct event *event)
{
#ifdef __x86_64__
	const uintptr_t list[REGS] = { p->rax, p->rbx, p->rcx, p->rdx, p->rsi, p->rdi, p->rbp,
				       p->rsp, p->r8, p->r9, p->r10, p->r11, p->r12, p->r13,
				       p->r14, p->r15, p->eflags & FLAGS };
#else
	const uintptr_t list[REGS] = {
		(uintptr_t)p->eax, (uintptr_t)p->ebx, (uintptr_t)p->ecx, (uintptr_t)p->edx,
		(uintptr_t)p->esi, (uintptr_t)p->edi, (uintptr_t)p->ebp, (uintptr_t)p->esp,
		(uintptr_t)p->eflags & FLAGS
	};
#endif
	for (size_t i = 0; i < REGS; i++)
		event->regs[i] = digest_of(list[i]);
}

static uintptr_t ip_of(const struct pt_regs *p)
{
#ifdef __x86_64__
	return p->rip;
#else
	return (uintptr_t)p->eip;
#endif
}

static uint32_t differences(const struct event *a, const struct event *b)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < REGS; i++)
		bits |= (uint32_t)(a->regs[i] != b->regs[i]) << i;
	return bits;
}

static void compare_registers(const char *where, const struct work *work, const struct event *want,
			      const struct event *got)
{
	uint32_t bits = differences(want, got) & ~want->any;

	if (!bits)
		return;
	wrong(where, work, want->ip);
	for (size_t i = 0; i < REGS && errors <= 20; i++)
		if (bits & 1u << i)
			printf("    %s\n", names[i]);
}

/* --- running --------------------------------------------------------------------- */

/* Where a step is of interest. */
static struct {
	uintptr_t start, end;
} ranges[512];
static size_t n_ranges;

static bool is_of_interest(uintptr_t ip)
{
	for (size_t i = 0; i < n_ranges; i++)
		if (ip - ranges[i].start < ranges[i].end - ranges[i].start)
			return true;
	return false;
}

static struct event *room_in(struct event *list, size_t *n, uintptr_t ip)
{
	struct event *event = &list[*n];

	if (*n < TRACE_MAX)
		++*n;
	event->ip = ip;
	event->any = 0;
	return event;
}

static bool is_repeated(uintptr_t ip)
{
	const unsigned char *at = (const unsigned char *)ip;

	while (*at == 0x66 || (*at & 0xe7) == 0x26 || *at == 0x64 || *at == 0x65 || *at == 0x67)
		at++;
	if (*at != 0xf2 && *at != 0xf3)
		return false;
	do
		at++;
	while (*at == 0x66 || (sizeof(long) == 8 && (*at & 0xf0) == 0x40));
	return (*at >= 0xa4 && *at <= 0xa7) || (*at >= 0xaa && *at <= 0xaf);
}

/* System calls and what loads ss: the step behind them may be lost.  Their length. */
static unsigned hides_next(uintptr_t ip)
{
	const unsigned char *at = (const unsigned char *)ip;

	if (!memcmp(at, "\x0f\x05", 2) || !memcmp(at, "\xcd\x80", 2))
		return 2;
	if (at[0] == 0x8e && (at[1] & 0xf8) == 0xd0)
		return 2;
	return sizeof(long) == 4 && at[0] == 0x17;
}

static unsigned char signal_stack[256 << 10];
static bool dirty;

/* Below the red zone, where i386 has none. */
static void leave_dirt(uintptr_t sp)
{
	enum { BYTES = 8192 };

	__builtin_memset((void *)(sp - (sizeof(long) == 8 ? 128 : 0) - BYTES), 0x5a, BYTES);
}

/* A repeated instruction is stepped once for each time. */
static void on_trap(int sig, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
#ifdef __x86_64__
	uintptr_t ip = (uintptr_t)g[REG_RIP], sp = (uintptr_t)g[REG_RSP];
#else
	uintptr_t ip = (uintptr_t)g[REG_EIP], sp = (uintptr_t)g[REG_ESP];
#endif
	if (dirty && info->si_code == TRAP_TRACE)
		leave_dirt(sp);
	if (info->si_code != TRAP_TRACE || !is_of_interest(ip))
		return;
	if (n_trace && trace[n_trace - 1].ip == ip && is_repeated(ip))
		return;
	if (n_trace && trace[n_trace - 1].ip == ip && trace[n_trace - 1].any)
		n_trace--;
	of_context(g, room_in(trace, &n_trace, ip));
	if (hides_next(ip))
		room_in(trace, &n_trace, ip + hides_next(ip))->any = ~0u;
}

static volatile bool recording;

static void see(const struct pt_regs *pt)
{
	of_pt_regs(pt, room_in(seen, &n_seen, ip_of(pt)));
}

static int pre_note(struct ftr_probe *probe, struct ftr_regs *regs)
{
	const struct pt_regs *pt = ftr_regs_pt_regs(regs);

	if (recording)
		see(pt);
	return 0;
}

static void post_note(struct ftr_probe *probe, struct ftr_regs *regs)
{
	const struct pt_regs *pt = ftr_regs_pt_regs(regs);

	if (recording)
		see(pt);
}

static volatile unsigned long befores, behinds;

static int pre_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	befores += recording;
	return 0;
}

static void post_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	behinds += recording;
}

/* byte: what the program finds on the stack where it never wrote. */
static uint64_t run(const struct work *work, bool stepped, int byte)
{
	uint64_t digest;
	void *top = work_stack(byte);

	recording = true;
	digest = work_run_same(work->run, stepped ? TRAP_FLAG : 0, top);
	recording = false;
	return digest;
}

/* --- which instructions ------------------------------------------------------------- */

static int find_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	if (!info->dlpi_name || !strstr(info->dlpi_name, arg))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		ranges[n_ranges].start = info->dlpi_addr + p->p_vaddr;
		ranges[n_ranges++].end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
	}
	return 1;
}

struct look_up {
	uintptr_t addr;
	struct ftr__boundary around;
};

static int look_up(void *arg)
{
	struct look_up *l = arg;
	struct ftr__insn insn;

	ftr__boundary_check(l->addr, true, &l->around, &insn);
	return 0;
}

/* The function around an address; false: none is known. */
static bool function_around(uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	struct look_up l = { .addr = addr };

	ftr__core_run(look_up, &l);
	*start = l.around.start;
	*end = l.around.end;
	return l.around.start && l.around.end > l.around.start;
}

static void choose_ranges(const struct work *work)
{
	uintptr_t starts[256];
	size_t n;

	n_ranges = 0;
	if (!work->functions) {
		dl_iterate_phdr(find_library, (void *)(uintptr_t)work->library);
		return;
	}
	n = work->functions(starts, 256);
	for (size_t i = 0; i < n; i++) {
		if (is_of_interest(starts[i]) ||
		    !function_around(starts[i], &ranges[n_ranges].start, &ranges[n_ranges].end))
			continue;
		n_ranges++;
	}
}

static int by_ip(const void *a, const void *b)
{
	const struct insn *x = a, *y = b;

	return x->ip < y->ip ? -1 : x->ip > y->ip;
}

static struct insn *find_insn(uintptr_t ip)
{
	struct insn key = { .ip = ip };

	return bsearch(&key, insns, n_insns, sizeof(key), by_ip);
}

/* Reasons for what can't be probed. */
static struct {
	char text[160];
	unsigned long n;
} reasons[32];
static unsigned long refused;

/* A sentence without its addresses. */
static void count_refusal(void)
{
	const char *from = ftr_last_error();
	char text[160];
	size_t n = 0, i;

	while (*from && n < sizeof(text) - 1) {
		if (!strncmp(from, "0x", 2)) {
			from += 2 + strspn(from + 2, "0123456789abcdef");
			text[n++] = '*';
		} else {
			text[n++] = *from++;
		}
	}
	text[n] = 0;
	refused++;
	for (i = 0; i < 31 && reasons[i].n; i++)
		if (!strcmp(reasons[i].text, text))
			break;
	strcpy(reasons[i].text, text);
	reasons[i].n++;
}

static bool add(uintptr_t ip)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct insn *i = &insns[n_insns];
	int result;

	if (n_insns == INSNS_MAX)
		return false;
	*i = (struct insn){ .ip = ip };
	options.addr = ip;
	options.pre = pre_note;
	result = ftr_probe_new(&i->before, &options);
	if (result == -EINVAL)
		return false; /* in the middle of one */
	if (result) {
		count_refusal();
		return true;
	}
	options.pre = NULL;
	options.post = post_note;
	result = ftr_probe_new(&i->behind, &options);
	options.pre = pre_count;
	options.post = post_count;
	if (!result)
		result = ftr_probe_new(&i->both, &options);
	if (result) {
		ftr_probe_free(i->before);
		count_refusal();
		return true;
	}
	n_insns++;
	return true;
}

/* Every byte of the functions that something ran in. */
static void list_insns(const struct work *work, bool quick)
{
	uintptr_t start, end = 0, ran_end = 0;

	n_insns = 0;
	struct event *sorted = malloc((n_trace + 1) * sizeof(*sorted));
	memcpy(sorted, trace, n_trace * sizeof(*sorted));
	qsort(sorted, n_trace, sizeof(*sorted), by_ip);
	for (size_t i = 0; i < n_trace; i++) {
		if (sorted[i].ip < ran_end)
			continue;
		if (quick || !function_around(sorted[i].ip, &start, &end)) {
			ran_end = sorted[i].ip + 1;
			add(sorted[i].ip);
			continue;
		}
		for (uintptr_t at = start; at < end; at++)
			add(at);
		ran_end = end;
	}
	free(sorted);
	for (size_t i = 0; i < n_trace; i++) {
		struct insn *insn = find_insn(trace[i].ip);
		if (insn)
			insn->runs++;
	}
}

/* --- comparing ------------------------------------------------------------------------ */

static void toggle(size_t offset, bool on)
{
	struct ftr_probe **list = malloc(n_insns * sizeof(*list));
	int result;

	for (size_t i = 0; i < n_insns; i++)
		list[i] = *(struct ftr_probe **)((char *)&insns[i] + offset);
	result = on ? ftr_probe_enable_many(list, n_insns) : ftr_probe_disable_many(list, n_insns);
	if (result)
		fail(on ? "enable" : "disable");
	free(list);
}

static void compare_before(const struct work *work)
{
	size_t at = 0;

	for (size_t i = 0; i < n_trace; i++) {
		if (!find_insn(trace[i].ip))
			continue;
		if (at == n_seen || seen[at].ip != trace[i].ip) {
			wrong("another instruction was run", work, at < n_seen ? seen[at].ip : 0);
			return;
		}
		compare_registers("other registers before it", work, &trace[i], &seen[at]);
		at++;
	}
	if (at != n_seen)
		wrong("more instructions were run", work, seen[at].ip);
}

/* Behind an instruction is before the next, where that was of interest, too. */
static void compare_behind(const struct work *work)
{
	size_t at = 0;

	for (size_t i = 0; i + 1 < n_trace; i++) {
		if (!find_insn(trace[i].ip))
			continue;
		if (at == n_seen) {
			wrong("nothing was run behind it", work, trace[i].ip);
			return;
		}
		if (seen[at].ip == trace[i + 1].ip)
			compare_registers("other registers behind it", work, &trace[i + 1],
					  &seen[at]);
		else if (is_of_interest(seen[at].ip))
			wrong("it went elsewhere", work, trace[i].ip);
		at++;
	}
}

static void all_at_once(const struct work *work, uint64_t digest)
{
	n_seen = 0;
	toggle(offsetof(struct insn, before), true);
	if (run(work, false, 0) != digest)
		wrong("another result with a handler before each", work, 0);
	toggle(offsetof(struct insn, before), false);
	compare_before(work);
	n_seen = 0;
	toggle(offsetof(struct insn, behind), true);
	if (run(work, false, 0) != digest)
		wrong("another result with a handler behind each", work, 0);
	toggle(offsetof(struct insn, behind), false);
	compare_behind(work);
}

/* Those that don't run change nothing, which the batches have shown. */
static unsigned long one_at_a_time(const struct work *work, uint64_t digest, unsigned every)
{
	unsigned long n = 0, done = 0;

	for (size_t i = 0; i < n_insns; i++) {
		if (!insns[i].runs || n++ % every)
			continue;
		done++;
		befores = behinds = 0;
		if (ftr_probe_enable(insns[i].both))
			fail("enable");
		if (run(work, false, 0) != digest)
			wrong("another result", work, insns[i].ip);
		if (ftr_probe_disable(insns[i].both))
			fail("disable");
		if (befores != insns[i].runs || behinds != insns[i].runs)
			wrong("not as often as it was run", work, insns[i].ip);
	}
	return done;
}

static void free_insns(void)
{
	for (size_t i = 0; i < n_insns; i++)
		if (ftr_probe_free(insns[i].before) || ftr_probe_free(insns[i].behind) ||
		    ftr_probe_free(insns[i].both))
			fail("free");
}

/* Twice; the second time with other bytes below the stack at each step, as handlers
 * of probes leave them: what is not the same depends on them. */
static void step(const struct work *work, uint64_t digest)
{
	size_t n;

	n_trace = 0;
	dirty = false;
	if (run(work, true, 0) != digest)
		wrong("another result when it is stepped", work, 0);
	memcpy(seen, trace, n_trace * sizeof(*seen));
	n = n_trace;
	n_trace = 0;
	dirty = true;
	run(work, true, 0x5a);
	if (n != n_trace)
		wrong("it is not the same each time", work, 0);
	for (size_t i = 0; i < n && i < n_trace; i++) {
		if (seen[i].ip != trace[i].ip) {
			wrong("it is not the same each time", work, trace[i].ip);
			return;
		}
		trace[i].any |= differences(&seen[i], &trace[i]);
		if (trace[i].any != ~0u && trace[i].any & SP_BIT)
			wrong("the stack is not the same each time", work, trace[i].ip);
	}
}

/* How many registers were looked at, and how many were not. */
static void print_compared(void)
{
	unsigned long left_out = 0;

	for (size_t i = 0; i < n_trace; i++)
		left_out += (unsigned)__builtin_popcount(trace[i].any & ((1u << REGS) - 1));
	printf("    %lu registers compared each time, %lu left out\n",
	       (unsigned long)n_trace * REGS - left_out, left_out);
}

/* How many instructions were probed; -1: the work can't be done here. */
static long do_work(const struct work *work, unsigned every)
{
	const char *reason = work->prepare();
	unsigned long ran = 0, alone;
	uint64_t digest;

	if (reason) {
		printf("SKIP: %s: %s\n", work->name, reason);
		return -1;
	}
	choose_ranges(work);
	run(work, false, 0);
	digest = run(work, false, 0);
	step(work, digest);
	list_insns(work, work_quick && !work->functions);
	all_at_once(work, digest);
	alone = one_at_a_time(work, digest, every);
	for (size_t i = 0; i < n_insns; i++)
		ran += insns[i].runs != 0;
	printf("%s: %zu instructions probed, %lu of them run, %zu times in all; %lu one at a time\n",
	       work->name, n_insns, ran, n_trace, alone);
	print_compared();
	fflush(stdout);
	free_insns();
	return (long)n_insns;
}

static bool is_asked_for(const struct work *work, char **asked)
{
	bool any = false;

	for (; *asked; asked++) {
		any = true;
		if (!strcmp(*asked, work->name))
			return true;
	}
	return !any;
}

static void *table(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p) {
		printf("no memory\n");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	unsigned every = 1;
	long probed = 0;
	bool skipped = false;

	argv++;
	if (argc > 2 && !strcmp(*argv, "-q")) {
		every = (unsigned)atoi(argv[1]);
		work_quick = true;
		argv += 2;
	}
	trace = table(TRACE_MAX + 1, sizeof(*trace));
	seen = table(TRACE_MAX + 1, sizeof(*seen));
	insns = table(INSNS_MAX, sizeof(*insns));
	/* Signals leave nothing on the program's stack. */
	sigaltstack(&(stack_t){ .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) }, NULL);
	sigaction(SIGTRAP, &action, NULL);
	if (ftr_init(NULL))
		fail("ftr_init");
	for (size_t i = 0; i < n_works; i++) {
		if (!is_asked_for(&works[i], argv))
			continue;
		long n = do_work(&works[i], every ? every : 1);
		skipped |= n < 0;
		probed += n > 0 ? n : 0;
	}
	for (size_t i = 0; i < 32 && reasons[i].n; i++)
		printf("skipped %lu: %s\n", reasons[i].n, reasons[i].text);
	printf("%ld instructions probed, %lu not; %lu wrong\n", probed, refused, errors);
	if (errors || !probed || (unsigned long)probed < 19 * refused)
		return 1;
	return skipped ? 77 : 0;
}
