// SPDX-License-Identifier: MIT
//
// T2, H11: a C++ exception leaves a handler around a function, by way of libffi's
// frames, and is caught by the function's caller; the thread is not inside then.
#include <ftr/ftr.h>

#include <cstdio>
#include <stdexcept>
#include <string>

extern "C" {
FTR_TRACEABLE long plain(long x);
FTR_TRACEABLE long plain(long x)
{
	__asm__ volatile("" : "+r"(x));
	if (x == 7)
		throw std::runtime_error("original");
	return x + 1;
}
}

namespace {

int failures, guards;

void expect(bool right, const char *what)
{
	if (right)
		return;
	failures++;
	std::printf("FAIL: %s (%s)\n", what, ftr_last_error());
}

struct Guard {
	~Guard() { guards++; }
};

void throwing(struct ftr_call *call, void **args, void *ret, void *)
{
	Guard guard;

	if (*static_cast<long *>(args[0]) == 1)
		throw std::runtime_error("handler");
	ftr_call_original(call, args, ret);
}

std::string caught(long x)
{
	Guard guard;

	try {
		plain(x);
	} catch (const std::exception &e) {
		return e.what();
	}
	return "";
}

} // namespace

int main()
{
	struct ftr_signature *signature;

	expect(!ftr_signature_parse(&signature, "long (long)"), "parse");
	for (int i = 0; i < 3; i++) {
		void *fn = reinterpret_cast<void *>(plain);
		expect(!ftr_replace_typed(fn, signature, throwing, nullptr), "replace");
		guards = 0;
		expect(caught(1) == "handler", "thrown by the handler");
		expect(guards == 2, "destructors");
		// Through the handler, which called the function as it is.
		expect(caught(7) == "original", "thrown by the function");
		expect(guards == 4, "destructors of both");
		expect(caught(2).empty() && plain(2) == 3, "nothing thrown");
		expect(!ftr_restore(fn), "restore");
	}
	ftr_signature_free(signature);
	return failures ? 1 : 0;
}
