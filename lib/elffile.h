/* SPDX-License-Identifier: MIT */
/*
 * What an ELF file tells of a loaded module: tables of sites and functions.
 * Floor 1; the only file behind it that sees libelf.
 *
 * All addresses are the file's: the module's load address is still to be added.
 */
#ifndef FTR__ELFFILE_H
#define FTR__ELFFILE_H

#include <link.h>

#include "lib/compiler.h"

struct ftr__function {
	uintptr_t addr;
	uint32_t size;
	uint32_t name; /* offset in ftr__elf.names */
};

enum ftr__table_kind { FTR__TABLE_PATCHABLE, FTR__TABLE_MCOUNT };

struct ftr__table {
	enum ftr__table_kind kind;
	uintptr_t addr;
	size_t size;
};

enum { FTR__TABLES_MAX = 8 };

struct ftr__elf {
	bool sections;               /* there are section headers */
	struct ftr__table tables[FTR__TABLES_MAX];
	size_t n_tables;
	uintptr_t rseq;              /* the section __rseq_cs; 0: none */
	size_t rseq_size;
	struct ftr__function *functions; /* in the order of addresses, one for each */
	size_t n_functions;
	char *names;
	size_t names_size;
};

/*
 * Read the file at `path`, if its program headers are those in memory.
 * Nothing in the file is trusted.  0, or -ENOENT: it can't be read, is no ELF
 * file of this machine, or is another file than the one that was loaded;
 * -ENOMEM: it can't be read just now, for want of memory or of descriptors.
 * Free with ftr__elf_free().
 */
int ftr__elf_read(struct ftr__elf *elf, const char *path, const ElfW(Phdr) *phdr, size_t phnum);
void ftr__elf_free(struct ftr__elf *elf);

#endif
