/* SPDX-License-Identifier: MIT */
/*
 * See fault.h.  Floor 3.
 *
 * Who had the signal before is called with the registers as the original would
 * have them at its own address.  Where it returns to there (it may have repaired
 * what was wrong) the copy is run again: the breakpoint was met already.
 * Everything that runs in the handler is FTR__BARE.
 */
#include "lib/fault.h"

#include "lib/chain.h"

bool (*ftr__fault_locate)(uintptr_t ip, bool behind, struct ftr__fault_place *place);
ftr__counter ftr__fault_count;

static void handler(int sig, siginfo_t *info, void *ucontext);

#define CHAIN(signal) { .sig = signal, .handler = handler, .as_predecessor = true, .raised = true }
static struct ftr__chain chains[] = { CHAIN(SIGSEGV), CHAIN(SIGBUS), CHAIN(SIGFPE), CHAIN(SIGILL),
				       CHAIN(SIGSYS) };

FTR__BARE static struct ftr__chain *chain_of(int sig)
{
	size_t i = 0;

	while (chains[i].sig != sig)
		i++;
	return &chains[i];
}

/* SIGFPE and SIGILL tell of the instruction, SIGSYS of what is behind it (and where
 * the others have their si_addr), the others of memory (sigaction(2)). */
FTR__BARE static void tell_original(int sig, siginfo_t *info, uintptr_t copy, uintptr_t original)
{
	if (sig != SIGSEGV && sig != SIGBUS && (uintptr_t)info->si_addr == copy)
		info->si_addr = (void *)original;
}

/* A system call that a seccomp(2) filter refuses, and an overflow, leave the address
 * behind the instruction. */
FTR__BARE static bool find(int sig, const siginfo_t *info, const void *ucontext,
			   struct ftr__fault_place *place)
{
	bool behind = sig == SIGSYS || ftr__backend->trap_overflowed(ucontext);

	return !ftr__was_sent(info) && ftr__fault_locate &&
	       ftr__fault_locate(ftr__backend->trap_ip(ucontext), behind, place);
}

FTR__BARE static void handler(int sig, siginfo_t *info, void *ucontext)
{
	uintptr_t ip = ftr__backend->trap_ip(ucontext);
	struct ftr__fault_place place;
	bool ours = find(sig, info, ucontext, &place);

	if (ours) {
		ftr__count(&ftr__fault_count);
		ftr__backend->trap_undo(ucontext, place.step);
		ftr__backend->trap_resume(ucontext, place.ip);
		tell_original(sig, info, ip, place.ip);
	}
	bool handled = ftr__chain_forward(chain_of(sig), sig, info, ucontext);
	if (ours && handled && ftr__backend->trap_ip(ucontext) == place.ip)
		ftr__backend->trap_resume(ucontext, place.again);
}

int ftr__fault_install(void)
{
	int result = 0;

	for (size_t i = 0; i < FTR__ARRAY_SIZE(chains) && !result; i++)
		result = ftr__chain_install(&chains[i]);
	return result;
}

void ftr__fault_uninstall(void)
{
	for (size_t i = 0; i < FTR__ARRAY_SIZE(chains); i++)
		ftr__chain_uninstall(&chains[i]);
}
