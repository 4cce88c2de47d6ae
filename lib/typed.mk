# SPDX-License-Identifier: MIT

# Signatures, typed calls, replacement.
libftr_core_la_SOURCES += \
	lib/api_typed.c \
	lib/cparse.c lib/cparse.h \
	lib/cspec.c \
	lib/ctypes.c lib/ctypes.h \
	lib/prototype.c lib/prototype.h \
	lib/signature.c lib/signature.h \
	lib/typed.h
