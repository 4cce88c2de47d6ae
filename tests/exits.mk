# SPDX-License-Identifier: MIT

# Return hooks.
if HAVE_CHECK
exit_tests = \
	tests/live/test_exits
check_PROGRAMS += $(exit_tests)
TESTS += $(exit_tests)

hooks = tests/live/hooks.c tests/live/hooks.h $(live_common)
tests_live_test_exits_SOURCES = tests/live/test_exits.c $(hooks)
tests_live_test_exits_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_LDADD = $(stress_lib)
endif
