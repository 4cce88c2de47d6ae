/* SPDX-License-Identifier: MIT */
/*
 * Thread nodes and grace periods, with the test in the part of the dispatcher.
 */
#include "lib/grace.h"
#include "lib/hot.h"
#include "lib/thread.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t tid_here(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* --- nodes ---------------------------------------------------------------------- */

START_TEST(test_one_node_a_thread)
{
	struct ftr__thread *self = ftr__thread_self();

	ck_assert_ptr_nonnull(self);
	ck_assert_ptr_eq(ftr__thread_self(), self);
	ck_assert_ptr_eq(ftr__self, self);
	ck_assert_int_eq(self->tid, tid_here());
	ck_assert_uint_eq(self->frame, 0);
	ck_assert(ftr__thread_alive(self));
	ck_assert_uint_eq((uintptr_t)self % 64, 0);
}
END_TEST

static void *note_node(void *arg)
{
	*(struct ftr__thread **)arg = ftr__thread_self();
	return NULL;
}

static bool count_node(struct ftr__thread *thread, void *arg)
{
	++*(unsigned *)arg;
	return false;
}

/** Nodes of ended threads are used again: the pool stays as small as it was. */
START_TEST(test_nodes_are_reclaimed)
{
	struct ftr__thread *first[1000], *mine;
	unsigned i, k, fresh = 0, live = 0;

	for (i = 0; i < 5000; i++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, note_node, &mine), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_ptr_nonnull(mine);
		if (i < 1000) {
			first[i] = mine;
			continue;
		}
		for (k = 0; k < 1000 && first[k] != mine; k++)
			;
		fresh += k == 1000;
	}
	ck_assert_uint_eq(fresh, 0);
	ftr__thread_for_each(count_node, &live);
	ck_assert_uint_le(live, 1000);
}
END_TEST

START_TEST(test_ended_thread_is_not_alive)
{
	struct ftr__thread *ended = NULL;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, note_node, &ended), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	while (syscall(SYS_tgkill, getpid(), ended->tid, 0) == 0)
		; /* join returns a little before the kernel has forgotten the thread */
	ck_assert(!ftr__thread_alive(ended));
}
END_TEST

/* --- handlers that were jumped over ------------------------------------------------- */

static struct ftr__thread node;

/** The thread is inside a handler whose frame is `head`. */
static void go_inside(struct ftr__regs_head *head)
{
	node.frame = (uintptr_t)head;
	head->mark = FTR__MARK | FTR__MARK_PLAIN;
}

START_TEST(test_jumped_over_by_sp)
{
	struct ftr__regs_head head;

	go_inside(&head);
	ck_assert(!ftr__thread_jumped_over(&node, node.frame - 1000));
	ck_assert(!ftr__thread_jumped_over(&node, node.frame - (1 << 20)));
	ck_assert(ftr__thread_jumped_over(&node, node.frame + 1000));
	/* A call nested in a handler is deeper; one at the same place is a new one. */
	ck_assert(ftr__thread_jumped_over(&node, node.frame));
}
END_TEST

/** The frame was overwritten: noticed at once far below, and in a while nearby. */
START_TEST(test_jumped_over_by_mark)
{
	struct ftr__regs_head head;
	unsigned i;

	go_inside(&head);
	for (i = 0; i < 1000; i++)
		ck_assert(!ftr__thread_jumped_over(&node, node.frame - 1000));
	head.mark ^= 1u << 31;
	ck_assert(ftr__thread_jumped_over(&node, node.frame - (1 << 20)));
	for (i = 0; i < 1000 && !ftr__thread_jumped_over(&node, node.frame - 1000); i++)
		;
	ck_assert_uint_lt(i, 1000);
}
END_TEST

START_TEST(test_jumped_over_between_stacks)
{
	static char room[1 << 16] __attribute__((aligned(64)));
	struct ftr__regs_head here, *there = (void *)(room + 30016);
	stack_t stack = { .ss_sp = room, .ss_size = sizeof(room) };

	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	/* A handler on the thread's stack, a signal's on its own. */
	go_inside(&here);
	ck_assert(!ftr__thread_jumped_over(&node, (uintptr_t)there));
	/* The reverse: that one is gone. */
	go_inside(there);
	ck_assert(ftr__thread_jumped_over(&node, (uintptr_t)&here));
	ck_assert(!ftr__thread_jumped_over(&node, (uintptr_t)there - 100));
	ck_assert(ftr__thread_jumped_over(&node, (uintptr_t)there + 100));
}
END_TEST

/* --- grace periods -------------------------------------------------------------------- */

struct reader {
	pthread_t thread;
	sem_t inside, leave;
	pid_t tid;
};

static void *reader_main(void *arg)
{
	struct reader *reader = arg;
	struct ftr__thread *self = ftr__thread_self();

	reader->tid = self->tid;
	FTR__WRITE_ONCE(self->frame, (uintptr_t)&self);
	sem_post(&reader->inside);
	while (sem_wait(&reader->leave))
		;
	FTR__BARRIER();
	FTR__WRITE_ONCE(self->frame, 0);
	FTR__BARRIER();
	if (self->asked != self->answered)
		ftr__grace_notice(true, (uintptr_t)__builtin_frame_address(0));
	return NULL;
}

static void reader_start(struct reader *reader)
{
	sem_init(&reader->inside, 0, 0);
	sem_init(&reader->leave, 0, 0);
	ck_assert_int_eq(pthread_create(&reader->thread, NULL, reader_main, reader), 0);
	while (sem_wait(&reader->inside))
		;
}

static void reader_finish(struct reader *reader)
{
	sem_post(&reader->leave);
	ck_assert_int_eq(pthread_join(reader->thread, NULL), 0);
}

START_TEST(test_wait_names_who_is_late)
{
	struct reader reader;
	pid_t late = 0;

	ck_assert_int_eq(ftr__grace_init(), 0);
	ck_assert_int_eq(ftr__grace_wait(1000, &late), 0);
	reader_start(&reader);
	ck_assert_int_eq(ftr__grace_wait(20, &late), -ETIMEDOUT);
	ck_assert_int_eq(late, reader.tid);
	reader_finish(&reader);
	ck_assert_int_eq(ftr__grace_wait(1000, &late), 0);
}
END_TEST

/** Leaves when it is asked to tell, and is inside again at once, for long. */
static void *leave_and_return(void *arg)
{
	struct reader *reader = arg;
	struct ftr__thread *self = ftr__thread_self();

	FTR__WRITE_ONCE(self->frame, (uintptr_t)&self);
	sem_post(&reader->inside);
	while (FTR__READ_ONCE(self->asked) == self->answered)
		;
	FTR__WRITE_ONCE(self->frame, 0);
	ftr__grace_notice(true, (uintptr_t)__builtin_frame_address(0));
	FTR__WRITE_ONCE(self->frame, (uintptr_t)&self);
	while (sem_wait(&reader->leave))
		;
	FTR__WRITE_ONCE(self->frame, 0);
	return NULL;
}

/** H8: who was inside and is inside again has left in between. */
START_TEST(test_left_and_came_again)
{
	struct reader reader;
	pid_t late = 0;

	ck_assert_int_eq(ftr__grace_init(), 0);
	sem_init(&reader.inside, 0, 0);
	sem_init(&reader.leave, 0, 0);
	ck_assert_int_eq(pthread_create(&reader.thread, NULL, leave_and_return, &reader), 0);
	while (sem_wait(&reader.inside))
		;
	ck_assert_int_eq(ftr__grace_wait(5000, &late), 0);
	reader_finish(&reader);
}
END_TEST

static void *end_inside(void *arg)
{
	struct ftr__thread *self = ftr__thread_self();

	FTR__WRITE_ONCE(self->frame, (uintptr_t)&self);
	return NULL;
}

/** A thread that ended in the middle of a handler is waited for by no one. */
START_TEST(test_no_wait_for_the_dead)
{
	pthread_t thread;
	pid_t late = 0;

	ck_assert_int_eq(ftr__grace_init(), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, end_inside, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(ftr__grace_wait(20000, &late), 0);
}
END_TEST

static unsigned done_count;

static void count_done(void *arg)
{
	done_count++;
}

START_TEST(test_async_after_the_last_leaves)
{
	struct ftr__grace_item items[3];
	struct reader first, second;
	size_t i;

	ck_assert_int_eq(ftr__grace_init(), 0);
	memset(items, 0, sizeof(items));
	for (i = 0; i < 3; i++)
		items[i].done = count_done;
	ftr__grace_async(&items[0]);
	ck_assert_uint_eq(done_count, 1);
	reader_start(&first);
	reader_start(&second);
	ftr__grace_async(&items[1]);
	ck_assert_uint_eq(done_count, 1);
	reader_finish(&first);
	ftr__grace_poll();
	ck_assert_uint_eq(done_count, 1);
	ck_assert(ftr__grace_pending());
	/* Asked later; waits for the second reader too. */
	ftr__grace_async(&items[2]);
	ck_assert_uint_eq(done_count, 1);
	reader_finish(&second);
	ftr__grace_poll();
	ck_assert_uint_eq(done_count, 3);
	ck_assert(!ftr__grace_pending());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("thread");

	UNIT_CASE(suite, test_one_node_a_thread);
	UNIT_CASE(suite, test_nodes_are_reclaimed);
	UNIT_CASE(suite, test_ended_thread_is_not_alive);
	UNIT_CASE(suite, test_jumped_over_by_sp);
	UNIT_CASE(suite, test_jumped_over_by_mark);
	UNIT_CASE(suite, test_jumped_over_between_stacks);
	UNIT_CASE(suite, test_wait_names_who_is_late);
	UNIT_CASE(suite, test_left_and_came_again);
	UNIT_CASE(suite, test_no_wait_for_the_dead);
	UNIT_CASE(suite, test_async_after_the_last_leaves);
	return unit_main(suite);
}
