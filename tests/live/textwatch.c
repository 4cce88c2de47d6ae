/* SPDX-License-Identifier: MIT */
/* See textwatch.h. */
#include "tests/live/textwatch.h"

#include <link.h>
#include <stdlib.h>

#define TRACED(n)                           \
	FTR_TRACEABLE int traced_##n(void); \
	FTR_TRACEABLE int traced_##n(void)  \
	{                                   \
		return n;                   \
	}

TRACED(0)
TRACED(1)
TRACED(2)
TRACED(3)

int (*const traced[TRACED_FUNCTIONS])(void) = { traced_0, traced_1, traced_2, traced_3 };

uintptr_t text_start;
size_t text_size;
static unsigned char *text_kept;
static uint64_t calls;

static int note_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			text_start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			text_size = info->dlpi_phdr[i].p_memsz;
		}
	return 1; /* the program is the first */
}

void keep_text(void)
{
	if (!text_kept) {
		dl_iterate_phdr(note_text, NULL);
		text_kept = malloc(text_size);
	}
	ck_assert_ptr_nonnull(text_kept);
	ck_assert_uint_lt((uintptr_t)traced_0 - text_start, text_size);
	memcpy(text_kept, (const void *)text_start, text_size);
}

void check_text(const char *after)
{
	const unsigned char *now = (const unsigned char *)text_start;
	size_t i = 0;

	while (i < text_size && now[i] == text_kept[i])
		i++;
	ck_assert_msg(i == text_size, "%s: text changed at %#zx", after, (size_t)text_start + i);
}

void start(void)
{
	ck_ok(ftr_init(NULL));
	keep_text();
}

int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	calls++;
	return 0;
}

uint64_t calls_of_all(void)
{
	calls = 0;
	for (int i = 0; i < TRACED_FUNCTIONS; i++)
		ck_assert_int_eq(traced[i](), i);
	return calls;
}

struct ftr_group *counting(uint32_t flags)
{
	struct ftr_group *group = live_group("counting", count_call, NULL, flags);

	ck_assert_int_eq(ftr_group_filter(group, "traced_*", 0), TRACED_FUNCTIONS);
	return group;
}

static int count_site(const struct ftr_site *site, void *arg)
{
	++*(int *)arg;
	return 0;
}

int sites_held(const struct ftr_group *group)
{
	int n = 0;

	ck_ok(ftr_group_for_each(group, count_site, &n));
	return n;
}

int end_walk(const struct ftr_site *site, void *arg)
{
	return 1;
}
