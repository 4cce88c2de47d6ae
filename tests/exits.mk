# SPDX-License-Identifier: MIT

# Return hooks.
if HAVE_CHECK
exit_tests = \
	tests/live/test_exits \
	tests/live/test_exits_frames \
	tests/live/test_exits_chains \
	tests/live/test_exits_signals \
	tests/live/test_exits_jumps \
	tests/live/test_exits_detach \
	tests/live/test_exits_hold \
	tests/live/test_exits_calls \
	tests/live/test_exits_regs \
	tests/live/test_exits_returns \
	tests/live/test_exits_nested \
	tests/live/test_exits_jumped \
	tests/live/test_shadow
if BACKEND_X86_64
exit_tests += tests/live/test_exits_hold_six
endif
check_PROGRAMS += $(exit_tests)
TESTS += $(exit_tests)

hooks = tests/live/hooks.c tests/live/hooks.h $(live_common)
tests_live_test_exits_SOURCES = tests/live/test_exits.c $(hooks)
tests_live_test_exits_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_LDADD = $(stress_lib)
# Which looks into the records.
tests_live_test_exits_frames_SOURCES = tests/live/test_exits_frames.c tests/live/hooks_stub.S $(hooks)
tests_live_test_exits_frames_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_frames_LDADD = $(stress_core) $(UNWIND_LIBS)
tests_live_test_exits_nested_SOURCES = tests/live/test_exits_nested.c $(hooks)
tests_live_test_exits_nested_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_nested_LDADD = $(stress_core) $(UNWIND_LIBS)
tests_live_test_exits_jumped_SOURCES = tests/live/test_exits_jumped.c $(hooks)
tests_live_test_exits_jumped_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_jumped_LDADD = $(stress_lib)
tests_live_test_exits_chains_SOURCES = tests/live/test_exits_chains.c tests/live/hooks_stub.S $(hooks)
tests_live_test_exits_chains_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_chains_LDADD = $(stress_lib)
tests_live_test_exits_hold_SOURCES = tests/live/test_exits_hold.c tests/live/visitor.h \
	$(live_common)
tests_live_test_exits_hold_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_hold_LDADD = $(stress_core) $(UNWIND_LIBS)
tests_live_test_exits_hold_six_SOURCES = tests/live/test_exits_hold.c tests/live/six_sites.S \
	tests/live/visitor.h $(live_common)
tests_live_test_exits_hold_six_CPPFLAGS = $(stress_cppflags) -DHOLD_SIX_BYTES
tests_live_test_exits_hold_six_LDADD = $(stress_core) $(UNWIND_LIBS)
tests_live_test_shadow_SOURCES = tests/live/test_shadow.c $(hooks)
tests_live_test_shadow_CPPFLAGS = $(stress_cppflags)
tests_live_test_shadow_LDADD = $(stress_core) $(UNWIND_LIBS)
tests_live_test_shadow_LDFLAGS = -Wl,--wrap=ftr__x86_shadow_stack
if BACKEND_I386
arch_exits_regs = tests/live/i386/exits_regs.S
else
arch_exits_regs = tests/live/x86_64/exits_regs.S
endif
tests_live_test_exits_regs_SOURCES = tests/live/test_exits_regs.c $(arch_exits_regs) $(hooks)
tests_live_test_exits_regs_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_regs_LDADD = $(stress_lib)
tests_live_test_exits_calls_SOURCES = tests/live/test_exits_calls.c tests/live/hooks_stub.S \
	tests/live/unhooked_stub.S $(hooks)
tests_live_test_exits_calls_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_calls_LDADD = $(stress_lib)
tests_live_test_exits_detach_SOURCES = tests/live/test_exits_detach.c $(hooks)
tests_live_test_exits_detach_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_detach_LDADD = $(stress_lib)
tests_live_test_exits_returns_SOURCES = tests/live/test_exits_returns.c \
	tests/live/hooks_stub.S $(live_step) $(hooks)
tests_live_test_exits_returns_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_returns_LDADD = $(stress_lib)
tests_live_test_exits_signals_SOURCES = tests/live/test_exits_signals.c tests/live/hooks_stub.S \
	$(live_step) $(hooks)
tests_live_test_exits_signals_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_signals_LDADD = $(stress_lib)
tests_live_test_exits_jumps_SOURCES = tests/live/test_exits_jumps.c $(live_step) \
	$(live_common)
tests_live_test_exits_jumps_CPPFLAGS = $(stress_cppflags)
tests_live_test_exits_jumps_LDADD = $(stress_core) $(UNWIND_LIBS)
endif

# Exceptions through hooked functions.
exit_scripts = \
	tests/live/exits_throw.sh \
	tests/live/exits_programs.sh
$(exit_scripts:.sh=.log): libftr.la
tests/live/exits_programs.log: tests/live/exits_books.la
check_LTLIBRARIES += tests/live/exits_books.la
tests_live_exits_books_la_SOURCES = tests/live/exits_books.c
tests_live_exits_books_la_LIBADD = libftr.la
tests_live_exits_books_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere \
	-Wl,-rpath,$(abs_top_builddir)/.libs
TESTS += $(exit_scripts)
EXTRA_DIST += $(exit_scripts) \
	tests/live/errors.lua \
	tests/live/exits_throw.h \
	tests/live/exits_throw.cc \
	tests/live/exits_throw_lib.cc \
	tests/live/exits_throw_hooks.c

if HAVE_CHECK
live_unwind_hooked = tests/live/unwind_hooked.c tests/live/unwind.h tests/live/hooks_stub.S \
	$(arch_unwind) $(live_step) $(live_common)
check_PROGRAMS += tests/live/test_unwind_hooked
TESTS += tests/live/test_unwind_hooked
tests_live_test_unwind_hooked_SOURCES = tests/live/test_unwind.c $(live_unwind_hooked)
tests_live_test_unwind_hooked_CPPFLAGS = $(stress_cppflags)
tests_live_test_unwind_hooked_LDADD = $(stress_core) $(UNWIND_LIBS)
if HAVE_LIBUNWIND
check_PROGRAMS += tests/live/test_libunwind_hooked
TESTS += tests/live/test_libunwind_hooked
endif
tests_live_test_libunwind_hooked_SOURCES = tests/live/test_libunwind.c $(live_unwind_hooked)
tests_live_test_libunwind_hooked_CPPFLAGS = $(stress_cppflags) $(LIBUNWIND_CFLAGS)
tests_live_test_libunwind_hooked_LDADD = $(stress_core) $(LIBUNWIND_LIBS)
endif

# By hand: takes a minute, and fetches a source.
.PHONY: sqlite
sqlite: libftr.la tests/live/exits_books.la
	srcdir='$(srcdir)' CC='$(CC)' SANITIZE_CFLAGS='$(SANITIZE_CFLAGS)' FTR_BACKEND='$(FTR_BACKEND)' \
		bash $(srcdir)/tests/live/exits_sqlite.sh
EXTRA_DIST += tests/live/exits_sqlite.sh
