#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: generate.sh nop|pad COUNT
#
# Writes the assembly of a module with COUNT traceable functions: static ones,
# with symbols, 48 bytes apart (what -O2 code of a large program comes to), each
# recorded in __patchable_function_entries.  All of them stand in one section:
# a section a function, as compilers emit them, would keep the assembler busy
# for many minutes.  nop: the site is one five-byte nop (clang's form, or one
# that was normalised before).  pad: five nops of one byte (gcc's form).
#
# The module tells of itself in `bench_module`, struct bench_module of measure.h.
set -eu

case $1 in
nop) site=0x0f,0x1f,0x44,0x00,0x00 ;;
pad) site=0x90,0x90,0x90,0x90,0x90 ;;
*) echo "generate.sh: no site form '$1'" >&2; exit 2 ;;
esac

awk -v n="$2" -v site="$site" '
BEGIN {
	print "\t.text\n\t.balign 4096\ntext:"
	for (i = 0; i < n; i++) {
		f = "bench_f" i
		printf "\t.type\t%s, @function\n%s:\n", f, f
		printf "\t.byte\t%s\n\tlea\t%d(%%rdi), %%eax\n\tret\n", site, i
		printf "\t.size\t%s, . - %s\n\t.balign 16\n\t.skip 32, 0xcc\n", f, f
	}
	print "text_end:\n\t.section __patchable_function_entries, \"aw\", @progbits\nsites:"
	for (i = 0; i < n; i++)
		print "\t.quad\tbench_f" i
	print "sites_end:\n\t.section .data.rel, \"aw\", @progbits"
	print "\t.globl\tbench_module\n\t.type\tbench_module, @object\nbench_module:"
	print "\t.quad\tsites, sites_end, text, text_end"
	print "\t.quad\tbench_floor_gpr, bench_floor_xmm, bench_floor_ymm, bench_floor_zmm"
	print "\t.quad\tbench_floor_pt_regs"
	print "\t.size\tbench_module, . - bench_module"
	print "\t.section .note.GNU-stack, \"\", @progbits"
}'
