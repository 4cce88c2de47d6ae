#!/bin/sh
# SPDX-License-Identifier: MIT
# What linkers make of the tables: bfd, gold, lld; garbage collection, packed
# relocations, link-time optimisation.
. "$srcdir/tests/forms/lib.sh"

opt_choices=2
sections="-ffunction-sections -fdata-sections"
flags5=-fpatchable-function-entry=5
fentry="-pg -mfentry -mrecord-mcount"

# with NAME FLAGS...: whether such a link is to be had.
with() {
	name=$1
	shift
	can "$@" && return 0
	skip "$name: not installed"
	return 1
}

# plain_and_collected LINKER EXPECT-COLLECTED
plain_and_collected() {
	link_flags=-fuse-ld=$1
	compiler=$GCC flags=$flags5
	form "so pie nopie" "$gcc5"
	flags="$flags5 $sections"
	link_flags="-fuse-ld=$1 -Wl,--gc-sections"
	form "so nopie" "${2:-$gcc5}"
	[ -n "$CLANG" ] || return
	compiler=$CLANG
	form "so nopie" "${2:-$clang5}"
	flags=$flags5
	link_flags=-fuse-ld=$1
	form "so pie" "$clang5"
}

# fentry_calls LINKER OUTPUTS
fentry_calls() {
	compiler=$GCC flags=$fentry
	link_flags="-fuse-ld=$1 -Wl,-z,notext"
	for which in $2; do
		if [ "$which" = nopie ]; then
			form nopie "kind=call before=e8........ length=5 pad=5"
		else
			form "$which" "kind=call before=ff15........ length=6 pad=6"
		fi
	done
}

if with bfd $GCC -fuse-ld=bfd; then
	plain_and_collected bfd
	fentry_calls bfd "$fentry_pic nopie"
fi
if with gold $GCC -fuse-ld=gold; then
	plain_and_collected gold "sites=none pad=5 reason=gold_does_with_--gc-sections"
	fentry_calls gold "$fentry_pic nopie"
fi
if with lld $GCC -fuse-ld=lld; then
	plain_and_collected lld
	fentry_calls lld "$fentry_pic nopie"
fi

# Tables whose relocations are packed (DT_RELR).
compiler=$GCC flags=$flags5
packed="-fuse-ld=bfd -Wl,-z,pack-relative-relocs"
if with "packed relocations" $GCC -pie -fPIE $packed; then
	link_flags=$packed
	form "so pie" "$gcc5"
fi
link_flags="-fuse-ld=bfd -Wl,-z,noseparate-code"
with "-z noseparate-code" $GCC $link_flags && form "so pie nopie" "$gcc5"

# Sanitizers bring functions of their own into a program that is optimised as
# a whole, and another compiler's do not link.
outputs="so pie nopie"
[ -n "$SANITIZE_CFLAGS" ] && outputs=so
if with "LTO of gcc" $GCC -flto -O2; then
	flags="$flags5 -flto" link_flags="-flto -O2 $flags5"
	form "$outputs" "$gcc5"
fi
if [ -n "$CLANG" ] && with "LTO of clang" $CLANG -flto -fuse-ld=lld; then
	compiler=$CLANG linker_driver=$CLANG
	flags="$flags5 -flto" link_flags="-flto -fuse-ld=lld"
	form "$outputs" "$clang5"
fi

forms_end
