/* SPDX-License-Identifier: MIT */
/*
 * Files that lie (E2): shared objects that the loader takes, and whose section
 * headers, symbols, tables or unwind entries lead anywhere.  The library finds
 * what can be trusted, counts and reports the rest, and breaks nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/forms/elfedit.h"
#include "tests/forms/face.h"
#include "tests/live/live.h"

#define TABLE "__patchable_function_entries"

/** More than any file has, and no overflow yet. */
#define HUGE_SIZE ((size_t)1 << (sizeof(size_t) == 8 ? 40 : 30))

enum { ALL = PLUGIN_FUNCTIONS, NONE = 0, ANY = -1 };

/* --- what is done to a file -------------------------------------------------- */

static void nothing(struct image *image)
{
}

static void sections_beyond_end(struct image *image)
{
	elf_header(image)->e_shoff = image->size + 4096;
}

static void sections_at_the_far_end(struct image *image)
{
	elf_header(image)->e_shoff = (ElfW(Off)) - 16;
}

static void sections_off_by_one(struct image *image)
{
	elf_header(image)->e_shoff += 1;
}

static void sections_too_many(struct image *image)
{
	elf_header(image)->e_shnum = 0xfeff;
}

static void sections_counted_by_the_first(struct image *image)
{
	elf_sections(image)[0].sh_size = (ElfW(Word)) - 1;
	elf_header(image)->e_shnum = 0;
}

static void sections_of_no_size(struct image *image)
{
	elf_header(image)->e_shentsize = 0;
}

static void sections_without_names(struct image *image)
{
	elf_header(image)->e_shstrndx = 0xfefe;
}

static void cut_behind_what_is_loaded(struct image *image)
{
	image->size = elf_loaded_end(image);
}

static void cut_in_the_headers(struct image *image)
{
	image->size = elf_header(image)->e_shoff + 5 * sizeof(ElfW(Shdr)) + 7;
}

static void cut_in_the_symbols(struct image *image)
{
	image_drop_sections(image);
	image->size = elf_loaded_end(image) + 1;
}

static void table_huge(struct image *image)
{
	elf_section(image, TABLE)->sh_size = HUGE_SIZE;
}

static void table_over_all_memory(struct image *image)
{
	elf_section(image, TABLE)->sh_size = -(uintptr_t)8;
}

static void table_odd(struct image *image)
{
	elf_section(image, TABLE)->sh_size -= 3;
}

static void table_elsewhere(struct image *image)
{
	elf_section(image, TABLE)->sh_addr = 0x1000000;
}

static void table_wraps(struct image *image)
{
	elf_section(image, TABLE)->sh_addr = -(uintptr_t)8;
}

static void table_in_code(struct image *image)
{
	elf_section(image, TABLE)->sh_addr = elf_section(image, ".text")->sh_addr & -(uintptr_t)8;
}

static void table_askew(struct image *image)
{
	elf_section(image, TABLE)->sh_addr += 1;
}

static void table_not_loaded(struct image *image)
{
	elf_section(image, TABLE)->sh_flags &= ~(uintptr_t)SHF_ALLOC;
}

static void table_without_bytes(struct image *image)
{
	elf_section(image, TABLE)->sh_type = SHT_NOBITS;
}

static void table_compressed(struct image *image)
{
	elf_section(image, TABLE)->sh_flags |= SHF_COMPRESSED;
}

/* Every section is the table. */
static void table_many_times(struct image *image)
{
	ElfW(Shdr) table = *elf_section(image, TABLE);
	int names = elf_header(image)->e_shstrndx;

	for (int i = 1; i < elf_header(image)->e_shnum; i++)
		if (i != names)
			elf_sections(image)[i] = table;
}

static void set_entries(struct image *image, uintptr_t value, uintptr_t step)
{
	for (size_t i = 0; i < PLUGIN_FUNCTIONS; i++) {
		uintptr_t *word = elf_entry_word(image, TABLE, i);

		ck_assert_ptr_nonnull(word);
		*word = value + i * step;
	}
}

static void entries_outside(struct image *image)
{
	set_entries(image, 0x7000000, 4096);
}

static void entries_wrap(struct image *image)
{
	set_entries(image, -(uintptr_t)4, 1);
}

static void entries_in_data(struct image *image)
{
	set_entries(image, elf_section(image, ".dynamic")->sh_addr, 8);
}

static void entries_in_read_only_data(struct image *image)
{
	set_entries(image, elf_section(image, ".dynsym")->sh_addr, 8);
}

/* Nops that fill up to the next function: an entry there is that function's. */
static void entries_in_padding(struct image *image)
{
	uintptr_t next = *elf_entry_word(image, TABLE, 1);

	memset(elf_at(image, next - 5), 0x90, 5);
	set_entries(image, next - 5, 1);
}

/* A symbol says that a function begins there; it is no code all the same. */
static void functions_in_data(struct image *image)
{
	ElfW(Shdr) *section = elf_section(image, ".symtab"), *data = elf_section(image, ".eh_frame");
	ElfW(Sym) *symbols = elf_content(image, ".symtab");
	uintptr_t *entry = elf_entry_word(image, TABLE, 0);
	uintptr_t nops = data->sh_addr + data->sh_size - 8;

	for (size_t i = 0; i < section->sh_size / sizeof(*symbols); i++)
		if (symbols[i].st_value == *entry)
			symbols[i].st_value = nops;
	*entry = nops;
	memset(elf_at(image, nops), 0x90, 8);
}

static void entries_at_the_end_of_code(struct image *image)
{
	const ElfW(Phdr) *p = elf_segments(image);

	for (int i = 0; i < elf_header(image)->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_flags & PF_X)
			set_entries(image, p[i].p_vaddr + p[i].p_memsz - 3, 1);
}

static void entries_inside_sites(struct image *image)
{
	for (size_t i = 0; i < PLUGIN_FUNCTIONS; i++)
		*elf_entry_word(image, TABLE, i) += 1 + i;
}

static void entries_all_the_same(struct image *image)
{
	set_entries(image, *elf_entry_word(image, TABLE, 0), 0);
}

static void entries_backwards(struct image *image)
{
	uintptr_t *first = elf_entry_word(image, TABLE, 0);
	uintptr_t *last = elf_entry_word(image, TABLE, PLUGIN_FUNCTIONS - 1);
	uintptr_t kept = *first;

	*first = *last;
	*last = kept;
}

static void symbols_without_strings(struct image *image)
{
	elf_section(image, ".symtab")->sh_link = 0xffff;
}

static void symbols_in_their_own_strings(struct image *image)
{
	ElfW(Shdr) *symbols = elf_section(image, ".symtab");

	symbols->sh_link = (ElfW(Word))(symbols - elf_sections(image));
}

static void symbols_huge(struct image *image)
{
	elf_section(image, ".symtab")->sh_size = HUGE_SIZE;
}

static void symbols_of_no_size(struct image *image)
{
	elf_section(image, ".symtab")->sh_entsize = 0;
}

static void symbols_beyond_end(struct image *image)
{
	elf_section(image, ".symtab")->sh_offset = image->size - 1;
}

static void symbols_askew(struct image *image)
{
	elf_section(image, ".symtab")->sh_offset += 1;
}

/* Every symbol is changed by `change`. */
static void each_symbol(struct image *image, void (*change)(ElfW(Sym) *))
{
	ElfW(Shdr) *section = elf_section(image, ".symtab");
	ElfW(Sym) *symbols = elf_content(image, ".symtab");

	for (size_t i = 0; i < section->sh_size / sizeof(*symbols); i++)
		change(&symbols[i]);
}

static void lose_name(ElfW(Sym) *symbol)
{
	symbol->st_name = 0x7fffffff;
}

static void lose_place(ElfW(Sym) *symbol)
{
	symbol->st_value = -(uintptr_t)symbol->st_value - 1;
}

static void grow(ElfW(Sym) *symbol)
{
	symbol->st_size = (uintptr_t)-1;
}

static void names_beyond_strings(struct image *image)
{
	each_symbol(image, lose_name);
}

static void places_beyond_module(struct image *image)
{
	each_symbol(image, lose_place);
}

static void functions_of_any_size(struct image *image)
{
	each_symbol(image, grow);
}

static void strings_without_end(struct image *image)
{
	memset(elf_content(image, ".strtab"), 'a', elf_section(image, ".strtab")->sh_size);
}

static void strings_of_no_size(struct image *image)
{
	elf_section(image, ".strtab")->sh_size = 0;
}

static void strings_huge(struct image *image)
{
	elf_section(image, ".strtab")->sh_size = HUGE_SIZE;
}

/* Without symbols the unwinder's table says where functions begin. */
static void without_symbols(struct image *image)
{
	elf_section(image, ".symtab")->sh_type = SHT_NULL;
	elf_section(image, ".dynsym")->sh_type = SHT_NULL;
}

static uint32_t *unwind_header(struct image *image)
{
	without_symbols(image);
	return elf_content(image, ".eh_frame_hdr");
}

static void unwind_count_huge(struct image *image)
{
	unwind_header(image)[2] = 0xffffffff;
}

static void unwind_count_none(struct image *image)
{
	unwind_header(image)[2] = 0;
}

static void unwind_encoding(struct image *image)
{
	unwind_header(image)[0] = 0xffffffff;
}

static void unwind_table_garbage(struct image *image)
{
	uint32_t *words = unwind_header(image);

	for (uint32_t i = 0; i < 2 * words[2]; i++)
		words[3 + i] = 0x80000000u + i * 0x01234567u;
}

/* --- the cases --------------------------------------------------------------- */

#define CASE(edit, sites) { #edit, edit, sites }

static const struct hostile {
	const char *name;
	void (*edit)(struct image *image);
	int sites; /* how many are to be found; ANY: whatever can be trusted */
} cases[] = {
	CASE(nothing, ALL),
	CASE(sections_beyond_end, NONE),
	CASE(sections_at_the_far_end, NONE),
	CASE(sections_off_by_one, NONE),
	CASE(sections_too_many, NONE),
	CASE(sections_counted_by_the_first, NONE),
	CASE(sections_of_no_size, ANY),
	CASE(sections_without_names, NONE),
	CASE(cut_behind_what_is_loaded, NONE),
	CASE(cut_in_the_headers, NONE),
	CASE(cut_in_the_symbols, NONE),
	CASE(table_huge, NONE),
	CASE(table_over_all_memory, NONE),
	CASE(table_odd, ANY),
	CASE(table_elsewhere, NONE),
	CASE(table_wraps, NONE),
	CASE(table_in_code, NONE),
	CASE(table_askew, NONE),
	CASE(table_not_loaded, NONE),
	CASE(table_without_bytes, NONE),
	CASE(table_compressed, ANY),
	CASE(table_many_times, ANY),
	CASE(entries_outside, NONE),
	CASE(entries_wrap, NONE),
	CASE(entries_in_data, NONE),
	CASE(entries_in_read_only_data, NONE),
	CASE(entries_in_padding, 1),
	CASE(functions_in_data, PLUGIN_FUNCTIONS - 1),
	CASE(entries_at_the_end_of_code, NONE),
	CASE(entries_inside_sites, NONE),
	CASE(entries_all_the_same, 1),
	CASE(entries_backwards, ALL),
	CASE(symbols_without_strings, ANY),
	CASE(symbols_in_their_own_strings, ANY),
	CASE(symbols_huge, ANY),
	CASE(symbols_of_no_size, ANY),
	CASE(symbols_beyond_end, ANY),
	CASE(symbols_askew, ANY),
	CASE(names_beyond_strings, ALL),
	CASE(places_beyond_module, ALL),
	CASE(functions_of_any_size, ALL),
	CASE(strings_without_end, ALL),
	CASE(strings_of_no_size, ANY),
	CASE(strings_huge, ANY),
	CASE(without_symbols, ALL),
	CASE(unwind_count_huge, NONE),
	CASE(unwind_count_none, NONE),
	CASE(unwind_encoding, NONE),
	CASE(unwind_table_garbage, NONE),
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(test_files_that_lie)
{
	const struct hostile *hostile = &cases[_i];
	struct image image = image_read(load_path("a"));
	char *path;
	int sites;

	hostile->edit(&image);
	path = image_write(&image);
	sites = face(path);
	ck_assert_msg(hostile->sites == ANY || sites == hostile->sites, "%s: %d sites, not %d",
		      hostile->name, sites, hostile->sites);
	ck_assert_msg(sites <= ALL, "%s: %d sites", hostile->name, sites);
	unlink(path);
	free(path);
	free(image.bytes);
}
END_TEST

/* --- files that are others by the time they are read ------------------------- */

/* ANOTHER differs from what was loaded in its program headers alone. */
enum { DELETED, EMPTY, ANOTHER, DIRECTORY, FIFO, DEVICE, REPLACEMENTS };

static ElfW(Phdr) *segment_of_type(const struct image *image, unsigned type)
{
	ElfW(Phdr) *p = elf_segments(image);
	int i = 0;

	while (i < elf_header(image)->e_phnum && p[i].p_type != type)
		i++;
	ck_assert_int_lt(i, elf_header(image)->e_phnum);
	return &p[i];
}

static void replace_file(const char *path, int what)
{
	struct image other;
	char *name;
	FILE *file;

	ck_assert_int_eq(unlink(path), 0);
	switch (what) {
	case EMPTY:
		file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		fclose(file);
		break;
	case ANOTHER:
		other = image_read(load_path("a"));
		segment_of_type(&other, PT_GNU_STACK)->p_flags |= PF_X;
		name = image_write(&other);
		ck_assert_int_eq(rename(name, path), 0);
		free(name);
		free(other.bytes);
		break;
	case DIRECTORY:
		ck_assert_int_eq(mkdir(path, 0700), 0);
		break;
	case FIFO:
		ck_assert_int_eq(mkfifo(path, 0600), 0);
		break;
	case DEVICE:
		ck_assert_int_eq(symlink("/dev/zero", path), 0);
		break;
	default:
		break;
	}
}

START_TEST(test_file_is_another_now)
{
	struct image image = image_read(load_path("a"));
	char *path = image_write(&image);
	struct loaded loaded;
	struct census census = { &loaded, 0, 0 };

	load(&loaded, path);
	replace_file(path, _i);
	ck_ok(ftr_init(NULL));
	ck_ok(ftr_site_for_each(take_census, &census));
	ck_assert_int_eq(census.sites, 0);
	check_report(&loaded, 0);
	ck_ok(ftr_shutdown());
	load_call_all(&loaded);
	if (_i == DIRECTORY)
		rmdir(path);
	else
		unlink(path);
	free(path);
	free(image.bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *lies = tcase_create("lies");

	tcase_set_timeout(lies, 20);
	tcase_add_loop_test(lies, test_files_that_lie, 0, CASES);
	tcase_add_loop_test(lies, test_file_is_another_now, 0, REPLACEMENTS);
	suite_add_tcase(suite, lies);
	return live_main(suite);
}
