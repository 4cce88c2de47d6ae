# SPDX-License-Identifier: MIT

# Signatures, typed calls, replacement.
libftr_core_la_SOURCES += \
	lib/api_replace.c \
	lib/api_typed.c \
	lib/around.c lib/around.h \
	lib/cparse.c lib/cparse.h \
	lib/cspec.c \
	lib/ctypes.c lib/ctypes.h \
	lib/layout.c lib/layout.h \
	lib/near.c lib/near.h \
	lib/prologue.c lib/prologue.h \
	lib/prototype.c lib/prototype.h \
	lib/replace.c lib/replace.h \
	lib/signature.c lib/signature.h \
	lib/stored.c lib/stored.h \
	lib/typed.c lib/typed.h \
	lib/values.h
if BACKEND_I386
libftr_core_la_SOURCES += \
	backends/i386/typed.c backends/i386/typed.h backends/i386/typed.S
endif
if BACKEND_X86_64
libftr_core_la_SOURCES += \
	backends/x86_64/typed.c backends/x86_64/typed.h backends/x86_64/typed.S
endif
