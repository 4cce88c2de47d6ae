/* SPDX-License-Identifier: MIT */
/*
 * What finding the sites of a module costs: time, and memory a site.
 *
 * usage: index MODULE-DIRECTORY
 *
 * Each number is from a fresh process that starts the library, loads the
 * module and calls ftr_sites_refresh().  The floor maps the same file, collects
 * its function symbols and sorts them by address: what an index by address with
 * names can't do without.
 */
#include "bench/measure.h"
#include "lib/site.h"

#include <elf.h>
#include <fcntl.h>
#include <ftr/ftr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROCESSES = 7 };

static const char *module_dir;

struct run {
	const char *form;
	size_t sites;
	struct bench_series floor, start, library; /* ms */
	struct bench_series memory;                /* bytes a site */
	size_t name_bytes;
};

struct entry {
	uint64_t address;
	const char *name;
};

static int by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct entry *)a)->address, y = ((const struct entry *)b)->address;

	return (x > y) - (x < y);
}

static const char *map_file(const struct run *run, size_t *size)
{
	char path[4096];
	struct stat st;
	const char *file;
	int fd;

	snprintf(path, sizeof path, "%s/%s-%zu.so", module_dir, run->form, run->sites);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		bench_fail("%s can't be read", path);
	*size = (size_t)st.st_size;
	file = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		bench_fail("%s can't be mapped", path);
	close(fd);
	return file;
}

static size_t collect(const char *file, const Elf64_Shdr *symtab, const char *names,
		      struct entry *entry)
{
	const Elf64_Sym *symbol = (const Elf64_Sym *)(file + symtab->sh_offset);
	size_t n = symtab->sh_size / sizeof *symbol, found = 0;

	for (size_t i = 0; i < n; i++)
		if (ELF64_ST_TYPE(symbol[i].st_info) == STT_FUNC && symbol[i].st_size)
			entry[found++] = (struct entry){ symbol[i].st_value,
							 names + symbol[i].st_name };
	return found;
}

static void child_floor(void *arg)
{
	struct run *run = arg;
	uint64_t start = bench_now();
	size_t size, found = 0;
	const char *file = map_file(run, &size);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *section = (const Elf64_Shdr *)(file + header->e_shoff);
	struct entry *entries = NULL;

	for (int i = 0; i < header->e_shnum; i++) {
		if (section[i].sh_type != SHT_SYMTAB)
			continue;
		entries = malloc(section[i].sh_size);
		if (!entries)
			bench_fail("no memory");
		found = collect(file, &section[i], file + section[section[i].sh_link].sh_offset,
				entries);
		qsort(entries, found, sizeof *entries, by_address);
	}
	bench_add(&run->floor, (double)(bench_now() - start) / 1e6);
	if (found < run->sites)
		bench_fail("%zu symbols for %zu sites", found, run->sites);
}

/* Anonymous memory that the process holds, bytes. */
static size_t anonymous_memory(void)
{
	char line[256];
	size_t kb = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "Anonymous: %zu", &kb) == 1)
			break;
	fclose(file);
	return kb * 1024;
}

static int add_name(const struct ftr_site *site, void *arg)
{
	*(size_t *)arg += strlen(ftr_site_name(site)) + 1;
	return 0;
}

static void child_library(void *arg)
{
	struct run *run = arg;
	size_t memory, names = 0, before;
	uint64_t start = bench_now();

	bench_check(ftr_init(NULL), "ftr_init");
	bench_add(&run->start, (double)(bench_now() - start) / 1e6);
	before = ftr_site_count();
	bench_load(module_dir, run->form, run->sites);
	memory = anonymous_memory();
	start = bench_now();
	bench_check(ftr_sites_refresh(), "ftr_sites_refresh");
	bench_add(&run->library, (double)(bench_now() - start) / 1e6);
	memory = anonymous_memory() - memory;
	if (ftr_site_count() - before != run->sites)
		bench_fail("%zu sites found of %zu", ftr_site_count() - before, run->sites);
	bench_add(&run->memory, (double)(ptrdiff_t)memory / (double)run->sites);
	ftr_site_for_each(add_name, &names);
	run->name_bytes = names;
}

static struct run *measure(const char *form, size_t sites)
{
	struct run *run = bench_shared(sizeof *run);

	run->form = form;
	run->sites = sites;
	for (int i = 0; i < PROCESSES; i++) {
		bench_child(child_floor, run);
		bench_child(child_library, run);
	}
	printf("  %-11zu %8.3f (%8.3f) %9.3f (%8.3f) %7.2f %8.0f %10.1f %10.1f\n", sites,
	       bench_min(&run->floor), bench_median(&run->floor), bench_min(&run->library),
	       bench_median(&run->library), bench_min(&run->library) / bench_min(&run->floor),
	       bench_min(&run->library) * 1e6 / (double)sites, bench_median(&run->memory),
	       (double)run->name_bytes / (double)sites);
	return run;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1000, 10000, 40000, 100000, 400000 };
	struct run *runs[5];

	if (argc != 2)
		bench_fail("usage: index MODULE-DIRECTORY");
	module_dir = argv[1];
	printf("\nindex: finding the sites of a module just loaded: ms, min (median); bytes a site\n");
	printf("  %-11s %19s %20s %7s %8s %10s %10s\n", "sites", "floor", "libftr", "ratio",
	       "ns/site", "anonymous", "its name");
	for (int i = 0; i < 5; i++)
		runs[i] = measure("nop", sizes[i]);
	printf("  growth from 40,000 to 400,000 sites, over ten times: floor %.2f, libftr %.2f\n",
	       bench_min(&runs[4]->floor) / bench_min(&runs[2]->floor) / 10,
	       bench_min(&runs[4]->library) / bench_min(&runs[2]->library) / 10);
	printf("  ftr_init() in this small program: %.3f (%.3f) ms\n", bench_min(&runs[2]->start),
	       bench_median(&runs[2]->start));
	printf("  goals: 40,000 sites in under 20 ms: %.2f; at most 32 bytes a site besides names: "
	       "struct ftr_site has %zu\n", bench_min(&runs[2]->library), sizeof(struct ftr_site));
	return 0;
}
