# SPDX-License-Identifier: MIT
#
# Prints what is declared, one line for each function: in headers (FTR_API ...;)
# and in the SYNOPSIS of manual pages (.Ft, .Fo, .Fa, .Fc), in the same form:
#
#	return type|name|parameter,parameter
#
# and with -v errors=1 the errors documented for it: "name ERROR", one a line.

function tidy(text) {
	gsub(/[ \t]+/, " ", text)
	gsub(/^ | $/, "", text)
	gsub(/ \*/, "*", text)
	gsub(/, /, ",", text)
	return text
}

function name_of(declaration) {
	sub(/\(.*/, "", declaration)
	sub(/.*[ *]/, "", declaration)
	return declaration
}

function put_errors(name, text) {
	while (match(text, /-E[A-Z]+/)) {
		print name, substr(text, RSTART + 1, RLENGTH - 1)
		text = substr(text, RSTART + RLENGTH)
	}
}

function put_declaration(text,   name, type, rest) {
	sub(/;.*/, "", text)
	text = tidy(text)
	name = name_of(text)
	if (errors)
		return put_errors(name, comment)
	type = substr(text, 1, index(text, name "(") - 1)
	rest = substr(text, length(type name) + 2)
	sub(/\)$/, "", rest)
	print tidy(type) "|" name "|" rest
}

function unquoted(line) {
	sub(/^\.F[ato] /, "", line)
	gsub(/"/, "", line)
	return tidy(line)
}

# --- headers ---
/\/\*\*/ { comment = "" }
/\/\*\*/, /\*\// { comment = comment " " $0 }
/^FTR_API / { pending = 1; text = "" }
pending {
	line = $0
	sub(/^FTR_API /, "", line)
	text = text " " line
	if (line ~ /;/) {
		pending = 0
		put_declaration(text)
		comment = ""
	}
}

# --- pages ---
/^\.Ft / { type = unquoted($0) }
/^\.Fo / { name = unquoted($0); rest = "" }
/^\.Fa / && name { rest = rest (rest == "" ? "" : ",") unquoted($0) }
/^\.Fc/ && name {
	if (!errors)
		print type "|" name "|" rest
	name = ""
}
