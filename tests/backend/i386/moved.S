/* SPDX-License-Identifier: MIT */
/*
 * Functions that know where they are, for test_relocate.c: each is moved as a
 * whole, its copies are called with the same argument, and have to return the
 * same.  From one to sixteen instructions.
 */
	.macro	BEGIN name, level=0
	.pushsection .rodata.names, "a", @progbits
.Lname_\name:
	.asciz	"\name"
	.popsection
	.pushsection .data.rel.ro.moved, "aw", @progbits
	.long	\name, .Lend_\name, .Lname_\name, \level
	.popsection
	.balign	16
	.type	\name, @function
\name:
	.cfi_startproc
	.endm

	.macro	END name
	.cfi_endproc
.Lend_\name:
	.size	\name, . - \name
	ud2
	.endm

	.pushsection .data.rel.ro.moved, "aw", @progbits
	.globl	moved_functions, moved_functions_end
moved_functions:
	.popsection

	.text
	.balign	16
helper:	lea	3(%edx), %eax
	ret
away:	mov	4(%esp), %eax
	add	$7, %eax
	ret
away_and_pop:
	pop	%eax
	mov	4(%esp), %eax
	add	$9, %eax
	ret
thunk:	mov	(%esp), %eax
	ret

BEGIN call_pushes_its_own_address
	call	1f
1:	pop	%eax
	ret
END call_pushes_its_own_address

BEGIN call_of_a_thunk
	call	thunk
	lea	1(%eax), %eax
	ret
END call_of_a_thunk

BEGIN call_direct
	mov	4(%esp), %edx
	call	helper
	ret
END call_direct

BEGIN call_register
	mov	4(%esp), %edx
	call	thunk
1:	lea	helper-1b(%eax), %eax
	call	*%eax
	ret
END call_register

BEGIN call_by_stack
	mov	4(%esp), %edx
	call	thunk
1:	lea	helper-1b(%eax), %eax
	push	%eax
	push	$0
	call	*4(%esp)
	add	$8, %esp
	ret
END call_by_stack

BEGIN call_by_index
	mov	4(%esp), %edx
	call	thunk
1:	lea	helper-1b(%eax), %eax
	push	%eax
	mov	$2, %ecx
	call	*-8(%esp,%ecx,4)
	pop	%ecx
	ret
END call_by_index

BEGIN call_and_jump_by_stack
	call	thunk
1:	lea	away_and_pop-1b(%eax), %eax
	push	%eax
	jmp	*(%esp)
END call_and_jump_by_stack

BEGIN tail_call
	jmp	away
END tail_call

BEGIN jump_if
	xor	%eax, %eax
	testb	$1, 4(%esp)
	jnz	away
	js	away
	ret
END jump_if

BEGIN jump_if_both_ways
	xor	%eax, %eax
	mov	4(%esp), %ecx
1:	inc	%eax
	dec	%ecx
	jg	1b
	jle	2f
	hlt
2:	ret
END jump_if_both_ways

BEGIN loops
	mov	$5, %ecx
	xor	%eax, %eax
1:	add	%ecx, %eax
	loop	1b
	mov	$4, %ecx
2:	add	%ecx, %eax
	cmp	$40, %eax
	loopne	2b
	mov	$3, %ecx
3:	add	%ecx, %eax
	cmp	%eax, %eax
	loope	3b
	ret
END loops

BEGIN jump_on_zero_count
	mov	4(%esp), %ecx
	xor	%eax, %eax
	jecxz	1f
	inc	%eax
1:	shl	$1, %eax
	mov	$0x10000, %ecx
	jcxz	2f
	inc	%eax
2:	ret
END jump_on_zero_count

BEGIN returns_and_pops
	mov	4(%esp), %eax
	pop	%edx
	push	$0
	push	%edx
	ret	$4
END returns_and_pops

BEGIN pushes_and_pops_sp
	push	%esp
	mov	(%esp), %eax
	sub	%esp, %eax
	pop	%esp
	ret
END pushes_and_pops_sp

BEGIN enters_the_kernel
	mov	$20, %eax	/* getpid */
	int	$0x80
	ret
END enters_the_kernel

	.pushsection .data.rel.ro.moved, "aw", @progbits
moved_functions_end:
	.popsection
	.section .note.GNU-stack, "", @progbits
