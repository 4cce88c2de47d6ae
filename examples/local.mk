# SPDX-License-Identifier: MIT

# The agent: a module to preload, linked as a user's would be with -lftr, and
# found where it was built.  -rpath makes libtool build a shared object of what
# is not installed; the linker's own option finds the library beside it.
noinst_LTLIBRARIES += examples/agent.la
examples_agent_la_SOURCES = examples/agent.c
examples_agent_la_CFLAGS = $(AM_CFLAGS) -mgeneral-regs-only
examples_agent_la_LIBADD = libftr.la
examples_agent_la_LDFLAGS = -module -avoid-version -rpath /nowhere \
	-Wl,-rpath,$(abs_top_builddir)/.libs

noinst_LTLIBRARIES += examples/graph.la
examples_graph_la_SOURCES = examples/graph.c
examples_graph_la_LIBADD = libftr.la
examples_graph_la_LDFLAGS = $(examples_agent_la_LDFLAGS)

noinst_PROGRAMS += examples/work

# A traced program is one thing, what traces it another: work knows nothing of
# libftr.  Its functions stay functions, and no clones of them are made.
examples_work_SOURCES = examples/work.c
examples_work_CFLAGS = -std=gnu11 $(WARN_CFLAGS) -Wno-missing-prototypes -pthread \
	-fpatchable-function-entry=5 -fno-inline

# What the test scripts need to know of this build.
check_SCRIPTS += examples/env.sh
CLEANFILES += examples/env.sh
examples/env.sh: examples/local.mk Makefile
	$(AM_V_GEN)$(MKDIR_P) examples && { \
	echo 'CC="$(CC)"'; \
	echo 'CXX="$(CXX)"'; \
	echo 'MAKE="$(MAKE)"'; \
	echo 'PKG_CONFIG="$(PKG_CONFIG)"'; \
	echo 'SANITIZE_CFLAGS="$(SANITIZE_CFLAGS)"'; \
	echo 'version="$(VERSION)"'; } >$@

example_tests = \
	examples/test-readme.sh \
	examples/test-agent.sh \
	examples/test-graph.sh \
	examples/test-quickstart.sh \
	examples/test-scripts.sh
TESTS += $(example_tests)

EXTRA_DIST += LICENSE quickstart $(example_tests) examples/hello.c \
	examples/lua/all.lua \
	examples/lua/expr.lua \
	examples/lua/json.lua \
	examples/lua/objects.lua \
	examples/lua/sort.lua \
	examples/lua/text.lua
