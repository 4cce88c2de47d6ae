/* SPDX-License-Identifier: MIT */
/*
 * B2, P7: a displaced instruction that faults: the program's handler sees it where
 * it was, with the registers that it had, and may repair, go elsewhere or jump away.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "tests/live/probed.h"

#ifdef __x86_64__
#define REG_POINTER REG_RDI
#define REG_DIVISOR REG_RSI
#define REG_RESULT REG_RAX
#else
#define REG_POINTER REG_EDX
#define REG_DIVISOR REG_ECX
#define REG_RESULT REG_EAX
#endif

static unsigned long pres, posts, faults;
static uintptr_t fault_ip, fault_sp, pre_sp, resume_at;
static void *fault_addr;
static int fault_code;
static long good = 41;
static sigjmp_buf away;

static int pre_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	pre_sp = ftr_regs_sp(regs);
	return 0;
}

static void post_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
}

static greg_t *gregs_of(void *context)
{
	return ((ucontext_t *)context)->uc_mcontext.gregs;
}

static void note_fault(siginfo_t *info, void *context)
{
	faults++;
	fault_ip = (uintptr_t)gregs_of(context)[ARCH_IP];
	fault_sp = (uintptr_t)gregs_of(context)[ARCH_SP];
	fault_addr = info->si_addr;
	fault_code = info->si_code;
}

static void on_fault_repair(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
	gregs_of(context)[sig == SIGFPE ? REG_DIVISOR : REG_POINTER] =
		sig == SIGFPE ? 2 : (greg_t)&good;
}

static void on_fault_go_on(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
	gregs_of(context)[ARCH_IP] = (greg_t)resume_at;
}

static void on_fault_jump(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
	siglongjmp(away, 1);
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	ck_assert_int_eq(sigaction(sig, &action, NULL), 0);
}

static void expect_fault(const char *insn, int code)
{
	ck_assert_uint_eq(faults, 1);
	ck_assert_uint_eq(fault_ip, (uintptr_t)insn);
	ck_assert_uint_eq(fault_sp, pre_sp);
	ck_assert_int_eq(fault_code, code);
	faults = 0;
}

/* The copy is run again, the handlers before it are not. */
START_TEST(test_handler_repairs)
{
	struct ftr_probe *probe;

	handle(SIGSEGV, on_fault_repair, 0);
	probe = probe_on(probed_load_insn, pre_look, _i ? post_look : NULL, NULL);
	ck_assert_int_eq(probed_load(NULL), 42);
	expect_fault(probed_load_insn, SEGV_MAPERR);
	ck_assert_ptr_null(fault_addr);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, (unsigned)_i);
	ck_assert_int_eq(probed_load(&good), 42);
	ck_assert_uint_eq(faults, 0);
	ck_assert_uint_eq(pres, 2);
	ck_assert_uint_eq(live_stats().faults, 1);
	probe_off(probe);
}
END_TEST

static long give_ten(void)
{
	return 10;
}

static long (*const to_ten)(void) = give_ten;

static void on_fault_point_to_ten(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
	gregs_of(context)[REG_POINTER] = (greg_t)&to_ten;
}

/* The stack was lowered when the copy faulted. */
START_TEST(test_fault_of_a_call)
{
	struct ftr_probe *probe;

	handle(SIGSEGV, on_fault_point_to_ten, 0);
	probe = probe_on(probed_call_via_insn, pre_look, _i ? post_look : NULL, NULL);
	ck_assert_int_eq(probed_call_via(NULL), 11);
	expect_fault(probed_call_via_insn, SEGV_MAPERR);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, (unsigned)_i);
	probe_off(probe);
}
END_TEST

/* --- each signal ------------------------------------------------------------------- */

static char *pages;
static int file;

/* Two pages, the second of which is none. */
static void map_pages(void)
{
	file = memfd_create("pages", 0);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, 4096), 0);
	pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ck_assert_ptr_ne(pages, MAP_FAILED);
}

static void on_fault_lengthen(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
	ck_assert_int_eq(sig, SIGBUS);
	ck_assert_int_eq(ftruncate(file, 8192), 0);
}

/* SIGBUS, in the middle of a repeated instruction, which goes on where it was. */
START_TEST(test_fault_halfway)
{
	struct ftr_probe *probe;
	char from[64];
	long result;

	map_pages();
	memset(from, 'x', sizeof(from));
	handle(SIGBUS, on_fault_lengthen, 0);
	probe = probe_on(probed_copy_insn, pre_look, _i ? post_look : NULL, NULL);
	result = probed_copy(pages + 4096 - 20, from, sizeof(from));
	expect_fault(probed_copy_insn, BUS_ADRERR);
	ck_assert_int_eq(result, 0);
	ck_assert_mem_eq(pages + 4096 - 20, from, sizeof(from));
	ck_assert_ptr_eq(fault_addr, pages + 4096);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, (unsigned)_i);
	probe_off(probe);
}
END_TEST

/* SIGILL: who emulates the instruction goes on behind it. */
START_TEST(test_illegal_instruction)
{
	struct ftr_probe *probe;

	resume_at = (uintptr_t)probed_illegal_next;
	handle(SIGILL, on_fault_go_on, 0);
	probe = probe_on(probed_illegal_insn, pre_look, post_look, NULL);
	ck_assert_int_eq(probed_illegal(3), 4);
	expect_fault(probed_illegal_insn, ILL_ILLOPN);
	ck_assert_ptr_eq(fault_addr, probed_illegal_insn);
	ck_assert_uint_eq(posts, 0);
	probe_off(probe);
}
END_TEST

static void on_fault_return(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
}

/* One that is told behind the instruction, which is done. */
START_TEST(test_overflow)
{
	struct ftr_probe *probe;

	handle(SIGSEGV, on_fault_return, 0);
	ck_assert_int_eq(probed_overflow(3), 4);
	ck_assert_uint_eq(fault_ip, (uintptr_t)probed_overflow_next);
	faults = fault_ip = 0;
	probe = probe_on(probed_overflow_insn, pre_look, _i ? post_look : NULL, NULL);
	ck_assert_int_eq(probed_overflow(3), 4);
	expect_fault(probed_overflow_next, SI_KERNEL);
	ck_assert_uint_eq(posts, (unsigned)_i);
	probe_off(probe);
}
END_TEST

/* read(2) of descriptor 77 raises SIGSYS, as in a sandbox. */
static void refuse_reads(void)
{
	enum { ARGUMENT = offsetof(struct seccomp_data, args) };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 77, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void on_refused(int sig, siginfo_t *info, void *context)
{
	note_fault(info, context);
	fault_addr = info->si_call_addr;
	gregs_of(context)[REG_RESULT] = 12;
}

/* SIGSYS: the handler answers in the kernel's place. */
START_TEST(test_refused_system_call)
{
	struct ftr_probe *probe;

	handle(SIGSYS, on_refused, 0);
	probe = probe_on(probed_read_insn, pre_look, _i ? post_look : NULL, NULL);
	refuse_reads();
	ck_assert_int_eq(probed_read(77, pages, 0), 12);
	expect_fault(probed_read_next, 1 /* SYS_SECCOMP */);
	ck_assert_ptr_eq(fault_addr, probed_read_next);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, (unsigned)_i);
	ck_assert_int_eq(probed_read(-1, pages, 0), -EBADF);
	ck_assert_uint_eq(faults, 0);
	probe_off(probe);
}
END_TEST

/* --- how handlers run ---------------------------------------------------------------- */

static char alternate[64 << 10];
static bool on_alternate;
static sigset_t mask_inside;

static void on_fault_look(int sig, siginfo_t *info, void *context)
{
	char here;

	on_alternate = (uintptr_t)&here - (uintptr_t)alternate < sizeof(alternate);
	pthread_sigmask(SIG_BLOCK, NULL, &mask_inside);
	on_fault_repair(sig, info, context);
}

/* On the stack and with the mask that it was installed with (P7). */
START_TEST(test_stack_and_mask_of_the_handler)
{
	struct sigaction action = { .sa_sigaction = on_fault_look, .sa_flags = SA_SIGINFO };
	struct ftr_probe *probe;
	sigset_t after;

	action.sa_flags |= _i & 1 ? SA_ONSTACK : 0;
	action.sa_flags |= _i & 2 ? SA_NODEFER : 0;
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaltstack(&(stack_t){ .ss_sp = alternate, .ss_size = sizeof(alternate) }, NULL);
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	probe = probe_on(probed_load_insn, pre_look, NULL, NULL);
	ck_assert_int_eq(probed_load(NULL), 42);
	expect_fault(probed_load_insn, SEGV_MAPERR);
	ck_assert_int_eq(on_alternate, _i & 1);
	ck_assert(sigismember(&mask_inside, SIGUSR2));
	ck_assert(!sigismember(&mask_inside, SIGTRAP));
	ck_assert_int_eq(sigismember(&mask_inside, SIGSEGV), !(_i & 2));
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	ck_assert(!sigismember(&after, SIGUSR2) && !sigismember(&after, SIGSEGV));
	probe_off(probe);
}
END_TEST

/* Of SIGFPE the address of the instruction is told. */
START_TEST(test_fault_that_tells_of_the_instruction)
{
	struct ftr_probe *probe;

	handle(SIGFPE, on_fault_repair, 0);
	probe = probe_on(probed_divide_insn, pre_look, NULL, NULL);
	ck_assert_int_eq(probed_divide(14, 0), 7);
	expect_fault(probed_divide_insn, FPE_INTDIV);
	ck_assert_uint_eq((uintptr_t)fault_addr, (uintptr_t)probed_divide_insn);
	probe_off(probe);
}
END_TEST

START_TEST(test_handler_goes_elsewhere)
{
	struct ftr_probe *probe;

	resume_at = (uintptr_t)probed_load_next;
	handle(SIGSEGV, on_fault_go_on, 0);
	probe = probe_on(probed_load_insn, pre_look, post_look, NULL);
	probed_load(NULL);
	expect_fault(probed_load_insn, SEGV_MAPERR);
	ck_assert_uint_eq(posts, 0);
	probe_off(probe);
}
END_TEST

START_TEST(test_handler_jumps_away)
{
	struct ftr_probe *probe;

	handle(SIGSEGV, on_fault_jump, SA_NODEFER);
	probe = probe_on(probed_load_insn, pre_look, post_look, NULL);
	for (volatile int i = 0; i < 3; i++) {
		if (!sigsetjmp(away, 0))
			probed_load(NULL);
		expect_fault(probed_load_insn, SEGV_MAPERR);
	}
	ck_assert_uint_eq(pres, 3);
	ck_assert_uint_eq(posts, 0);
	/* It counts as outside: nothing is waited for. */
	probe_off(probe);
}
END_TEST

/* Installed after the probe: the next enabling finds it. */
START_TEST(test_handler_that_comes_later)
{
	struct ftr_probe *probe = probe_on(probed_load_insn, pre_look, NULL, NULL), *other;

	handle(SIGSEGV, on_fault_repair, 0);
	other = probe_on(probed_add_middle, pre_look, NULL, NULL);
	ck_assert_int_eq(probed_load(NULL), 42);
	expect_fault(probed_load_insn, SEGV_MAPERR);
	probe_off(other);
	/* The library's handler blocks no more than that one: not SIGTRAP. */
	probe_off(probe_on(probed_add_middle, pre_look, NULL, NULL));
	probe_off(probe);
}
END_TEST

/* Faults of other code are the program's as they are; so are signals that are sent. */
START_TEST(test_other_faults)
{
	struct ftr_probe *probe;

	handle(SIGSEGV, on_fault_repair, 0);
	probe = probe_on(probed_add_middle, pre_look, NULL, NULL);
	ck_assert_int_eq(probed_load(NULL), 42);
	ck_assert_uint_eq(faults, 1);
	ck_assert_uint_eq(fault_ip, (uintptr_t)probed_load_insn);
	ck_assert_uint_eq(pres, 0);
	raise(SIGSEGV);
	ck_assert_uint_eq(faults, 2);
	ck_assert_int_eq(fault_code, SI_TKILL);
	ck_assert_uint_eq(live_stats().faults, 0);
	probe_off(probe);
}
END_TEST

/* Once, where the handler was installed so (SA_RESETHAND); then it dies of it. */
static void expect_death(int sig)
{
	pid_t child = fork();
	int status;

	if (!child) {
		probed_load(NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), sig);
}

START_TEST(test_default_action)
{
	struct ftr_probe *probe;

	signal(SIGSEGV, _i ? SIG_IGN : SIG_DFL);
	probe = probe_on(probed_load_insn, pre_look, NULL, NULL);
	expect_death(SIGSEGV);
	probe_off(probe);
	handle(SIGSEGV, on_fault_repair, SA_RESETHAND);
	probe = probe_on(probed_load_insn, pre_look, NULL, NULL);
	ck_assert_int_eq(probed_load(NULL), 42);
	expect_death(SIGSEGV);
	probe_off(probe);
}
END_TEST

/* Shutdown gives the signals back. */
START_TEST(test_signals_are_given_back)
{
	struct sigaction action;

	handle(SIGSEGV, on_fault_repair, SA_ONSTACK);
	signal(SIGBUS, SIG_DFL);
	probe_off(probe_on(probed_load_insn, pre_look, NULL, NULL));
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &action), 0);
	ck_assert(action.sa_sigaction != on_fault_repair);
	ck_ok(ftr_shutdown());
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &action), 0);
	ck_assert(action.sa_sigaction == on_fault_repair);
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe faults");
	TCase *both = tcase_create("with and without a handler behind it");

	tcase_add_loop_test(both, test_handler_repairs, 0, 2);
	tcase_add_loop_test(both, test_fault_of_a_call, 0, 2);
	tcase_add_loop_test(both, test_default_action, 0, 2);
	tcase_add_loop_test(both, test_fault_halfway, 0, 2);
	tcase_add_loop_test(both, test_overflow, 0, 2);
	tcase_add_loop_test(both, test_refused_system_call, 0, 2);
	suite_add_tcase(suite, both);
	LIVE_CASE(suite, test_illegal_instruction, 10);
	LIVE_LOOP(suite, test_stack_and_mask_of_the_handler, 0, 4, 10);
	LIVE_CASE(suite, test_fault_that_tells_of_the_instruction, 10);
	LIVE_CASE(suite, test_handler_goes_elsewhere, 10);
	LIVE_CASE(suite, test_handler_jumps_away, 10);
	LIVE_CASE(suite, test_handler_that_comes_later, 10);
	LIVE_CASE(suite, test_other_faults, 10);
	LIVE_CASE(suite, test_signals_are_given_back, 10);
	return live_main(suite);
}
