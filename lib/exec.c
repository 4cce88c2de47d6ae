/* SPDX-License-Identifier: MIT */
/*
 * Code comes to its place as private read-execute pages of a memory file that
 * was written and closed before: no page is ever both writable and executable,
 * not even one after the other, so this works under PR_SET_MDWE too.  Where
 * memory files may not be executed (vm.memfd_noexec), anonymous pages are
 * written first and made executable after.  Floor 1; no state.
 */
#include "lib/exec.h"

#include <sys/mman.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/maps.h"
#include "lib/sys.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static int reserve_at(uintptr_t at, size_t code_size, size_t data_size)
{
	void *p = mmap((void *)at, code_size + data_size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	/* Kernels before 4.17 take the address as a hint. */
	if ((uintptr_t)p != at) {
		munmap(p, code_size + data_size);
		return -EEXIST;
	}
	if (mprotect((void *)(at + code_size), data_size, PROT_READ | PROT_WRITE) == 0)
		return 0;
	int error = errno;
	munmap(p, code_size + data_size);
	return -error;
}

int ftr__exec_reserve(uintptr_t low, uintptr_t high, size_t code_size, size_t data_size,
		      bool highest, uintptr_t *at)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	int result = -EEXIST;

	/* Another thread may take the gap between the look and the mapping. */
	for (int tries = 0; result == -EEXIST && tries < 16; tries++) {
		struct ftr__maps maps;
		result = ftr__maps_read(&maps);
		if (result)
			return result;
		*at = ftr__maps_gap(&maps, ftr__align_up(low, page), ftr__align_down(high, page),
				    code_size + data_size, page, highest);
		ftr__maps_free(&maps);
		if (!*at)
			return ftr__fail(ENOSPC, "no room for %zu bytes of trampolines in"
					 " %#lx-%#lx", code_size + data_size, (unsigned long)low,
					 (unsigned long)high);
		result = reserve_at(*at, code_size, data_size);
	}
	if (result)
		return ftr__fail(ENOMEM, "mmap of %zu bytes for trampolines failed (errno %d)",
				 code_size + data_size, -result);
	return 0;
}

/* Descriptor, or negative. */
FTR__BARE static long memory_file(const void *code, size_t size)
{
	static const char name[] = "ftr-trampolines";
	long fd = ftr__syscall(SYS_memfd_create, (long)name, MFD_CLOEXEC | MFD_EXEC, 0, 0, 0, 0);

	if (fd == -EINVAL)
		fd = ftr__syscall(SYS_memfd_create, (long)name, MFD_CLOEXEC, 0, 0, 0, 0);
	if (fd < 0 || ftr__syscall(SYS_write, fd, (long)code, (long)size, 0, 0, 0) == (long)size)
		return fd;
	ftr__syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return -1;
}

FTR__BARE static bool seal_by_file(uintptr_t at, const void *code, size_t size)
{
	long fd = memory_file(code, size);

	if (fd < 0)
		return false;
	long p = ftr__syscall(
#ifdef SYS_mmap2
		SYS_mmap2,
#else
		SYS_mmap,
#endif
		(long)at, (long)size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
	ftr__syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return p == (long)at;
}

/* Words: a loop over bytes would be made a call of memcpy(3). */
FTR__BARE static long seal_by_mprotect(uintptr_t at, const void *code, size_t size)
{
	volatile uintptr_t *to = (volatile uintptr_t *)at;
	const uintptr_t *from = code;
	long result = ftr__syscall(SYS_mprotect, (long)at, (long)size, PROT_READ | PROT_WRITE,
				   0, 0, 0);

	if (result < 0)
		return result;
	for (size_t i = 0; i < size / sizeof *to; i++)
		to[i] = from[i];
	return ftr__syscall(SYS_mprotect, (long)at, (long)size, PROT_READ | PROT_EXEC, 0, 0, 0);
}

FTR__BARE bool ftr__exec_seal_quietly(uintptr_t at, const void *code, size_t size)
{
	return seal_by_file(at, code, size) || seal_by_mprotect(at, code, size) == 0;
}

static int refused(long error)
{
	return ftr__fail(EACCES, "trampolines can't be made executable (errno %ld): a security"
			 " policy of the system forbids it", error);
}

int ftr__exec_seal(uintptr_t at, const void *code, size_t code_size)
{
	if (seal_by_file(at, code, code_size))
		return 0;
	long result = seal_by_mprotect(at, code, code_size);
	return result ? refused(-result) : 0;
}

/* A mapping over another one takes its place while nobody can fault it in. */
int ftr__exec_replace(uintptr_t at, const void *code, size_t code_size)
{
	return seal_by_file(at, code, code_size) ? 0 : refused(EMFILE);
}

/* Tried on a page of no one's. */
bool ftr__exec_replaces(void)
{
	static bool known;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (known)
		return true;
	void *p = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	known = seal_by_file((uintptr_t)p, "", 1);
	munmap(p, page);
	return known;
}
