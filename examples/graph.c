/* SPDX-License-Identifier: MIT */
/*
 * graph: prints the calls of the program it is loaded into as they happen, each
 * below its caller, with how long it took.
 *
 *	LD_PRELOAD=.../graph.so program arguments...
 *
 *	 4711)             |  main() {
 *	 4711)    0.210 us |    parse();
 *	 4711)             |    run() {
 *	 4711)    0.090 us |      step();
 *	 4711)    1.340 us |    }
 *	 4711)    2.120 us |  }
 *
 * A call that an exception or longjmp() took away ends with a remark, when the
 * thread comes to a traced function where its frame was.  Environment:
 *
 *	FTR_GRAPH_OUT      the file that is written; stderr where it is not set
 *	FTR_GRAPH_FILTER   the pattern of the functions (*)
 *	FTR_GRAPH_DEPTH    how many levels are printed (100)
 *
 * Each line is one write(2): nothing is lost where the program ends by a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ftr/ftr.h>

/* A call, from its entry to its exit. */
struct call {
	uint64_t start;
	unsigned level;
};

/* What a thread has printed.  A thread in a handler runs no other handler. */
struct thread {
	unsigned level;    /* calls under way */
	bool held;         /* the last entry, not printed yet: it may be a leaf */
	uintptr_t held_ip;
};
static __thread struct thread self;

static int out = STDERR_FILENO;
static unsigned max_level = 100;
static pid_t pid;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static const char *name_of(uintptr_t ip)
{
	const struct ftr_site *site = ftr_site_find(ip);

	return site ? ftr_site_name(site) : "?";
}

/* ns: 0: the line has no duration.  ip: 0: it has no name. */
static void print(unsigned level, uint64_t ns, const char *what, uintptr_t ip, const char *remark)
{
	char line[512], duration[32] = "";
	int n;

	if (level >= max_level)
		return;
	if (ns)
		snprintf(duration, sizeof duration, "%lu.%03u us", (unsigned long)(ns / 1000),
			 (unsigned)(ns % 1000));
	n = snprintf(line, sizeof line, "%6ld) %15s | %*s%s%s%s\n", (long)syscall(SYS_gettid), duration,
		     (int)(2 * level + 1), "", ip ? name_of(ip) : "", what, remark);
	if (n > (int)sizeof line - 1)
		n = (int)sizeof line - 1;
	while (write(out, line, (size_t)n) < 0 && errno == EINTR)
		;
}

/* Something happens inside the last call: it is no leaf. */
static void print_held(void)
{
	if (self.held)
		print(self.level - 1, 0, "() {", self.held_ip, "");
	self.held = false;
}

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	struct call *call = ftr_entry_data(regs);
	int error = errno;

	print_held();
	call->level = self.level++;
	self.held = true;
	self.held_ip = ip;
	errno = error;
	call->start = now_ns();
	return 0;
}

static void on_exit_(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	const struct call *call = ftr_entry_data(regs);
	uint64_t ns = now_ns() - call->start;
	bool leaf = self.held && self.level == call->level + 1;
	char remark[256] = "";
	int error = errno;

	if (!leaf)
		print_held();
	if (ftr_regs_unwound(regs))
		snprintf(remark, sizeof remark, " /* %s: did not return */", name_of(ip));
	if (leaf)
		print(call->level, ns + !ns, "();", ip, remark);
	else
		print(call->level, ns + !ns, "}", 0, remark);
	self.held = false;
	self.level = call->level;
	errno = error;
}

static int attach(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	const char *pattern = getenv("FTR_GRAPH_FILTER");
	struct ftr_group *group;
	int error;

	options.name = "graph";
	options.entry = on_entry;
	options.exit = on_exit_;
	options.flags = FTR_GROUP_UNWOUND_EXITS;
	options.entry_data_size = sizeof(struct call);
	error = ftr_group_new(&group, &options);
	if (error)
		return error;
	error = ftr_group_filter(group, pattern ? pattern : "*", 0);
	return error < 0 ? error : ftr_group_attach(group);
}

__attribute__((constructor)) static void graph_enter(void)
{
	const char *path = getenv("FTR_GRAPH_OUT"), *depth = getenv("FTR_GRAPH_DEPTH");

	pid = getpid();
	if (path && *path)
		out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	if (out < 0)
		out = STDERR_FILENO;
	if (depth && *depth)
		max_level = (unsigned)atoi(depth);
	if (attach())
		dprintf(out, "graph: %s\n", ftr_last_error());
}

/* Calls that are under way when the program ends stay open. */
__attribute__((destructor)) static void graph_leave(void)
{
	if (pid == getpid())
		print_held();
}
