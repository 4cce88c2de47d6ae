// SPDX-License-Identifier: MIT
//
// R4: exceptions under return hooks.  Each case runs in a process of its
// own and prints what happens; exits_throw.sh compares what is printed with and
// without hooks on all functions, destructors, catchers and this library's among
// them.
#include "exits_throw.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define KEPT __attribute__((noinline, used))

extern "C" void say(const char *format, ...)
{
	char line[256];
	va_list list;

	va_start(list, format);
	int n = std::vsnprintf(line, sizeof line - 1, format, list);
	va_end(list);
	line[n] = '\n';
	if (write(1, line, size_t(n) + 1) < 0)
		_exit(9);
}

namespace {

struct Guard {
	std::string name;
	explicit Guard(std::string n) : name(std::move(n)) {}
	~Guard() { say("destroys %s, %d in flight", name.c_str(), std::uncaught_exceptions()); }
};

volatile long zero;

// --- three frames ----------------------------------------------------------------

KEPT long low(long n)
{
	Guard guard("low");
	if (n % 2)
		throw std::runtime_error("thrown by low");
	return n + zero;
}

KEPT long middle(long n)
{
	Guard guard("middle");
	return low(n) + 1;
}

KEPT long high(long n)
{
	Guard guard("high");
	return middle(n) + 1;
}

KEPT void case_three_frames()
{
	for (long n = 0; n < 4; n++) {
		try {
			say("high returns %ld", high(n));
		} catch (const std::exception &error) {
			say("caught %s", error.what());
		}
	}
}

// --- caught inside, rethrown, nested -----------------------------------------------

KEPT long catches(long n)
{
	try {
		return high(n);
	} catch (const std::logic_error &) {
		say("never here");
		return -1;
	} catch (const std::runtime_error &error) {
		say("catches %s", error.what());
		return -2;
	}
}

KEPT long rethrows(long n)
{
	try {
		return high(n);
	} catch (...) {
		say("rethrows");
		throw;
	}
}

KEPT long wraps(long n)
{
	try {
		return rethrows(n);
	} catch (const std::exception &) {
		std::throw_with_nested(std::logic_error("wrapped"));
	}
}

KEPT void case_inside()
{
	say("%ld %ld", catches(1), catches(2));
}

KEPT void case_rethrow()
{
	try {
		rethrows(3);
	} catch (const std::runtime_error &error) {
		say("caught %s", error.what());
	}
	try {
		wraps(3);
	} catch (const std::logic_error &error) {
		say("caught %s", error.what());
		try {
			std::rethrow_if_nested(error);
		} catch (const std::runtime_error &inner) {
			say("around %s", inner.what());
		}
	}
}

// --- other shapes of functions -------------------------------------------------------

struct Large {
	Guard guard;
	long words[8];
	explicit Large(long n) : guard("large"), words() { words[3] = n; }
};

KEPT Large by_memory(long n)
{
	Large large(n);

	if (n % 2)
		throw n;
	return large;
}

KEPT long variadic(int n, ...)
{
	va_list list;
	long sum = 0;

	va_start(list, n);
	for (int i = 0; i < n; i++)
		sum += va_arg(list, int);
	va_end(list);
	if (sum % 2)
		throw sum;
	return sum;
}

KEPT long aligned(long n)
{
	alignas(64) volatile char text[64];

	text[0] = char(n);
	say("aligned: %d", int(reinterpret_cast<uintptr_t>(&text[0]) % 64));
	return low(n) + text[0];
}

KEPT long with_alloca(long n)
{
	volatile char *room = static_cast<volatile char *>(__builtin_alloca(size_t(n) * 100));

	room[n] = 1;
	return low(n) + room[n];
}

KEPT void case_shapes()
{
	for (long n = 2; n < 4; n++) {
		try {
			say("by_memory: %ld", by_memory(n).words[3]);
		} catch (long thrown) {
			say("caught %ld", thrown);
		}
		try {
			say("variadic: %ld", variadic(3, 1, int(n), 3));
		} catch (long thrown) {
			say("caught %ld", thrown);
		}
		try {
			say("aligned: %ld", aligned(n));
		} catch (const std::exception &error) {
			say("caught %s", error.what());
		}
		try {
			say("with_alloca: %ld", with_alloca(n));
		} catch (const std::exception &error) {
			say("caught %s", error.what());
		}
	}
}

struct Base {
	virtual ~Base() { say("~Base"); }
	virtual long run(long n) = 0;
};
struct Other {
	virtual ~Other() { say("~Other"); }
	virtual long other(long n) = 0;
};
// Calls by way of Other go through a thunk, which jumps.
struct Both : Base, Other {
	Guard member{ "member" };
	explicit Both(long n)
	try : member("member of both") {
		low(n);
	} catch (...) {
		say("constructor's handler");
	}
	~Both() override { say("~Both"); }
	long run(long n) override { return low(n); }
	long other(long n) override { return middle(n); }
};

KEPT void call_both(Both &both, long n)
{
	try {
		Base &base = both;
		Other &other = both;
		say("%ld", base.run(n - 1) + other.other(n));
	} catch (const std::exception &error) {
		say("caught %s", error.what());
	}
}

KEPT void case_objects()
{
	try {
		Both broken(1);
	} catch (const std::exception &error) {
		say("no object: %s", error.what());
	}
	Both both(2);
	call_both(both, 3);
	call_both(both, 4);
}

// --- tail calls -----------------------------------------------------------------------

KEPT long tail_last(long n)
{
	if (n % 2)
		throw std::runtime_error("thrown behind a jump");
	return n + zero;
}

KEPT long tail_next(long n)
{
	return tail_last(n + zero);
}

KEPT long tail_first(long n)
{
	return tail_next(n + zero);
}

KEPT void case_tail_calls()
{
	for (long n = 0; n < 4; n++) {
		Guard guard("tail");
		try {
			say("tail_first returns %ld", tail_first(n));
		} catch (const std::exception &error) {
			say("caught %s", error.what());
		}
	}
}

// --- recursion --------------------------------------------------------------------------

KEPT long descend(long n)
{
	if (n == 0)
		throw 1000L;
	if (n % 100)
		return descend(n - 1) + 1;
	try {
		return descend(n - 1) + 1;
	} catch (long so_far) {
		if (n == 300)
			return so_far;
		throw so_far + n;
	}
}

KEPT void case_recursion()
{
	try {
		say("%ld", descend(700));
		descend(250);
	} catch (long so_far) {
		say("caught %ld", so_far);
	}
}

// --- shared libraries ----------------------------------------------------------------------

KEPT void case_library()
{
	for (long n = 0; n < 2; n++) {
		try {
			say("%ld", library_calls(high, n));
		} catch (const std::exception &error) {
			say("caught %s", error.what());
		}
		try {
			say("%ld", library_throws(n));
		} catch (const std::logic_error &error) {
			say("caught %s", error.what());
		}
		try {
			say("%ld", library_catches(library_throws, n));
		} catch (...) {
			say("caught again");
		}
	}
}

// --- what carries exceptions ------------------------------------------------------------------

KEPT std::exception_ptr keep()
{
	try {
		high(1);
	} catch (...) {
		return std::current_exception();
	}
	return nullptr;
}

KEPT void tell(std::exception_ptr kept)
{
	try {
		std::rethrow_exception(kept);
	} catch (const std::exception &error) {
		say("kept: %s", error.what());
	}
}

KEPT void case_exception_ptr()
{
	std::exception_ptr kept = keep();
	std::thread thread(tell, kept);

	thread.join();
	tell(kept);
	try {
		std::async(std::launch::async, high, 5).get();
	} catch (const std::exception &error) {
		say("from a future: %s", error.what());
	}
	std::function<long(long)> calls = [](long n) { return rethrows(n); };
	try {
		calls(7);
	} catch (const std::exception &error) {
		say("through a function object: %s", error.what());
	}
}

// --- ends of threads --------------------------------------------------------------------------

KEPT long ends(long n)
{
	Guard guard("ends");
	if (n == 1)
		pthread_exit(nullptr);
	for (;;)
		pause();
}

KEPT void *end_thread(void *how)
{
	Guard guard("end_thread");
	try {
		ends(how ? 1 : 2);
	} catch (...) {
		say("the end passes");
		throw;
	}
	return nullptr;
}

KEPT void case_thread_ends()
{
	pthread_t thread;
	void *result;

	for (int i = 0; i < 2; i++) {
		pthread_create(&thread, nullptr, end_thread, i ? nullptr : &thread);
		if (i)
			pthread_cancel(thread);
		pthread_join(thread, &result);
		say("cancelled: %d", result == PTHREAD_CANCELED);
	}
}

// --- out of a signal's handler --------------------------------------------------------------------

void on_signal(int sig)
{
	Guard guard("handler");
	throw sig;
}

KEPT long raises(long n)
{
	Guard guard("raises");
	raise(int(n));
	return n;
}

KEPT void case_signal()
{
	signal(SIGUSR1, on_signal);
	try {
		raises(SIGUSR1);
	} catch (int sig) {
		say("caught signal %d", sig == SIGUSR1);
	}
}

// --- ends of the process --------------------------------------------------------------------------

KEPT void on_terminate()
{
	try {
		std::rethrow_exception(std::current_exception());
	} catch (const std::exception &error) {
		say("terminates for %s", error.what());
	}
	hooks_child_end();
	_exit(3);
}

KEPT void case_uncaught()
{
	std::set_terminate(on_terminate);
	high(1);
}

KEPT void case_uncaught_in_thread()
{
	std::set_terminate(on_terminate);
	std::thread thread(high, 1);

	thread.join();
}

KEPT void *high_thread(void *)
{
	high(1);
	return nullptr;
}

KEPT void case_uncaught_in_posix_thread()
{
	pthread_t thread;

	std::set_terminate(on_terminate);
	pthread_create(&thread, nullptr, high_thread, nullptr);
	pthread_join(thread, nullptr);
}

KEPT long promises(long n) noexcept
{
	Guard guard("promises");
	return high(n);
}

KEPT void case_noexcept()
{
	std::set_terminate(on_terminate);
	say("%ld", promises(2));
	promises(1);
}

struct Thrower {
	~Thrower() noexcept(false) { low(1); }
};

KEPT long destroys_and_throws(long n)
{
	Thrower thrower;
	return high(n);
}

KEPT void case_two_in_flight()
{
	std::set_terminate(on_terminate);
	destroys_and_throws(1);
}

KEPT void case_aborts()
{
	std::set_terminate(nullptr);
	// What libstdc++ says before it aborts goes to stderr.
	hooks_child_end();
	high(1);
}

// --- all of them ----------------------------------------------------------------------------------

const struct {
	const char *name;
	void (*run)();
} cases[] = {
	{ "three frames", case_three_frames },
	{ "inside", case_inside },
	{ "rethrow", case_rethrow },
	{ "shapes", case_shapes },
	{ "objects", case_objects },
	{ "tail calls", case_tail_calls },
	{ "recursion", case_recursion },
	{ "library", case_library },
	{ "exception_ptr", case_exception_ptr },
	{ "thread ends", case_thread_ends },
	{ "signal", case_signal },
	{ "uncaught", case_uncaught },
	{ "uncaught in a thread", case_uncaught_in_thread },
	{ "uncaught in a posix thread", case_uncaught_in_posix_thread },
	{ "noexcept", case_noexcept },
	{ "two in flight", case_two_in_flight },
	{ "aborts", case_aborts },
};

void run_in_child(const char *name, void (*run)())
{
	say("--- %s", name);
	pid_t child = fork();
	if (child == 0) {
		hooks_child();
		run();
		say("returned, %d in flight", std::uncaught_exceptions());
		hooks_child_end();
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	say("status %x", unsigned(status));
}

} // namespace

int main(int argc, char **argv)
{
	unsigned ran = 0;
	int result = hooks_begin(argc > 1 ? argv[1] : "plain");

	if (result)
		return result;
	for (const auto &c : cases) {
		run_in_child(c.name, c.run);
		ran++;
	}
	return hooks_end(ran);
}
