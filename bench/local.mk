# SPDX-License-Identifier: MIT

# make bench [BENCH="entry exit typed probe attach index peers"]
#
# Everything below is built for it alone.  The modules are generated, see
# bench/generate.sh; the peers' programs are made by bench/run.sh, which says
# so where they can't be.
BENCH = entry exit typed probe attach index peers

bench_common = \
	bench/measure.c bench/measure.h \
	bench/protocol.c bench/protocol.h \
	bench/handler.c bench/handler.h
typed_common = bench/measure.c bench/measure.h bench/handler.c bench/handler.h
bench_assembly = bench/subjects.S bench/floor.S

bench_programs = bench/entry bench/exit bench/typed bench/probe bench/attach bench/index
EXTRA_PROGRAMS = $(bench_programs) bench/xray bench/recorded
bench_entry_SOURCES = bench/entry.c $(bench_assembly) $(bench_common)
bench_entry_LDADD = libftr.la
if BACKEND_I386
arch_exits = bench/i386/exits.S
# The floor's words are found by their addresses.
bench_exit_LDFLAGS = -XCClinker -no-pie
else
arch_exits = bench/exits.S
endif
bench_exit_SOURCES = bench/exit.c $(arch_exits) $(typed_common)
bench_exit_LDADD = libftr.la
bench_typed_SOURCES = bench/typed.c $(typed_common)
bench_typed_CPPFLAGS = $(AM_CPPFLAGS) $(FFI_CFLAGS)
bench_typed_LDADD = libftr.la $(FFI_LIBS)
bench_probe_SOURCES = bench/probe.c bench/probed.S bench/measure.c bench/measure.h
bench_probe_LDADD = libftr.la
bench_attach_SOURCES = bench/attach.c $(bench_common)
bench_attach_LDADD = libftr.la
bench_index_SOURCES = bench/index.c $(bench_common)
bench_index_LDADD = libftr.la

bench_modules = \
	bench/nop-1000.so \
	bench/nop-10000.so \
	bench/nop-40000.so \
	bench/nop-100000.so \
	bench/nop-400000.so \
	bench/pad-40000.so

# FORM-COUNT.so.  The floors are in every module: a call reaches two gigabytes.
bench_module_sources = $(srcdir)/bench/floor.S $(srcdir)/bench/handler.c
$(bench_modules): $(srcdir)/bench/generate.sh $(bench_module_sources) $(srcdir)/bench/handler.h
	$(AM_V_GEN)$(MKDIR_P) bench
	$(AM_V_at)set -- $$(basename $@ .so | tr '-' ' ') && \
		$(SHELL) $(srcdir)/bench/generate.sh $$1 $$2 >$@.s
	$(AM_V_at)$(CC) $(AM_CPPFLAGS) -O2 -fPIC -shared -o $@.tmp $@.s $(bench_module_sources)
	$(AM_V_at)rm -f $@.s && mv -f $@.tmp $@

# XRay: only its own functions are compiled for it; the runtime comes in by the link.
bench_xray_SOURCES = bench/xray.c $(bench_assembly) $(bench_common)
bench_xray_LDADD = bench/xray-functions.o libftr.la
bench_xray_LINK = $(LIBTOOL) $(AM_V_lt) --tag=CC --mode=link $(CLANG) -fxray-instrument -o $@
bench/xray-functions.o: $(srcdir)/bench/functions.sh
	$(AM_V_GEN)$(MKDIR_P) bench
	$(AM_V_at)$(SHELL) $(srcdir)/bench/functions.sh 40000 >bench/xray-functions.c
	$(AM_V_at)$(CLANG) -O1 -fxray-instrument -fxray-instruction-threshold=1 \
		-fxray-instrumentation-bundle=function-entry -c -o $@ bench/xray-functions.c
	$(AM_V_at)rm -f bench/xray-functions.c

# The same of bench/exit.c, with a function that has sleds at entry and exit.
EXTRA_PROGRAMS += bench/exit_xray
bench_exit_xray_SOURCES = bench/exit.c bench/exits.S $(typed_common)
bench_exit_xray_CPPFLAGS = $(AM_CPPFLAGS) -DBENCH_XRAY
bench_exit_xray_LDADD = bench/xray-exit.o libftr.la
bench_exit_xray_LINK = $(bench_xray_LINK)
bench/xray-exit.o: $(srcdir)/bench/xray-exit.c
	$(AM_V_GEN)$(MKDIR_P) bench
	$(AM_V_at)$(CLANG) -O1 -fxray-instrument -fxray-instruction-threshold=1 -c -o $@ \
		$(srcdir)/bench/xray-exit.c
EXTRA_DIST += bench/xray-exit.c

# uftrace.  -pg is for the compiler alone: seen by the link it would bring gprof
# in.  Linked statically, for uftrace wants a program, no wrapper of libtool.
bench_recorded_SOURCES = bench/recorded.c bench/measure.c bench/measure.h
bench_recorded_CPPFLAGS = $(AM_CPPFLAGS) -pg
bench_recorded_LDADD = libftr_core.la

EXTRA_DIST += bench/run.sh bench/generate.sh bench/functions.sh
CLEANFILES += $(EXTRA_PROGRAMS) $(bench_modules) $(bench_modules:.so=.so.s) \
	$(bench_modules:.so=.so.tmp) bench/xray-exit.o bench/exit_xray.log bench/xray-functions.c bench/xray-functions.o bench/xray.log \
	bench/recorded.log bench/uftrace.log

# i386 has a table of its own.
EXTRA_PROGRAMS += bench/i386/entry
bench_i386_entry_SOURCES = bench/i386/entry.c bench/i386/subjects.S \
	bench/measure.c bench/measure.h bench/handler.c bench/handler.h
bench_i386_entry_LDADD = libftr.la

.PHONY: bench
if BACKEND_X86_64
bench: $(bench_programs) $(bench_modules)
	@MAKE="$(MAKE)" CLANG="$(CLANG)" VERSION="$(PACKAGE_VERSION)" \
		$(SHELL) $(srcdir)/bench/run.sh $(BENCH)
else
BENCH_I386 = $(filter entry exit typed probe,$(BENCH))
bench: bench/i386/entry bench/exit bench/typed bench/probe
	@set -e; for part in $(BENCH_I386); do \
		case $$part in entry) bench/i386/entry ;; *) bench/$$part ;; esac; done
endif
