/* SPDX-License-Identifier: MIT */
/*
 * long ftr__syscall(long number, long a, long b, long c, long d, long e, long f)
 *
 * On entry  4(%esp) number, 8(%esp) and up a..f (psABI i386, "Function Calling
 * Sequence").  The kernel takes eax, ebx ecx edx esi edi ebp, and changes eax
 * alone.
 * On exit   eax the result or a negative errno; ebx esi edi ebp as on entry.
 *
 * By the kernel's own entry, the vDSO's __kernel_vsyscall, whose address the C
 * library keeps in each thread's control block (vdso(7); glibc and musl agree on
 * the place): int 0x80 takes microseconds where a hypervisor looks at it.
 */
#define SYSINFO 0x10

	.text
	.globl	ftr__syscall
	.hidden	ftr__syscall
	.type	ftr__syscall, @function
	.balign	16
ftr__syscall:
	.cfi_startproc
	pushl	%ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebx, 0
	pushl	%esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %esi, 0
	pushl	%edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %edi, 0
	pushl	%ebp
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebp, 0
	movl	20(%esp), %eax
	movl	24(%esp), %ebx
	movl	28(%esp), %ecx
	movl	32(%esp), %edx
	movl	36(%esp), %esi
	movl	40(%esp), %edi
	movl	44(%esp), %ebp
	call	*%gs:SYSINFO
	popl	%ebp
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebp
	popl	%edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %edi
	popl	%esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %esi
	popl	%ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebx
	ret
	.cfi_endproc
	.size	ftr__syscall, . - ftr__syscall

	.section .note.GNU-stack, "", @progbits
