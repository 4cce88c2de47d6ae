/* SPDX-License-Identifier: MIT */
/*
 * See ctypes.h.  Floor 1.
 *
 * On i386 off_t, time_t and their like are those of functions that the C library
 * exports under their plain names (lseek, not lseek64): 32 bits.  The library
 * itself is compiled with wider ones, so these are not taken from headers.
 */
#include "lib/ctypes.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <uchar.h>
#include <sys/types.h>
#include <wctype.h>

#define INTEGER(n, type)  { .name = #n, .size = sizeof(type), .is_signed = (type)-1 < (type)1 }
#define SAME(type)        INTEGER(type, type)
#define POINTER(n)        { .name = #n, .size = sizeof(void *), .pointer = true }
#define REAL(n, type)     { .name = #n, .size = sizeof(type), .real = true }

/* In the order of strcmp(). */
static const struct ftr__ctype types[] = {
	REAL(_Float32, float),
	REAL(_Float32x, double),
	REAL(_Float64, double),
	POINTER(__builtin_va_list),
	POINTER(__gnuc_va_list),
	INTEGER(blkcnt64_t, int64_t),
	INTEGER(blkcnt_t, long),
	INTEGER(blksize_t, long),
	POINTER(caddr_t),
	INTEGER(cc_t, unsigned char),
	INTEGER(char16_t, uint16_t),
	INTEGER(char32_t, uint32_t),
	INTEGER(char8_t, unsigned char),
	INTEGER(clock_t, long),
	INTEGER(clockid_t, int),
	INTEGER(dev_t, uint64_t),
	INTEGER(error_t, int),
	INTEGER(fsblkcnt64_t, uint64_t),
	INTEGER(fsblkcnt_t, unsigned long),
	INTEGER(fsfilcnt64_t, uint64_t),
	INTEGER(fsfilcnt_t, unsigned long),
	INTEGER(gid_t, unsigned),
	POINTER(iconv_t),
	INTEGER(id_t, unsigned),
	INTEGER(in_addr_t, uint32_t),
	INTEGER(in_port_t, uint16_t),
	INTEGER(ino64_t, uint64_t),
	INTEGER(ino_t, unsigned long),
	SAME(int16_t),
	SAME(int32_t),
	SAME(int64_t),
	SAME(int8_t),
	SAME(int_fast16_t),
	SAME(int_fast32_t),
	SAME(int_fast64_t),
	SAME(int_fast8_t),
	SAME(int_least16_t),
	SAME(int_least32_t),
	SAME(int_least64_t),
	SAME(int_least8_t),
	SAME(intmax_t),
	SAME(intptr_t),
	INTEGER(key_t, int),
	POINTER(locale_t),
	INTEGER(loff_t, int64_t),
	INTEGER(mode_t, unsigned),
	INTEGER(nfds_t, unsigned long),
	POINTER(nl_catd),
	INTEGER(nlink_t, unsigned long),
	INTEGER(off64_t, int64_t),
	INTEGER(off_t, long),
	INTEGER(pid_t, int),
	SAME(pthread_key_t),
	SAME(pthread_once_t),
	SAME(pthread_t),
	SAME(ptrdiff_t),
	INTEGER(quad_t, int64_t),
	INTEGER(regoff_t, int),
	INTEGER(rlim64_t, uint64_t),
	INTEGER(rlim_t, unsigned long),
	INTEGER(sa_family_t, unsigned short),
	INTEGER(sig_atomic_t, int),
	SAME(size_t),
	INTEGER(socklen_t, unsigned),
	INTEGER(speed_t, unsigned),
	SAME(ssize_t),
	INTEGER(suseconds_t, long),
	INTEGER(tcflag_t, unsigned),
	INTEGER(time_t, long),
	POINTER(timer_t),
	INTEGER(u_char, unsigned char),
	INTEGER(u_int, unsigned),
	INTEGER(u_int16_t, uint16_t),
	INTEGER(u_int32_t, uint32_t),
	INTEGER(u_int64_t, uint64_t),
	INTEGER(u_int8_t, uint8_t),
	INTEGER(u_long, unsigned long),
	INTEGER(u_short, unsigned short),
	INTEGER(uid_t, unsigned),
	INTEGER(uint, unsigned),
	SAME(uint16_t),
	SAME(uint32_t),
	SAME(uint64_t),
	SAME(uint8_t),
	SAME(uint_fast16_t),
	SAME(uint_fast32_t),
	SAME(uint_fast64_t),
	SAME(uint_fast8_t),
	SAME(uint_least16_t),
	SAME(uint_least32_t),
	SAME(uint_least64_t),
	SAME(uint_least8_t),
	SAME(uintmax_t),
	SAME(uintptr_t),
	INTEGER(ulong, unsigned long),
	INTEGER(useconds_t, unsigned),
	INTEGER(ushort, unsigned short),
	POINTER(va_list),
	SAME(wchar_t),
	POINTER(wctrans_t),
	SAME(wctype_t),
	SAME(wint_t),
};

/* As strcmp() with a name that ends after `length` bytes. */
static int compare(const char *name, size_t length, const char *with)
{
	int order = strncmp(name, with, length);

	return order ? order : -(with[length] != 0);
}

const struct ftr__ctype *ftr__ctype_find(const char *name, size_t length)
{
	size_t low = 0, high = FTR__ARRAY_SIZE(types);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(name, length, types[middle].name);
		if (!order)
			return &types[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
