/* SPDX-License-Identifier: MIT */
/*
 * The i386 backend with the push that must not be: below the interrupted stack
 * pointer, from the trap handler.  A test of P8 that is built with it has to
 * fail.
 */
#define ftr__backend true_backend
#include "backends/i386/backend.c"
#undef ftr__backend

FTR__BARE static bool push_call(void *ucontext, uintptr_t next, uintptr_t target,
				ftr__stub_fn *stub)
{
	uintptr_t sp = ftr__x86_trap_sp(ucontext) - sizeof next;

	*(uintptr_t *)sp = next;
	ftr__x86_gregs(ucontext)[REG_ESP] = (greg_t)sp;
	ftr__x86_trap_resume(ucontext, target);
	return true;
}

FTR__BARE static bool naive_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes,
				    unsigned length, ftr__stub_fn *stub)
{
	return ftr__x86_emulate(ucontext, ip, bytes, length, push_call, stub);
}

static struct ftr_backend naive;
const struct ftr_backend *const ftr__backend = &naive;

static void __attribute__((constructor)) copy_backend(void)
{
	naive = backend;
	naive.trap_emulate = naive_emulate;
}
