/* SPDX-License-Identifier: MIT */
/*
 * The functions that bench/i386/entry.c measures, each with the loop that calls
 * it, and the floors: the least that a call from a function's entry to a C
 * handler can cost, with nothing between them.
 *
 *	void bench_loop_NAME(long n)	calls bench_fn_NAME n times, n > 0
 *
 * The functions differ in their first instruction alone: none, a site, a call
 * of a floor.  Each begins a cache line, and so does each loop.
 */
	.text

	.macro	begin name
	.p2align 6
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	.endm

	.macro	end name
	.size	\name, . - \name
	.endm

/* --- floors ---------------------------------------------------------------- */

#define SITE_LENGTH	5

/*
 * State on entry (called from a site at a function's start):
 *
 *	4(%esp)	the traced function's return address
 *	0(%esp)	the site's end, where execution goes on
 *
 * %esp is 8 below a multiple of 16.  On exit every general register is as it
 * was; the flags are not, but for the one that says so.  The handler gets ip
 * and parent_ip.
 *
 *	20(%esp)	the traced function's return address
 *	16(%esp)	the site's end
 *	12 .. 4(%esp)	eax ecx edx
 */
	begin	bench_floor_gpr
	pushl	%eax
	pushl	%ecx
	pushl	%edx
	leal	-4(%esp), %esp
	movl	16(%esp), %eax
	pushl	20(%esp)
	subl	$SITE_LENGTH, %eax
	pushl	%eax
	call	bench_handler
	leal	12(%esp), %esp
	popl	%edx
	popl	%ecx
	popl	%eax
	ret
	end	bench_floor_gpr

/* The same and the vector registers 0-7, in an area aligned to a cache line. */
	.macro	floor_vectors name, move, vec, width
	begin	\name
	pushl	%ebp
	movl	%esp, %ebp
	pushl	%eax
	pushl	%ecx
	pushl	%edx
	subl	$(8*\width), %esp
	andl	$-64, %esp
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\move	%\vec\n, \n*\width(%esp)
	.endr
	movl	4(%ebp), %eax
	subl	$8, %esp
	pushl	8(%ebp)
	subl	$SITE_LENGTH, %eax
	pushl	%eax
	call	bench_handler
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\move	16+\n*\width(%esp), %\vec\n
	.endr
	leal	-12(%ebp), %esp
	popl	%edx
	popl	%ecx
	popl	%eax
	popl	%ebp
	ret
	end	\name
	.endm

	floor_vectors bench_floor_xmm, movaps, xmm, 16
	floor_vectors bench_floor_ymm, vmovaps, ymm, 32
	floor_vectors bench_floor_zmm, vmovaps, zmm, 64

/* All general registers, and a pointer to them for the handler. */
	.macro	floor_pusha name, flags
	begin	\name
	.if	\flags
	pushfl
	.endif
	pushal
	movl	%esp, %ecx
	leal	-12+4*\flags(%esp), %esp
	movl	32+4*\flags(%ecx), %eax
	pushl	%ecx
	pushl	36+4*\flags(%ecx)
	subl	$SITE_LENGTH, %eax
	pushl	%eax
	call	bench_handler
	leal	24-4*\flags(%esp), %esp
	popal
	.if	\flags
	popfl
	.endif
	ret
	end	\name
	.endm

	floor_pusha bench_floor_pusha, 0
	floor_pusha bench_floor_flags, 1

/* --- subjects --------------------------------------------------------------- */

	.macro	subject name, kind:vararg
	.p2align 6
	.type	bench_fn_\name, @function
bench_fn_\name:
	\kind
	movl	4(%esp), %eax
	incl	%eax
	ret
	.size	bench_fn_\name, . - bench_fn_\name

/* %ebx counts; the stack is as a C caller leaves it. */
	.p2align 6
	.globl	bench_loop_\name
	.type	bench_loop_\name, @function
bench_loop_\name:
	pushl	%ebx
	subl	$8, %esp
	movl	16(%esp), %ebx
	.p2align 5
1:	movl	%ebx, (%esp)
	call	bench_fn_\name
	decl	%ebx
	jnz	1b
	addl	$8, %esp
	popl	%ebx
	ret
	.size	bench_loop_\name, . - bench_loop_\name
	.endm

/* A place the library finds: one five-byte nop and its record. */
	.macro	site
	.section __patchable_function_entries, "aw", @progbits
	.p2align 2
	.long	1f
	.text
1:	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	.endm

	.macro	nothing
	.endm

	subject	plain,		nothing
	subject	off,		site
	subject	args_nosimd,	site
	subject	args,		site
	subject	flat_nosimd,	site
	subject	flat_looked_at,	site
	subject	flat,		site
	subject	overlay_nosimd,	site
	subject	floor_gpr,	call bench_floor_gpr
	subject	floor_xmm,	call bench_floor_xmm
	subject	floor_ymm,	call bench_floor_ymm
	subject	floor_zmm,	call bench_floor_zmm
	subject	floor_pusha,	call bench_floor_pusha
	subject	floor_flags,	call bench_floor_flags

	.section .note.GNU-stack, "", @progbits
