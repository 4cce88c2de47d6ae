#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: generate.sh x86_64|i386
#
# Writes the table of cases.h as C: every type twelve times in one function, and
# in turn with integers and with floating point; every type as the result; and
# signatures drawn at random, the same each time.
set -eu

awk -v arch="$1" '
# --- types: their names in C, what a value is made of, what is compared --------------

function scalar(name, value) {
	types[++n_types] = name
	spelt[name] = again[name] = name
	values[name] = value
	fields[name] = ""
}

# A struct: its members in C, its value, the fields that are compared.
function aggregate(tag, members, value, list,    name) {
	name = "struct " tag
	types[++n_types] = name
	spelt[name] = name " { " members " }"
	again[name] = name
	values[name] = value
	fields[name] = list
}

function declare_types() {
	scalar("char", "c"); scalar("signed char", "c"); scalar("unsigned char", "c")
	scalar("short", "h"); scalar("unsigned short", "h")
	scalar("int", "i"); scalar("unsigned", "i")
	scalar("long", "l"); scalar("unsigned long", "l")
	scalar("long long", "q"); scalar("unsigned long long", "q")
	scalar("_Bool", "b")
	scalar("float", "f"); scalar("double", "d"); scalar("long double", "D")
	scalar("const char *", "p")
	scalar("size_t", "l"); scalar("int8_t", "c"); scalar("uint16_t", "h")
	scalar("int64_t", "q"); scalar("wchar_t", "i")
	scalar("float _Complex", "F"); scalar("double _Complex", "C")
	scalar("long double _Complex", "L")
	if (arch == "x86_64") {
		scalar("__int128", "x"); scalar("unsigned __int128", "x")
	}
	aggregate("s_c", "char a;", "{c}", "a")
	aggregate("s_hc", "short a; char b;", "{h,c}", "a b")
	aggregate("s_i", "int a;", "{i}", "a")
	aggregate("s_f", "float a;", "{f}", "a")
	aggregate("s_ff", "float a, b;", "{f,f}", "a b")
	aggregate("s_fff", "float a; float b, c;", "{f,f,f}", "a b c")
	aggregate("s_f4", "float a[4];", "{{f,f,f,f}}", "a[0] a[1] a[2] a[3]")
	aggregate("s_d", "double a;", "{d}", "a")
	aggregate("s_dd", "double a, b;", "{d,d}", "a b")
	aggregate("s_df", "double a; float b;", "{d,f}", "a b")
	aggregate("s_ddd", "double a, b, c;", "{d,d,d}", "a b c")
	aggregate("s_if", "int a; float b;", "{i,f}", "a b")
	aggregate("s_fi", "float a; int b;", "{f,i}", "a b")
	aggregate("s_ld", "long a; double b;", "{l,d}", "a b")
	aggregate("s_dl", "double a; unsigned long b;", "{d,l}", "a b")
	aggregate("s_ll", "long a, b;", "{l,l}", "a b")
	aggregate("s_lll", "long a, b, c;", "{l,l,l}", "a b c")
	aggregate("s_qc", "long long a; char b;", "{q,c}", "a b")
	aggregate("s_c3", "char a[3];", "{{c,c,c}}", "a[0] a[1] a[2]")
	aggregate("s_c9", "char a[9];", "{{c,c,c,c,c,c,c,c,c}}", "a[0] a[1] a[4] a[7] a[8]")
	aggregate("s_c17", "char a[17];", "{{c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c}}",
		  "a[0] a[3] a[8] a[15] a[16]")
	aggregate("s_n", "struct { short a; char b; } n; int c;", "{{h,c},i}", "n.a n.b c")
	aggregate("s_nc", "struct { int a; char b; } n; char c;", "{{i,c},c}", "n.a n.b c")
	aggregate("s_nf", "struct { float a[2]; } n[2];", "{{{{f,f}},{{f,f}}}}",
		  "n[0].a[0] n[0].a[1] n[1].a[0] n[1].a[1]")
	aggregate("s_D", "long double a;", "{D}", "a")
	aggregate("s_cD", "char a; long double b;", "{c,D}", "a b")
	aggregate("s_F", "float _Complex a;", "{F}", "a")
	aggregate("s_fF", "float a; float _Complex b;", "{f,F}", "a b")
	aggregate("s_C", "double _Complex a;", "{C}", "a")
	aggregate("s_Ff", "float _Complex a; float b;", "{F,f}", "a b")
	aggregate("s_iF", "int a; float _Complex b;", "{i,F}", "a b")
	aggregate("s_d2", "double a[2];", "{{d,d}}", "a[0] a[1]")
	aggregate("s_cd", "char a; double b;", "{c,d}", "a b")
	aggregate("s_i3f", "int a[3]; float b;", "{{i,i,i},f}", "a[0] a[1] a[2] b")
	aggregate("s_f3i", "float a[3]; int b;", "{{f,f,f},i}", "a[0] a[1] a[2] b")
	aggregate("s_bf", "_Bool a; float b[3];", "{b,{f,f,f}}", "a b[0] b[1] b[2]")
	aggregate("s_nfi", "struct { float a; int b; } n[2];", "{{{f,i},{f,i}}}",
		  "n[0].a n[0].b n[1].a n[1].b")
	aggregate("s_deep", "struct { struct { struct { short a[2]; } b; char c; } d[1]; } e; float f;",
		  "{{{{{{h,h}},c}}},f}", "e.d[0].b.a[0] e.d[0].b.a[1] e.d[0].c f")
	aggregate("s_nd", "struct { float a; struct { double b; } c; } n;", "{{f,{d}}}", "n.a n.c.b")
	aggregate("s_DD", "long double a[2];", "{{D,D}}", "a[0] a[1]")
	aggregate("s_pf", "void *a; float b, c;", "{p,f,f}", "a b c")
	if (arch == "x86_64") {
		aggregate("s_x", "__int128 a;", "{x}", "a")
		aggregate("s_xc", "__int128 a; char b;", "{x,c}", "a b")
	}
	aggregate("s_pi", "void *a; int b;", "{p,i}", "a b")
	aggregate("s_i20", "int a[20];",
		  "{{i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i}}", "a[0] a[9] a[19]")
	aggregate("s_k", "char a[4096]; short b;", "{{c,c,c},h}", "a[0] a[2] a[3] a[4095] b")
}

# --- values -----------------------------------------------------------------------------

# 24 bits, the same each time.
function draw() {
	seed = (seed * 69069 + 12345) % 16777216
	return seed
}

function below(n) { return int(draw() / 16777216 * n) }

function hex(digits,    text) {
	for (text = ""; digits > 0; digits -= 2)
		text = text sprintf("%02x", below(256))
	return text
}

function mantissa(digits) { return (below(2) ? "-" : "") "0x1." hex(digits) "p" below(20) - 10 }

function one_value(code) {
	if (code == "c") return "(char)0x" hex(2)
	if (code == "h") return "(short)0x" hex(4)
	if (code == "i") return "(int)0x" hex(8) "u"
	if (code == "l") return "(long)0x" hex(16) "ull"
	if (code == "q") return "(long long)0x" hex(16) "ull"
	if (code == "x") return "(__int128)0x" hex(16) "ull << 64 | 0x" hex(16) "ull"
	if (code == "b") return below(2)
	if (code == "p") return "(void *)(unsigned long)0x" hex(16) "ull"
	if (code == "f") return mantissa(6) "f"
	if (code == "d") return mantissa(12)
	if (code == "D") return mantissa(14) "L"
	if (code == "F") return mantissa(6) "f + " mantissa(6) "f * 1.0fi"
	if (code == "C") return mantissa(12) " + " mantissa(12) " * 1.0i"
	if (code == "L") return mantissa(14) "L + " mantissa(14) "L * 1.0Li"
	return code
}

function value(template,    i, text) {
	for (i = 1; i <= length(template); i++)
		text = text one_value(substr(template, i, 1))
	return text
}

# --- what is written ----------------------------------------------------------------------

function identifier(name) {
	gsub(/\*/, "p", name)
	gsub(/[^A-Za-z0-9]+/, "_", name)
	return name
}

function write_types(    i, j, n, name, list, text) {
	for (i = 1; i <= n_types; i++) {
		name = types[i]
		if (name ~ /^struct/)
			print spelt[name] ";"
		# In registers: aligned as these are, not as in memory.
		text = name ~ /int128/ ? "!__builtin_memcmp(a, b, sizeof *x + 0 * sizeof *y)" : "*x == *y"
		n = split(fields[name], list, " ")
		for (j = 1; j <= n; j++)
			text = (j == 1 ? "" : text " && ") "x->" list[j] " == y->" list[j]
		printf "static int equal_%s(const void *a, const void *b)\n", identifier(name)
		printf "{\n\tconst __typeof__(%s) *x = a, *y = b;\n\n\treturn %s;\n}\n\n", name, text
	}
}

# A struct is spelt out where it stands first.
function spell(name) {
	if (name in told)
		return again[name]
	told[name] = 1
	return spelt[name]
}

function object(name, type, as) {
	printf "static %s %s = %s;\n", type, name, value(as)
}

function write_value(of, type,    k) {
	k = of
	object("in_" k, type, values[type])
	object("other_" k, type, values[type])
	printf "static %s seen_%s;\n", type, k
}

function describe(of, type) {
	return sprintf("{ (void *)&in_%s, (void *)&other_%s, (void *)&seen_%s, sizeof(in_%s), equal_%s }", of, of, of, of,
		       identifier(type))
}

# One case: its result and arguments; attributes of the function, and more
# arguments that a variadic one is called with.
function make(result, n, args, attributes, dots,    i, k, proto, c, got, pass, seen, list) {
	k = ++n_cases
	split("", told)
	proto = attributes (attributes == "" ? "" : " ") (result == "void" ? result : spell(result)) " ("
	for (i = 1; i <= n; i++) {
		proto = proto (i > 1 ? ", " : "") spell(args[i])
		c = c (i > 1 ? ", " : "") args[i] " a" i
		got = got (i > 1 ? ", " : "") args[i]
		pass = pass (i > 1 ? ", " : "") "in_" k "_" i
		seen = seen "\tmemcpy((void *)&seen_" k "_" i ", &a" i ", sizeof a" i ");\n"
		list = list "\t\t" describe(k "_" i, args[i]) ",\n"
		write_value(k "_" i, args[i])
	}
	if (!n)
		c = got = "void"
	if (dots != "") {
		c = c ", ..."
		got = got ", ..."
		proto = proto ", ..."
		pass = pass ", " dots
	}
	proto = proto (n ? "" : "void") ")"
	if (result != "void")
		write_value(k "_0", result)
	printf "TYPED_FUNCTION %s %s typed_%d(%s);\n", attributes, result, k, c
	printf "%s %s typed_%d(%s)\n{\n%s%s}\n", attributes, result, k, c, seen,
		result != "void" ? "\treturn in_" k "_0;\n" : n ? "" : "\tcalls_without_arguments++;\n"
	printf "static void call_%d(void *function)\n{\n\t%s (*%s fn)(%s) = function;\n", k, result,
		attributes, got
	if (result == "void")
		printf "\n\tfn(%s);\n}\n\n", pass
	else
		printf "\t%s got = fn(%s);\n\n\tmemcpy((void *)&seen_%d_0, &got, sizeof got);\n}\n\n", result, pass, k
	table = table "\t{ \"" proto "\", (void *)typed_" k ", call_" k ", " n ", {\n" list "\t  },\n\t  " \
		(result == "void" ? "{ .size = 0 }" : describe(k "_0", result)) " },\n"
}

# By level: 0, all types; 1, none wider than a word but floating point; 2, words.
function allowed(type, level) {
	return !level || index(level == 1 ? "chilbpfdD" : "chilbp", values[type])
}

# --- which ---------------------------------------------------------------------------------

# The type in turn with another one, at odd or at even places.
function alternate(type, with, odd,    i, args) {
	for (i = 1; i <= 12; i++)
		args[i] = i % 2 == odd ? type : with
	make("void", 12, args, "", "")
}

function every_type(    i, j, type, args) {
	for (i = 1; i <= n_types; i++) {
		type = types[i]
		for (j = 1; j <= 12; j++)
			args[j] = type
		make(type, 12, args, "", "")
		make(type, 0, args, "", "")
		alternate(type, "int", 1)
		alternate(type, "long", 0)
		alternate(type, "double", 0)
		alternate(type, "float", 1)
	}
}

function random_case(attributes, level, most, dots,    i, n, args, result) {
	do
		result = types[1 + below(n_types)]
	while (!allowed(result, level))
	n = below(most + 1)
	if (dots != "" && !n)
		n = 1
	for (i = 1; i <= n; i++) {
		do
			args[i] = types[1 + below(n_types)]
		while (!allowed(args[i], level))
		if (dots != "" && i == n)
			args[i] = "const char *"
	}
	make(below(8) ? result : "void", n, args, attributes, dots)
}

BEGIN {
	seed = 2027
	print "/* Made by generate.sh. */"
	print "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n#include <sys/types.h>\n"
	print "#include \"tests/typed/cases.h\"\n"
	print "#define TYPED_FUNCTION __attribute__((noipa))\n"
	# A function of a byte has no room for a jump.
	print "static volatile int calls_without_arguments;\n"
	declare_types()
	write_types()
	every_type()
	for (i = 0; i < 120; i++)
		random_case("", 0, 12, "")
	for (i = 0; i < 24; i++)
		random_case("", 0, 8, i % 2 ? "1, 2.5, (void *)3" : "1.0L, 2")
	if (arch == "i386") {
		for (i = 0; i < 24; i++) {
			random_case("__attribute__((stdcall))", 0, 12, "")
			random_case("__attribute__((fastcall))", 1, 12, "")
			random_case("__attribute__((thiscall))", 1, 6, "")
			random_case("__attribute__((regparm(3)))", 2, 3, "")
		}
	}
	printf "const struct typed_case typed_cases[] = {\n%s};\n", table
	print "const unsigned typed_n_cases = sizeof typed_cases / sizeof typed_cases[0];"
}'
