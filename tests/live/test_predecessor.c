/* SPDX-License-Identifier: MIT */
/*
 * P7: whoever had SIGTRAP before is called as the kernel would call it.  Each
 * case is played in two children, one with the library and one without; what
 * the handler saw, what became of the thread's mask and system call, and how
 * the child ended must be the same.
 */
#include "tests/live/live.h"

#include "arch.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* --- what a child tells: in memory that it shares with its parent ------------ */

enum { TALE = 2048 };
static char *tale;

static void tell(const char *format, ...)
{
	size_t used = strlen(tale);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(tale + used, TALE - used, format, arguments);
	va_end(arguments);
}

/** The signals that are blocked, 1 to 31. */
static uint32_t blocked_in(const sigset_t *set)
{
	uint32_t bits = 0;

	for (int sig = 1; sig < 32; sig++)
		bits |= (uint32_t)(sigismember(set, sig) == 1) << sig;
	return bits;
}

static uint32_t blocked_now(void)
{
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	return blocked_in(&set);
}

/* --- the application's handlers ----------------------------------------------- */

static char altstack[1 << 16];
static int ends[2]; /* of the pipe that the child waits at */
static unsigned depth, calls;

static bool on_altstack(void)
{
	char here;

	return (uintptr_t)&here - (uintptr_t)altstack < sizeof(altstack);
}

/* A second signal out of the first one's handler: nested or put off. */
static void handle(int sig)
{
	depth++;
	tell("[%u:%d mask %x alt %d ", depth, sig, blocked_now(), on_altstack());
	if (calls++ == 0)
		raise(SIGTRAP);
	tell("%u]", depth);
	depth--;
	if (write(ends[1], "x", 1) != 1)
		tell("no write ");
}

static void on_plain(int sig)
{
	handle(sig);
}

/* Whose breakpoint it was, by the byte before ip; and who sent it. */
static void on_siginfo(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t ip = (uintptr_t)uc->uc_mcontext.gregs[ARCH_IP];

	tell("{code %d sender %d value %d ip %s interrupted %x ", info->si_code,
	     info->si_code <= 0 && info->si_pid == getpid(),
	     info->si_code == SI_QUEUE ? info->si_value.sival_int : 0,
	     info->si_code > 0 && *(const unsigned char *)(ip - 1) == 0xcc ? "int3" : "-",
	     blocked_in(&uc->uc_sigmask));
	handle(sig);
	sigaddset(&uc->uc_sigmask, SIGWINCH); /* stays in force */
	tell("}");
}

/* --- what happens -------------------------------------------------------------- */

static void be_sent(void)
{
	raise(SIGTRAP);
}

static void be_queued(void)
{
	union sigval value = { .sival_int = 42 };

	sigqueue(getpid(), SIGTRAP, value);
}

static void own_breakpoint(void)
{
	__asm__ volatile("int3" ::: "memory");
}

struct waiter {
	pid_t tid;
	bool ignored;
};

static void *send_while_it_waits(void *arg)
{
	struct waiter *waiter = arg;

	while (!live_waits_in(waiter->tid, SYS_read))
		;
	syscall(SYS_tgkill, getpid(), waiter->tid, SIGTRAP);
	/* No handler will. */
	if (waiter->ignored && write(ends[1], "y", 1) != 1)
		tell("no write ");
	return NULL;
}

static bool ignored;

/* SA_RESTART: the call goes on after the handler, or ends with EINTR. */
static void be_sent_in_a_call(void)
{
	struct waiter waiter = { live_tid(), ignored };
	pthread_t thread;
	char byte = '-';
	ssize_t n;

	/* An empty one: what earlier handlers wrote must not end the wait. */
	if (pipe(ends))
		_exit(3);
	pthread_create(&thread, NULL, send_while_it_waits, &waiter);
	n = read(ends[0], &byte, 1);
	tell("read %d %s %c ", (int)n, n < 0 ? strerror(errno) : "", byte);
	pthread_join(thread, NULL);
}

static void (*const events[])(void) = { be_sent, be_queued, own_breakpoint, be_sent_in_a_call };
enum { EVENTS = sizeof(events) / sizeof(events[0]) };

/* --- one case -------------------------------------------------------------------- */

enum disposition { HANDLED, IGNORED, DEFAULT };
enum { MASK_NONE, MASK_ONE, MASK_ALL, MASKS };

static const int flag_bits[] = { SA_SIGINFO, SA_ONSTACK, SA_NODEFER, (int)SA_RESETHAND,
				 SA_RESTART };
enum { FLAGS = sizeof(flag_bits) / sizeof(flag_bits[0]), FLAG_SETS = 1 << FLAGS };

struct scene {
	enum disposition disposition;
	int flags, mask, event;
};

static void install(const struct scene *scene)
{
	struct sigaction action = { .sa_flags = scene->flags };

	if (scene->disposition != HANDLED)
		action.sa_handler = scene->disposition == IGNORED ? SIG_IGN : SIG_DFL;
	else if (scene->flags & SA_SIGINFO)
		action.sa_sigaction = on_siginfo;
	else
		action.sa_handler = on_plain;
	sigemptyset(&action.sa_mask);
	if (scene->mask == MASK_ONE)
		sigaddset(&action.sa_mask, SIGUSR1);
	if (scene->mask == MASK_ALL)
		sigfillset(&action.sa_mask);
	sigaction(SIGTRAP, &action, NULL);
	ignored = scene->disposition == IGNORED;
}

static int handler_none(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			struct ftr_regs *regs)
{
	return 0;
}

static void play(const struct scene *scene, bool traced)
{
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
	sigset_t blocked;

	if (pipe(ends))
		_exit(3);
	if (scene->flags & SA_ONSTACK)
		sigaltstack(&stack, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	install(scene);
	if (traced)
		live_attach("traced", handler_none, NULL, 0, live_sites[0]);
	events[scene->event]();
	tell("after %x;", blocked_now());
	events[scene->event]();
	tell("twice %x;", blocked_now());
	_exit(0);
}

static void tale_of(const struct scene *scene, bool traced, char *copy)
{
	pid_t child;
	int status;

	memset(tale, 0, TALE);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		play(scene, traced);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		tell("killed by %d", WTERMSIG(status));
	else
		tell("exit %d", WEXITSTATUS(status));
	strcpy(copy, tale);
}

static void same_with_and_without(const struct scene *scene)
{
	char with[TALE], without[TALE];

	tale_of(scene, false, without);
	tale_of(scene, true, with);
	ck_assert_msg(!strcmp(with, without),
		      "disposition %d, flags %#x, mask %d, event %d:\nwithout: %s\nwith: %s",
		      scene->disposition, (unsigned)scene->flags, scene->mask, scene->event,
		      without, with);
	ck_assert_msg(strstr(with, scene->disposition == HANDLED ? "mask" : "") != NULL,
		      "nothing was handled: %s", with);
}

static void start_telling(void)
{
	tale = mmap(NULL, TALE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(tale, MAP_FAILED);
}

static int flags_of(int set)
{
	int flags = 0;

	for (int i = 0; i < FLAGS; i++)
		flags |= set & 1 << i ? flag_bits[i] : 0;
	return flags;
}

/* _i: every combination of flags; each with every mask and event.  A mask makes
 * no difference to a call that was interrupted. */
START_TEST(test_predecessor_sees_what_it_would_see)
{
	struct scene scene = { .disposition = HANDLED, .flags = flags_of(_i) };

	start_telling();
	for (scene.mask = 0; scene.mask < MASKS; scene.mask++)
		for (scene.event = 0; scene.event < EVENTS - (scene.mask != 0); scene.event++)
			same_with_and_without(&scene);
}
END_TEST

START_TEST(test_ignored_and_default_with_every_flag)
{
	struct scene scene = { .disposition = _i ? IGNORED : DEFAULT };

	start_telling();
	for (int set = 0; set < FLAG_SETS; set += 4) {
		scene.flags = flags_of(set);
		for (scene.event = 0; scene.event < EVENTS; scene.event++)
			same_with_and_without(&scene);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("predecessor");
	TCase *loops = tcase_create("combinations");

	tcase_set_timeout(loops, 60);
	tcase_add_loop_test(loops, test_predecessor_sees_what_it_would_see, 0, FLAG_SETS);
	tcase_add_loop_test(loops, test_ignored_and_default_with_every_flag, 0, 2);
	suite_add_tcase(suite, loops);
	return live_main(suite);
}
