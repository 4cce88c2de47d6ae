/* SPDX-License-Identifier: MIT */
/*
 * Reading section headers and symbols by elfutils' libelf.  Floor 1; no state
 * but libelf's version.
 *
 * libelf checks that headers and sections lie inside the file; here it is
 * checked that offsets from inside the sections do.  The file is read, not
 * mapped: one that is cut short meanwhile gives errors, not SIGBUS.
 */
#include "lib/elffile.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"

#if __ELF_NATIVE_CLASS == 64
#define NATIVE_CLASS   ELFCLASS64
#define SYM_TYPE(info) ELF64_ST_TYPE(info)
#define SYM_BIND(info) ELF64_ST_BIND(info)
#else
#define NATIVE_CLASS   ELFCLASS32
#define SYM_TYPE(info) ELF32_ST_TYPE(info)
#define SYM_BIND(info) ELF32_ST_BIND(info)
#endif

/* The file on disk may be another by now than the one that was loaded. */
static bool same_program_headers(Elf *file, const ElfW(Phdr) *phdr, size_t phnum)
{
	size_t n;

	if (elf_getphdrnum(file, &n) || n != phnum)
		return false;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;
		if (!gelf_getphdr(file, (int)i, &p) || p.p_type != phdr[i].p_type ||
		    p.p_vaddr != phdr[i].p_vaddr || p.p_offset != phdr[i].p_offset ||
		    p.p_filesz != phdr[i].p_filesz || p.p_memsz != phdr[i].p_memsz ||
		    p.p_flags != phdr[i].p_flags)
			return false;
	}
	return true;
}

static void note_rseq(struct ftr__elf *elf, const struct ftr__table *table)
{
	elf->rseq = table->addr;
	elf->rseq_size = table->size;
}

static void note_table(struct ftr__elf *elf, const char *name, const GElf_Shdr *header)
{
	struct ftr__table table = { .addr = (uintptr_t)header->sh_addr,
				    .size = (size_t)header->sh_size };

	if (!(header->sh_flags & SHF_ALLOC) || header->sh_type == SHT_NOBITS)
		return;
	if (!strcmp(name, "__patchable_function_entries"))
		table.kind = FTR__TABLE_PATCHABLE;
	else if (!strcmp(name, "__mcount_loc"))
		table.kind = FTR__TABLE_MCOUNT;
	else if (!strcmp(name, "__rseq_cs"))
		return note_rseq(elf, &table);
	else
		return;
	if (elf->n_tables < FTR__TABLES_MAX)
		elf->tables[elf->n_tables++] = table;
}

/* Note the tables; the best symbol table: .symtab, else .dynsym. */
static Elf_Scn *walk_sections(struct ftr__elf *elf, Elf *file)
{
	Elf_Scn *section = NULL, *symbols = NULL;
	bool full = false;
	size_t strings;

	if (elf_getshdrstrndx(file, &strings))
		return NULL;
	while ((section = elf_nextscn(file, section)) != NULL) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header))
			continue;
		elf->sections = true;
		const char *name = elf_strptr(file, strings, header.sh_name);
		if (name)
			note_table(elf, name, &header);
		if (header.sh_type == SHT_SYMTAB || (header.sh_type == SHT_DYNSYM && !full)) {
			symbols = section;
			full = header.sh_type == SHT_SYMTAB;
		}
	}
	return symbols;
}

/* Copy a string section, with a 0 behind it; a version suffix ends a name. */
static int copy_names(struct ftr__elf *elf, Elf *file, size_t index)
{
	Elf_Scn *section = elf_getscn(file, index);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;

	if (!data || !data->d_buf || !data->d_size || data->d_size > UINT32_MAX)
		return -ENOENT;
	elf->names = malloc(data->d_size + 1);
	if (!elf->names)
		return -ENOMEM;
	memcpy(elf->names, data->d_buf, data->d_size);
	elf->names[data->d_size] = 0;
	elf->names_size = data->d_size + 1;
	return 0;
}

struct candidate {
	struct ftr__function function;
	unsigned rank; /* of several names for one address the lowest is taken */
};

static int by_address(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->function.addr != y->function.addr)
		return x->function.addr < y->function.addr ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->function.name < y->function.name ? -1 : x->function.name > y->function.name;
}

static bool is_function(const struct ftr__elf *elf, const ElfW(Sym) *sym)
{
	return SYM_TYPE(sym->st_info) == STT_FUNC && sym->st_shndx != SHN_UNDEF &&
	       sym->st_value && sym->st_name && sym->st_name < elf->names_size &&
	       elf->names[sym->st_name];
}

static size_t collect(const struct ftr__elf *elf, const ElfW(Sym) *syms, size_t n,
		      struct candidate *list)
{
	size_t found = 0;
	bool sorted = true;

	for (size_t i = 0; i < n; i++) {
		if (!is_function(elf, &syms[i]))
			continue;
		struct candidate *c = &list[found++];
		unsigned bind = SYM_BIND(syms[i].st_info);
		c->function.addr = (uintptr_t)syms[i].st_value;
		c->function.size = syms[i].st_size > UINT32_MAX ? 0 : (uint32_t)syms[i].st_size;
		c->function.name = syms[i].st_name;
		c->rank = bind == STB_GLOBAL ? 0 : bind == STB_WEAK ? 1 : 2;
		sorted = sorted && (found < 2 || c[-1].function.addr < c->function.addr);
	}
	if (!sorted)
		qsort(list, found, sizeof *list, by_address);
	return found;
}

static int read_functions(struct ftr__elf *elf, Elf_Scn *section)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t n = data && data->d_buf ? data->d_size / sizeof(ElfW(Sym)) : 0;

	if (!n)
		return 0;
	struct candidate *list = malloc(n * sizeof *list);
	elf->functions = malloc(n * sizeof *elf->functions);
	if (!list || !elf->functions) {
		free(list);
		return -ENOMEM;
	}
	n = collect(elf, data->d_buf, n, list);
	for (size_t i = 0; i < n; i++)
		if (!i || list[i].function.addr != list[i - 1].function.addr)
			elf->functions[elf->n_functions++] = list[i].function;
	free(list);
	return 0;
}

static int read_open(struct ftr__elf *elf, Elf *file, const ElfW(Phdr) *phdr, size_t phnum)
{
	const char *ident = elf_getident(file, NULL);

	if (elf_kind(file) != ELF_K_ELF || !ident || ident[EI_CLASS] != NATIVE_CLASS ||
	    !same_program_headers(file, phdr, phnum))
		return -ENOENT;
	Elf_Scn *symbols = walk_sections(elf, file);
	GElf_Shdr header;
	if (!symbols || !gelf_getshdr(symbols, &header))
		return 0;
	int result = copy_names(elf, file, header.sh_link);
	if (result == -ENOENT)
		return 0; /* no names: the tables still count */
	return result ? result : read_functions(elf, symbols);
}

int ftr__elf_read(struct ftr__elf *elf, const char *path, const ElfW(Phdr) *phdr, size_t phnum)
{
	memset(elf, 0, sizeof *elf);
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOENT;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -ENOMEM : -ENOENT;
	Elf *file = elf_begin(fd, ELF_C_READ, NULL);
	int result = file ? read_open(elf, file, phdr, phnum) : -ENOENT;
	elf_end(file);
	close(fd);
	if (result)
		ftr__elf_free(elf);
	return result;
}

void ftr__elf_free(struct ftr__elf *elf)
{
	free(elf->functions);
	free(elf->names);
	memset(elf, 0, sizeof *elf);
}
