# SPDX-License-Identifier: MIT

# Hazards of a process: SIGTRAP shared, modules that come and go, forks, limits
# of the system, and calls of it that fail.
if HAVE_CHECK
hazard_tests = \
	tests/live/test_failures \
	tests/live/test_loader \
	tests/live/test_predecessor \
	tests/live/test_processes \
	tests/live/test_sandbox \
	tests/live/test_trap_owners
check_PROGRAMS += $(hazard_tests)
TESTS += $(hazard_tests)

tests_live_test_predecessor_SOURCES = tests/live/test_predecessor.c $(live_common)
tests_live_test_predecessor_CPPFLAGS = $(stress_cppflags)
tests_live_test_predecessor_LDADD = $(stress_lib)

tests_live_test_processes_SOURCES = tests/live/test_processes.c tests/live/visitor.h \
	$(live_common)
tests_live_test_processes_CPPFLAGS = $(stress_cppflags)
tests_live_test_processes_LDADD = $(stress_core)

tests_live_test_sandbox_SOURCES = tests/live/test_sandbox.c tests/live/visitor.h $(misuse_sources)
tests_live_test_sandbox_CPPFLAGS = $(misuse_cppflags)
tests_live_test_sandbox_LDADD = libftr.la $(CHECK_LIBS)

tests_live_test_trap_owners_SOURCES = tests/live/test_trap_owners.c tests/live/visitor.h \
	$(live_common)
tests_live_test_trap_owners_CPPFLAGS = $(stress_cppflags)
tests_live_test_trap_owners_LDADD = $(stress_core)

# plugin_e calls the program.
tests_live_test_loader_SOURCES = tests/live/test_loader.c \
	tests/live/load.c tests/live/load.h tests/live/plugin.h $(load_live_sources)
tests_live_test_loader_CPPFLAGS = $(plugin_cppflags)
tests_live_test_loader_LDADD = $(stress_core) -ldl
tests_live_test_loader_LDFLAGS = -export-dynamic

tests_live_test_failures_SOURCES = tests/live/test_failures.c \
	tests/live/faults.c tests/live/faults.h \
	tests/live/load.c tests/live/load.h tests/live/plugin.h $(misuse_sources)
tests_live_test_failures_CPPFLAGS = $(plugin_cppflags)
tests_live_test_failures_LDADD = $(stress_core) -ldl
tests_live_test_failures_LDFLAGS = \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup \
	-Wl,--wrap=mmap64,--wrap=mprotect,--wrap=memfd_create,--wrap=pwrite64 \
	-Wl,--wrap=open64,--wrap=fopen64,--wrap=opendir \
	-Wl,--wrap=sigaction,--wrap=pthread_atfork
endif
