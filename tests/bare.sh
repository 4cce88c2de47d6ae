#!/bin/sh
# SPDX-License-Identifier: MIT
#
# H5: what runs before vector registers are saved, the section ftr_bare, calls
# nothing of libc's that may use them: no memset(3) that the compiler made of a
# loop.  Typed calls have them saved, for libffi uses them.
command -v readelf >/dev/null || { echo "SKIP: no readelf"; exit 77; }

# A libtool library's objects: those for the shared one have the same code.
calls=$(
	for object in lib/libftr_core_la-*.o backends/*/libftr_core_la-*.o; do
		case $object in *-signature.o | *-typed.o | *-layout.o) continue ;; esac
		echo "object $object"
		readelf -rW "$object"
	done | awk '
		$1 == "object" { object = $2; objects++; bare = 0 }
		/^Relocation section/ { bare = /ftr_bare/; sections += bare }
		bare && $5 ~ /^(mem|str|bcmp|bzero|w?mem|__mem|__str)/ { print object ": " $5 }
		END { print objects " objects, " sections " with bare code" }'
)
echo "$calls"
echo "$calls" | grep -q ' [1-9][0-9]* with bare code$' && [ "$(echo "$calls" | wc -l)" = 1 ]
