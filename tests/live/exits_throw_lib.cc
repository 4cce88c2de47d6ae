// SPDX-License-Identifier: MIT
// The shared library of exits_throw.sh.
#include "exits_throw.h"

#include <stdexcept>

namespace {

struct Guard {
	const char *name;
	explicit Guard(const char *n) : name(n) {}
	~Guard() { say("library destroys %s", name); }
};

} // namespace

long library_calls(long (*fn)(long), long n)
{
	Guard guard("guard of a callback");
	return fn(n) + 1;
}

long library_throws(long n)
{
	Guard guard("guard of a throw");
	if (n % 2)
		throw std::out_of_range("odd");
	return n;
}

long library_catches(long (*fn)(long), long n)
{
	try {
		return library_calls(fn, n);
	} catch (const std::exception &error) {
		say("library catches %s", error.what());
		throw;
	}
}
