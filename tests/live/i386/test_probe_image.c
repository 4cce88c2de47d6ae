/* SPDX-License-Identifier: MIT */
/*
 * H5, B3 on i386: a breakpoint's handlers, before and behind the instruction, change
 * all that a function may, and nothing has changed: general registers, flags, x87,
 * vector and mask registers, for each CPU.
 */
#include "backends/x86/vectors.h"
#include "tests/live/i386/image.h"
#include "tests/live/live.h"

extern struct image image_in, image_out;
extern void (*image_fn)(void);
extern uint32_t image_width, image_masks;
void image_call(void), image_clobber(void), image_site(void);

enum { FLAGS = 0x8d5 | 0x400 };
static const uint32_t widths[] = { 0, 16, 32, 64 };
static unsigned pres, posts, wrong;

static void look_and_clobber(struct ftr_regs *regs)
{
	struct {
		uint16_t control, unused0, status, unused1, tags, unused2;
		uint32_t pointers[4];
	} env;
	uint32_t flags;
	size_t width;
	unsigned n;

	__asm__ volatile("fnstenv %0" : "=m"(env));
	__asm__ volatile("pushfl; popl %0" : "=r"(flags));
	wrong += env.tags != 0xffff || (flags & 0x400);
	for (n = 0; n < 8; n++) {
		const void *vector = ftr_regs_vector(regs, n, &width);
		wrong += width != image_width;
		wrong += width && memcmp(vector, image_in.vectors[n], width) != 0;
	}
	image_clobber();
	__asm__ volatile("fninit; fld1; fldpi; fld1; fldpi; fld1; fldpi; fld1; fldpi");
}

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	look_and_clobber(regs);
	return 0;
}

static void post(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
	look_and_clobber(regs);
}

static void fill(unsigned round)
{
	unsigned i;

	for (i = 0; i < IMAGE_GENERAL; i++)
		image_in.general[i] = 0x11111111u * (i + 1) + 0x01234567u * round;
	/* The direction flag is as a function may leave it in the middle. */
	image_in.flags = 0x202 | (round & 1 ? 0x8d5 : 0) | (round & 2 ? 0x400 : 0);
	image_in.sp = 4 * (round % 4);
	for (i = 0; i < 8; i++)
		image_in.masks[i] = 0x0123456789abcdefull * (i + round);
	for (i = 0; i < sizeof(image_in.vectors); i++)
		image_in.vectors[i / 64][i % 64] = (unsigned char)(i * 7 + round);
	memset(&image_out, 0, sizeof(image_out));
}

/* Two values on the x87 stack, and rounding upwards. */
static void one_round(unsigned round)
{
	const uint16_t up = 0x0b7f;
	uint16_t control = 0, old = 0;
	double values[2] = { 0, 0 };

	fill(round);
	__asm__ volatile("fnstcw %0" : "=m"(old));
	__asm__ volatile("fldcw %0; fldpi; fld1" : : "m"(up));
	image_call();
	__asm__ volatile("fnstcw %0; fstpl %1; fstpl %2"
			 : "=m"(control), "=m"(values[0]), "=m"(values[1]));
	__asm__ volatile("fldcw %0" : : "m"(old));
	ck_assert_uint_eq(control, up);
	ck_assert(values[0] == 1 && values[1] > 3.14159 && values[1] < 3.14160);
	ck_assert_mem_eq(image_out.general, image_in.general, sizeof(image_in.general));
	ck_assert_uint_eq(image_out.flags & FLAGS, image_in.flags & FLAGS);
	for (unsigned n = 0; n < 8; n++)
		ck_assert_mem_eq(image_out.vectors[n], image_in.vectors[n], image_width);
	if (image_masks)
		ck_assert_mem_eq(image_out.masks, image_in.masks, sizeof(image_in.masks));
}

/* _i: the CPU's level, and with handlers before, behind, or both. */
START_TEST(test_all_is_kept)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe;
	unsigned round;

	ftr__vectors_limit = (unsigned)_i / 3;
	if (ftr__x86_vector_level() != (enum ftr__x86_level)(_i / 3))
		return; /* the CPU has less */
	image_width = widths[_i / 3];
	image_masks = _i / 3 == FTR__X86_AVX512 && ftr__x86_wide_masks;
	image_fn = image_site;
	options.addr = (uintptr_t)image_site + 5;
	options.pre = _i % 3 != 1 ? pre : NULL;
	options.post = _i % 3 != 0 ? post : NULL;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_probe_enable(probe));
	for (round = 0; round < 32; round++)
		one_round(round);
	ck_assert_uint_eq(pres, options.pre ? round : 0);
	ck_assert_uint_eq(posts, options.post ? round : 0);
	ck_assert_uint_eq(wrong, 0);
	ck_ok(ftr_probe_disable(probe));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe image");
	TCase *tcase = tcase_create("image");

	tcase_set_timeout(tcase, 60);
	/* From SSE on: the fixture loads no less. */
	tcase_add_loop_test(tcase, test_all_is_kept, 3, 12);
	suite_add_tcase(suite, tcase);
	return live_main(suite);
}
