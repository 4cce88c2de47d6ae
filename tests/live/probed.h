/* SPDX-License-Identifier: MIT */
/*
 * Functions without sites, and places in them (probed.S of the architecture); and
 * short words for probes.
 */
#ifndef TESTS_PROBED_H
#define TESTS_PROBED_H

#include <asm/ptrace.h>

#include <sys/mman.h>

#include "arch.h"
#include "tests/live/live.h"

extern const char *const probed_begins[], *const probed_begins_end[];
extern const char probed_mixed_end[], probed_add_middle[], probed_add_next[], probed_many_first[],
	probed_many_last[], probed_load_insn[], probed_load_next[], probed_divide_insn[], probed_read_insn[],
	probed_read_next[], probed_call_via_insn[],
	probed_sp_insn[], probed_calls_insn[], probed_calls_next[], probed_calls_ret[],
	probed_nested_insn[], probed_nested_ret[],
	probed_branch_insn[], probed_branch_next[], probed_branch_target[], probed_int3[],
	probed_copy_insn[], probed_overflow_insn[], probed_overflow_next[], probed_illegal_insn[],
	probed_illegal_next[], probed_system_insn[], probed_system_next[], probed_spawn_insn[],
	probed_spawn_exit[], probed_restorer_insn[], probed_far_iret[], probed_far_ret[],
	probed_steps_set[], probed_steps_first[],
	probed_ud2[], probed_xbegin[], probed_unknown[], probed_unknown_middle[],
	probed_rseq_start[], probed_rseq_middle[], probed_rseq_commit[], probed_rseq_abort[];
void probed_call(live_fn fn);
long probed_mixed(long), probed_add(long), probed_nested(long), probed_many(long), probed_load(const long *),
	probed_divide(long, long), probed_read(long fd, void *to, size_t n),
	probed_call_via(long (*const *)(void)), probed_sp(long), probed_calls(long, long (*)(long)),
	probed_branch(long), probed_no_code(void), probed_rseq(long),
	probed_copy(void *to, const void *from, size_t n), probed_overflow(long),
	probed_illegal(long), probed_system(long nr, ...), probed_spawn(long nr, long, long),
	probed_restorer(void), probed_far(void), probed_steps(long);

/** How many bytes of instructions probed_many() has. */
enum { PROBED_MANY = 10000 };

/* Names in a pt_regs. */
#ifdef __x86_64__
#define PT_IP    rip
#define PT_SP    rsp
#define PT_AX    rax
#define PT_FLAGS eflags
#define PT_ORIG  orig_rax
#else
#define PT_IP    eip
#define PT_SP    esp
#define PT_AX    eax
#define PT_FLAGS eflags
#define PT_ORIG  orig_eax
#endif

/** A probe by address, not enabled. */
static inline struct ftr_probe *probe_at(const void *at, ftr_pre_fn pre, ftr_post_fn post,
					 void *data, uint32_t flags)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe = NULL;

	options.addr = (uintptr_t)at;
	options.pre = pre;
	options.post = post;
	options.data = data;
	options.flags = flags;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_assert_ptr_nonnull(probe);
	return probe;
}

/** The same, enabled. */
static inline struct ftr_probe *probe_on(const void *at, ftr_pre_fn pre, ftr_post_fn post,
					 void *data)
{
	struct ftr_probe *probe = probe_at(at, pre, post, data, 0);

	ck_ok(ftr_probe_enable(probe));
	return probe;
}

/** A byte of text, as it is now. */
static inline unsigned char probed_byte(const void *at)
{
	return *(const volatile unsigned char *)at;
}

/** Write a byte of text, as a debugger would. */
static inline void live_write_text(const void *at, unsigned char byte)
{
	uintptr_t page = (uintptr_t)at & ~4095ul;

	ck_assert_int_eq(mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	*(volatile unsigned char *)(uintptr_t)at = byte;
	ck_assert_int_eq(mprotect((void *)page, 4096, PROT_READ | PROT_EXEC), 0);
}

static inline void probe_off(struct ftr_probe *probe)
{
	ck_ok(ftr_probe_disable(probe));
	ck_ok(ftr_probe_free(probe));
}

#endif /* TESTS_PROBED_H */
