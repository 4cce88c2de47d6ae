/* SPDX-License-Identifier: MIT */
/*
 * See load.h.  To have a library loaded at one address, every higher gap of
 * its size is filled first: the kernel gives the highest that is free.
 */
#include "tests/live/load.h"

#include <check.h>
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, GAPS_MAX = 4096 };

const char *load_path(const char *which)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/plugin_%s.so", PLUGIN_DIR, which);
	return path;
}

struct search {
	uintptr_t addr;
	struct loaded *loaded;
	int found;
};

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;
	uintptr_t low = UINTPTR_MAX, high = 0;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + (p->p_vaddr & -(uintptr_t)PAGE);
		uintptr_t end = info->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type != PT_LOAD)
			continue;
		low = start < low ? start : low;
		high = end > high ? end : high;
		if (p->p_flags & PF_X && search->loaded) {
			search->loaded->text = start;
			search->loaded->text_size = (end - start + PAGE - 1) & -(size_t)PAGE;
		}
	}
	if (search->addr < low || search->addr >= high)
		return 0;
	search->found = 1;
	if (search->loaded) {
		search->loaded->base = low;
		search->loaded->size = (high - low + PAGE - 1) & -(size_t)PAGE;
	}
	return 1;
}

void load(struct loaded *loaded, const char *path)
{
	struct search search = { 0, loaded, 0 };
	const char *slash = strrchr(path, '/');

	memset(loaded, 0, sizeof(*loaded));
	loaded->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(loaded->handle != NULL, "%s", dlerror());
	loaded->plugin = dlsym(loaded->handle, "plugin");
	ck_assert_ptr_nonnull(loaded->plugin);
	snprintf(loaded->module, sizeof(loaded->module), "%s", slash ? slash + 1 : path);
	search.addr = (uintptr_t)loaded->plugin;
	dl_iterate_phdr(note_module, &search);
	ck_assert_int_eq(search.found, 1);
}

void load_again_at(struct loaded *loaded, const char *path, const struct loaded *before)
{
	static void *gaps[GAPS_MAX];
	size_t n = 0;

	do {
		ck_assert_uint_lt(n, GAPS_MAX);
		gaps[n] = mmap(NULL, before->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(gaps[n], MAP_FAILED);
	} while ((uintptr_t)gaps[n++] != before->base);
	munmap(gaps[--n], before->size);
	load(loaded, path);
	while (n)
		munmap(gaps[--n], before->size);
	ck_assert_uint_eq(loaded->base, before->base);
}

void load_elsewhere(struct loaded *loaded, const char *path, const struct loaded *before)
{
	void *plug = mmap((void *)before->base, before->size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_ptr_eq(plug, (void *)before->base);
	load(loaded, path);
	munmap(plug, before->size);
	ck_assert_uint_ne(loaded->base, before->base);
}

void unload(struct loaded *loaded)
{
	struct search search = { loaded->base, NULL, 0 };

	ck_assert_int_eq(dlclose(loaded->handle), 0);
	loaded->handle = NULL;
	dl_iterate_phdr(note_module, &search);
	ck_assert_msg(!search.found, "the loader keeps %s", loaded->module);
}

void load_call_all(const struct loaded *loaded)
{
	for (long i = 0; i < PLUGIN_FUNCTIONS; i++)
		ck_assert_int_eq(loaded->plugin->call[i](10), 11 + i);
}

struct image image_read(const char *path)
{
	struct image image = { NULL, 0 };
	FILE *file = fopen(path, "rb");
	long size;

	ck_assert_msg(file != NULL, "%s", path);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	ck_assert_int_gt(size, 0);
	rewind(file);
	image.size = (size_t)size;
	image.bytes = malloc(image.size);
	ck_assert_ptr_nonnull(image.bytes);
	ck_assert_uint_eq(fread(image.bytes, 1, image.size, file), image.size);
	fclose(file);
	return image;
}

char *image_write(const struct image *image)
{
	char template[] = "./plugin_tmp.XXXXXX";
	int fd = mkstemp(template);
	FILE *file;
	char *path;

	ck_assert_int_ge(fd, 0);
	file = fdopen(fd, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(image->bytes, 1, image->size, file), image->size);
	ck_assert_int_eq(fclose(file), 0);
	path = strdup(template);
	ck_assert_ptr_nonnull(path);
	return path;
}

void image_drop_sections(struct image *image)
{
	ElfW(Ehdr) header;

	memcpy(&header, image->bytes, sizeof(header));
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = 0;
	memcpy(image->bytes, &header, sizeof(header));
}
