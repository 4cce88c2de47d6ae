/* SPDX-License-Identifier: MIT */
/*
 * T1, T2, H4, H10: groups, typed handlers, probes and what takes a function's place
 * come to one site and go in every order; after each step a call is what all of them
 * make of it together.
 */
#include "tests/live/live.h"

#include <stdio.h>
#include <stdlib.h>

FTR_TRACEABLE long plain(long x);
FTR_TRACEABLE long plain(long x)
{
	LIVE_OPAQUE(x);
	return x + 1;
}

static long replaced(long x)
{
	return x + 100;
}

static long changed_ip(long x)
{
	return x + 7;
}

/* --- who may hold it ------------------------------------------------------------------- */

enum { ENTRY, EXIT, TYPED, PROBE, REPLACED, AROUND, IP, HOLDERS };

static bool on[HOLDERS];
static unsigned seen[HOLDERS];

static int entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		 struct ftr_regs *regs)
{
	seen[ENTRY]++;
	ftr_regs_set_arg(regs, 0, ftr_regs_arg(regs, 0) + 1000);
	return 0;
}

static void exit_(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		  struct ftr_regs *regs)
{
	seen[EXIT]++;
	ftr_regs_set_return_value(regs, ftr_regs_return_value(regs) + 5);
}

static int typed(struct ftr_call *call, void **args, void *data)
{
	seen[TYPED]++;
	*(long *)args[0] += 10000;
	return 0;
}

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	seen[PROBE]++;
	return 0;
}

static void around(struct ftr_call *call, void **args, void *ret, void *data)
{
	seen[AROUND]++;
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret += 200000;
}

static int going(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		 struct ftr_regs *regs)
{
	seen[IP]++;
	ck_assert_int_eq(ftr_regs_set_ip(regs, (uintptr_t)changed_ip), 0);
	return 0;
}

static struct ftr_group *groups[HOLDERS];
static struct ftr_probe *probe;
static struct ftr_signature *signature;
static live_fn original;

static struct ftr_group *group_of(ftr_entry_fn on_entry, ftr_exit_fn on_exit, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.entry = on_entry;
	options.exit = on_exit;
	options.flags = flags;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "plain", 0), 1);
	return group;
}

static void set_up(void)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;

	ck_ok(ftr_signature_parse(&signature, "long (long)"));
	groups[ENTRY] = group_of(entry, NULL, 0);
	groups[EXIT] = group_of(NULL, exit_, FTR_GROUP_REGS);
	groups[TYPED] = group_of(NULL, NULL, 0);
	ck_ok(ftr_group_set_typed(groups[TYPED], signature, typed, NULL));
	groups[IP] = group_of(going, NULL, FTR_GROUP_IPMODIFY);
	options.addr = ftr_site_ip(ftr_site_find((uintptr_t)plain));
	options.pre = pre;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_replace(plain, replaced, (void **)&original));
	ck_ok(ftr_restore(plain));
}

/* --- what a call is to be ------------------------------------------------------------- */

static void check_call(void)
{
	long x = 1 + (on[ENTRY] ? 1000 : 0) + (on[TYPED] ? 10000 : 0), expected = x + 1;

	if (on[REPLACED])
		expected = x + 100;
	if (on[AROUND])
		expected = x + 1 + 200000;
	if (on[IP])
		expected = x + 7;
	memset(seen, 0, sizeof seen);
	long got = plain(1);
	ck_assert_msg(got == expected + (on[EXIT] ? 5 : 0),
		      "%ld, not %ld: entry %d exit %d typed %d probe %d replaced %d around %d ip %d",
		      got, expected + (on[EXIT] ? 5 : 0), on[ENTRY], on[EXIT], on[TYPED],
		      on[PROBE], on[REPLACED], on[AROUND], on[IP]);
	for (unsigned i = 0; i < HOLDERS; i++)
		ck_assert_msg(i == REPLACED || seen[i] == on[i], "holder %u ran %u times", i,
			      seen[i]);
	ck_assert_int_eq(original(1), 2);
}

static int toggle(unsigned which)
{
	switch (which) {
	case PROBE: return on[PROBE] ? ftr_probe_disable(probe) : ftr_probe_enable(probe);
	case REPLACED: return on[REPLACED] ? ftr_restore(plain) : ftr_replace(plain, replaced, NULL);
	case AROUND:
		return on[AROUND] ? ftr_restore((void *)plain)
				  : ftr_replace_typed((void *)plain, signature, around, NULL);
	default:
		return on[which] ? ftr_group_detach(groups[which])
				 : ftr_group_attach(groups[which]);
	}
}

/** Three of them exclude each other. */
static void step(unsigned which)
{
	bool excluded = !on[which] && which >= REPLACED && (on[REPLACED] || on[AROUND] || on[IP]);

	if (excluded) {
		ck_fails(toggle(which), -EBUSY);
	} else {
		ck_ok(toggle(which));
		on[which] = !on[which];
	}
	check_call();
}

/* --- orders ------------------------------------------------------------------------------ */

enum { ORDERS = 24 };

/** The n-th order of four. */
static void order_of(unsigned n, const unsigned *of, unsigned *order)
{
	unsigned rest[4];

	memcpy(rest, of, sizeof rest);
	for (unsigned i = 0, left = 4; i < 4; i++, left--) {
		unsigned at = n % left;
		n /= left;
		order[i] = rest[at];
		memmove(rest + at, rest + at + 1, (left - at - 1) * sizeof *rest);
	}
}

/** All come in one order and go in another. */
START_TEST(test_every_order)
{
	static const unsigned sets[][4] = { { ENTRY, EXIT, PROBE, REPLACED },
					    { ENTRY, EXIT, TYPED, AROUND } };
	unsigned come[4], go[4];

	set_up();
	for (unsigned i = 0; i < ORDERS; i++)
		for (unsigned j = 0; j < ORDERS; j++) {
			order_of(i, sets[_i], come);
			order_of(j, sets[_i], go);
			for (unsigned k = 0; k < 4; k++)
				step(come[k]);
			for (unsigned k = 0; k < 4; k++)
				step(go[k]);
		}
}
END_TEST

/** All of them, as chance has it. */
START_TEST(test_a_long_walk)
{
	unsigned seed = 4711;

	set_up();
	for (unsigned long rounds = live_rounds(4000); rounds; rounds--) {
		seed = seed * 69069 + 12345;
		step((seed >> 16) % HOLDERS);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace orders");
	const char *poke = getenv("FTR_POKE");

	if (poke && !strcmp(poke, "skip")) {
		puts("SKIP: sites go from call to jump here, which FTR_POKE=skip can't");
		return 77;
	}
	LIVE_LOOP(suite, test_every_order, 0, 2, 60);
	LIVE_CASE(suite, test_a_long_walk, 60);
	return live_main(suite);
}
