/* SPDX-License-Identifier: MIT */
/*
 * Error sentences live in the thread's node, so that they cost the host no
 * thread-local storage.  Floor 1.
 */
#include "lib/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/thread.h"

int ftr__fail(int error, const char *format, ...)
{
	struct ftr__thread *self = ftr__thread_self();
	va_list args;

	if (self) {
		va_start(args, format);
		vsnprintf(self->error, sizeof self->error, format, args);
		va_end(args);
	}
	return -error;
}

int ftr__fail_plain(int error, const char *sentence)
{
	struct ftr__thread *self = ftr__thread_self();
	/* volatile: a copy by the C library would use vector registers. */
	volatile char *to = self ? self->error : NULL;

	for (size_t i = 0; to && i < sizeof self->error; i++) {
		to[i] = i + 1 < sizeof self->error ? sentence[i] : 0;
		if (!sentence[i])
			break;
	}
	return -error;
}

const char *ftr__error_last(void)
{
	return ftr__self ? ftr__self->error : "";
}
