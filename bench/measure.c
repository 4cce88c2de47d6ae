/* SPDX-License-Identifier: MIT */
/* Clock, series, children, modules: see measure.h. */
#include "bench/measure.h"

#include <dlfcn.h>
#include <ftr/ftr.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_add(struct bench_series *series, double value)
{
	if (series->n == BENCH_ROUNDS_MAX)
		bench_fail("more than %d rounds", BENCH_ROUNDS_MAX);
	series->value[series->n++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const struct bench_series *series, unsigned num, unsigned den)
{
	struct bench_series sorted = *series;

	if (!sorted.n)
		bench_fail("a series without a measurement");
	qsort(sorted.value, sorted.n, sizeof sorted.value[0], by_value);
	return sorted.value[(sorted.n - 1) * num / den];
}

double bench_min(const struct bench_series *series)
{
	return quantile(series, 0, 1);
}

double bench_median(const struct bench_series *series)
{
	return quantile(series, 1, 2);
}

uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

void bench_check(int result, const char *what)
{
	if (result < 0)
		bench_fail("%s: %s: %s", what, ftr_strerror(result), ftr_last_error());
}

void *bench_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		bench_fail("no memory");
	return memory;
}

void bench_child(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bench_fail("fork failed");
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		bench_fail("a measuring child ended with status 0x%x", status);
}

const struct bench_module *bench_load(const char *dir, const char *form, size_t count)
{
	const struct bench_module *module;
	char path[PATH_MAX];
	void *handle;

	snprintf(path, sizeof path, "%s/%s-%zu.so", dir, form, count);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		bench_fail("%s", dlerror());
	module = dlsym(handle, "bench_module");
	if (!module || bench_count(module) != count)
		bench_fail("%s is not a generated module", path);
	return module;
}

void bench_call_all(const struct bench_module *module)
{
	for (const uintptr_t *site = module->sites; site < module->sites_end; site++)
		((int (*)(int))*site)(1);
}
