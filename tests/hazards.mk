# SPDX-License-Identifier: MIT

# Hazards of a process: SIGTRAP shared, modules that come and go, forks, limits
# of the system, and calls of it that fail.
if HAVE_CHECK
hazard_tests = \
	tests/live/test_predecessor
check_PROGRAMS += $(hazard_tests)
TESTS += $(hazard_tests)

tests_live_test_predecessor_SOURCES = tests/live/test_predecessor.c $(live_common)
tests_live_test_predecessor_CPPFLAGS = $(stress_cppflags)
tests_live_test_predecessor_LDADD = $(stress_lib)
endif
