/* SPDX-License-Identifier: MIT */
/*
 * H8 for handlers around functions (T2): when ftr_restore() returns 0 none runs.
 */
#include "tests/live/live.h"

FTR_TRACEABLE long plain(long x);
FTR_TRACEABLE long plain(long x)
{
	LIVE_OPAQUE(x);
	return x + 1;
}

FTR_TRACEABLE long other(long x);
FTR_TRACEABLE long other(long x)
{
	LIVE_OPAQUE(x);
	return x + 2;
}

static struct ftr_signature *signature;

static void set_up(void)
{
	ck_ok(ftr_signature_parse(&signature, "long (long)"));
}

static atomic_uint calls;

static void doubling(struct ftr_call *call, void **args, void *ret, void *data)
{
	atomic_fetch_add(&calls, 1);
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret *= 2;
}

/* --- who is inside ----------------------------------------------------------------- */

static sem_t inside, go_on;

static void waiting(struct ftr_call *call, void **args, void *ret, void *data)
{
	sem_post(&inside);
	sem_wait(&go_on);
	*(int *)data += 1;
	ck_ok(ftr_call_original(call, args, ret));
}

static void *call_plain(void *arg)
{
	return (void *)plain(1);
}

/** A restore waits, in vain for as long as it is told to. */
START_TEST(test_waits)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	pthread_t thread;
	void *result;
	int data = 0;

	options.detach_timeout_ms = 20;
	ck_ok(ftr_init(&options));
	set_up();
	sem_init(&inside, 0, 0);
	sem_init(&go_on, 0, 0);
	ck_ok(ftr_replace_typed((void *)plain, signature, waiting, &data));
	ck_assert_int_eq(pthread_create(&thread, NULL, call_plain, NULL), 0);
	sem_wait(&inside);
	ck_fails(ftr_restore((void *)plain), -ETIMEDOUT);
	/* It is itself again all the same; one may wait for it again. */
	ck_assert_int_eq(plain(1), 2);
	ck_fails(ftr_restore((void *)plain), -ETIMEDOUT);
	/* Who is inside another handler is not waited for. */
	ck_ok(ftr_replace_typed((void *)other, signature, doubling, NULL));
	ck_assert_int_eq(other(1), 6);
	ck_ok(ftr_restore((void *)other));
	ck_assert_int_eq(data, 0);
	sem_post(&go_on);
	pthread_join(thread, &result);
	ck_assert_int_eq((long)result, 2);
	ck_assert_int_eq(data, 1);
	ck_ok(ftr_restore((void *)plain));
	ck_fails(ftr_restore((void *)plain), -ENOENT);

	ck_ok(ftr_replace_typed((void *)plain, signature, waiting, &data));
	sem_post(&go_on);
	ck_assert_int_eq(plain(1), 2);
	ck_ok(ftr_restore((void *)plain));
}
END_TEST

static struct live_worker worker;

static void let_go(struct live_worker *w)
{
	/* The restore is under way: it waits, or was over before. */
	if (!atomic_load(&calls))
		return;
	sem_post(&go_on);
}

/** It comes back as soon as the last one has left. */
START_TEST(test_waits_until_it_is_left)
{
	pthread_t thread;
	int data = 0;

	set_up();
	sem_init(&inside, 0, 0);
	sem_init(&go_on, 0, 0);
	ck_ok(ftr_replace_typed((void *)plain, signature, waiting, &data));
	ck_assert_int_eq(pthread_create(&thread, NULL, call_plain, NULL), 0);
	sem_wait(&inside);
	live_worker_start(&worker, let_go, NULL);
	atomic_store(&calls, 1);
	ck_ok(ftr_restore((void *)plain));
	/* So what was the handler's may be looked at without more ado. */
	ck_assert_int_eq(data, 1);
	live_worker_stop(&worker);
	pthread_join(thread, NULL);
}
END_TEST

static int result_inside;

static void restoring(struct ftr_call *call, void **args, void *ret, void *data)
{
	result_inside = ftr_restore((void *)plain);
	ck_ok(ftr_call_original(call, args, ret));
}

/** One that restores its function itself: a fault that is injected once. */
START_TEST(test_restored_by_the_handler)
{
	set_up();
	ck_ok(ftr_replace_typed((void *)plain, signature, restoring, NULL));
	ck_assert_int_eq(plain(1), 2);
	ck_assert_int_eq(result_inside, -EDEADLK);
	result_inside = 1;
	ck_assert_int_eq(plain(1), 2);
	ck_assert_int_eq(result_inside, 1);
	ck_ok(ftr_replace_typed((void *)plain, signature, doubling, NULL));
	ck_assert_int_eq(plain(1), 4);
	ck_ok(ftr_restore((void *)plain));
}
END_TEST

static long depth;

static void recursing(struct ftr_call *call, void **args, void *ret, void *data)
{
	if (++depth < 100)
		*(long *)ret = plain(*(long *)args[0]);
	else
		ck_ok(ftr_call_original(call, args, ret));
}

START_TEST(test_recursion)
{
	set_up();
	ck_ok(ftr_replace_typed((void *)plain, signature, recursing, NULL));
	ck_assert_int_eq(plain(1), 2);
	ck_assert_int_eq(depth, 100);
	ck_ok(ftr_restore((void *)plain));
	ck_assert_int_eq(plain(1), 2);
	ck_assert_int_eq(depth, 100);
}
END_TEST

/* --- who comes late ------------------------------------------------------------------ */

/** Where the site's jump leads. */
static live_fn target_of(live_fn fn)
{
	uintptr_t ip = ftr_site_ip(ftr_site_find((uintptr_t)fn));
	int32_t distance;

	ck_assert_uint_eq(*(const uint8_t *)ip, 0xe9);
	memcpy(&distance, (const void *)(ip + 1), sizeof distance);
	return (live_fn)(ip + 5 + (uintptr_t)(intptr_t)distance);
}

/** A thread that passed the site before the restore, and sleeps before the
 *  closure's first instruction: what it finds is the function. */
START_TEST(test_late)
{
	set_up();
	ck_ok(ftr_replace_typed((void *)plain, signature, doubling, NULL));
	live_fn late = target_of(plain);
	ck_assert_int_eq(late(1), 4);
	ck_ok(ftr_restore((void *)plain));
	ck_assert_uint_eq(atomic_load(&calls), 1);
	ck_assert_int_eq(late(1), 2);
	ck_assert_uint_eq(atomic_load(&calls), 1);
	/* The same closure serves again. */
	ftr_signature_free(signature);
	set_up();
	ck_ok(ftr_replace_typed((void *)plain, signature, doubling, NULL));
	ck_assert_ptr_eq((void *)target_of(plain), (void *)late);
	ck_assert_int_eq(plain(1), 4);
	ck_ok(ftr_restore((void *)plain));
}
END_TEST

static void asking(struct live_worker *w)
{
	long got = plain(10);

	w->counts[got == 22]++;
	w->bad += got != 11 && got != 22;
}

/** What handlers look at is poison as soon as they are gone. */
static long *guarded;

static void guarding(struct ftr_call *call, void **args, void *ret, void *data)
{
	long *value = *(long **)data;

	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret *= value ? *value : -1000;
}

/* A thread may be inside the pad that the compiler left, for a while. */
static void replace_surely(void *fn, ftr_typed_fn around, void *data)
{
	int result;

	while ((result = ftr_replace_typed(fn, signature, around, data)) == -EAGAIN)
		;
	ck_ok(result);
}

START_TEST(test_under_load)
{
	struct live_worker workers[2] = { 0 };
	unsigned long rounds = live_rounds(2000);
	long two = 2;

	set_up();
	for (unsigned i = 0; i < 2; i++)
		live_worker_start(&workers[i], asking, NULL);
	for (unsigned long i = 0; i < rounds; i++) {
		__atomic_store_n(&guarded, &two, __ATOMIC_SEQ_CST);
		replace_surely((void *)plain, guarding, &guarded);
		ck_assert_int_eq(plain(1), 4);
		ck_ok(ftr_restore((void *)plain));
		__atomic_store_n(&guarded, NULL, __ATOMIC_SEQ_CST);
		ck_assert_int_eq(plain(1), 2);
	}
	for (unsigned i = 0; i < 2; i++) {
		live_worker_stop(&workers[i]);
		ck_assert_uint_eq(workers[i].bad, 0);
	}
}
END_TEST

/* --- E1 ------------------------------------------------------------------------------- */

static struct ftr_call *kept;

static void keeping(struct ftr_call *call, void **args, void *ret, void *data)
{
	ck_fails(ftr_call_original(NULL, args, ret), -EINVAL);
	ck_fails(ftr_call_original(call, NULL, ret), -EINVAL);
	ck_ok(ftr_call_original(call, args, NULL));
	kept = call;
}

static int entry(struct ftr_call *call, void **args, void *data)
{
	long result;

	ck_fails(ftr_call_original(call, args, &result), -EINVAL);
	return 0;
}

static int plain_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	return 0;
}

START_TEST(test_misuse)
{
	struct ftr_group *group = live_group("typed", plain_entry, NULL, 0), *bare;

	set_up();
	ck_fails(ftr_replace_typed(NULL, signature, keeping, NULL), -EINVAL);
	ck_fails(ftr_replace_typed((void *)plain, NULL, keeping, NULL), -EINVAL);
	ck_fails(ftr_replace_typed((void *)plain, signature, NULL, NULL), -EINVAL);
	ck_ok(ftr_replace_typed((void *)plain, signature, keeping, NULL));
	ck_fails(ftr_replace_typed((void *)plain, signature, keeping, NULL), -EBUSY);
	ck_assert_int_eq(plain(1), 0);
	ck_assert_ptr_nonnull(kept);
	ck_ok(ftr_restore((void *)plain));

	ck_fails(ftr_group_set_typed(NULL, signature, entry, NULL), -EINVAL);
	ck_fails(ftr_group_set_typed(group, NULL, entry, NULL), -EINVAL);
	ck_fails(ftr_group_set_typed(group, signature, NULL, NULL), -EINVAL);
	ck_fails(ftr_group_set_typed((struct ftr_group *)signature, signature, entry, NULL),
		 -EINVAL);
	bare = live_group("bare", plain_entry, NULL, FTR_GROUP_NO_SIMD);
	ck_fails(ftr_group_set_typed(bare, signature, entry, NULL), -EINVAL);
	ck_ok(ftr_group_free(bare));
	ck_ok(ftr_group_set_typed(group, signature, entry, NULL));
	ck_assert_int_eq(ftr_group_filter(group, "plain", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(plain(1), 2);
	ck_fails(ftr_group_set_typed(group, signature, entry, NULL), -EBUSY);
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("restore");

	LIVE_CASE(suite, test_waits, 30);
	LIVE_CASE(suite, test_waits_until_it_is_left, 30);
	LIVE_CASE(suite, test_restored_by_the_handler, 30);
	LIVE_CASE(suite, test_recursion, 30);
	LIVE_CASE(suite, test_late, 30);
	LIVE_CASE(suite, test_under_load, 60);
	LIVE_CASE(suite, test_misuse, 30);
	return live_main(suite);
}
