/* SPDX-License-Identifier: MIT */
/*
 * Prototypes as they are parsed (T2), and text that is none (E1).
 */
#include "lib/prototype.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"

/* --- a type as a word: i4 u8 f d D *f, {members}, [count element] -------------------- */

static char shown[4096];

static void show(const struct ftr__type *type);

static void add(const char *text)
{
	ck_assert_uint_lt(strlen(shown) + strlen(text), sizeof shown);
	strcat(shown, text);
}

static void show_members(const struct ftr__type *type)
{
	const struct ftr__type *m;

	add("{");
	for (m = type->element; m; m = m->next)
		show(m);
	add("}");
}

static void show(const struct ftr__type *type)
{
	char text[32];

	switch (type->kind) {
	case FTR__TYPE_VOID:
		add("v");
		break;
	case FTR__TYPE_INTEGER:
		snprintf(text, sizeof text, "%c%u", type->is_signed ? 'i' : 'u', type->size);
		add(text);
		break;
	case FTR__TYPE_COMPLEX:
		add("~");
		/* fallthrough */
	case FTR__TYPE_REAL:
		add(type->rank == FTR__FLOAT ? "f" : type->rank == FTR__DOUBLE ? "d" : "D");
		break;
	case FTR__TYPE_POINTER:
		add("p");
		break;
	case FTR__TYPE_ARRAY:
		snprintf(text, sizeof text, "[%u", type->count);
		add(text);
		show(type->element);
		add("]");
		break;
	case FTR__TYPE_STRUCT:
		show_members(type);
		break;
	default:
		ck_abort_msg("an incomplete type came through");
	}
}

static const char *parsed(const char *text)
{
	struct ftr__prototype p;
	unsigned i;

	ck_assert_msg(ftr__prototype_parse(&p, text) == 0, "%s: %s", text, ftr__error_last());
	shown[0] = 0;
	show(p.result);
	add("(");
	for (i = 0; i < p.n_parameters; i++)
		show(p.parameters[i]);
	add(p.variadic ? "...)" : ")");
	if (p.convention == FTR__CALL_STDCALL)
		add("s");
	if (p.convention == FTR__CALL_FASTCALL)
		add("f");
	if (p.convention == FTR__CALL_THISCALL)
		add("t");
	if (p.convention == FTR__CALL_REGPARM)
		add(p.registers == 3 ? "r3" : p.registers == 2 ? "r2" : "r1");
	ftr__prototype_free(&p);
	return shown;
}

#if __SIZEOF_LONG__ == 8
#define L "8"
#else
#define L "4"
#endif

static const struct {
	const char *text, *shown;
} good[] = {
	{ "int (void)", "i4()" },
	{ "void ()", "v()" },
	{ "double (int, const char *, struct { float; float; })", "d(i4p{ff})" },
	{ "double f(int a, const char *b, struct pair { float x, y; } c);", "d(i4p{ff})" },
	{ "\tint\n(int)", "i4(i4)" },
	/* every spelling of integers, in any order */
	{ "char (signed char, unsigned char)", "i1(i1u1)" },
	{ "short (short int, unsigned short, int short signed)", "i2(i2u2i2)" },
	{ "int (signed, unsigned, signed int, unsigned int)", "i4(i4u4i4u4)" },
	{ "long (long int, unsigned long, long unsigned int)", "i" L "(i" L "u" L "u" L ")" },
	{ "long long (long long int, unsigned long long, long int unsigned long)",
	  "i8(i8u8u8)" },
	{ "_Bool (bool)", "u1(u1)" },
	{ "float (double, long double, double long)", "f(dDD)" },
	{ "float _Complex (_Complex double, long double _Complex, double complex, _Complex)",
	  "~f(~d~D~d~d)" },
	{ "enum color (enum color c, enum color *)", "u4(u4p)" },
	/* names of the C library's headers */
	{ "ssize_t read(int fd, void *buf, size_t count)", "i" L "(i4pu" L ")" },
	{ "int64_t (uint8_t, int16_t, uint32_t, intmax_t, uintptr_t, ptrdiff_t)",
	  "i8(u1i2u4i8u" L "i" L ")" },
	{ "off_t (off64_t, pid_t, time_t, wchar_t, mode_t, socklen_t)",
	  "i" L "(i8i4i" L "i4u4u4)" },
	{ "int vprintf(const char *format, va_list args)", "i4(pp)" },
	{ "_Float32 (_Float64)", "f(d)" },
	/* qualifiers anywhere */
	{ "const int (int const, volatile const int, int *restrict const p)", "i4(i4i4p)" },
	{ "static inline extern int (register int)", "i4(i4)" },
	/* what is only known behind a pointer */
	{ "FILE *fopen(const char *, const char *)", "p(pp)" },
	{ "int (sqlite3_file *, const struct foo *, union bar **, struct foo *(*)[3])",
	  "i4(pppp)" },
	/* declarators */
	{ "void qsort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))",
	  "v(pu" L "u" L "p)" },
	{ "void (*signal(int sig, void (*handler)(int)))(int)", "p(i4p)" },
	{ "void (*(int, void (*)(int)))(int)", "p(i4p)" },
	{ "int (*f(void))[3]", "p()" },
	{ "int (f)(int)", "i4(i4)" },
	{ "int (int [3], char *argv[], int m[][4], int cb(int))", "i4(pppp)" },
	{ "int (int a[static restrict 4], int b[*])", "i4(pp)" },
	{ "char **(char ***)", "p(p)" },
	{ "int (FILE *)", "i4(p)" },
	{ "int (unknown *, other **name)", "i4(pp)" },
	/* structs */
	{ "struct { int a; } (struct { struct { short s; char c[3]; } in[2]; double d; })",
	  "{i4}({[2{i2[3i1]}]d})" },
	{ "struct p { int x, *y, z[2]; } (struct p, struct p *)", "{i4p[2i4]}({i4p[2i4]}p)" },
	{ "void (struct { int (*f)(void); const char *s; })", "v({pp})" },
	{ "void (struct { unsigned char; long double; float _Complex z; })", "v({u1D~f})" },
	/* variadic */
	{ "int printf(const char *, ...)", "i4(p...)" },
	{ "void (...)", "v(...)" },
	{ "int (int (*)(int, ...), int)", "i4(pi4)" },
	/* calling conventions */
	{ "__attribute__((stdcall)) int (int)", "i4(i4)s" },
	{ "int __stdcall f(int)", "i4(i4)s" },
	{ "int __attribute__((__fastcall__)) (int)", "i4(i4)f" },
	{ "int f(int) __attribute__((thiscall))", "i4(i4)t" },
	{ "__attribute__((nothrow, regparm(3))) int (int)", "i4(i4)r3" },
	{ "int f(int (__stdcall *)(int))", "i4(p)" },
	{ "int f(int) __attribute__((nonnull(1), format(printf, 1, 2), pure))", "i4(i4)" },
	{ "int (__attribute__((unused)) int x)", "i4(i4)" },
	{ "__attribute__((regparm(0))) int (int)", "i4(i4)" },
};

START_TEST(test_good)
{
	size_t i;

	for (i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_msg(!strcmp(parsed(good[i].text), good[i].shown),
			      "%s: is %s, expected %s", good[i].text, shown, good[i].shown);
}
END_TEST

START_TEST(test_int128)
{
	struct ftr__prototype p;

	if (sizeof(long) == 8)
		ck_assert_str_eq(parsed("unsigned __int128 (__int128)"), "u16(i16)");
	else
		ck_assert_int_eq(ftr__prototype_parse(&p, "__int128 (int)"), -EOPNOTSUPP);
}
END_TEST

/* --- errors name the place -------------------------------------------------------------- */

static const struct {
	const char *text;
	int error;
	unsigned column;
	const char *says;
} bad[] = {
	{ "", -EINVAL, 1, "expected a type, found the end" },
	{ "int", -EINVAL, 4, "its parameters are missing" },
	{ "int x", -EINVAL, 5, "its parameters are missing" },
	{ "int (*f)(int)", -EINVAL, 5, "its parameters are missing" },
	{ "int (", -EINVAL, 6, "expected a type, found the end" },
	{ "int (int", -EINVAL, 9, "expected ')', found the end" },
	{ "int (int,)", -EINVAL, 10, "expected a type, found ')'" },
	{ "int (int) x", -EINVAL, 11, "expected the end, found 'x'" },
	{ "int (int $)", -EINVAL, 10, "found '$'" },
	{ "int (foo)", -EINVAL, 6, "'foo' is not known" },
	{ "int (int, foo bar)", -EINVAL, 11, "'foo' is not known" },
	{ "foo (int)", -EINVAL, 1, "'foo' is not known" },
	{ "int (struct foo)", -EINVAL, 13, "'foo' is not known" },
	{ "int (struct)", -EINVAL, 12, "expected a tag or '{'" },
	{ "int (void, int)", -EINVAL, 6, "of type void" },
	{ "int (int, void)", -EINVAL, 11, "of type void" },
	{ "int (void v[2])", -EINVAL, 0, "of type void" },
	{ "int (..., int)", -EINVAL, 9, "expected ')', found ','" },
	{ "long float (int)", -EINVAL, 1, "make no type" },
	{ "int (unsigned double)", -EINVAL, 6, "make no type" },
	{ "int (signed unsigned)", -EINVAL, 6, "make no type" },
	{ "int (long long long)", -EINVAL, 6, "make no type" },
	{ "int (short long)", -EINVAL, 6, "make no type" },
	{ "int (int int)", -EINVAL, 6, "make no type" },
	{ "int (void x)", -EINVAL, 6, "of type void" },
	{ "int f(int)(int)", -EINVAL, 0, "returns" },
	{ "int f(int)[3]", -EINVAL, 0, "returns" },
	{ "int (int a[2](int))", -EINVAL, 0, "an array of functions" },
	{ "int (struct { int a })", -EINVAL, 21, "expected ';'" },
	{ "int (struct { int a; )", -EINVAL, 22, "expected a type" },
	{ "int (struct { int a; void b; })", -EINVAL, 27, "of type void" },
	{ "int (struct { struct foo f; })", -EINVAL, 22, "'foo' is not known" },
	{ "int (struct { int a[x]; })", -EINVAL, 21, "expected a number" },
	{ "int (struct { int a[99999]; })", -EOPNOTSUPP, 19, "more than 65536 bytes" },
	{ "int (int, struct { int a[2147483648]; })", -EINVAL, 26, "more than 2147483647" },
	/* As 32 bits, or 64, have them these are of no size. */
	{ "int (struct { char a[65536][65536]; })", -EOPNOTSUPP, 20, "more than 65536 bytes" },
	{ "int (struct { int a[1073741824]; })", -EOPNOTSUPP, 19, "more than 65536 bytes" },
	{ "int (struct { char a[65536][65536][65536][65536]; })", -EOPNOTSUPP, 20, "65536 bytes" },
	{ "int (struct { struct { short a[32768]; char b; } c; })", -EOPNOTSUPP, 45, "65536" },
	{ "int (struct { char a[65535]; short b; })", -EOPNOTSUPP, 36, "65536 bytes" },
	{ "int (struct a { char a[65000]; }, struct a)", -EOPNOTSUPP, 35, "arguments of more" },
	{ "struct { char a[65537]; } (int)", -EOPNOTSUPP, 15, "more than 65536 bytes" },
	{ "int (struct { int a[3][]; })", -EOPNOTSUPP, 19, "of no size" },
	{ "int (struct { int a[0][3]; })", -EOPNOTSUPP, 19, "of no size" },
	{ "int (struct { int a[99999999999999999999999]; })", -EINVAL, 21, "expected a number" },
	{ "int (struct { int a[08]; })", -EINVAL, 21, "expected a number" },
	{ "__attribute__((stdcall)) int __fastcall f(int)", -EINVAL, 30, "second calling" },
	{ "__attribute__((regparm(4))) int f(int)", -EINVAL, 24, "0 to 3" },
	{ "__attribute__((nonnull(1) int f(int)", -EINVAL, 27, "expected ')'" },
	{ "__attribute__((nonnull(", -EINVAL, 24, "expected ')'" },
	{ "int (struct { })", -EOPNOTSUPP, 15, "without members" },
	{ "int (struct { int n; char text[]; })", -EOPNOTSUPP, 0, "of no size" },
	{ "int (struct { int a : 3; })", -EOPNOTSUPP, 21, "bit-fields" },
	{ "int (union u { int a; })", -EOPNOTSUPP, 14, "union" },
	{ "int (enum e { A, B })", -EOPNOTSUPP, 13, "enum" },
	{ "int (struct { int a; } __attribute__((packed)))", -EOPNOTSUPP, 39, "packed" },
	{ "__attribute__((ms_abi)) int (int)", -EOPNOTSUPP, 16, "ms_abi" },
};

START_TEST(test_bad)
{
	struct ftr__prototype p;
	char column[32];
	size_t i;

	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		int result = ftr__prototype_parse(&p, bad[i].text);
		const char *said = ftr__error_last();

		ck_assert_msg(result == bad[i].error, "%s: %d, %s", bad[i].text, result, said);
		snprintf(column, sizeof column, "column %u:", bad[i].column);
		ck_assert_msg(!bad[i].column || strstr(said, column), "%s: %s, expected %s",
			      bad[i].text, said, column);
		ck_assert_msg(strstr(said, bad[i].says), "%s: %s, expected %s", bad[i].text, said,
			      bad[i].says);
	}
}
END_TEST

/* --- bounds -------------------------------------------------------------------------------- */

/** `n` times the text, between two others. */
static char *repeated(const char *before, const char *text, size_t n, const char *after)
{
	char *result = malloc(strlen(before) + n * strlen(text) + strlen(after) + 1);

	strcpy(result, before);
	while (n--)
		strcat(result, text);
	strcat(result, after);
	return result;
}

static int result_of(char *text)
{
	struct ftr__prototype p;
	int result = ftr__prototype_parse(&p, text);

	if (!result)
		ftr__prototype_free(&p);
	free(text);
	return result;
}

START_TEST(test_bounds)
{
	ck_assert_int_eq(result_of(repeated("int (", "int, ", 126, "int)")), 0);
	ck_assert_int_eq(result_of(repeated("int (", "int, ", 127, "int)")), -EINVAL);
	ck_assert(strstr(ftr__error_last(), "127 parameters"));
	ck_assert_int_eq(result_of(repeated("int (int", " ", 4087, ")")), 0);
	ck_assert_int_eq(result_of(repeated("int (int", " ", 4088, ")")), -EINVAL);
	/* Neither stack nor memory without end. */
	ck_assert_int_eq(result_of(repeated("int ", "(", 4000, "")), -EINVAL);
	ck_assert_int_eq(result_of(repeated("int (", "*", 4000, "p)")), -EINVAL);
	ck_assert_int_eq(result_of(repeated("int (int ", "(*", 1900, ")")), -EINVAL);
	ck_assert_int_eq(result_of(repeated("int (", "int (", 800, ")")), -EINVAL);
	ck_assert_int_eq(result_of(repeated("int (", "struct { ", 400, ")")), -EINVAL);
	ck_assert(strstr(ftr__error_last(), "nested more than"));
	ck_assert_int_eq(result_of(repeated("int (struct {", "int;", 900, "})")), 0);
	ck_assert_int_eq(result_of(repeated("int (struct {", "int*;", 780, "})")), -EINVAL);
	ck_assert(strstr(ftr__error_last(), "2048 types"));
	ck_assert_int_eq(result_of(repeated("int (", "struct a { int; }, ", 100, "int)")), 0);
	/* Behind a pointer nothing is too large. */
	ck_assert_int_eq(result_of(strdup("int (char a[1 ], char b[2147483647][2147483647])")), 0);
}
END_TEST

/** Each struct is two of the one before: what is told in a line takes time and
 *  memory without end. */
START_TEST(test_doubling)
{
	char text[2048] = "int (struct t0 { char a; }";

	for (int i = 1; i <= 40; i++) {
		size_t n = strlen(text);
		snprintf(text + n, sizeof text - n, ", struct t%d { struct t%d a, b; }", i, i - 1);
	}
	ck_assert_int_eq(result_of(strdup(text)), -EOPNOTSUPP);
	ck_assert(strstr(ftr__error_last(), "65536 bytes"));
}
END_TEST

/** Good prototypes with bytes changed, left out and doubled: no crash, and every
 *  error has its sentence. */
START_TEST(test_mutations)
{
	static const char bytes[] = "()[]{}*,;:. \"intvdstruc_a0129\x01\xff.";
	unsigned seed = 4711, rounds = 40000, errors = 0;
	struct ftr__prototype p;

	while (rounds--) {
		char text[256];
		unsigned change;

		strcpy(text, good[rounds % (sizeof good / sizeof *good)].text);
		for (change = 0; change < 3; change++) {
			size_t n = strlen(text), at;

			seed = seed * 69069 + 12345;
			at = n ? (seed >> 8) % n : 0;
			if (seed >> 30 == 0 && n)
				memmove(text + at, text + at + 1, n - at);
			else if (seed >> 30 == 1 && n < 200)
				memmove(text + at + 1, text + at, n - at + 1);
			else if (n)
				text[at] = bytes[(seed >> 4) % (sizeof bytes - 1)];
		}
		if (!ftr__prototype_parse(&p, text)) {
			ftr__prototype_free(&p);
		} else {
			errors++;
			ck_assert_msg(strstr(ftr__error_last(), "column"), "%s: %s", text,
				      ftr__error_last());
		}
	}
	ck_assert_uint_gt(errors, 10000);
	ck_assert_uint_lt(errors, 39000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("prototype");

	UNIT_CASE(suite, test_good);
	UNIT_CASE(suite, test_int128);
	UNIT_CASE(suite, test_bad);
	UNIT_CASE(suite, test_bounds);
	UNIT_CASE(suite, test_doubling);
	UNIT_CASE(suite, test_mutations);
	return unit_main(suite);
}
