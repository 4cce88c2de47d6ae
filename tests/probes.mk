# SPDX-License-Identifier: MIT

# Probes: instructions moved elsewhere, breakpoints that stay, faults.
if HAVE_CHECK
probe_tests = tests/backend/test_relocate
check_PROGRAMS += $(probe_tests)
TESTS += $(probe_tests)

tests_backend_test_relocate_SOURCES = tests/backend/test_relocate.c tests/unit/unit.h
if BACKEND_I386
tests_backend_test_relocate_SOURCES += tests/backend/i386/moved.S
else
tests_backend_test_relocate_SOURCES += tests/backend/x86_64/moved.S
endif
tests_backend_test_relocate_CPPFLAGS = $(stress_cppflags)
tests_backend_test_relocate_LDADD = $(stress_core)
endif
