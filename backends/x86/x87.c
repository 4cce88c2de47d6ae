/* SPDX-License-Identifier: MIT */
/*
 * What functions return on the x87 stack.  No state.
 */
#include "backends/x86/x87.h"

/* The class of what fxam examined: C3 and C0 without C2 is an empty register
 * (SDM volume 2, "FXAM"). */
enum { CLASS = 0x4500, EMPTY = 0x4100 };

FTR__BARE bool ftr__x86_x87_is_empty(void)
{
	uint16_t status;

	__asm__ volatile("fxam\n\tfnstsw %0" : "=a"(status));
	return (status & CLASS) == EMPTY;
}

FTR__BARE void ftr__x86_x87_pop(long double *value)
{
	__asm__ volatile("fstpt %0" : "=m"(*value));
}

FTR__BARE void ftr__x86_x87_push(const long double *value)
{
	__asm__ volatile("fldt %0" : : "m"(*value));
}

/* The second value is looked at with the first one aside. */
FTR__BARE void ftr__x86_x87_peek(unsigned n, long double *value)
{
	/* No variable: clang for i386 has none of this type without floating point. */
	_Alignas(long double) char aside[sizeof(long double)];
	long double *top = (long double *)aside;

	*(volatile uint64_t *)value = 0;
	*((volatile uint16_t *)value + 4) = 0;
	if (ftr__x86_x87_is_empty())
		return;
	ftr__x86_x87_pop(n ? top : value);
	if (!n) {
		ftr__x86_x87_push(value);
		return;
	}
	if (!ftr__x86_x87_is_empty()) {
		ftr__x86_x87_pop(value);
		ftr__x86_x87_push(value);
	}
	ftr__x86_x87_push(top);
}
