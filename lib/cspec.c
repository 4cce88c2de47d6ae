/* SPDX-License-Identifier: MIT */
/*
 * Declaration specifiers and attributes (see cparse.h).  Floor 1.
 *
 * A name that nobody knows is taken for a type that is incomplete: behind a
 * pointer it is as good as any other.
 */
#include "lib/cparse.h"

#include <string.h>

#include "lib/ctypes.h"

/* --- attributes -------------------------------------------------------------------- */

static void set_convention(struct ftr__c_parser *s, enum ftr__convention convention,
			   unsigned registers, const char *where)
{
	if (!s->outermost)
		return;
	if (s->p->convention != FTR__CALL_C && s->p->convention != convention)
		ftr__c_fail_at(s, where, EINVAL, "a second calling convention");
	s->p->convention = convention;
	s->p->registers = registers;
}

/* The name of an attribute with the underscores off it. */
static bool is_attribute(const struct ftr__c_parser *s, const char *name)
{
	const char *start = s->start;
	size_t length = s->length;

	if (length > 4 && !memcmp(start, "__", 2) && !memcmp(start + length - 2, "__", 2)) {
		start += 2;
		length -= 4;
	}
	return s->token == T_NAME && strlen(name) == length && !memcmp(start, name, length);
}

/* Up to and with the parenthesis that closes the one that was just read. */
static void skip_parentheses(struct ftr__c_parser *s)
{
	for (unsigned open = 1; open; ftr__c_advance(s)) {
		if (s->token == T_END) {
			ftr__c_expected(s, "')'");
			return;
		}
		if (ftr__c_is(s, '('))
			open++;
		else if (ftr__c_is(s, ')'))
			open--;
	}
}

static void regparm(struct ftr__c_parser *s, const char *where)
{
	ftr__c_advance(s);
	ftr__c_require(s, '(');
	const char *at = s->start;
	uint32_t n = ftr__c_number(s);
	if (n > 3)
		ftr__c_fail_at(s, at, EINVAL, "regparm is of 0 to 3");
	ftr__c_require(s, ')');
	if (n)
		set_convention(s, FTR__CALL_REGPARM, n, where);
}

static const struct {
	const char *name;
	enum ftr__convention convention;
} conventions[] = {
	{ "cdecl", FTR__CALL_C },
	{ "stdcall", FTR__CALL_STDCALL },
	{ "fastcall", FTR__CALL_FASTCALL },
	{ "thiscall", FTR__CALL_THISCALL },
};

/* Those that change neither how a value lies in memory nor how it is passed. */
static const char *const harmless[] = {
	"access", "alloc_size", "always_inline", "cold", "const", "deprecated", "format",
	"format_arg", "hot", "leaf", "malloc", "noinline", "noipa", "nonnull", "noreturn",
	"nothrow", "patchable_function_entry", "pure", "returns_nonnull", "sentinel", "sysv_abi",
	"unused", "used", "visibility", "warn_unused_result", "weak",
};

static void attribute(struct ftr__c_parser *s)
{
	const char *where = s->start;

	if (is_attribute(s, "regparm")) {
		regparm(s, where);
		return;
	}
	for (size_t i = 0; i < FTR__ARRAY_SIZE(conventions); i++) {
		if (!is_attribute(s, conventions[i].name))
			continue;
		set_convention(s, conventions[i].convention, 0, where);
		ftr__c_advance(s);
		return;
	}
	for (size_t i = 0; i < FTR__ARRAY_SIZE(harmless); i++) {
		if (!is_attribute(s, harmless[i]))
			continue;
		ftr__c_advance(s);
		if (ftr__c_accept(s, '('))
			skip_parentheses(s);
		return;
	}
	if (s->token == T_NAME)
		ftr__c_fail_at(s, where, EOPNOTSUPP, "the attribute '%.*s' is not available", FTR__C_SHOWN(s));
	else
		ftr__c_expected(s, "an attribute");
}

/* Behind the word __attribute__. */
static void attribute_list(struct ftr__c_parser *s)
{
	ftr__c_require(s, '(');
	ftr__c_require(s, '(');
	while (!s->error && !ftr__c_is(s, ')')) {
		attribute(s);
		if (!ftr__c_accept(s, ','))
			break;
	}
	ftr__c_require(s, ')');
	ftr__c_require(s, ')');
}

/* Words that say nothing about a type's size. */
static const char *const qualifiers[] = {
	"const", "__const", "__const__", "volatile", "__volatile", "__volatile__", "restrict",
	"__restrict", "__restrict__", "_Atomic", "extern", "static", "inline", "__inline",
	"__inline__", "register", "_Noreturn", "__extension__", NULL
};

int ftr__c_convention_word(const struct ftr__c_parser *s)
{
	for (size_t i = 0; i < FTR__ARRAY_SIZE(conventions); i++)
		if (s->token == T_NAME && s->length == strlen(conventions[i].name) + 2 &&
		    !memcmp(s->start, "__", 2) &&
		    !memcmp(s->start + 2, conventions[i].name, s->length - 2))
			return conventions[i].convention;
	return -1;
}

/* Qualifiers, attributes and calling conventions; false: none stands here. */
static bool qualifier(struct ftr__c_parser *s)
{
	const char *where = s->start;

	if (s->token != T_NAME)
		return false;
	if (ftr__c_is_name(s, "__attribute__") || ftr__c_is_name(s, "__attribute")) {
		ftr__c_advance(s);
		attribute_list(s);
		return true;
	}
	if (ftr__c_is_one_of(s, qualifiers)) {
		ftr__c_advance(s);
		return true;
	}
	int convention = ftr__c_convention_word(s);
	if (convention < 0)
		return false;
	set_convention(s, (enum ftr__convention)convention, 0, where);
	ftr__c_advance(s);
	return true;
}

void ftr__c_skip_qualifiers(struct ftr__c_parser *s)
{
	while (qualifier(s))
		;
}

/* --- specifiers -------------------------------------------------------------------- */

static const struct ftr__type *tag_find(const struct ftr__c_parser *s, const char *name,
					size_t length)
{
	for (unsigned i = s->n_tags; i--;)
		if (s->tags[i]->name_length == length && !memcmp(s->tags[i]->name, name, length))
			return s->tags[i];
	return NULL;
}

static void add_bytes(struct ftr__c_parser *s, struct ftr__type *type,
		      const struct ftr__type *member, const char *where)
{
	uint32_t bytes = ftr__c_bytes(member);

	if (member->kind == FTR__TYPE_ARRAY && !bytes)
		ftr__c_fail_at(s, where, EOPNOTSUPP, "a struct with an array of no size can't be"
			" passed");
	if (bytes > FTR__BYTES_MAX - type->bytes)
		ftr__c_fail_at(s, where, EOPNOTSUPP, "a struct of more than %d bytes",
			FTR__BYTES_MAX);
	else
		type->bytes += bytes;
}

/* One declaration in a struct; the place for the next member. */
static struct ftr__type **member_declaration(struct ftr__c_parser *s, struct ftr__type *of,
					     struct ftr__type **end)
{
	struct ftr__type *base = ftr__c_specifiers(s);

	do {
		const char *where = s->start;
		struct ftr__type *type = ftr__c_declared(s, base);
		ftr__c_check_complete(s, type, where, "a member");
		if (ftr__c_is(s, ':'))
			ftr__c_fail_at(s, s->start, EOPNOTSUPP, "bit-fields are not available");
		add_bytes(s, of, type, where);
		*end = ftr__c_type_copy(s, type);
		if (s->error)
			return end;
		end = &(*end)->next;
	} while (ftr__c_accept(s, ','));
	ftr__c_require(s, ';');
	return end;
}

static void struct_members(struct ftr__c_parser *s, struct ftr__type *type)
{
	struct ftr__type **end = &type->element;

	if (ftr__c_is(s, '}'))
		ftr__c_fail_at(s, s->start, EOPNOTSUPP, "a struct without members can't be passed");
	while (!s->error && !ftr__c_is(s, '}'))
		end = member_declaration(s, type, end);
	ftr__c_require(s, '}');
	if (type->name_length && s->n_tags < FTR__C_TAGS_MAX)
		s->tags[s->n_tags++] = type;
}

/* Behind the word `struct`. */
static struct ftr__type *struct_type(struct ftr__c_parser *s)
{
	ftr__c_skip_qualifiers(s);
	const char *name = s->start;
	size_t length = s->token == T_NAME ? s->length : 0;

	if (length)
		ftr__c_advance(s);
	if (!ftr__c_accept(s, '{')) {
		const struct ftr__type *known = length ? tag_find(s, name, length) : NULL;
		if (known)
			return ftr__c_type_copy(s, known);
		if (!length)
			ftr__c_expected(s, "a tag or '{'");
		struct ftr__type *type = ftr__c_type_new(s, FTR__TYPE_INCOMPLETE);
		type->name = name;
		type->name_length = (uint16_t)length;
		return type;
	}
	struct ftr__type *type = ftr__c_type_new(s, FTR__TYPE_STRUCT);
	type->name = name;
	type->name_length = (uint16_t)length;
	bool outermost = s->outermost;
	s->outermost = false;
	if (ftr__c_enter(s))
		struct_members(s, type);
	ftr__c_leave(s);
	s->outermost = outermost;
	return type;
}

/* Behind the word `union` or `enum`, of which the tag alone may follow. */
static struct ftr__type *tagged_type(struct ftr__c_parser *s, bool is_enum)
{
	ftr__c_skip_qualifiers(s);
	struct ftr__type *type = is_enum ? ftr__c_integer_new(s, sizeof(int), false)
					 : ftr__c_type_new(s, FTR__TYPE_INCOMPLETE);
	type->name_length = (uint16_t)s->length;
	if (s->token == T_NAME)
		ftr__c_advance(s);
	else
		ftr__c_expected(s, "a tag");
	if (ftr__c_is(s, '{'))
		ftr__c_fail_at(s, s->start, EOPNOTSUPP, is_enum ? "the list of an enum: leave it out"
							 : "a union by value is not available");
	return type;
}

/* The words of which the arithmetic types are made, as often as they stood. */
enum word {
	W_LONG, W_SHORT, W_SIGNED, W_UNSIGNED, W_CHAR, W_INT, W_FLOAT, W_DOUBLE, W_COMPLEX,
	W_BOOL, W_VOID, W_INT128, N_WORDS
};

static const struct {
	const char *name;
	enum word word;
} words[] = {
	{ "long", W_LONG }, { "short", W_SHORT }, { "signed", W_SIGNED },
	{ "__signed", W_SIGNED }, { "__signed__", W_SIGNED }, { "unsigned", W_UNSIGNED },
	{ "char", W_CHAR }, { "int", W_INT }, { "float", W_FLOAT }, { "double", W_DOUBLE },
	{ "_Complex", W_COMPLEX }, { "__complex__", W_COMPLEX }, { "complex", W_COMPLEX },
	{ "_Bool", W_BOOL }, { "bool", W_BOOL }, { "void", W_VOID }, { "__int128", W_INT128 },
};

/* The word that stands here, or N_WORDS. */
static enum word word_of(const struct ftr__c_parser *s)
{
	for (size_t i = 0; i < FTR__ARRAY_SIZE(words); i++)
		if (ftr__c_is_name(s, words[i].name))
			return words[i].word;
	return N_WORDS;
}

/* Each type as a number with a digit for every word: "long unsigned" in any order. */
#define ONE(word) (1ull << 4 * (word))

static struct ftr__type *real(struct ftr__c_parser *s, enum ftr__type_kind kind,
			      enum ftr__type_rank rank)
{
	struct ftr__type *type = ftr__c_type_new(s, kind);

	type->rank = rank;
	return type;
}

/* NULL: these words make no type. */
static struct ftr__type *real_type(struct ftr__c_parser *s, uint64_t found)
{
	enum ftr__type_kind kind = found & ONE(W_COMPLEX) ? FTR__TYPE_COMPLEX : FTR__TYPE_REAL;

	switch (found & ~ONE(W_COMPLEX)) {
	case ONE(W_FLOAT): return real(s, kind, FTR__FLOAT);
	case ONE(W_DOUBLE): return real(s, kind, FTR__DOUBLE);
	case ONE(W_LONG) + ONE(W_DOUBLE): return real(s, kind, FTR__LONG_DOUBLE);
	case 0: return real(s, kind, FTR__DOUBLE); /* "_Complex" alone */
	default: return NULL;
	}
}

static struct ftr__type *integer_type(struct ftr__c_parser *s, uint64_t found)
{
	bool is_unsigned = found & ONE(W_UNSIGNED);
	uint64_t sign = ONE(W_SIGNED) | ONE(W_UNSIGNED);

	if ((found & sign) == sign)
		return NULL;
	/* "int" goes without saying beside these. */
	if (found & (ONE(W_LONG) * 15 | ONE(W_SHORT) | sign))
		found &= ~ONE(W_INT);
	switch (found & ~sign) {
	case ONE(W_CHAR):
		return ftr__c_integer_new(s, sizeof(char), found & sign ? !is_unsigned : (char)-1 < 0);
	case ONE(W_SHORT): return ftr__c_integer_new(s, sizeof(short), !is_unsigned);
	case 0:
	case ONE(W_INT): return ftr__c_integer_new(s, sizeof(int), !is_unsigned);
	case ONE(W_LONG): return ftr__c_integer_new(s, sizeof(long), !is_unsigned);
	case 2 * ONE(W_LONG): return ftr__c_integer_new(s, sizeof(long long), !is_unsigned);
	case ONE(W_INT128): return ftr__c_integer_new(s, 16, !is_unsigned);
	default: return NULL;
	}
}

static struct ftr__type *arithmetic_type(struct ftr__c_parser *s, uint64_t found, const char *where)
{
	struct ftr__type *type;

	if (found == ONE(W_VOID))
		return ftr__c_type_new(s, FTR__TYPE_VOID);
	if (found == ONE(W_BOOL))
		return ftr__c_integer_new(s, sizeof(bool), false);
	if (found & (ONE(W_FLOAT) | ONE(W_DOUBLE) | ONE(W_COMPLEX)))
		type = real_type(s, found);
	else
		type = integer_type(s, found);
	if (!type) {
		ftr__c_fail_at(s, where, EINVAL, "these words make no type");
		return &s->nothing;
	}
	if (type->size > sizeof(long long) && sizeof(long) < 8)
		ftr__c_fail_at(s, where, EOPNOTSUPP, "there is no __int128 here");
	return type;
}

/* A name that stands for a type: one of the standard's, or one not known. */
static struct ftr__type *typedef_type(struct ftr__c_parser *s)
{
	const struct ftr__ctype *known = ftr__ctype_find(s->start, s->length);
	struct ftr__type *type;

	if (!known) {
		type = ftr__c_type_new(s, FTR__TYPE_INCOMPLETE);
		type->name_length = (uint16_t)s->length;
	} else if (known->pointer) {
		type = ftr__c_type_new(s, FTR__TYPE_POINTER);
	} else if (known->real) {
		type = real(s, FTR__TYPE_REAL, known->size == 4 ? FTR__FLOAT : FTR__DOUBLE);
	} else {
		type = ftr__c_integer_new(s, known->size, known->is_signed);
	}
	ftr__c_advance(s);
	return type;
}

static struct ftr__type *named_type(struct ftr__c_parser *s)
{
	if (ftr__c_accept_name(s, "struct"))
		return struct_type(s);
	if (ftr__c_accept_name(s, "union"))
		return tagged_type(s, false);
	if (ftr__c_accept_name(s, "enum"))
		return tagged_type(s, true);
	return typedef_type(s);
}

struct ftr__type *ftr__c_specifiers(struct ftr__c_parser *s)
{
	struct ftr__type *type = NULL;
	const char *where = NULL;
	uint64_t found = 0;

	for (;;) {
		ftr__c_skip_qualifiers(s);
		enum word word = word_of(s);
		if (word != N_WORDS && !type) {
			where = found ? where : s->start;
			/* A digit holds what no type has: "long long long". */
			if (found >> 4 * word & 4)
				break;
			found += ONE(word);
			ftr__c_advance(s);
		} else if (s->token == T_NAME && !type && !found) {
			type = named_type(s);
		} else {
			break;
		}
	}
	if (found)
		return arithmetic_type(s, found, where);
	if (!type) {
		ftr__c_expected(s, "a type");
		return &s->nothing;
	}
	return type;
}

bool ftr__c_begins_type(const struct ftr__c_parser *s)
{
	static const char *const others[] = { "struct", "union", "enum", NULL };

	return s->token == T_NAME &&
	       (word_of(s) != N_WORDS || ftr__c_is_one_of(s, others) || ftr__c_is_one_of(s, qualifiers) ||
		ftr__ctype_find(s->start, s->length));
}
