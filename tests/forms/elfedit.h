/* SPDX-License-Identifier: MIT */
/**
 * @file elfedit.h
 * Finding one's way in an ELF file that lies in memory, to change it.  The
 * images are the tests' own and whole: nothing here checks what it reads.
 */
#ifndef FORMS_ELFEDIT_H
#define FORMS_ELFEDIT_H

#include <link.h>
#include <string.h>

#include "tests/live/load.h"

#if __ELF_NATIVE_CLASS == 64
#define RELOC_IS_RELATIVE(info) (ELF64_R_TYPE(info) == R_X86_64_RELATIVE)
typedef Elf64_Rela elfedit_reloc;
#else
#define RELOC_IS_RELATIVE(info) (ELF32_R_TYPE(info) == R_386_RELATIVE)
typedef Elf32_Rel elfedit_reloc;
#endif

static inline ElfW(Ehdr) *elf_header(const struct image *image)
{
	return (ElfW(Ehdr) *)image->bytes;
}

static inline ElfW(Shdr) *elf_sections(const struct image *image)
{
	return (ElfW(Shdr) *)(image->bytes + elf_header(image)->e_shoff);
}

static inline ElfW(Shdr) *elf_section(const struct image *image, const char *name)
{
	ElfW(Shdr) *sections = elf_sections(image);
	const char *names =
		(const char *)image->bytes + sections[elf_header(image)->e_shstrndx].sh_offset;

	for (int i = 0; i < elf_header(image)->e_shnum; i++)
		if (!strcmp(names + sections[i].sh_name, name))
			return &sections[i];
	return NULL;
}

/** What a section holds in the file. */
static inline void *elf_content(const struct image *image, const char *name)
{
	const ElfW(Shdr) *section = elf_section(image, name);

	return section ? image->bytes + section->sh_offset : NULL;
}

static inline ElfW(Phdr) *elf_segments(const struct image *image)
{
	return (ElfW(Phdr) *)(image->bytes + elf_header(image)->e_phoff);
}

/** The end in the file of what is loaded. */
static inline size_t elf_loaded_end(const struct image *image)
{
	const ElfW(Phdr) *p = elf_segments(image);
	size_t end = 0;

	for (int i = 0; i < elf_header(image)->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_offset + p[i].p_filesz > end)
			end = p[i].p_offset + p[i].p_filesz;
	return end;
}

/** The file's bytes of a loaded address. */
static inline unsigned char *elf_at(const struct image *image, uintptr_t addr)
{
	const ElfW(Phdr) *p = elf_segments(image);

	for (int i = 0; i < elf_header(image)->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && addr - p[i].p_vaddr < p[i].p_filesz)
			return image->bytes + p[i].p_offset + (addr - p[i].p_vaddr);
	return NULL;
}

/** The word that a relative relocation adds the base to: of the table's entry n. */
static inline uintptr_t *elf_entry_word(const struct image *image, const char *table, size_t n)
{
	const ElfW(Shdr) *section = elf_section(image, table);
	uintptr_t place = section->sh_addr + n * sizeof(uintptr_t);
#if __ELF_NATIVE_CLASS == 64
	const ElfW(Shdr) *list = elf_section(image, ".rela.dyn");
#else
	const ElfW(Shdr) *list = elf_section(image, ".rel.dyn");
#endif
	elfedit_reloc *relocs = list ? (elfedit_reloc *)(image->bytes + list->sh_offset) : NULL;

	for (size_t i = 0; relocs && i < list->sh_size / sizeof(*relocs); i++) {
		if (relocs[i].r_offset != place || !RELOC_IS_RELATIVE(relocs[i].r_info))
			continue;
#if __ELF_NATIVE_CLASS == 64
		return (uintptr_t *)&relocs[i].r_addend;
#else
		return (uintptr_t *)elf_at(image, place);
#endif
	}
	return NULL;
}

#endif /* FORMS_ELFEDIT_H */
