/* SPDX-License-Identifier: MIT */
/*
 * fork of a quiet process (P11): the child works and owns its state; what it
 * does is not seen by the parent.  And new processes out of handlers and
 * traced functions.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/live/live.h"

FTR_TRACEABLE long traced(long x);
FTR_TRACEABLE long traced(long x)
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

static int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	++*(uint64_t *)ftr_group_data(group);
	return 0;
}

static struct ftr_group *counting(uint64_t *calls, const char *pattern)
{
	struct ftr_group *group = live_group("counting", count_call, calls, 0);

	ck_assert_int_eq(ftr_group_filter(group, pattern, 0), 1);
	return group;
}

/* What a child found: 0, or the line of the first thing that was wrong. */
#define CHILD_CHECK(condition)                          \
	do {                                            \
		if (!(condition))                       \
			return __LINE__;                \
	} while (0)

struct scene {
	struct ftr_group *group;
	uint64_t *calls;
	int number; /* generations still to come; shared mappings */
};

/* Run in a child; its report comes through a pipe, not by its status. */
static void in_child(int (*play)(struct scene *), struct scene *scene)
{
	int ends[2], line = -1, status;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		int found = play(scene);

		if (write(ends[1], &found, sizeof(found)) != sizeof(found))
			_exit(1);
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &line, sizeof(line)), sizeof(line));
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(line == 0, "the child failed at line %d", line);
	ck_assert_int_eq(status, 0);
}

static uint64_t calls_of(uint64_t *calls, long (*fn)(long))
{
	uint64_t before = *calls;

	fn(1);
	return *calls - before;
}

static int play_all(struct scene *scene)
{
	uint64_t mine = 0;
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	/* What the parent attached is attached here. */
	CHILD_CHECK(calls_of(scene->calls, traced) == 1);
	CHILD_CHECK(!ftr_group_detach(scene->group));
	CHILD_CHECK(calls_of(scene->calls, traced) == 0);
	/* A group of its own. */
	options.entry = count_call;
	options.data = &mine;
	CHILD_CHECK(!ftr_group_new(&group, &options));
	CHILD_CHECK(ftr_group_filter(group, "other", 0) == 1);
	CHILD_CHECK(!ftr_group_attach(group));
	CHILD_CHECK(calls_of(&mine, other) == 1);
	CHILD_CHECK(!ftr_group_detach(group));
	CHILD_CHECK(calls_of(&mine, other) == 0);
	CHILD_CHECK(!ftr_group_free(group));
	/* And the parent's once more. */
	CHILD_CHECK(!ftr_group_attach(scene->group));
	CHILD_CHECK(calls_of(scene->calls, traced) == 1);
	return 0;
}

START_TEST(test_child_owns_its_state)
{
	uint64_t calls = 0;
	struct scene scene = { counting(&calls, "traced"), &calls, 0 };
	unsigned char text[16];

	ck_ok(ftr_group_attach(scene.group));
	traced(1);
	memcpy(text, (const void *)traced, sizeof(text));
	in_child(play_all, &scene);
	ck_assert_uint_eq(calls, 1);
	ck_assert_mem_eq((const void *)traced, text, sizeof(text));
	ck_assert_uint_eq(calls_of(&calls, traced), 1);
	ck_ok(ftr_group_detach(scene.group));
	ck_assert_uint_eq(calls_of(&calls, traced), 0);
	ck_ok(ftr_group_free(scene.group));
}
END_TEST

static int play_shutdown(struct scene *scene)
{
	CHILD_CHECK(!ftr_shutdown());
	CHILD_CHECK(calls_of(scene->calls, traced) == 0);
	CHILD_CHECK(!ftr_group_attach(scene->group));
	CHILD_CHECK(calls_of(scene->calls, traced) == 1);
	CHILD_CHECK(!ftr_shutdown());
	CHILD_CHECK(!ftr_group_free(scene->group));
	return 0;
}

START_TEST(test_child_shuts_down)
{
	uint64_t calls = 0;
	struct scene scene = { counting(&calls, "traced"), &calls, 0 };

	ck_ok(ftr_group_attach(scene.group));
	in_child(play_shutdown, &scene);
	ck_assert_uint_eq(calls_of(&calls, traced), 1);
	ck_ok(ftr_group_detach(scene.group));
	in_child(play_shutdown, &scene); /* attaches what the parent has not */
	ck_assert_uint_eq(calls_of(&calls, traced), 0);
	ck_ok(ftr_group_free(scene.group));
}
END_TEST

static int play_generations(struct scene *scene)
{
	int found = play_all(scene), status;
	pid_t child;

	if (found || !scene->number--)
		return found;
	child = fork();
	if (!child)
		_exit(play_generations(scene) != 0);
	CHILD_CHECK(child > 0);
	CHILD_CHECK(waitpid(child, &status, 0) == child);
	CHILD_CHECK(status == 0);
	return play_all(scene);
}

START_TEST(test_generations)
{
	uint64_t calls = 0;
	struct scene scene = { counting(&calls, "traced"), &calls, 4 };

	ck_ok(ftr_group_attach(scene.group));
	in_child(play_generations, &scene);
	ck_ok(ftr_group_detach(scene.group));
}
END_TEST

static void call_other(struct live_worker *worker)
{
	worker->bad += other(1) != 3;
}

/* The child of a process with threads has one thread; the others' are gone. */
START_TEST(test_child_of_threads)
{
	uint64_t calls = 0;
	struct scene scene = { counting(&calls, "traced"), &calls, 0 };
	struct live_worker worker;

	ck_ok(ftr_group_attach(scene.group));
	live_worker_start(&worker, call_other, NULL);
	for (int i = 0; i < 20; i++)
		in_child(play_all, &scene);
	live_worker_stop(&worker);
	ck_ok(ftr_group_detach(scene.group));
}
END_TEST

/* A handler that is not left before it is told to. */
struct gate {
	sem_t inside, leave;
	pid_t waits; /* the thread that is held */
};

static int hold_one_thread(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	struct gate *gate = ftr_group_data(group);

	if (live_tid() == gate->waits) {
		sem_post(&gate->inside);
		sem_wait(&gate->leave);
	}
	return 0;
}

static void *be_held(void *arg)
{
	struct gate *gate = arg;

	gate->waits = live_tid();
	traced(1);
	return NULL;
}

/* The thread that is inside a handler is none of the child's. */
static int play_detach(struct scene *scene)
{
	CHILD_CHECK(!ftr_group_detach(scene->group));
	CHILD_CHECK(!ftr_group_free(scene->group));
	return 0;
}

START_TEST(test_fork_while_a_thread_is_in_a_handler)
{
	struct gate gate = { .waits = 0 };
	struct scene scene = { live_group("gate", hold_one_thread, &gate, 0), NULL, 0 };
	pthread_t thread;

	sem_init(&gate.inside, 0, 0);
	sem_init(&gate.leave, 0, 0);
	ck_assert_int_eq(ftr_group_filter(scene.group, "traced", 0), 1);
	ck_ok(ftr_group_attach(scene.group));
	ck_assert_int_eq(pthread_create(&thread, NULL, be_held, &gate), 0);
	sem_wait(&gate.inside);
	in_child(play_detach, &scene);
	sem_post(&gate.leave);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_ok(ftr_group_detach(scene.group));
	ck_ok(ftr_group_free(scene.group));
}
END_TEST

static void attach_and_detach(struct live_worker *worker)
{
	int error = ftr_group_attach(worker->arg);

	if (!error)
		error = ftr_group_detach(worker->arg);
	/* A pad of several nops may have to wait for the main thread. */
	worker->bad += error && error != -EAGAIN;
}

/* The library's locks are held by a thread that the child does not have. */
START_TEST(test_fork_while_another_thread_attaches)
{
	uint64_t calls = 0, others = 0;
	struct scene scene = { counting(&calls, "traced"), &calls, 0 };
	struct ftr_group *group = counting(&others, "other");
	struct live_worker worker;

	ck_ok(ftr_group_attach(scene.group));
	live_worker_start(&worker, attach_and_detach, group);
	for (int i = 0; i < 100; i++)
		in_child(play_all, &scene);
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_ok(ftr_group_detach(scene.group));
}
END_TEST

/* How many mappings are shared with other processes. */
static int shared_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[8192], permissions[5];
	int n = 0;

	if (!maps)
		return -1;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%*x-%*x %4s", permissions) == 1)
			n += permissions[3] == 's';
	fclose(maps);
	return n;
}

/* Nor is any of them writable and executable (P10), in parent or child. */
static int writable_code(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[8192], permissions[5];
	int n = 0;

	if (!maps)
		return -1;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%*x-%*x %4s", permissions) == 1)
			n += permissions[1] == 'w' && permissions[2] == 'x';
	fclose(maps);
	return n;
}

static int play_mappings(struct scene *scene)
{
	CHILD_CHECK(shared_mappings() == scene->number);
	CHILD_CHECK(writable_code() == 0);
	return play_all(scene);
}

START_TEST(test_no_mapping_is_shared)
{
	uint64_t calls = 0;
	struct scene scene = { NULL, &calls, shared_mappings() };

	ck_assert_int_ge(scene.number, 0);
	ck_assert_int_eq(writable_code(), 0);
	scene.group = counting(&calls, "traced");
	ck_ok(ftr_group_attach(scene.group));
	traced(1);
	ck_assert_int_eq(shared_mappings(), scene.number);
	ck_assert_int_eq(writable_code(), 0);
	in_child(play_mappings, &scene);
	ck_ok(ftr_group_detach(scene.group));
}
END_TEST

/* posix_spawn: a child that shares this memory until it has become another. */
static int spawn_true(void)
{
	char *argv[] = { (char *)"true", NULL };
	int status;
	pid_t child;

	traced(1);
	if (posix_spawnp(&child, "true", NULL, NULL, argv, environ))
		return -1;
	if (waitpid(child, &status, 0) != child)
		return -1;
	return status;
}

static int spawn_in_handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	int *result = ftr_group_data(group);
	int status = -1;
	pid_t child;

	child = fork();
	if (!child)
		_exit((int)traced(2)); /* untraced: this is inside a handler */
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 3)
		*result = spawn_true();
	return 0;
}

START_TEST(test_processes_from_a_handler)
{
	int status = 1;
	struct ftr_group *group = live_group("spawns", spawn_in_handler, &status, 0);

	ck_assert_int_eq(ftr_group_filter(group, "traced", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(traced(1), 2);
	ck_assert_int_eq(status, 0);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

FTR_TRACEABLE int traced_spawn(void);
FTR_TRACEABLE int traced_spawn(void)
{
	pid_t child = vfork();
	int status;

	if (!child) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status ? status : spawn_true();
}

START_TEST(test_processes_from_a_traced_function)
{
	uint64_t calls = 0;
	struct ftr_group *group = counting(&calls, "traced_spawn");

	ck_assert_int_eq(ftr_group_filter(group, "traced", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(traced_spawn(), 0);
	ck_assert_uint_eq(calls, 2);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fork");

	LIVE_CASE(suite, test_child_owns_its_state, 20);
	LIVE_CASE(suite, test_child_shuts_down, 20);
	LIVE_CASE(suite, test_generations, 20);
	LIVE_CASE(suite, test_child_of_threads, 30);
	LIVE_CASE(suite, test_fork_while_a_thread_is_in_a_handler, 20);
	LIVE_CASE(suite, test_fork_while_another_thread_attaches, 60);
	LIVE_CASE(suite, test_no_mapping_is_shared, 20);
	LIVE_CASE(suite, test_processes_from_a_handler, 20);
	LIVE_CASE(suite, test_processes_from_a_traced_function, 20);
	return live_main(suite);
}
