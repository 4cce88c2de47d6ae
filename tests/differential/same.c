/* SPDX-License-Identifier: MIT */
/*
 * See work.h: runs that are the same each time, by the same stack and registers.
 */
#include <string.h>

#include "tests/differential/work.h"

static unsigned char stack[1 << 20] __attribute__((aligned(64)));

/* No work goes deeper than what is filled. */
void *work_stack(int byte)
{
	enum { FILLED = 128 << 10 };

	memset(stack + sizeof(stack) - FILLED, byte, FILLED);
	return stack + sizeof(stack);
}

#ifdef __x86_64__
__asm__(".globl work_run_same; .type work_run_same, @function\n"
	"work_run_same:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, %rax; mov %rdx, %rsp\n"
	"	push %rax; push %rdi; push %rsi; sub $8, %rsp\n"
	"	xor %eax, %eax; xor %ebx, %ebx; xor %ecx, %ecx; xor %edx, %edx\n"
	"	xor %esi, %esi; xor %edi, %edi; xor %ebp, %ebp; xor %r8d, %r8d\n"
	"	xor %r9d, %r9d; xor %r10d, %r10d; xor %r11d, %r11d; xor %r12d, %r12d\n"
	"	xor %r13d, %r13d; xor %r14d, %r14d; xor %r15d, %r15d\n"
	"	pushfq; mov 16(%rsp), %rsi; xor %rsi, (%rsp); xor %esi, %esi; popfq\n"
	"	call *16(%rsp)\n"
	"	pushfq; mov 16(%rsp), %rsi; xor %rsi, (%rsp); popfq\n"
	"	add $24, %rsp; pop %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");
#else
__asm__(".globl work_run_same; .type work_run_same, @function\n"
	"work_run_same:\n"
	"	push %ebx; push %ebp; push %esi; push %edi\n"
	"	mov 20(%esp), %eax; mov 24(%esp), %ecx; mov %esp, %ebx; mov 28(%esp), %esp\n"
	"	push %ebx; push %eax; push %ecx; sub $4, %esp\n"
	"	xor %eax, %eax; xor %ebx, %ebx; xor %ecx, %ecx; xor %edx, %edx\n"
	"	xor %esi, %esi; xor %edi, %edi; xor %ebp, %ebp\n"
	"	pushfl; mov 8(%esp), %esi; xor %esi, (%esp); xor %esi, %esi; popfl\n"
	"	call *8(%esp)\n"
	"	pushfl; mov 8(%esp), %esi; xor %esi, (%esp); popfl\n"
	"	add $12, %esp; pop %esp\n"
	"	pop %edi; pop %esi; pop %ebp; pop %ebx\n"
	"	ret\n");
#endif
