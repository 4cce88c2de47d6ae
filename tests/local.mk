# SPDX-License-Identifier: MIT

# Tests ending in .sh run by the shell; they find the compilers, and the name of
# the architecture, in the environment.  The current directory is the top of the
# build tree.
TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = $(SHELL)
CLEANFILES += plugin_tmp.*
AM_TESTS_ENVIRONMENT = \
	CC='$(CC)'; export CC; \
	CXX='$(CXX)'; export CXX; \
	CLANG='$(CLANG)'; export CLANG; \
	SANITIZE_CFLAGS='$(SANITIZE_CFLAGS)'; export SANITIZE_CFLAGS; \
	FTR_BACKEND='$(FTR_BACKEND)'; export FTR_BACKEND;

# Programs and assembly that differ by architecture lie in a folder of its name.
arch_cppflags = -I$(top_srcdir)/tests/live/$(FTR_BACKEND)

include tests/stress.mk
include tests/exits.mk
include tests/hazards.mk
include tests/typed.mk
include tests/probes.mk

# The tree itself.
tree_tests = \
	tests/floors.sh \
	tests/floors_selftest.sh \
	tests/bare.sh

# The headers in every language.
header_tests = tests/compile/compile.sh

# The forms of sites that compilers and linkers make.
form_tests = \
	tests/forms/patchable_gcc.sh \
	tests/forms/patchable_clang.sh \
	tests/forms/fentry.sh \
	tests/forms/linkers.sh \
	tests/forms/stripped.sh

# Exceptions.
cxx_tests = tests/live/test_throw
check_PROGRAMS += $(cxx_tests)
TESTS += $(cxx_tests)
tests_live_test_throw_SOURCES = tests/live/test_throw.cc
tests_live_test_throw_LDADD = libftr.la -lpthread

# Under a debugger.
debugger_tests = tests/live/unwind_gdb.sh
check_PROGRAMS += tests/live/unwind_debuggee
tests_live_unwind_debuggee_SOURCES = tests/live/unwind_debuggee.c
tests_live_unwind_debuggee_LDADD = libftr.la
$(debugger_tests:.sh=.log): tests/live/unwind_debuggee$(EXEEXT)

TESTS += $(tree_tests) $(header_tests) $(form_tests) $(debugger_tests)
EXTRA_DIST += $(tree_tests) $(header_tests) $(form_tests) $(debugger_tests) \
	tests/live/unwind_gdb.py \
	tests/compile/headers.c \
	tests/forms/driver.c \
	tests/forms/fentry.c \
	tests/forms/fixture.c \
	tests/forms/fixture.h \
	tests/forms/lib.sh \
	tests/forms/x86_64.sh \
	tests/forms/i386.sh \
	tests/forms/noheaders.c

# The form tests link the library as it lies in the build tree.
$(header_tests:.sh=.log) $(form_tests:.sh=.log): libftr.la

if HAVE_CHECK
# Shared objects that tests load and unload.  Of one layout but other names;
# plugin_r has FTR_MODULE, plugin_e a constructor and a destructor.  They are the programs that are traced: no
# sanitizer in them.
check_LTLIBRARIES += \
	tests/live/plugin_a.la \
	tests/live/plugin_b.la \
	tests/live/plugin_e.la \
	tests/live/plugin_r.la
plugin_cflags = -std=gnu11 -O2 $(WARN_CFLAGS) -fpatchable-function-entry=5 \
	-falign-functions=32
plugin_ldflags = -module -avoid-version -shared -rpath /nowhere
tests_live_plugin_a_la_SOURCES = tests/live/plugin.c tests/live/plugin.h
tests_live_plugin_a_la_CFLAGS = $(plugin_cflags) -DPLUGIN=a
tests_live_plugin_a_la_LDFLAGS = $(plugin_ldflags)
tests_live_plugin_b_la_SOURCES = tests/live/plugin.c tests/live/plugin.h
tests_live_plugin_b_la_CFLAGS = $(plugin_cflags) -DPLUGIN=b
tests_live_plugin_b_la_LDFLAGS = $(plugin_ldflags)
tests_live_plugin_e_la_SOURCES = tests/live/plugin.c tests/live/plugin.h
tests_live_plugin_e_la_CFLAGS = $(plugin_cflags) -DPLUGIN=e -DPLUGIN_EVENTFUL
tests_live_plugin_e_la_LDFLAGS = $(plugin_ldflags)
tests_live_plugin_r_la_SOURCES = tests/live/plugin.c tests/live/plugin.h
tests_live_plugin_r_la_CFLAGS = $(plugin_cflags) -DPLUGIN=r -DPLUGIN_REGISTERED
tests_live_plugin_r_la_LDFLAGS = $(plugin_ldflags)
tests_live_plugin_r_la_LIBADD = libftr.la
plugin_cppflags = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
	-DPLUGIN_DIR='"$(abs_top_builddir)/tests/live/.libs"'

load_tests = \
	tests/live/test_modules \
	tests/live/test_fork \
	tests/live/test_unwind_malloc \
	tests/live/test_badstart \
	tests/live/test_badinput \
	tests/live/test_badtext \
	tests/forms/test_hostile \
	tests/forms/test_mutations
check_PROGRAMS += $(load_tests)
TESTS += $(load_tests)
load_live_sources = tests/live/live.c tests/live/live.h

tests_live_test_modules_SOURCES = \
	tests/live/test_modules.c \
	$(load_live_sources) \
	tests/live/load.c tests/live/load.h \
	tests/live/plugin.h
tests_live_test_modules_CPPFLAGS = $(plugin_cppflags)
tests_live_test_modules_LDADD = libftr.la $(CHECK_LIBS) -ldl

tests_live_test_unwind_malloc_SOURCES = \
	tests/live/test_unwind_malloc.c \
	$(load_live_sources) \
	tests/live/load.c tests/live/load.h \
	tests/live/plugin.h
tests_live_test_unwind_malloc_CPPFLAGS = $(plugin_cppflags)
tests_live_test_unwind_malloc_LDADD = libftr.la $(CHECK_LIBS) -ldl

tests_live_test_fork_SOURCES = tests/live/test_fork.c $(load_live_sources)
tests_live_test_fork_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_fork_LDADD = libftr.la $(CHECK_LIBS)

misuse_cppflags = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(arch_cppflags)
misuse_sources = tests/live/textwatch.c tests/live/textwatch.h $(load_live_sources)
tests_live_test_badstart_SOURCES = tests/live/test_badstart.c $(misuse_sources)
tests_live_test_badstart_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_badstart_LDADD = libftr.la $(CHECK_LIBS)
tests_live_test_badinput_SOURCES = tests/live/test_badinput.c $(misuse_sources)
tests_live_test_badinput_CPPFLAGS = $(misuse_cppflags)
tests_live_test_badinput_LDADD = libftr.la $(CHECK_LIBS)
tests_live_test_badtext_SOURCES = tests/live/test_badtext.c $(misuse_sources)
tests_live_test_badtext_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_badtext_LDADD = libftr_core.la $(CHECK_LIBS)

face_sources = \
	tests/forms/face.c tests/forms/face.h tests/forms/elfedit.h \
	$(load_live_sources) \
	tests/live/load.c tests/live/load.h \
	tests/live/plugin.h
tests_forms_test_hostile_SOURCES = tests/forms/test_hostile.c $(face_sources)
tests_forms_test_hostile_CPPFLAGS = $(plugin_cppflags)
tests_forms_test_hostile_LDADD = libftr.la $(CHECK_LIBS) -ldl
tests_forms_test_mutations_SOURCES = tests/forms/test_mutations.c $(face_sources)
tests_forms_test_mutations_CPPFLAGS = $(plugin_cppflags)
tests_forms_test_mutations_LDADD = libftr.la $(CHECK_LIBS) -ldl
endif
