# SPDX-License-Identifier: MIT

# Probes: instructions moved elsewhere, breakpoints that stay, faults.
if HAVE_CHECK
probe_tests = \
	tests/backend/test_relocate \
	tests/live/test_probe \
	tests/live/test_probe_faults \
	tests/live/test_probe_libc \
	tests/live/test_probe_life \
	tests/live/test_probe_site \
	tests/live/test_probe_stress \
	tests/live/test_probe_system \
	tests/live/test_probe_unwind
if BACKEND_I386
probe_tests += tests/live/i386/test_probe_image
else
probe_tests += tests/live/test_probe_regs
endif
check_PROGRAMS += $(probe_tests)
TESTS += $(probe_tests)

probed_sources = tests/live/probed.h $(live_common)
if BACKEND_I386
arch_moved = tests/backend/i386/moved.S
arch_probed = tests/live/i386/probed.S
else
arch_moved = tests/backend/x86_64/moved.S
arch_probed = tests/live/x86_64/probed.S
endif

tests_backend_test_relocate_SOURCES = tests/backend/test_relocate.c tests/unit/unit.h $(arch_moved)
tests_backend_test_relocate_CPPFLAGS = $(stress_cppflags)
tests_backend_test_relocate_LDADD = $(stress_core)
tests_live_test_probe_SOURCES = tests/live/test_probe.c $(arch_probed) $(probed_sources)
tests_live_test_probe_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_LDADD = $(stress_lib)
tests_live_test_probe_faults_SOURCES = tests/live/test_probe_faults.c $(arch_probed) \
	$(probed_sources)
tests_live_test_probe_faults_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_faults_LDADD = $(stress_lib)
tests_live_test_probe_libc_SOURCES = tests/live/test_probe_libc.c $(arch_probed) $(probed_sources)
tests_live_test_probe_libc_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_libc_LDADD = $(stress_lib)
tests_live_test_probe_life_SOURCES = tests/live/test_probe_life.c tests/live/visitor.h \
	tests/live/load.c tests/live/load.h tests/live/plugin.h $(arch_probed) $(probed_sources)
tests_live_test_probe_life_CPPFLAGS = $(plugin_cppflags) $(arch_cppflags)
tests_live_test_probe_life_LDADD = $(stress_lib) -ldl
tests_live_test_probe_site_SOURCES = tests/live/test_probe_site.c $(arch_probed) $(probed_sources)
tests_live_test_probe_site_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_site_LDADD = $(stress_lib)
tests_live_test_probe_regs_SOURCES = tests/live/test_probe_regs.c $(live_regs) $(live_common)
tests_live_test_probe_regs_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_regs_LDADD = $(stress_core)
tests_live_i386_test_probe_image_SOURCES = tests/live/i386/test_probe_image.c \
	tests/live/i386/image.h tests/live/i386/image_stub.S $(live_common)
tests_live_i386_test_probe_image_CPPFLAGS = $(stress_cppflags)
tests_live_i386_test_probe_image_LDFLAGS = -no-pie
tests_live_i386_test_probe_image_LDADD = $(stress_core)
tests_live_test_probe_stress_SOURCES = tests/live/test_probe_stress.c $(arch_probed) \
	$(probed_sources)
tests_live_test_probe_stress_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_stress_LDADD = $(stress_lib) -ldl
tests_live_test_probe_system_SOURCES = tests/live/test_probe_system.c tests/live/visitor.h \
	$(arch_probed) $(probed_sources)
tests_live_test_probe_system_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_system_LDADD = $(stress_lib)
tests_live_test_probe_unwind_SOURCES = tests/live/test_probe_unwind.c $(live_step) $(arch_probed) \
	$(probed_sources)
tests_live_test_probe_unwind_CPPFLAGS = $(stress_cppflags)
tests_live_test_probe_unwind_LDADD = $(stress_core)

# Probes against single steps: a sample; the whole, by `make differential`, takes
# minutes.
TESTS += tests/differential/sample.sh
EXTRA_DIST += tests/differential/sample.sh
tests/differential/sample.log: tests/differential/differential$(EXEEXT)
if BACKEND_I386
arch_odd = tests/differential/i386/odd.S
else
arch_odd = tests/differential/x86_64/odd.S
endif
check_PROGRAMS += tests/differential/differential
tests_differential_differential_SOURCES = tests/differential/differential.c \
	tests/differential/same.c tests/differential/work.c tests/differential/work.h $(arch_odd) $(arch_moved)
tests_differential_differential_CPPFLAGS = $(stress_cppflags)
tests_differential_differential_LDADD = $(stress_core) -ldl
differential: tests/differential/differential$(EXEEXT)
	tests/differential/differential$(EXEEXT)
# The stress for so long.
probe-stress: tests/live/test_probe_stress$(EXEEXT)
	FTR_TEST_SECONDS=$(SECONDS) tests/live/test_probe_stress$(EXEEXT)
endif
.PHONY: differential probe-stress
