/* SPDX-License-Identifier: MIT */
/*
 * An __fentry__ of the module's own: a linker that sees it makes the indirect
 * calls of position-independent code direct ones, with a prefix to fill the
 * sixth byte.
 */
__asm__(".text\n"
	".globl __fentry__\n"
	".hidden __fentry__\n"
	".type __fentry__, @function\n"
	"__fentry__:\n"
	"	ret\n"
	".size __fentry__, . - __fentry__\n"
	".section .note.GNU-stack, \"\", @progbits\n");
