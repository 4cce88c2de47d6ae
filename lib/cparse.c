/* SPDX-License-Identifier: MIT */
/*
 * See cparse.h.  Floor 1.
 */
#include "lib/cparse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- errors and tokens --------------------------------------------------------- */

void ftr__c_fail_at(struct ftr__c_parser *s, const char *where, int error, const char *format, ...)
{
	char what[160];
	va_list args;

	if (s->error)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	s->error = ftr__fail(error, "the prototype \"%.100s\", column %u: %s", s->text,
			     (unsigned)(where - s->text) + 1, what);
	s->token = T_END;
}

void ftr__c_expected(struct ftr__c_parser *s, const char *what)
{
	if (s->token == T_END)
		ftr__c_fail_at(s, s->start, EINVAL, "expected %s, found the end", what);
	else
		ftr__c_fail_at(s, s->start, EINVAL, "expected %s, found '%.*s'", what, FTR__C_SHOWN(s));
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void ftr__c_advance(struct ftr__c_parser *s)
{
	const char *at = s->at;

	if (s->error)
		return;
	while (space(*at))
		at++;
	s->start = at;
	if (!*at) {
		s->token = T_END;
	} else if (letter(*at)) {
		s->token = T_NAME;
		while (letter(*at) || digit(*at))
			at++;
	} else if (digit(*at)) {
		s->token = T_NUMBER;
		while (letter(*at) || digit(*at))
			at++;
	} else if (!strncmp(at, "...", 3)) {
		s->token = T_DOTS;
		at += 3;
	} else {
		s->token = strchr("()[]{}*,;:", *at) ? T_PUNCTUATION : T_BAD;
		at++;
	}
	s->length = (size_t)(at - s->start);
	s->at = at;
}

bool ftr__c_is(const struct ftr__c_parser *s, char punctuation)
{
	return s->token == T_PUNCTUATION && *s->start == punctuation;
}

bool ftr__c_accept(struct ftr__c_parser *s, char punctuation)
{
	if (!ftr__c_is(s, punctuation))
		return false;
	ftr__c_advance(s);
	return true;
}

void ftr__c_require(struct ftr__c_parser *s, char punctuation)
{
	const char what[] = { '\'', punctuation, '\'', 0 };

	if (!ftr__c_accept(s, punctuation))
		ftr__c_expected(s, what);
}

bool ftr__c_is_name(const struct ftr__c_parser *s, const char *name)
{
	return s->token == T_NAME && strlen(name) == s->length &&
	       !memcmp(s->start, name, s->length);
}

bool ftr__c_accept_name(struct ftr__c_parser *s, const char *name)
{
	if (!ftr__c_is_name(s, name))
		return false;
	ftr__c_advance(s);
	return true;
}

bool ftr__c_is_one_of(const struct ftr__c_parser *s, const char *const *names)
{
	while (*names && !ftr__c_is_name(s, *names))
		names++;
	return *names != NULL;
}

uint32_t ftr__c_number(struct ftr__c_parser *s)
{
	char *end = NULL;
	unsigned long value = 0;

	if (s->token == T_NUMBER) {
		errno = 0;
		value = strtoul(s->start, &end, 0);
		while (end < s->at && strchr("uUlL", *end))
			end++;
	}
	if (end != s->at || errno)
		ftr__c_expected(s, "a number");
	else if (value > FTR__ARRAY_MAX)
		ftr__c_fail_at(s, s->start, EINVAL, "more than %d", FTR__ARRAY_MAX);
	else
		ftr__c_advance(s);
	return (uint32_t)value;
}

bool ftr__c_enter(struct ftr__c_parser *s)
{
	if (s->depth++ < FTR__NESTING_MAX)
		return true;
	ftr__c_fail_at(s, s->start, EINVAL, "nested more than %d deep", FTR__NESTING_MAX);
	return false;
}

void ftr__c_leave(struct ftr__c_parser *s)
{
	s->depth--;
}

/* --- types ----------------------------------------------------------------------- */

struct ftr__type *ftr__c_type_new(struct ftr__c_parser *s, enum ftr__type_kind kind)
{
	if (s->error)
		return &s->nothing;
	if (s->p->n_types == FTR__TYPES_MAX) {
		ftr__c_fail_at(s, s->start, EINVAL, "more than %d types in one prototype",
			FTR__TYPES_MAX);
		return &s->nothing;
	}
	struct ftr__type *type = &s->p->types[s->p->n_types++];
	*type = (struct ftr__type){ .kind = kind, .name = s->start };
	return type;
}

struct ftr__type *ftr__c_type_copy(struct ftr__c_parser *s, const struct ftr__type *from)
{
	struct ftr__type *type = ftr__c_type_new(s, from->kind);

	if (type != &s->nothing) {
		*type = *from;
		type->next = NULL;
	}
	return type;
}

struct ftr__type *ftr__c_integer_new(struct ftr__c_parser *s, size_t size, bool is_signed)
{
	struct ftr__type *type = ftr__c_type_new(s, FTR__TYPE_INTEGER);

	type->size = (uint8_t)size;
	type->is_signed = is_signed;
	return type;
}

uint32_t ftr__c_bytes(const struct ftr__type *type)
{
	static const uint8_t reals[] = { [FTR__FLOAT] = sizeof(float),
					 [FTR__DOUBLE] = sizeof(double),
					 [FTR__LONG_DOUBLE] = sizeof(long double) };

	switch (type->kind) {
	case FTR__TYPE_INTEGER: return type->size;
	case FTR__TYPE_REAL: return reals[type->rank];
	case FTR__TYPE_COMPLEX: return 2u * reals[type->rank];
	case FTR__TYPE_POINTER: return sizeof(void *);
	case FTR__TYPE_ARRAY:
	case FTR__TYPE_STRUCT: return type->bytes;
	default: return 0;
	}
}

void ftr__c_check_complete(struct ftr__c_parser *s, const struct ftr__type *type, const char *where,
			   const char *what)
{
	if (type->kind == FTR__TYPE_INCOMPLETE)
		ftr__c_fail_at(s, type->name, EINVAL, "'%.*s' is not known here: write its members, or"
			" what it stands for", type->name_length < 60 ? type->name_length : 60,
			type->name);
	if (type->kind == FTR__TYPE_VOID)
		ftr__c_fail_at(s, where, EINVAL, "%s of type void", what);
}
