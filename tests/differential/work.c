/* SPDX-License-Identifier: MIT */
/*
 * See work.h.  Libraries are opened by their names, as Debian ships them, without
 * their headers: what is used of them has not changed for decades.
 */
#include "tests/differential/work.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By words: what computes it is stepped through, too. */
uint64_t work_digest(uint64_t digest, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	unsigned long word;

	for (; n >= sizeof(word); n -= sizeof(word), b += sizeof(word)) {
		__builtin_memcpy(&word, b, sizeof(word));
		digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
		digest ^= digest >> 29;
	}
	while (n--)
		digest = (digest ^ *b++) * 0x100000001b3u;
	return digest;
}

bool work_quick;

/* Memory that each run begins anew. */
static unsigned char arena[4 << 20] __attribute__((aligned(64)));
static size_t arena_used;

static void *take(size_t size)
{
	size_t at = arena_used;

	size = (size + 31) & ~(size_t)15;
	if (size > sizeof(arena) - at)
		return NULL;
	arena_used += size;
	*(size_t *)(arena + at) = size - 16;
	memset(arena + at + 16, 0, size - 16);
	return arena + at + 16;
}

static char text[600];

static void fill_text(void)
{
	static const char words[] = "in the middle of the journey of our life ";
	size_t i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = i % 7 == 3 ? (char)(i * 31) : words[i % (sizeof(words) - 1)];
}

/* --- hand-written ------------------------------------------------------------------- */

extern const struct odd odd_functions[], odd_functions_end[], moved_functions[],
	moved_functions_end[];

static bool can_run(const struct odd *f)
{
	if (f->level > 1 && !__builtin_cpu_supports("avx512f"))
		return false;
	/* clang can't be asked for adx and movbe; CPUs with the others have them. */
	return !f->level || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"));
}

static uint64_t run_table(const struct odd *f, const struct odd *end, uint64_t digest)
{
	static const long arguments[] = { 0, 1, 7, -3, 100 };
	size_t i;

	for (; f < end; f++) {
		for (i = 0; i < sizeof(arguments) / sizeof(arguments[0]) && can_run(f); i++) {
			long result = ((long (*)(long))(uintptr_t)f->start)(arguments[i]);
			digest = work_digest(digest, &result, sizeof(result));
		}
	}
	return digest;
}

extern unsigned char odd_data[], odd_data_end[];
static unsigned char odd_kept[1024];

/* What they write to is the same at the begin of each run. */
static uint64_t run_odd(void)
{
	memcpy(odd_data, odd_kept, (size_t)(odd_data_end - odd_data));
	uint64_t digest = run_table(odd_functions, odd_functions_end, 1);

	return run_table(moved_functions, moved_functions_end, digest);
}

static size_t odd_starts(uintptr_t *starts, size_t room)
{
	const struct odd *f;
	size_t n = 0;

	for (f = odd_functions; f < odd_functions_end && n < room; f++)
		if (can_run(f))
			starts[n++] = (uintptr_t)f->start;
	for (f = moved_functions; f < moved_functions_end && n < room; f++)
		if (can_run(f))
			starts[n++] = (uintptr_t)f->start;
	return n;
}

static const char *prepare_odd(void)
{
	memcpy(odd_kept, odd_data, (size_t)(odd_data_end - odd_data));
	return NULL;
}

/* --- zlib ------------------------------------------------------------------------------ */

struct z_stream {
	const unsigned char *next_in;
	unsigned avail_in;
	unsigned long total_in;
	unsigned char *next_out;
	unsigned avail_out;
	unsigned long total_out;
	const char *msg;
	void *state;
	void *(*zalloc)(void *opaque, unsigned items, unsigned size);
	void (*zfree)(void *opaque, void *address);
	void *opaque;
	int data_type;
	unsigned long adler, reserved;
};

enum { Z_FINISH = 4, Z_STREAM_END = 1 };

static struct {
	unsigned long (*crc32)(unsigned long, const void *, unsigned);
	unsigned long (*adler32)(unsigned long, const void *, unsigned);
	int (*deflateInit2_)(struct z_stream *, int level, int method, int window, int memory,
			     int strategy, const char *version, int size);
	int (*deflate)(struct z_stream *, int);
	int (*deflateEnd)(struct z_stream *);
	int (*inflateInit_)(struct z_stream *, const char *version, int size);
	int (*inflate)(struct z_stream *, int);
	int (*inflateEnd)(struct z_stream *);
	const char *(*zlibVersion)(void);
} z;

static void *z_alloc(void *opaque, unsigned items, unsigned size)
{
	return take((size_t)items * size);
}

static void z_free(void *opaque, void *address)
{
}

/* All of these, or none. */
static bool find(void *handle, const char *const *names, void **functions)
{
	for (; *names; names++, functions++) {
		*functions = dlsym(handle, *names);
		if (!*functions)
			return false;
	}
	return true;
}

static const char *prepare_zlib(void)
{
	static const char *const names[] = { "crc32", "adler32", "deflateInit2_", "deflate", "deflateEnd",
					     "inflateInit_", "inflate", "inflateEnd", "zlibVersion",
					     NULL };
	void *handle = dlopen("libz.so.1", RTLD_NOW);

	fill_text();
	return handle && find(handle, names, (void **)&z) ? NULL : "no libz.so.1 (zlib1g)";
}

static uint64_t run_zlib(void)
{
	static unsigned char packed[4096], unpacked[sizeof(text)];
	unsigned size = work_quick ? 120 : sizeof(text);
	struct z_stream s = { .zalloc = z_alloc, .zfree = z_free };
	uint64_t digest = z.crc32(0, text, size);
	int level;

	digest = digest * 31 + z.adler32(1, text, size);
	for (level = 1; level <= (work_quick ? 1 : 9); level += 4) {
		arena_used = 0;
		/* Small tables: most of the work is not to clear them. */
		z.deflateInit2_(&s, level, 8, 9, 1, 0, z.zlibVersion(), sizeof(s));
		s.next_in = (const unsigned char *)text;
		s.avail_in = size;
		s.next_out = packed;
		s.avail_out = sizeof(packed);
		digest = digest * 31 + (z.deflate(&s, Z_FINISH) == Z_STREAM_END);
		digest = work_digest(digest, packed, s.total_out);
		z.deflateEnd(&s);
		z.inflateInit_(&s, z.zlibVersion(), sizeof(s));
		s.next_in = packed;
		s.avail_in = sizeof(packed);
		s.next_out = unpacked;
		s.avail_out = sizeof(unpacked);
		digest = digest * 31 + (z.inflate(&s, Z_FINISH) == Z_STREAM_END);
		z.inflateEnd(&s);
		digest = digest * 31 + !memcmp(unpacked, text, size);
		s.total_out = 0;
	}
	return digest;
}

/* --- libc ------------------------------------------------------------------------------- */

static struct {
	void *(*memcpy)(void *, const void *, size_t), *(*memmove)(void *, const void *, size_t);
	void *(*memset)(void *, int, size_t);
	const void *(*memchr)(const void *, int, size_t), *(*memrchr)(const void *, int, size_t);
	int (*memcmp)(const void *, const void *, size_t), (*strcmp)(const char *, const char *);
	int (*strncmp)(const char *, const char *, size_t);
	int (*strcasecmp)(const char *, const char *);
	size_t (*strlen)(const char *), (*strspn)(const char *, const char *);
	size_t (*strcspn)(const char *, const char *);
	const char *(*strchr)(const char *, int), *(*strrchr)(const char *, int);
	const char *(*strstr)(const char *, const char *);
	char *(*strcpy)(char *, const char *), *(*strcat)(char *, const char *);
	char *(*strncpy)(char *, const char *, size_t), *(*stpcpy)(char *, const char *);
	void (*qsort)(void *, size_t, size_t, int (*)(const void *, const void *));
	long (*strtol)(const char *, char **, int);
} c;
enum { LIBC_FUNCTIONS = sizeof(c) / sizeof(void *) };

static const char *prepare_libc(void)
{
	static const char *const names[] = { "memcpy", "memmove", "memset", "memchr", "memrchr", "memcmp",
					     "strcmp", "strncmp", "strcasecmp", "strlen", "strspn",
					     "strcspn", "strchr", "strrchr", "strstr", "strcpy",
					     "strcat", "strncpy", "stpcpy", "qsort", "strtol", NULL };

	fill_text();
	return find(RTLD_DEFAULT, names, (void **)&c) ? NULL : "a function of libc is missing";
}

static size_t libc_starts(uintptr_t *starts, size_t room)
{
	uintptr_t all[LIBC_FUNCTIONS];
	size_t n = LIBC_FUNCTIONS < room ? LIBC_FUNCTIONS : room;

	memcpy(all, &c, sizeof(all));
	memcpy(starts, all, n * sizeof(*starts));
	return n;
}

static int by_value(const void *a, const void *b)
{
	int x, y;

	__builtin_memcpy(&x, a, sizeof(x));
	__builtin_memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static uint64_t run_moves(uint64_t digest)
{
	static unsigned char to[400];
	static const unsigned short sizes[] = { 0, 1, 7, 15, 16, 31, 40, 65, 130, 260 };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];
		c.memset(to, (int)i, sizeof(to));
		c.memcpy(to + i, text + 3, n);
		c.memmove(to + 5, to + i, n);
		c.memmove(to + i, to + 5, n);
		digest = work_digest(digest, to, sizeof(to));
		digest = digest * 31 + (unsigned)(c.memcmp(to, text, n) > 0);
		digest = digest * 31 + (c.memchr(text, 'z', n) != NULL) + (c.memrchr(text, 'j', n) != NULL);
	}
	return digest;
}

static uint64_t run_strings(uint64_t digest)
{
	static char to[200];
	static const char *const strings[] = { "", "a", "journey", "The middle of our life, and more",
					       "the middle of our life, and more of it: forty, fifty,"
					       " sixty, seventy, eighty letters, and ninety" };
	size_t i, j;

	for (i = 0; i < 5; i++) {
		const char *s = strings[i];
		c.strcpy(to, s);
		digest = digest * 31 + (size_t)(c.stpcpy(to + 1, s) - to);
		c.strncpy(to, s, 20);
		c.strcat(c.strcpy(to, "xyz"), s);
		digest = work_digest(digest, to, c.strlen(to));
		digest = digest * 31 + c.strspn(s, "eht im") + c.strcspn(s, "fy,");
		digest = digest * 31 + (c.strchr(s, 'f') != NULL) + (c.strrchr(s, 'e') != NULL);
		digest = digest * 31 + (c.strstr(s, "letters") != NULL);
		for (j = 0; j < 5; j++) {
			digest = digest * 31 + (unsigned)(c.strcmp(s, strings[j]) > 0);
			digest = digest * 31 + (unsigned)(c.strncmp(s, strings[j], 9) < 0);
			digest = digest * 31 + (unsigned)(c.strcasecmp(s, strings[j]) < 0);
		}
	}
	return digest + (uint64_t)c.strtol("-0x1234", NULL, 0);
}

static uint64_t run_libc(void)
{
	int numbers[60];
	size_t i;

	for (i = 0; i < 60; i++)
		numbers[i] = (int)(i * 7919 % 61) - 20;
	c.qsort(numbers, 60, sizeof(int), by_value);
	return run_strings(run_moves(work_digest(3, numbers, sizeof(numbers))));
}

/* --- SQLite ------------------------------------------------------------------------------- */

struct sqlite_methods {
	void *(*malloc)(int);
	void (*free)(void *);
	void *(*realloc)(void *, int);
	int (*size)(void *), (*round_up)(int), (*init)(void *);
	void (*shutdown)(void *);
	void *data;
};

enum { SQLITE_CONFIG_SINGLETHREAD = 1, SQLITE_CONFIG_MALLOC = 4, SQLITE_TESTCTRL_PRNG_SEED = 28 };

static struct {
	int (*config)(int, ...), (*initialize)(void), (*shutdown)(void);
	int (*test_control)(int, ...);
	int (*open)(const char *, void **), (*close)(void *);
	int (*exec)(void *, const char *, int (*)(void *, int, char **, char **), void *, char **);
} sq;

static void *sq_malloc(int size)
{
	return take((size_t)size);
}

static void sq_free(void *p)
{
}

static int sq_size(void *p)
{
	return p ? (int)*(size_t *)((char *)p - 16) : 0;
}

static void *sq_realloc(void *p, int size)
{
	void *more = take((size_t)size);
	int had = sq_size(p);

	if (more && p)
		memcpy(more, p, (size_t)(had < size ? had : size));
	return more;
}

static int sq_round_up(int size)
{
	return (size + 15) & ~15;
}

static int sq_init(void *data)
{
	return 0;
}

static void sq_end(void *data)
{
}

static const struct sqlite_methods methods = { sq_malloc, sq_free, sq_realloc, sq_size, sq_round_up,
					       sq_init, sq_end, NULL };

static const char *prepare_sqlite(void)
{
	static const char *const names[] = { "sqlite3_config", "sqlite3_initialize", "sqlite3_shutdown",
					     "sqlite3_test_control",
					     "sqlite3_open", "sqlite3_close", "sqlite3_exec", NULL };
	void *handle = dlopen("libsqlite3.so.0", RTLD_NOW);

	return handle && find(handle, names, (void **)&sq) ? NULL
							   : "no libsqlite3.so.0 (libsqlite3-0)";
}

static uint64_t row_digest;

static int on_row(void *data, int n, char **values, char **names)
{
	int i;

	for (i = 0; i < n; i++)
		row_digest = work_digest(row_digest, values[i] ? values[i] : "-",
					 values[i] ? strlen(values[i]) : 1);
	return 0;
}

static uint64_t run_sqlite(void)
{
	static const char *const statements[] = {
		"create table t(a integer primary key, b text, c real)",
		"insert into t values(1, 'one', 1.5), (2, 'two', -2.25), (3, 'three', 1e10)",
		"with recursive n(i) as (select 4 union all select i + 1 from n where i < 12)"
		" insert into t select i, 'number ' || i, i * 1.25 from n",
		"create index tb on t(b)",
		"update t set c = c + a where b like '%e%' or a in (2, 5, 7)",
		"select a, upper(b), round(c, 2) from t where a between 2 and 9 order by b desc",
		"select count(*), sum(a), avg(c), group_concat(b) from t group by a % 3",
		"select x.a, y.b from t x join t y on x.a = y.a + 1 where x.c > 3 limit 5",
		"delete from t where a > 6",
		"select * from t",
	};
	void *db = NULL;
	size_t i;

	arena_used = 0;
	row_digest = 5;
	sq.config(SQLITE_CONFIG_SINGLETHREAD);
	sq.config(SQLITE_CONFIG_MALLOC, &methods);
	if (sq.initialize() || sq.test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, NULL) ||
	    sq.open(":memory:", &db))
		return 0;
	for (i = 0; i < (work_quick ? 3 : sizeof(statements) / sizeof(statements[0])); i++)
		row_digest = row_digest * 31 +
			     (unsigned)sq.exec(db, statements[i], on_row, NULL, NULL);
	sq.close(db);
	sq.shutdown();
	return row_digest;
}

const struct work works[] = {
	{ "odd", prepare_odd, run_odd, odd_starts, NULL },
	{ "zlib", prepare_zlib, run_zlib, NULL, "libz.so" },
	{ "libc", prepare_libc, run_libc, libc_starts, "libc.so" },
	{ "sqlite", prepare_sqlite, run_sqlite, NULL, "libsqlite3.so" },
};
const size_t n_works = sizeof(works) / sizeof(works[0]);
