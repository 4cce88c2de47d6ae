// SPDX-License-Identifier: MIT
//
// H11: C++ exceptions cross traced functions: thrown in one, through one, caught
// in one, by each caller; and while other threads' batches rewrite the sites.  A
// thread may end in one.
#include <ftr/ftr.h>

#include <pthread.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" {
long throw_low(long n);
long throw_middle(long n);
long throw_high(long n);
}

namespace {

int failures;

void expect(bool right, const char *what, const char *where)
{
	if (right)
		return;
	failures++;
	std::printf("FAIL: %s: %s (%s)\n", where, what, ftr_last_error());
}

std::atomic<unsigned long> ran;
std::atomic<long> unwound;

struct Guard {
	~Guard() { unwound++; }
};

int handler(uintptr_t, uintptr_t, ftr_group *, ftr_regs *)
{
	ran++;
	return 0;
}

// What a handler does with exceptions of its own is its own affair.
int handler_throws_inside(uintptr_t, uintptr_t, ftr_group *, ftr_regs *)
{
	try {
		throw 1;
	} catch (int n) {
		ran += n;
	}
	return 0;
}

} // namespace

// low throws odd numbers; middle has something to destroy; high catches.
const long ends_the_thread = -1;

FTR_TRACEABLE long throw_low(long n)
{
	if (n == ends_the_thread)
		pthread_exit(nullptr);
	if (n % 2)
		throw std::runtime_error(std::to_string(n));
	return n;
}

FTR_TRACEABLE long throw_middle(long n)
{
	Guard guard;
	return throw_low(n) + 1;
}

FTR_TRACEABLE long throw_high(long n)
{
	try {
		return throw_middle(n) - 1;
	} catch (const std::runtime_error &error) {
		return -std::atol(error.what());
	}
}

namespace {

void *exit_in_traced(void *)
{
	throw_high(ends_the_thread);
	return nullptr;
}

// How many results were wrong.
unsigned long run(long calls)
{
	unsigned long bad = 0;

	for (long n = 0; n < calls; n++)
		bad += throw_high(n) != (n % 2 ? -n : n);
	return bad;
}

ftr_group *make(const char *name, ftr_entry_fn entry, uint32_t flags)
{
	ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	ftr_group *group = nullptr;

	options.name = name;
	options.entry = entry;
	options.flags = flags;
	expect(ftr_group_new(&group, &options) == 0, "ftr_group_new", name);
	expect(ftr_group_filter(group, "throw_*", 0) == 3, "three sites", name);
	return group;
}

void test_exceptions_cross(const char *name, ftr_entry_fn entry, uint32_t flags)
{
	const long calls = 100;
	ftr_group *group = make(name, entry, flags);

	ran = 0;
	unwound = 0;
	expect(ftr_group_attach(group) == 0, "attach", name);
	expect(run(calls) == 0, "wrong results", name);
	expect(unwound == calls, "destructors did not all run", name);
	expect(ran == 3 * calls, "handlers did not all run", name);
	expect(ftr_group_missed(group) == 0, "calls were missed", name);
	expect(ftr_group_detach(group) == 0, "detach", name);
	expect(ftr_group_free(group) == 0, "free", name);
}

// libgcc's unwinder runs the destructors of a thread that ends itself.
void test_thread_exits(const char *name, uint32_t flags)
{
	ftr_group *group = make(name, handler, flags);
	pthread_t thread;

	ran = 0;
	unwound = 0;
	expect(ftr_group_attach(group) == 0, "attach", name);
	expect(pthread_create(&thread, nullptr, exit_in_traced, nullptr) == 0, "thread", name);
	expect(pthread_join(thread, nullptr) == 0, "join", name);
	expect(unwound == 1, "the destructor did not run", name);
	expect(ran == 3, "handlers did not all run", name);
	expect(ftr_group_detach(group) == 0, "detach", name);
	expect(ftr_group_free(group) == 0, "free", name);
}

// The sites become calls, and nops again, under the threads that throw.
void test_exceptions_during_batches(unsigned flips)
{
	const char *name = "during batches";
	ftr_group *group = make(name, handler, 0);
	std::atomic<bool> stop{ false };
	std::atomic<unsigned long> bad{ 0 };
	std::vector<std::thread> threads;

	for (int i = 0; i < 2; i++)
		threads.emplace_back([&] {
			while (!stop)
				bad += run(10);
		});
	for (unsigned i = 0; i < flips; i++) {
		expect(ftr_group_attach(group) == 0, "attach", name);
		expect(ftr_group_detach(group) == 0, "detach", name);
	}
	stop = true;
	for (std::thread &thread : threads)
		thread.join();
	expect(bad == 0, "wrong results", name);
	expect(ftr_group_free(group) == 0, "free", name);
}

} // namespace

int main()
{
	const char *percent = std::getenv("FTR_TEST_ROUNDS");
	unsigned flips = percent ? 300 * std::atoi(percent) / 100 + 1 : 300;

	if (ftr_init(nullptr) == -ENOSYS) {
		std::printf("SKIP: %s\n", ftr_last_error());
		return 77;
	}
	test_exceptions_cross("args", handler, 0);
	test_exceptions_cross("args, no vectors", handler, FTR_GROUP_NO_SIMD);
	test_exceptions_cross("regs", handler, FTR_GROUP_REGS);
	test_exceptions_cross("reentrant", handler, FTR_GROUP_REENTRANT);
	test_exceptions_cross("inside a handler", handler_throws_inside, 0);
	test_thread_exits("exit, args", 0);
	test_thread_exits("exit, regs", FTR_GROUP_REGS);
	test_exceptions_during_batches(flips);
	std::printf("%d failures\n", failures);
	return failures != 0;
}
