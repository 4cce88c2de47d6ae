# SPDX-License-Identifier: MIT

# Signatures, typed calls, replacement.
if HAVE_CHECK
check_PROGRAMS += $(typed_tests)
TESTS += $(typed_tests)
typed_tests = \
	tests/unit/test_prototype \
	tests/typed/test_closures \
	tests/typed/test_handlers \
	tests/typed/test_around \
	tests/typed/test_around_elsewhere \
	tests/typed/test_faults \
	tests/typed/test_restore \
	tests/typed/test_left \
	tests/typed/test_forbidden \
	tests/live/test_replace \
	tests/live/test_replace_orders \
	tests/live/test_replace_modules \
	tests/live/test_replace_elsewhere \
	tests/live/test_replace_jumps

tests_unit_test_prototype_SOURCES = tests/unit/test_prototype.c tests/unit/unit.h
tests_unit_test_prototype_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_prototype_LDADD = libftr_core.la $(CHECK_LIBS)

# The table of signatures, made while building.  These functions are what is
# traced: no sanitizer in them.
EXTRA_DIST += tests/typed/generate.sh
CLEANFILES += tests/typed/table.c tests/typed/table.o
tests/typed/table.o: $(srcdir)/tests/typed/generate.sh $(srcdir)/tests/typed/cases.h
	$(AM_V_GEN)$(MKDIR_P) tests/typed
	$(AM_V_at)$(SHELL) $(srcdir)/tests/typed/generate.sh $(FTR_BACKEND) >tests/typed/table.c
	$(AM_V_at)$(CC) $(AM_CPPFLAGS) -std=gnu11 -O2 -w -fpatchable-function-entry=5 \
		-c -o $@ tests/typed/table.c

tests_typed_test_closures_SOURCES = tests/typed/test_closures.c tests/typed/cases.h \
	$(load_live_sources)
tests_typed_test_closures_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_typed_test_closures_LDADD = tests/typed/table.o libftr.la $(CHECK_LIBS)

tests_typed_test_handlers_SOURCES = tests/typed/test_handlers.c tests/typed/cases.h \
	$(load_live_sources)
tests_typed_test_handlers_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_typed_test_handlers_LDADD = tests/typed/table.o libftr.la $(CHECK_LIBS)

tests_live_test_replace_SOURCES = tests/live/test_replace.c $(load_live_sources)
tests_live_test_replace_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_replace_LDADD = libftr.la $(CHECK_LIBS)

tests_typed_test_around_SOURCES = tests/typed/test_around.c tests/typed/cases.h \
	$(load_live_sources)
tests_typed_test_around_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_typed_test_around_LDADD = tests/typed/table.o libftr.la $(CHECK_LIBS)

tests_live_test_replace_elsewhere_SOURCES = tests/live/test_replace_elsewhere.c \
	$(load_live_sources)
tests_live_test_replace_elsewhere_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_replace_elsewhere_LDADD = libftr.la $(CHECK_LIBS)

tests_live_test_replace_jumps_SOURCES = tests/live/test_replace_jumps.c $(load_live_sources)
tests_live_test_replace_jumps_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_replace_jumps_LDADD = libftr.la $(CHECK_LIBS)

tests_typed_test_restore_SOURCES = tests/typed/test_restore.c $(load_live_sources)
tests_typed_test_restore_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_typed_test_restore_LDADD = libftr.la $(CHECK_LIBS)

tests_typed_test_left_SOURCES = tests/typed/test_left.c $(load_live_sources)
tests_typed_test_left_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_typed_test_left_LDADD = libftr.la $(CHECK_LIBS)

tests_typed_test_forbidden_SOURCES = tests/typed/test_forbidden.c $(load_live_sources)
tests_typed_test_forbidden_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_typed_test_forbidden_LDADD = libftr.la $(CHECK_LIBS)

tests_live_test_replace_orders_SOURCES = tests/live/test_replace_orders.c $(load_live_sources)
tests_live_test_replace_orders_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_live_test_replace_orders_LDADD = libftr.la $(CHECK_LIBS)

# plugin_n is one without sites.
check_LTLIBRARIES += tests/live/plugin_n.la
tests_live_plugin_n_la_SOURCES = tests/live/plugin.c tests/live/plugin.h
tests_live_plugin_n_la_CFLAGS = -std=gnu11 -O2 $(WARN_CFLAGS) -falign-functions=32 -DPLUGIN=n
tests_live_plugin_n_la_LDFLAGS = $(plugin_ldflags)
tests_live_test_replace_modules_SOURCES = tests/live/test_replace_modules.c \
	tests/live/plugin.h $(load_live_sources)
tests_live_test_replace_modules_CPPFLAGS = $(plugin_cppflags)
tests_live_test_replace_modules_LDADD = libftr.la $(CHECK_LIBS) -ldl

# The same table without sites.
CLEANFILES += tests/typed/bare.o
tests/typed/bare.o: tests/typed/table.o
	$(AM_V_CC)$(CC) $(AM_CPPFLAGS) -std=gnu11 -O2 -w -c -o $@ tests/typed/table.c
tests_typed_test_around_elsewhere_SOURCES = $(tests_typed_test_around_SOURCES)
tests_typed_test_around_elsewhere_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) -DELSEWHERE
tests_typed_test_around_elsewhere_LDADD = tests/typed/bare.o libftr.la $(CHECK_LIBS)

check_LTLIBRARIES += tests/typed/allocating.la
tests_typed_allocating_la_SOURCES = tests/typed/allocating.c tests/typed/allocating.h
tests_typed_allocating_la_CFLAGS = -std=gnu11 -O2 $(WARN_CFLAGS)
tests_typed_allocating_la_LDFLAGS = $(plugin_ldflags)
tests_typed_test_faults_SOURCES = tests/typed/test_faults.c tests/typed/allocating.h \
	$(load_live_sources)
tests_typed_test_faults_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
	-DALLOCATING='"$(abs_top_builddir)/tests/typed/.libs/allocating.so"'
tests_typed_test_faults_LDADD = libftr.la $(CHECK_LIBS) -ldl
endif

# Exceptions.
check_PROGRAMS += tests/typed/test_around_throw
TESTS += tests/typed/test_around_throw
tests_typed_test_around_throw_SOURCES = tests/typed/test_around_throw.cc
tests_typed_test_around_throw_LDADD = libftr.la
