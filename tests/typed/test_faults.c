/* SPDX-License-Identifier: MIT */
/*
 * T2 at work: faults injected into programs that no compiler prepared.
 *
 *  - SQLite as Debian ships it: the function that writes to files says that the
 *    disk is full, at each of a transaction's writes in turn.
 *  - A module's way to malloc(): every third call of it, and of it alone, gives NULL.
 */
#include "tests/live/live.h"
#include "tests/typed/allocating.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>

/* --- SQLite --------------------------------------------------------------------------- */

/* As far as it is used here; <sqlite3.h> has all of it. */
enum { OK = 0, FULL = 13, FILE_POINTER = 7 };

struct methods {
	int version;
	void *close, *read, *write;
};

struct file {
	const struct methods *methods;
};

static struct {
	int (*open)(const char *name, void **db);
	int (*close)(void *db);
	int (*exec)(void *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
		    char **error);
	int (*file_control)(void *db, const char *name, int op, void *arg);
	const char *(*errmsg)(void *db);
} sqlite;

static bool find_sqlite(void)
{
	void *library = dlopen("libsqlite3.so.0", RTLD_NOW);

	if (!library)
		return false;
	*(void **)&sqlite.open = dlsym(library, "sqlite3_open");
	*(void **)&sqlite.close = dlsym(library, "sqlite3_close");
	*(void **)&sqlite.exec = dlsym(library, "sqlite3_exec");
	*(void **)&sqlite.file_control = dlsym(library, "sqlite3_file_control");
	*(void **)&sqlite.errmsg = dlsym(library, "sqlite3_errmsg");
	return sqlite.open && sqlite.close && sqlite.exec && sqlite.file_control && sqlite.errmsg;
}

static int take_text(void *arg, int n, char **values, char **names)
{
	snprintf(arg, 64, "%s", values[0]);
	return 0;
}

/** The one value that a query gives. */
static const char *ask(void *db, const char *sql)
{
	static char text[64];

	text[0] = 0;
	ck_assert_msg(sqlite.exec(db, sql, take_text, text, NULL) == OK, "%s: %s", sql,
		      sqlite.errmsg(db));
	return text;
}

static int run(void *db, const char *sql)
{
	return sqlite.exec(db, sql, NULL, NULL, NULL);
}

/** Which write from now on fails; 0: none.  How many there were. */
static unsigned fail_at, writes;

static void writing(struct ftr_call *call, void **args, void *ret, void *data)
{
	ck_assert_int_gt(*(int *)args[2], 0);
	if (++writes == fail_at)
		*(int *)ret = FULL;
	else
		ck_ok(ftr_call_original(call, args, ret));
}

static const char change[] = "BEGIN; INSERT INTO t SELECT NULL, randomblob(300) FROM t LIMIT 50;"
			     "UPDATE t SET b = randomblob(400) WHERE a % 3 = 0; COMMIT";

static void *make_database(char *path)
{
	void *db;

	ck_assert_int_eq(sqlite.open(path, &db), OK);
	ck_assert_int_eq(run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB);"
			     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			     " WHERE i < 100) INSERT INTO t SELECT i, randomblob(300) FROM n"), OK);
	return db;
}

static void *write_function(void *db)
{
	struct file *file;

	ck_assert_int_eq(sqlite.file_control(db, "main", FILE_POINTER, &file), OK);
	return file->methods->write;
}

/** The transaction fails as a whole, the database says why, and is well. */
static void check_full(void *db, unsigned at)
{
	writes = 0;
	fail_at = at;
	ck_assert_int_eq(run(db, change), FULL);
	ck_assert_str_eq(sqlite.errmsg(db), "database or disk is full");
	fail_at = 0;
	run(db, "ROLLBACK");
	ck_assert_str_eq(ask(db, "SELECT count(*) FROM t"), "100");
	ck_assert_str_eq(ask(db, "PRAGMA integrity_check"), "ok");
}

START_TEST(test_disk_full)
{
	char path[] = "faults.XXXXXX", journal[64];
	int fd = mkstemp(path);
	void *db = make_database(path), *write = write_function(db);
	struct ftr_signature *signature;

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_ok(ftr_signature_parse(&signature, "int (sqlite3_file *, const void *, int, int64_t)"));
	ck_ok(ftr_replace_typed(write, signature, writing, NULL));
	for (unsigned at = 1; at <= 12; at++)
		check_full(db, at);
	writes = 0;
	ck_assert_int_eq(run(db, change), OK);
	ck_assert_uint_gt(writes, 12);
	ck_assert_str_eq(ask(db, "SELECT count(*) FROM t"), "150");
	ck_ok(ftr_restore(write));
	writes = 0;
	ck_assert_int_eq(run(db, change), OK);
	ck_assert_uint_eq(writes, 0);
	ck_assert_str_eq(ask(db, "PRAGMA integrity_check"), "ok");
	ck_assert_int_eq(sqlite.close(db), OK);
	ftr_signature_free(signature);
	snprintf(journal, sizeof journal, "%s-journal", path);
	unlink(journal);
	unlink(path);
}
END_TEST

/* --- one module's malloc() ------------------------------------------------------------------ */

struct search {
	uintptr_t inside;   /* the module */
	uintptr_t got;      /* where _GLOBAL_OFFSET_TABLE_ is */
	uintptr_t slot;     /* of malloc in it */
	uintptr_t entry;    /* of the procedure linkage table */
};

static const ElfW(Dyn) *tag(const ElfW(Dyn) *d, ElfW(Sxword) wanted)
{
	while (d->d_tag != DT_NULL && d->d_tag != wanted)
		d++;
	ck_assert_int_eq(d->d_tag, wanted);
	return d;
}

#ifdef __x86_64__
typedef ElfW(Rela) reloc_t;
#define RELOC_SYMBOL ELF64_R_SYM
#else
typedef ElfW(Rel) reloc_t;
#define RELOC_SYMBOL ELF32_R_SYM
#endif

static void find_slot(struct search *s, uintptr_t base, const ElfW(Dyn) *d)
{
	const reloc_t *r = (const reloc_t *)tag(d, DT_JMPREL)->d_un.d_ptr;
	const ElfW(Sym) *symbols = (const ElfW(Sym) *)tag(d, DT_SYMTAB)->d_un.d_ptr;
	const char *names = (const char *)tag(d, DT_STRTAB)->d_un.d_ptr;
	size_t n = tag(d, DT_PLTRELSZ)->d_un.d_val / sizeof *r;

	s->got = tag(d, DT_PLTGOT)->d_un.d_ptr;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(names + symbols[RELOC_SYMBOL(r[i].r_info)].st_name, "malloc"))
			s->slot = base + r[i].r_offset;
}

/** Whether a jump by way of the slot is here. */
static bool jumps_by_slot(const struct search *s, uintptr_t at)
{
	const uint8_t *bytes = (const uint8_t *)at;
	int32_t distance;

	memcpy(&distance, bytes + 2, sizeof distance);
#ifdef __x86_64__
	return bytes[0] == 0xff && bytes[1] == 0x25 && at + 6 + (uintptr_t)distance == s->slot;
#else
	return bytes[0] == 0xff && bytes[1] == 0xa3 && s->got + (uintptr_t)distance == s->slot;
#endif
}

static void find_entry(struct search *s, uintptr_t low, uintptr_t high)
{
	for (uintptr_t at = low; at + 6 <= high && !s->entry; at++)
		if (jumps_by_slot(s, at))
			s->entry = at;
	/* It may begin with a landing pad, and a prefix. */
	if (s->entry && ((const uint8_t *)s->entry)[-1] == 0xf2)
		s->entry--;
	if (s->entry && !memcmp((const void *)(s->entry - 4), "\xf3\x0f\x1e", 3))
		s->entry -= 4;
}

static int look_at_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	const ElfW(Dyn) *dynamic = NULL;
	bool it = false;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		it |= p->p_type == PT_LOAD &&
		      s->inside - (info->dlpi_addr + p->p_vaddr) < p->p_memsz;
		if (p->p_type == PT_DYNAMIC)
			dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + p->p_vaddr);
	}
	if (!it || !dynamic)
		return 0;
	find_slot(s, info->dlpi_addr, dynamic);
	for (int i = 0; i < info->dlpi_phnum && s->slot; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
			find_entry(s, info->dlpi_addr + p->p_vaddr,
				   info->dlpi_addr + p->p_vaddr + p->p_filesz);
	}
	return 1;
}

static unsigned allocations;

/* i386: the original, an entry of a procedure linkage table, wants the module's
 * ebx; so this calls malloc() its own way. */
static void allocating(struct ftr_call *call, void **args, void *ret, void *data)
{
	*(void **)ret = ++allocations % 3 ? malloc(*(size_t *)args[0]) : NULL;
}

START_TEST(test_malloc_of_one_module)
{
	void *module = dlopen(ALLOCATING, RTLD_NOW);
	struct ftr_signature *signature;
	struct search search = { 0 };
	unsigned failed, (*make)(unsigned, unsigned *);

	ck_assert_msg(module != NULL, "%s", dlerror());
	*(void **)&make = dlsym(module, "allocating_list");
	search.inside = (uintptr_t)make;
	dl_iterate_phdr(look_at_module, &search);
	ck_assert_uint_ne(search.entry, 0);

	ck_assert_uint_eq(make(300, &failed), 300);
	ck_ok(ftr_signature_parse(&signature, "void *malloc(size_t)"));
	ck_ok(ftr_replace_typed((void *)search.entry, signature, allocating, NULL));
	ck_assert_uint_eq(make(300, &failed), 200);
	ck_assert_uint_eq(failed, 100);
	/* Nobody else's. */
	allocations = 0;
	for (int i = 0; i < 10; i++) {
		void *mine = malloc(10);
		ck_assert_ptr_nonnull(mine);
		free(mine);
	}
	ck_assert_uint_eq(allocations, 0);
	ck_ok(ftr_restore((void *)search.entry));
	ck_assert_uint_eq(make(300, &failed), 300);
	ck_assert_uint_eq(failed, 0);
	ftr_signature_free(signature);

	/* The module goes while its function is replaced. */
	ck_ok(ftr_replace((void *)search.entry, (void *)malloc, NULL));
	ck_assert_uint_eq(make(300, &failed), 300);
	dlclose(module);
	ck_ok(ftr_restore((void *)search.entry));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");

	if (live_lacks_breakpoints())
		return 77;
	LIVE_CASE(suite, test_malloc_of_one_module, 30);
	if (find_sqlite())
		LIVE_CASE(suite, test_disk_full, 60);
	int result = live_main(suite);
	if (!sqlite.open && !result) {
		puts("SKIP: no libsqlite3.so.0: its test was left out");
		return 77;
	}
	return result;
}
