/* SPDX-License-Identifier: MIT */
/*
 * Shared objects of which some bytes that the loader does not look at were
 * changed by chance, always the same: the library may find what it likes, but
 * breaks nothing.
 */
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/forms/elfedit.h"
#include "tests/forms/face.h"
#include "tests/live/live.h"

enum { ALL = PLUGIN_FUNCTIONS, MUTATIONS = 1000 };

static uint64_t chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A value that parsers stumble over. */
static uint64_t odd_value(uint64_t *state)
{
	static const uint64_t values[] = { 0, 1, 7, 8, 0x7f, 0xff, 0x1000, 0x7fff, 0xffff,
					   0x7fffffff, 0x80000000, 0xffffffff,
					   0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX,
					   UINT64_MAX - 7 };
	uint64_t n = chance(state);

	return n % 3 ? values[n / 3 % (sizeof(values) / sizeof(values[0]))] : chance(state);
}

/* What the loader does not look at, and the library may. */
static const char *const parts[] = { ".symtab", ".strtab", ".shstrtab", ".eh_frame_hdr" };
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static void mutate_once(struct image *image, uint64_t *state)
{
	size_t which = chance(state) % (PARTS + 3), offset, size, width, at;
	uint64_t value = odd_value(state);

	if (which < PARTS) {
		offset = elf_section(image, parts[which])->sh_offset;
		size = elf_section(image, parts[which])->sh_size;
	} else if (which == PARTS) {
		offset = offsetof(ElfW(Ehdr), e_shoff);
		size = sizeof(ElfW(Off));
	} else {
		offset = elf_header(image)->e_shoff;
		size = elf_header(image)->e_shnum * sizeof(ElfW(Shdr));
	}
	width = (size_t)1 << chance(state) % 4;
	if (width > size)
		width = 1;
	at = offset + chance(state) % (size / width) * width;
	ck_assert_uint_le(at + width, image->size);
	memcpy(image->bytes + at, &value, width);
}

/* Places are looked up in the whole file, then all are changed. */
static void mutate(struct image *image, const struct image *whole, uint64_t *state)
{
	struct image copy = { malloc(whole->size), whole->size };
	size_t n = 1 + chance(state) % 6;

	ck_assert_ptr_nonnull(copy.bytes);
	for (size_t i = 0; i < n; i++) {
		memcpy(copy.bytes, whole->bytes, whole->size);
		mutate_once(&copy, state);
		for (size_t at = 0; at < whole->size; at++)
			if (copy.bytes[at] != whole->bytes[at])
				image->bytes[at] = copy.bytes[at];
	}
	if (chance(state) % 8 == 0)
		image->size = elf_loaded_end(whole) +
			      chance(state) % (whole->size - elf_loaded_end(whole));
	free(copy.bytes);
}

/* Each in a process of its own; which one failed is told by its number. */
START_TEST(test_mutations)
{
	struct image whole = image_read(load_path("a"));
	struct image image = { malloc(whole.size), whole.size };
	unsigned long found = 0, rounds = live_rounds(MUTATIONS);

	ck_assert_ptr_nonnull(image.bytes);
	for (unsigned long i = 0; i < rounds; i++) {
		uint64_t state = 0x9e3779b97f4a7c15 + i * 0x2545f4914f6cdd1d;
		int status;
		pid_t child;
		char *path;

		memcpy(image.bytes, whole.bytes, whole.size);
		image.size = whole.size;
		mutate(&image, &whole, &state);
		path = image_write(&image);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (!child)
			_exit(face(path) == ALL ? 0 : 200);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) &&
				      (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 200),
			      "mutation %lu, kept in %s: status %#x", i, path, status);
		found += WEXITSTATUS(status) == 0;
		unlink(path);
		free(path);
	}
	/* Some of them harm nothing, and some do: else this tests nothing. */
	ck_assert_uint_gt(found, rounds / 20);
	ck_assert_uint_lt(found, rounds - rounds / 20);
	free(image.bytes);
	free(whole.bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mutations");

	LIVE_CASE(suite, test_mutations, 200);
	return live_main(suite);
}
