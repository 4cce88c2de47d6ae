# SPDX-License-Identifier: MIT

# make soak SECONDS=n
EXTRA_PROGRAMS += tests/soak/soak
tests_soak_soak_SOURCES = \
	tests/soak/account.c tests/soak/account.h \
	tests/soak/changes.c \
	tests/soak/leaks.c \
	tests/soak/lua.c \
	tests/soak/soak.c tests/soak/soak.h
tests_soak_soak_LDADD = libftr.la -ldl -lpthread
EXTRA_DIST += tests/soak/run.sh tests/soak/work.lua

# For both strategies together.
SECONDS = 60
soak: tests/soak/soak$(EXEEXT) tests/live/plugin_a.la
	CC='$(CC)' srcdir='$(srcdir)' bash $(srcdir)/tests/soak/run.sh $(SECONDS)
.PHONY: soak
clean-local: clean-soak
clean-soak:
	rm -rf tests/soak/lua
.PHONY: clean-soak
