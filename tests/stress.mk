# SPDX-License-Identifier: MIT

if HAVE_CHECK
# Parts of the library, by themselves.
unit_tests = \
	tests/backend/test_insn \
	tests/backend/test_ways \
	tests/unit/test_filter \
	tests/unit/test_maps \
	tests/unit/test_set \
	tests/unit/test_text \
	tests/unit/test_thread

# Running threads; those with hooks into the library's inside link its core,
# the others the shared library.
live_core_tests = \
	tests/live/test_poke \
	tests/live/test_runs \
	tests/live/test_blocked \
	tests/live/test_partial \
	tests/live/test_strategies \
	tests/live/test_hold \
	tests/live/test_trap \
	tests/live/test_interrupted \
	tests/live/test_signals \
	tests/live/test_callers \
	tests/live/test_slots \
	tests/live/test_stack \
	tests/live/test_threads \
	tests/live/test_unwind
live_tests = \
	tests/live/test_detach \
	tests/live/test_groups \
	tests/live/test_regs_lazily \
	tests/live/test_jumps \
	tests/live/test_late \
	tests/live/test_limit \
	tests/live/test_pads \
	tests/live/test_recursion \
	tests/live/test_self
if BACKEND_X86_64
live_core_tests += \
	tests/live/test_regs \
	tests/live/test_regs_changes \
	tests/live/test_regs_compiled \
	tests/live/test_regs_paths \
	tests/live/test_regs_vectors
endif
if BACKEND_I386
i386_tests = \
	tests/live/i386/test_gap \
	tests/live/i386/test_gap_naive \
	tests/live/i386/test_regs_i386
live_core_tests += $(i386_tests)
# Built with a push from the trap handler: what shows that the test notices.
XFAIL_TESTS += tests/live/i386/test_gap_naive
endif

check_PROGRAMS += $(unit_tests) $(live_core_tests) $(live_tests)
TESTS += $(unit_tests) $(live_core_tests) $(live_tests)

stress_cppflags = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(arch_cppflags)
# With the unwinder, as the shared library is linked: copies of the callers need it.
stress_core = libftr_core.la $(ELF_LIBS) $(ZYDIS_LIBS) $(CHECK_LIBS) $(UNWIND_LIBS)
stress_lib = libftr.la $(CHECK_LIBS)
live_common = tests/live/live.c tests/live/live.h tests/live/sites.S \
	tests/live/x86_64/arch.h tests/live/i386/arch.h
if BACKEND_I386
arch_step = tests/live/i386/step_stub.S
arch_unwind = tests/live/i386/unwind_stub.S
else
arch_step = tests/live/x86_64/step_stub.S
arch_unwind = tests/live/x86_64/unwind_stub.S
endif
live_step = tests/live/step.c tests/live/step.h $(arch_step)

tests_backend_test_insn_SOURCES = tests/backend/test_insn.c tests/unit/unit.h
tests_backend_test_insn_CPPFLAGS = $(stress_cppflags)
tests_backend_test_insn_LDADD = $(stress_core)
tests_backend_test_ways_SOURCES = tests/backend/test_ways.c tests/unit/unit.h
tests_backend_test_ways_CPPFLAGS = $(stress_cppflags)
tests_backend_test_ways_LDADD = $(stress_core)
tests_unit_test_filter_SOURCES = tests/unit/test_filter.c tests/unit/unit.h
tests_unit_test_filter_CPPFLAGS = $(stress_cppflags)
tests_unit_test_filter_LDADD = $(stress_core)
tests_unit_test_maps_SOURCES = tests/unit/test_maps.c tests/unit/unit.h
tests_unit_test_maps_CPPFLAGS = $(stress_cppflags)
tests_unit_test_maps_LDADD = $(stress_core)
tests_unit_test_set_SOURCES = tests/unit/test_set.c tests/unit/unit.h
tests_unit_test_set_CPPFLAGS = $(stress_cppflags)
tests_unit_test_set_LDADD = $(stress_core)
tests_unit_test_text_SOURCES = tests/unit/test_text.c tests/unit/unit.h
tests_unit_test_text_CPPFLAGS = $(stress_cppflags)
tests_unit_test_text_LDADD = $(stress_core)
tests_unit_test_thread_SOURCES = tests/unit/test_thread.c tests/unit/unit.h
tests_unit_test_thread_CPPFLAGS = $(stress_cppflags)
tests_unit_test_thread_LDADD = $(stress_core)

tests_live_test_runs_SOURCES = tests/live/test_runs.c tests/live/runs.S \
	$(live_common)
tests_live_test_runs_CPPFLAGS = $(stress_cppflags)
tests_live_test_runs_LDADD = $(stress_core)
tests_live_test_poke_SOURCES = tests/live/test_poke.c $(live_common)
tests_live_test_poke_CPPFLAGS = $(stress_cppflags)
tests_live_test_poke_LDADD = $(stress_core)
live_blocked = tests/live/blocked.c tests/live/blocked.h tests/live/pads.S $(live_common)
tests_live_test_blocked_SOURCES = tests/live/test_blocked.c tests/live/visitor.h $(live_blocked)
tests_live_test_blocked_CPPFLAGS = $(stress_cppflags)
tests_live_test_blocked_LDADD = $(stress_core)
tests_live_test_partial_SOURCES = tests/live/test_partial.c $(live_blocked)
tests_live_test_partial_CPPFLAGS = $(stress_cppflags)
tests_live_test_partial_LDADD = $(stress_core)
tests_live_test_strategies_SOURCES = tests/live/test_strategies.c tests/live/pads.S \
	tests/live/visitor.h $(live_common)
tests_live_test_strategies_CPPFLAGS = $(stress_cppflags)
tests_live_test_strategies_LDADD = $(stress_core)
tests_live_test_hold_SOURCES = tests/live/test_hold.c tests/live/visitor.h $(live_common)
tests_live_test_hold_CPPFLAGS = $(stress_cppflags)
tests_live_test_hold_LDADD = $(stress_core)
tests_live_test_trap_SOURCES = tests/live/test_trap.c tests/live/visitor.h $(live_common)
tests_live_test_trap_CPPFLAGS = $(stress_cppflags)
tests_live_test_trap_LDADD = $(stress_core)
live_regs = tests/live/regs.c tests/live/regs.h tests/live/regs_image.h \
	tests/live/regs_stub.S tests/live/visitor.h
tests_live_test_regs_SOURCES = tests/live/test_regs.c $(live_regs) $(live_common)
tests_live_test_regs_CPPFLAGS = $(stress_cppflags)
tests_live_test_regs_LDADD = $(stress_core)
tests_live_test_regs_changes_SOURCES = tests/live/test_regs_changes.c $(live_regs) $(live_step) \
	$(live_common)
tests_live_test_regs_changes_CPPFLAGS = $(stress_cppflags)
tests_live_test_regs_changes_LDADD = $(stress_core)
tests_live_test_regs_compiled_SOURCES = tests/live/test_regs_compiled.c $(live_regs) $(live_common)
tests_live_test_regs_compiled_CPPFLAGS = $(stress_cppflags)
tests_live_test_regs_compiled_LDADD = $(stress_core)
tests_live_test_regs_paths_SOURCES = tests/live/test_regs_paths.c $(live_regs) $(live_step) $(live_common)
tests_live_test_regs_paths_CPPFLAGS = $(stress_cppflags)
tests_live_test_regs_paths_LDADD = $(stress_core)
tests_live_test_regs_vectors_SOURCES = tests/live/test_regs_vectors.c $(live_regs) $(live_common)
tests_live_test_regs_vectors_CPPFLAGS = $(stress_cppflags)
tests_live_test_regs_vectors_LDADD = $(stress_core)

tests_live_test_callers_SOURCES = tests/live/test_callers.c $(live_step) $(live_common)
tests_live_test_callers_CPPFLAGS = $(stress_cppflags)
tests_live_test_callers_LDADD = $(stress_core)
tests_live_test_slots_SOURCES = tests/live/test_slots.c tests/live/visitor.h $(live_common)
tests_live_test_slots_CPPFLAGS = $(stress_cppflags)
tests_live_test_slots_LDADD = $(stress_core)

live_tally = tests/live/tally.c tests/live/tally.h
tests_live_test_interrupted_SOURCES = tests/live/test_interrupted.c \
	$(live_step) $(live_tally) $(live_common)
tests_live_test_interrupted_CPPFLAGS = $(stress_cppflags)
tests_live_test_interrupted_LDADD = $(stress_core)
tests_live_test_signals_SOURCES = tests/live/test_signals.c tests/live/visitor.h \
	$(live_tally) $(live_common)
tests_live_test_signals_CPPFLAGS = $(stress_cppflags)
tests_live_test_signals_LDADD = $(stress_core)
tests_live_test_threads_SOURCES = tests/live/test_threads.c $(live_tally) $(live_common)
tests_live_test_threads_CPPFLAGS = $(stress_cppflags)
tests_live_test_threads_LDADD = $(stress_core)

tests_live_test_jumps_SOURCES = tests/live/test_jumps.c tests/live/visitor.h \
	$(live_tally) $(live_common)
tests_live_test_jumps_CPPFLAGS = $(stress_cppflags)
tests_live_test_jumps_LDADD = $(stress_lib)
tests_live_test_limit_SOURCES = tests/live/test_limit.c tests/live/visitor.h \
	$(live_tally) $(live_common)
tests_live_test_limit_CPPFLAGS = $(stress_cppflags)
tests_live_test_limit_LDADD = $(stress_lib)
tests_live_test_stack_SOURCES = tests/live/test_stack.c tests/live/visitor.h $(live_common)
tests_live_test_stack_CPPFLAGS = $(stress_cppflags)
tests_live_test_stack_LDADD = $(stress_core)
# The dynamic linker's work at a first call would be measured, too.
tests_live_test_stack_LDFLAGS = -Wl,-z,now
tests_live_test_detach_SOURCES = tests/live/test_detach.c tests/live/visitor.h $(live_common)
tests_live_test_detach_CPPFLAGS = $(stress_cppflags)
tests_live_test_detach_LDADD = $(stress_lib)
tests_live_test_regs_lazily_SOURCES = tests/live/test_regs_lazily.c $(live_common)
tests_live_test_regs_lazily_CPPFLAGS = $(stress_cppflags)
tests_live_test_regs_lazily_LDADD = $(stress_lib)
tests_live_test_groups_SOURCES = tests/live/test_groups.c tests/live/visitor.h $(live_common)
tests_live_test_groups_CPPFLAGS = $(stress_cppflags)
tests_live_test_groups_LDADD = $(stress_lib)
tests_live_test_late_SOURCES = tests/live/test_late.c $(live_step) $(live_common)
tests_live_test_late_CPPFLAGS = $(stress_cppflags)
tests_live_test_late_LDADD = $(stress_lib)
tests_live_test_pads_SOURCES = tests/live/test_pads.c tests/live/pads.S tests/live/visitor.h \
	$(live_step) $(live_common)
tests_live_test_pads_CPPFLAGS = $(stress_cppflags)
tests_live_test_pads_LDADD = $(stress_lib)
tests_live_test_self_SOURCES = tests/live/test_self.c $(live_common)
tests_live_test_self_CPPFLAGS = $(stress_cppflags)
tests_live_test_self_LDADD = $(stress_lib)
tests_live_test_recursion_SOURCES = tests/live/test_recursion.c tests/live/visitor.h \
	$(live_step) $(live_common)
tests_live_test_recursion_CPPFLAGS = $(stress_cppflags)
tests_live_test_recursion_LDADD = $(stress_lib)

# What unwinds is linked by the shared library; here it is by hand.
live_unwind = tests/live/unwind.c tests/live/unwind.h $(arch_unwind) \
	tests/live/visitor.h $(live_step) $(live_common)
tests_live_test_unwind_SOURCES = tests/live/test_unwind.c $(live_unwind)
tests_live_test_unwind_CPPFLAGS = $(stress_cppflags)
tests_live_test_unwind_LDADD = $(stress_core)
if HAVE_LIBUNWIND
check_PROGRAMS += tests/live/test_libunwind
TESTS += tests/live/test_libunwind
endif
tests_live_test_libunwind_SOURCES = tests/live/test_libunwind.c $(live_unwind)
tests_live_test_libunwind_CPPFLAGS = $(stress_cppflags) $(LIBUNWIND_CFLAGS)
tests_live_test_libunwind_LDADD = $(stress_core) $(LIBUNWIND_LIBS)


tests_live_i386_test_regs_i386_SOURCES = tests/live/i386/test_regs_i386.c \
	tests/live/i386/image.h tests/live/i386/image_stub.S tests/live/visitor.h $(live_common)
tests_live_i386_test_regs_i386_CPPFLAGS = $(stress_cppflags)
tests_live_i386_test_regs_i386_LDFLAGS = -no-pie
tests_live_i386_test_regs_i386_LDADD = $(stress_core)
gap_sources = tests/live/i386/test_gap.c tests/live/i386/gap_stub.S tests/live/visitor.h \
	$(live_common)
tests_live_i386_test_gap_SOURCES = $(gap_sources)
tests_live_i386_test_gap_CPPFLAGS = $(stress_cppflags) -DGAP_NAIVE=0
tests_live_i386_test_gap_LDADD = $(stress_core)
tests_live_i386_test_gap_naive_SOURCES = $(gap_sources) tests/live/i386/naive.c
tests_live_i386_test_gap_naive_CPPFLAGS = $(stress_cppflags) -DGAP_NAIVE=1
tests_live_i386_test_gap_naive_CFLAGS = $(AM_CFLAGS) -Wno-unused-const-variable -mgeneral-regs-only
tests_live_i386_test_gap_naive_LDADD = $(stress_core)
endif
