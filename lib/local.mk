# SPDX-License-Identifier: MIT

# Everything of the library, with its hidden symbols still visible: the tests
# link this.
noinst_LTLIBRARIES += libftr_core.la
libftr_core_la_SOURCES = \
	lib/api.c \
	lib/api_exit.c \
	lib/api_group.c \
	lib/api_probe.c \
	lib/api_regs.c \
	lib/api_site.c \
	lib/backend.h \
	lib/batch.c lib/batch.h \
	lib/boundary.c lib/boundary.h \
	lib/inward.c lib/inward.h \
	lib/callers.c lib/callers.h \
	lib/chain.c lib/chain.h \
	lib/compiler.h \
	lib/clock.h \
	lib/core.c lib/core.h \
	lib/detour.c lib/detour.h \
	lib/discover.c lib/discover.h \
	lib/dispatch.c lib/dispatch.h \
	lib/ehframe.c lib/ehframe.h \
	lib/ehrange.c lib/ehrange.h \
	lib/elffile.c lib/elffile.h \
	lib/error.c lib/error.h \
	lib/exec.c lib/exec.h \
	lib/exit.c lib/exit.h \
	lib/fault.c lib/fault.h \
	lib/filter.c lib/filter.h \
	lib/grace.c lib/grace.h \
	lib/hazard.c lib/hazard.h \
	lib/group.c lib/group.h \
	lib/hot.h \
	lib/jump.c lib/jump.h \
	lib/loader.c lib/loader.h \
	lib/maps.c lib/maps.h \
	lib/module.c lib/module.h \
	lib/normal.c lib/normal.h \
	lib/options.h \
	lib/patches.c lib/patches.h \
	lib/plan.c lib/plan.h \
	lib/point.c lib/point.h \
	lib/probe.c lib/probe.h \
	lib/probe_run.c \
	lib/probe_update.c \
	lib/record.c lib/record.h \
	lib/record_dead.c \
	lib/rendezvous.c lib/rendezvous.h \
	lib/search.c lib/search.h \
	lib/search_memory.c \
	lib/set.c lib/set.h \
	lib/site.c lib/site.h \
	lib/slot.c lib/slot.h \
	lib/stack.c lib/stack.h \
	lib/stub.c lib/stub.h \
	lib/sys.h \
	lib/text.c lib/text.h \
	lib/thread.c lib/thread.h \
	lib/trap.c lib/trap.h \
	lib/unhooked.c lib/unhooked.h \
	lib/unwind.c lib/unwind.h \
	lib/run.c lib/run.h \
	lib/state.c lib/state.h \
	lib/update.c lib/update.h \
	backends/x86/decode.c backends/x86/decode.h \
	backends/x86/detour.c backends/x86/detour.h \
	backends/x86/flags.h \
	backends/x86/insn.c backends/x86/insn.h \
	backends/x86/poke.c backends/x86/poke.h \
	backends/x86/relocate.c backends/x86/relocate.h \
	backends/x86/trap.c backends/x86/trap.h \
	backends/x86/vectors.c backends/x86/vectors.h \
	backends/x86/x87.c backends/x86/x87.h
if BACKEND_I386
libftr_core_la_SOURCES += \
	backends/i386/backend.c \
	backends/i386/exits.h \
	backends/i386/frame.h \
	backends/i386/widths.h \
	backends/i386/entry.S \
	backends/i386/fentry.S \
	backends/i386/probe.S \
	backends/i386/syscall.S \
	backends/i386/x87.S
endif
if BACKEND_X86_64
libftr_core_la_SOURCES += \
	backends/x86_64/backend.c \
	backends/x86_64/calling.h \
	backends/x86_64/exits.h \
	backends/x86_64/frame.h \
	backends/x86_64/members.h \
	backends/x86_64/widths.h \
	backends/x86_64/entry.S \
	backends/x86_64/fentry.S \
	backends/x86_64/probe.S \
	backends/x86_64/syscall.S \
	backends/x86_64/x87.S
endif

include lib/typed.mk

# General registers alone: the hot path runs before vector registers are saved,
# and handlers that promise to leave these alone call the accessors.
libftr_core_la_CFLAGS = $(AM_CFLAGS) $(ELF_CFLAGS) $(FFI_CFLAGS) -fvisibility=hidden \
	-fasynchronous-unwind-tables -mgeneral-regs-only
libftr_core_la_LIBADD = $(ELF_LIBS) $(FFI_LIBS) $(ZYDIS_LIBS)

lib_LTLIBRARIES = libftr.la
libftr_la_SOURCES =
libftr_la_LIBADD = libftr_core.la $(ELF_LIBS) $(FFI_LIBS) $(ZYDIS_LIBS)
libftr_la_LDFLAGS = -version-info $(FTR_LT_VERSION) -no-undefined \
	-Wl,--version-script=$(top_srcdir)/lib/libftr.map \
	-Wl,-z,nodelete -Wl,-z,now -Wl,-z,noexecstack $(UNWIND_LIBS)
libftr_la_DEPENDENCIES = libftr_core.la lib/libftr.map
EXTRA_DIST += lib/libftr.map lib/floors.txt
