/* SPDX-License-Identifier: MIT */
/*
 * The floor of a batch: what the int3 protocol costs when nothing is checked,
 * nothing looked up and no memory had.
 *
 *	1. make the text writable, all of it by one mprotect
 *	2. int3 on every head, sync
 *	3. every tail, sync
 *	4. every head, sync
 *	5. make the text read-execute again
 *
 * "Sync" is one membarrier(2) that makes every core of the process serialise.
 * bench_stores() has one pass and one sync instead of 2 to 4.
 */
#include "bench/protocol.h"

#include <linux/membarrier.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static const unsigned char nop[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static struct sigaction before;

static void sync_cores(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0))
		bench_fail("membarrier failed");
}

static void protect(const struct bench_module *module, int protection)
{
	uintptr_t end = (module->text_end + 4095) & ~(uintptr_t)4095;

	if (mprotect((void *)module->text, end - module->text, protection))
		bench_fail("mprotect failed");
}

void bench_protocol_start(const struct bench_module *module, int populate)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0))
		bench_fail("membarrier can't be registered");
	if (!populate)
		return;
	protect(module, PROT_READ | PROT_WRITE | PROT_EXEC);
	for (uintptr_t page = module->text; page < module->text_end; page += 4096)
		__atomic_fetch_or((unsigned char *)page, 0, __ATOMIC_RELAXED);
	protect(module, PROT_READ | PROT_EXEC);
}

void bench_protocol(const struct bench_module *module, uintptr_t target)
{
	const uintptr_t *site;

	protect(module, PROT_READ | PROT_WRITE | PROT_EXEC);
	for (site = module->sites; site < module->sites_end; site++)
		*(volatile unsigned char *)*site = 0xcc;
	sync_cores();
	for (site = module->sites; site < module->sites_end; site++) {
		int32_t tail = (int32_t)(target - *site - 5);

		memcpy((void *)(*site + 1), target ? (const void *)&tail : nop + 1, 4);
	}
	sync_cores();
	for (site = module->sites; site < module->sites_end; site++)
		*(volatile unsigned char *)*site = target ? 0xe8 : nop[0];
	sync_cores();
	protect(module, PROT_READ | PROT_EXEC);
}

void bench_stores(const struct bench_module *module, uintptr_t target)
{
	const uint64_t behind = ~(uint64_t)0xffffffffff;

	protect(module, PROT_READ | PROT_WRITE | PROT_EXEC);
	for (const uintptr_t *site = module->sites; site < module->sites_end; site++) {
		volatile uint64_t *word = (volatile uint64_t *)*site;
		uint64_t call = 0xe8 | (uint64_t)(uint32_t)(target - *site - 5) << 8;

		*word = (*word & behind) | (target ? call : 0x0000441f0f);
	}
	sync_cores();
	protect(module, PROT_READ | PROT_EXEC);
}

/* Every breakpoint met is one of ours, or of a batch that has just ended: in
 * both cases falling through, as the nop does, is what the site did before. */
static void resume(int sig, siginfo_t *info, void *ucontext)
{
	((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP] += 4;
}

void bench_traps_take(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = resume;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigfillset(&action.sa_mask);
	if (sigaction(SIGTRAP, &action, &before))
		bench_fail("sigaction failed");
}

void bench_traps_give(void)
{
	if (sigaction(SIGTRAP, &before, NULL))
		bench_fail("sigaction failed");
}
