/* SPDX-License-Identifier: MIT */
/*
 * agent: traces all functions of the program it is loaded into.
 *
 *	LD_PRELOAD=.../agent.so program arguments...
 *
 * A thread of its own attaches one group to every site, takes it off and puts
 * it on again while the program runs, and at the program's exit a report says
 * what was seen.  Environment:
 *
 *	FTR_AGENT_OUT      the report's file; stderr where it is not set
 *	FTR_AGENT_ON_MS    how long the group stays attached (80)
 *	FTR_AGENT_OFF_MS   how long it stays off (20); 0: it stays attached
 *	FTR_AGENT_EARLY    where set: attach before main() starts
 *	FTR_AGENT_FILTER   the pattern of the group (*)
 *	FTR_AGENT_TIMES    where set: see functions return, too, and report how long
 *	                   each was under way, with all that it called; of calls of
 *	                   itself the outermost counts
 *
 * A program that ends by _exit(), exec or a signal leaves no report, and a
 * child made by fork() writes none.
 *
 * The handler takes no lock, allocates nothing and calls nothing.  The file is
 * compiled with -mgeneral-regs-only (so: no floating point in it), which lets
 * the group say FTR_GROUP_NO_SIMD.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <ftr/ftr.h>

#ifdef __SSE__
#define HANDLER_FLAGS 0
#else
#define HANDLER_FLAGS FTR_GROUP_NO_SIMD
#endif

#define CALLERS 30         /* of one function, told apart by return address */
#define CALLER_PROBES 8    /* places looked at for one of them */
#define COUNTER_PROBES 64
#define TOP_FUNCTIONS 20
#define TOP_CALLERS 3
#define ACTIVE 256         /* functions that a thread is inside of, told apart by address */
#define ATTACH_TRIES 500   /* a millisecond apart, while a thread stands in a pad */

/* A word: what a handler counts by one instruction on every architecture. */
typedef _Atomic uintptr_t tally;

struct caller {
	_Atomic uintptr_t parent_ip;
	tally calls;
};

/* One function.  512 bytes or half of them; a page of them is touched at its first call. */
struct counter {
	_Atomic uintptr_t ip;
	tally others; /* calls by callers that found no room */
	tally ticks[2]; /* inclusive time: the low word, and what did not fit */
	struct caller callers[CALLERS];
};

/* A call, from its entry to its exit. */
struct call {
	struct counter *counter;
	uint64_t start; /* 0: a call of itself is under way */
};

/* The outermost call of a function that the thread is inside of.  What a jump
 * took away leaves its stack pointer below those of later ones. */
static __thread struct active {
	struct counter *counter;
	uintptr_t sp;
} active[ACTIVE];

/* How long the batches took, ns; only the thread that attaches writes here. */
struct samples {
	uint64_t *ns;
	size_t n, room;
};

static struct {
	struct counter *counters; /* an open hash table, keyed by ip */
	size_t n_counters;
	tally uncounted; /* calls of functions that found no room */
	tally returns;
	uint64_t start_ticks, start_ns;
	bool times;
	struct ftr_group *group;
	struct samples samples;
	unsigned attaches, detaches, retries;
	uint64_t first_attach_ns; /* pads made one instruction, pages made private */
	int on_ms, off_ms;
	int stop; /* an eventfd: readable once the program ends */
	pid_t pid;
	bool running; /* `thread` is to be joined */
	pthread_t thread;
	char error[400];
} agent = { .stop = -1 };

/* ---- counting ------------------------------------------------------------ */

/* A number below n, the same for the same address. */
static size_t place_of(uintptr_t address, size_t n)
{
	uint64_t hash = (uint64_t)address * 0x9e3779b97f4a7c15u >> 32;

	return (size_t)(hash * n >> 32);
}

/* True if *slot is key's: it was, or it was empty and is now. */
static bool claim(_Atomic uintptr_t *slot, uintptr_t key)
{
	uintptr_t found = atomic_load_explicit(slot, memory_order_relaxed);

	if (found == 0 && atomic_compare_exchange_strong_explicit(slot, &found, key,
				memory_order_relaxed, memory_order_relaxed))
		return true;
	return found == key;
}

/* The function's counter; NULL where the table has no room for it. */
static struct counter *counter_of(uintptr_t ip)
{
	size_t at = place_of(ip, agent.n_counters);

	for (unsigned i = 0; i < COUNTER_PROBES; i++) {
		struct counter *counter = &agent.counters[at];

		if (claim(&counter->ip, ip))
			return counter;
		at = at + 1 < agent.n_counters ? at + 1 : 0;
	}
	return NULL;
}

static tally *count_of(struct counter *counter, uintptr_t parent_ip)
{
	size_t at = place_of(parent_ip, CALLERS);

	if (!counter)
		return &agent.uncounted;
	for (unsigned i = 0; i < CALLER_PROBES; i++) {
		struct caller *caller = &counter->callers[at];

		if (claim(&caller->parent_ip, parent_ip))
			return &caller->calls;
		at = at + 1 < CALLERS ? at + 1 : 0;
	}
	return &counter->others;
}

static struct counter *count(uintptr_t ip, uintptr_t parent_ip)
{
	struct counter *counter = counter_of(ip);

	atomic_fetch_add_explicit(count_of(counter, parent_ip), 1, memory_order_relaxed);
	return counter;
}

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	count(ip, parent_ip);
	return 0;
}

/* ---- timing -------------------------------------------------------------- */

/* A counter that runs at one rate on all processors of today. */
static uint64_t now_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static struct active *active_of(const struct counter *counter)
{
	return &active[place_of((uintptr_t)counter, ACTIVE)];
}

static int on_timed_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	struct call *call = ftr_entry_data(regs);
	struct counter *counter = count(ip, parent_ip);
	struct active *place = active_of(counter);
	uintptr_t sp = ftr_regs_sp(regs);

	call->counter = counter;
	call->start = 0;
	if (counter && (place->counter != counter || place->sp < sp)) {
		*place = (struct active){ counter, sp };
		call->start = now_ticks();
	}
	return 0;
}

static void add_ticks(struct counter *counter, uint64_t ticks)
{
	uintptr_t low = (uintptr_t)ticks;
	uintptr_t before = atomic_fetch_add_explicit(&counter->ticks[0], low, memory_order_relaxed);
	uintptr_t high = (uintptr_t)(ticks >> (8 * sizeof low - 1) >> 1);

	high += before + low < low;
	if (high)
		atomic_fetch_add_explicit(&counter->ticks[1], high, memory_order_relaxed);
}

static void on_timed_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	const struct call *call = ftr_entry_data(regs);

	atomic_fetch_add_explicit(&agent.returns, 1, memory_order_relaxed);
	if (!call->start)
		return;
	add_ticks(call->counter, now_ticks() - call->start);
	active_of(call->counter)->counter = NULL;
}

/* Twice as many places as sites, and some for modules loaded later. */
static int make_counters(size_t sites)
{
	size_t n = 2 * sites + 8192;
	void *memory = mmap(NULL, n * sizeof(struct counter), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	agent.counters = memory;
	agent.n_counters = n;
	return 0;
}

/* ---- attaching ----------------------------------------------------------- */

static int fail(const char *what, int error)
{
	const char *sentence = ftr_last_error();

	snprintf(agent.error, sizeof agent.error, "%s: %s%s%s", what, ftr_strerror(error),
		 *sentence ? ": " : "", sentence);
	return error;
}

/* Sleep; true if the program has ended meanwhile. */
static bool wait_ms(int ms)
{
	struct pollfd pollfd = { .fd = agent.stop, .events = POLLIN };

	return poll(&pollfd, 1, ms) > 0;
}

static void note_batch(void)
{
	struct ftr_stats stats = FTR_STATS_INIT;
	struct samples *samples = &agent.samples;

	if (samples->n == samples->room) {
		size_t room = samples->room ? 2 * samples->room : 256;
		uint64_t *ns = realloc(samples->ns, room * sizeof *ns);

		if (!ns)
			return;
		samples->ns = ns;
		samples->room = room;
	}
	if (ftr_stats_get(&stats) == 0)
		samples->ns[samples->n++] = stats.last_batch_ns;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int attach(void)
{
	uint64_t start = now_ns();
	int error = ftr_group_attach(agent.group);

	for (unsigned i = 0; error == -EAGAIN && i < ATTACH_TRIES; i++) {
		agent.retries++;
		if (wait_ms(1))
			return error;
		start = now_ns();
		error = ftr_group_attach(agent.group);
	}
	if (error)
		return fail("attach", error);
	if (!agent.attaches++)
		agent.first_attach_ns = now_ns() - start;
	note_batch();
	return 0;
}

static int detach(void)
{
	int error = ftr_group_detach(agent.group);

	if (error)
		return fail("detach", error);
	agent.detaches++;
	note_batch();
	return 0;
}

static void *run(void *unused)
{
	bool ended = false;

	if (!ftr_group_attached(agent.group) && attach())
		return NULL;
	while (!ended) {
		ended = wait_ms(agent.off_ms ? agent.on_ms : -1);
		if (detach())
			return NULL;
		if (!ended) {
			ended = wait_ms(agent.off_ms);
			if (!ended && attach())
				return NULL;
		}
	}
	return NULL;
}

static int make_group(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	const char *pattern = getenv("FTR_AGENT_FILTER");
	int error = ftr_init(NULL);

	if (error && error != -EALREADY)
		return fail("start", error);
	options.name = "agent";
	options.entry = agent.times ? on_timed_entry : on_entry;
	options.exit = agent.times ? on_timed_exit : NULL;
	options.entry_data_size = agent.times ? sizeof(struct call) : 0;
	options.flags = HANDLER_FLAGS;
	error = ftr_group_new(&agent.group, &options);
	if (error)
		return fail("group", error);
	error = ftr_group_filter(agent.group, pattern ? pattern : "*", 0);
	if (error < 0)
		return fail("no function to trace (compile with -fpatchable-function-entry=5)",
			    error);
	error = make_counters(ftr_site_count());
	return error ? fail("counters", error) : 0;
}

/* The program's signals are for its own threads.  SIGTRAP stays open: the
 * breakpoint of a batch must be able to reach its handler in every thread. */
static int start_thread(void)
{
	static const int open[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	sigset_t blocked, before;
	int error;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		sigdelset(&blocked, open[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	error = pthread_create(&agent.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	agent.running = error == 0;
	return error ? fail("thread", -error) : 0;
}

static int number_of(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? atoi(text) : otherwise;
}

__attribute__((constructor)) static void agent_enter(void)
{
	agent.pid = getpid();
	agent.on_ms = number_of("FTR_AGENT_ON_MS", 80);
	agent.off_ms = number_of("FTR_AGENT_OFF_MS", 20);
	agent.times = getenv("FTR_AGENT_TIMES") != NULL;
	agent.start_ticks = now_ticks();
	agent.start_ns = now_ns();
	agent.stop = eventfd(0, EFD_CLOEXEC);
	if (agent.stop < 0)
		fail("eventfd", -errno);
	else if (make_group() == 0 && (!getenv("FTR_AGENT_EARLY") || attach() == 0))
		start_thread();
}

/* ---- the report ---------------------------------------------------------- */

struct row {
	const struct counter *counter;
	char name[160];
	uint64_t calls, ns;
};

static int more_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int more_calls(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* 1234567 as "1,234,567", in one of a few buffers used in turn. */
static const char *grouped(uint64_t n)
{
	static char buffers[8][32];
	static unsigned next;
	char *at = buffers[next++ % 8] + 31;

	*at = 0;
	for (unsigned digits = 0; n || !digits; digits++, n /= 10) {
		if (digits && digits % 3 == 0)
			*--at = ',';
		*--at = (char)('0' + n % 10);
	}
	return at;
}

/* The function that an address lies in: a site's, or what the dynamic linker
 * knows, or the module and offset (programs that have no symbol there). */
static void name_address(char *name, size_t room, uintptr_t address)
{
	const struct ftr_site *site = ftr_site_find(address);
	Dl_info info = { 0 };

	if (site) {
		snprintf(name, room, "%s", ftr_site_name(site));
	} else if (dladdr((void *)address, &info) && info.dli_sname) {
		snprintf(name, room, "%s", info.dli_sname);
	} else if (info.dli_fname) {
		const char *slash = strrchr(info.dli_fname, '/');

		snprintf(name, room, "%s+0x%lx", slash ? slash + 1 : info.dli_fname,
			 (unsigned long)(address - (uintptr_t)info.dli_fbase));
	} else {
		snprintf(name, room, "?");
	}
}

/* The callers of one function: return addresses of one name are one caller. */
static size_t collect_callers(const struct counter *counter, struct row *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < CALLERS; i++) {
		uintptr_t parent = atomic_load(&counter->callers[i].parent_ip);
		size_t at = 0;

		if (!parent)
			continue;
		/* The return address may be the next function's first byte. */
		name_address(rows[n].name, sizeof rows[n].name, parent - 1);
		while (strcmp(rows[at].name, rows[n].name))
			at++;
		if (at == n)
			rows[n++].calls = 0;
		rows[at].calls += atomic_load(&counter->callers[i].calls);
	}
	qsort(rows, n, sizeof *rows, more_calls);
	return n;
}

static uint64_t calls_of(const struct counter *counter)
{
	uint64_t calls = atomic_load(&counter->others);

	for (size_t i = 0; i < CALLERS; i++)
		calls += atomic_load(&counter->callers[i].calls);
	return calls;
}

/* rate: ns a tick, times 2^32. */
static uint64_t ns_of(const struct counter *counter, uint64_t rate)
{
	uintptr_t high = atomic_load(&counter->ticks[1]), low = atomic_load(&counter->ticks[0]);
	uint64_t ticks = low + ((uint64_t)high << (8 * sizeof low - 1) << 1);

	return (ticks >> 32) * rate + ((ticks & 0xffffffff) * rate >> 32);
}

static uint64_t tick_rate(void)
{
	uint64_t ticks = now_ticks() - agent.start_ticks, ns = now_ns() - agent.start_ns;

	while (ns >> 32) {
		ns >>= 1;
		ticks >>= 1;
	}
	return ticks ? (ns << 32) / ticks : 0;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)((100 * part + whole / 2) / whole) : 0;
}

static void print_callers(FILE *out, const struct row *row)
{
	struct row callers[CALLERS + 1];
	size_t n = collect_callers(row->counter, callers);

	for (size_t i = 0; i < n && i < TOP_CALLERS; i++)
		fprintf(out, "%s%s %u%%", i ? ", " : "", callers[i].name,
			percent(callers[i].calls, row->calls));
	fprintf(out, "%s\n", n > TOP_CALLERS ? ", ..." : "");
}

static size_t collect_functions(struct row *rows, uint64_t *calls)
{
	uint64_t rate = tick_rate();
	size_t n = 0;

	*calls = atomic_load(&agent.uncounted);
	for (size_t i = 0; i < agent.n_counters; i++) {
		uintptr_t ip = atomic_load(&agent.counters[i].ip);

		if (!ip)
			continue;
		rows[n].counter = &agent.counters[i];
		rows[n].calls = calls_of(&agent.counters[i]);
		rows[n].ns = ns_of(&agent.counters[i], rate);
		name_address(rows[n].name, sizeof rows[n].name, ip);
		*calls += rows[n++].calls;
	}
	qsort(rows, n, sizeof *rows, agent.times ? more_time : more_calls);
	return n;
}

static void print_functions(FILE *out)
{
	struct row *rows = calloc(agent.n_counters + 1, sizeof *rows);
	uint64_t calls = 0;
	size_t n;

	if (!rows)
		return;
	n = collect_functions(rows, &calls);
	fprintf(out, "calls seen      %s, of %s functions (missed by the recursion guard %s)\n",
		grouped(calls), grouped(n), grouped(ftr_group_missed(agent.group)));
	if (agent.times)
		fprintf(out, "returns seen    %s\n", grouped(atomic_load(&agent.returns)));
	fprintf(out, "\n");
	if (n && agent.times)
		fprintf(out, "%14s ", "inclusive us");
	if (n)
		fprintf(out, "%14s %5s  %-26s %s\n", "calls", "share", "function", "called by");
	for (size_t i = 0; i < n && i < TOP_FUNCTIONS; i++) {
		if (agent.times)
			fprintf(out, "%14s ", grouped(rows[i].ns / 1000));
		fprintf(out, "%14s %4u%%  %-26s ", grouped(rows[i].calls),
			percent(rows[i].calls, calls), rows[i].name);
		print_callers(out, &rows[i]);
	}
	free(rows);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_batches(FILE *out)
{
	const struct samples *samples = &agent.samples;
	uint64_t first;

	fprintf(out, "batches         %u: %u times attached, %u detached, %u tries too early\n",
		agent.attaches + agent.detaches, agent.attaches, agent.detaches, agent.retries);
	if (!samples->n)
		return;
	first = samples->ns[0];
	fprintf(out, "first attach    %s us, with all that is done once\n",
		grouped(agent.first_attach_ns / 1000));
	fprintf(out, "time of a batch first %s us", grouped(first / 1000));
	if (samples->n > 1) {
		size_t n = samples->n - 1;

		qsort(samples->ns + 1, n, sizeof *samples->ns, by_value);
		fprintf(out, "; then median %s us, at most %s us",
			grouped(samples->ns[1 + n / 2] / 1000), grouped(samples->ns[n] / 1000));
	}
	fprintf(out, "\n");
}

static void print_report(FILE *out)
{
	struct ftr_stats stats = FTR_STATS_INIT;

	ftr_stats_get(&stats);
	fprintf(out, "libftr %s traced this program\n", ftr_version_string());
	if (*agent.error)
		fprintf(out, "error           %s\n", agent.error);
	fprintf(out, "sites found     %s (%s refused)\n", grouped(stats.sites),
		grouped(stats.sites_refused));
	print_batches(out);
	fprintf(out, "traps emulated  %s\n", grouped(stats.traps));
	if (agent.group)
		print_functions(out);
}

static void write_report(void)
{
	const char *path = getenv("FTR_AGENT_OUT");
	FILE *out = path && *path ? fopen(path, "we") : stderr;

	if (!out)
		out = stderr;
	print_report(out);
	if (out == stderr)
		fflush(out);
	else
		fclose(out);
}

__attribute__((destructor)) static void agent_leave(void)
{
	if (agent.pid != getpid())
		return;
	if (agent.running) {
		eventfd_write(agent.stop, 1);
		pthread_join(agent.thread, NULL);
	}
	write_report();
}
