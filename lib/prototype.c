/* SPDX-License-Identifier: MIT */
/*
 * See prototype.h.  Floor 1.
 *
 * Recursive descent over declaration specifiers and declarators as the C
 * standard has them ("Declarations"), both with names left out.  A declarator is
 * read from the name outwards into a list of derivations (array of, function
 * with, pointer to), which is then applied to what the specifiers said.
 */
#include "lib/prototype.h"

#include <stdlib.h>
#include <string.h>

#include "lib/cparse.h"

enum { DERIVATIONS_MAX = 32 };

struct derivation {
	enum { POINTER, ARRAY, FUNCTION } what;
	uint32_t count;
};

struct declarator {
	struct derivation list[DERIVATIONS_MAX];
	unsigned n;
};

static void derive(struct ftr__c_parser *s, struct declarator *d, int what, uint32_t count)
{
	if (d->n == DERIVATIONS_MAX) {
		ftr__c_fail_at(s, s->start, EINVAL, "more than %d of *, [] and ()", DERIVATIONS_MAX);
		return;
	}
	d->list[d->n].what = what;
	d->list[d->n++].count = count;
}

/*
 * At a parenthesis: does it open a declarator, "(*name)", or parameters?  A name
 * in it that is no type's is the function's, if parameters follow: "(name)(".
 */
static bool opens_declarator(const struct ftr__c_parser *s)
{
	struct ftr__c_parser ahead = *s;

	ftr__c_advance(&ahead);
	if (ftr__c_is(&ahead, '*') || ftr__c_is(&ahead, '('))
		return true;
	if (ahead.token != T_NAME || ftr__c_begins_type(&ahead))
		return false;
	if (ftr__c_convention_word(&ahead) >= 0)
		return true;
	if (ftr__c_is_name(&ahead, "__attribute__"))
		return false;
	ftr__c_advance(&ahead);
	if (!ftr__c_is(&ahead, ')'))
		return ftr__c_is(&ahead, '(');
	ftr__c_advance(&ahead);
	return ftr__c_is(&ahead, '(');
}

static struct ftr__type *parameter(struct ftr__c_parser *s)
{
	const char *where = s->start;
	struct ftr__type *type = ftr__c_specifiers(s);

	if (ftr__c_is(s, ')') && type->kind == FTR__TYPE_VOID)
		return type; /* "(void)", or an error of the caller's */
	type = ftr__c_declared(s, type);
	if (type->kind == FTR__TYPE_ARRAY)
		type = ftr__c_type_new(s, FTR__TYPE_POINTER);
	ftr__c_check_complete(s, type, where, "a parameter");
	return type;
}

/* Behind '('.  keep: they are the prototype's own. */
static void parameters(struct ftr__c_parser *s, bool keep)
{
	struct ftr__prototype *p = s->p;
	uint32_t bytes = 0;
	unsigned n = 0;

	if (ftr__c_accept(s, ')'))
		return;
	do {
		if (s->token == T_DOTS) {
			ftr__c_advance(s);
			if (keep)
				p->variadic = true;
			break;
		}
		const char *where = s->start;
		struct ftr__type *type = parameter(s);
		if (type->kind == FTR__TYPE_VOID && !n)
			break;
		if (type->kind == FTR__TYPE_VOID)
			ftr__c_fail_at(s, where, EINVAL, "a parameter of type void");
		if (n == FTR__PARAMETERS_MAX) {
			ftr__c_fail_at(s, where, EINVAL, "more than %d parameters", FTR__PARAMETERS_MAX);
			return;
		}
		bytes += ftr__c_bytes(type);
		if (bytes > FTR__BYTES_MAX)
			ftr__c_fail_at(s, where, EOPNOTSUPP, "arguments of more than %d bytes",
				FTR__BYTES_MAX);
		if (keep)
			p->parameters[n] = type;
		n++;
	} while (ftr__c_accept(s, ','));
	ftr__c_require(s, ')');
	if (keep)
		p->n_parameters = n;
}

/* `first`: nothing was derived so far, so that parameters are the function's own. */
static void function_suffix(struct ftr__c_parser *s, struct declarator *d)
{
	bool own = s->outermost && !d->n;
	bool outermost = s->outermost;

	derive(s, d, FUNCTION, 0);
	s->outermost = false;
	if (ftr__c_enter(s))
		parameters(s, own);
	ftr__c_leave(s);
	s->outermost = outermost;
}

static void array_suffix(struct ftr__c_parser *s, struct declarator *d)
{
	uint32_t count = 0;

	ftr__c_skip_qualifiers(s); /* "[static restrict 4]" */
	if (!ftr__c_is(s, ']') && !ftr__c_accept(s, '*'))
		count = ftr__c_number(s);
	ftr__c_require(s, ']');
	derive(s, d, ARRAY, count);
}

static void declarator(struct ftr__c_parser *s, struct declarator *d)
{
	unsigned pointers = 0;

	ftr__c_skip_qualifiers(s);
	while (ftr__c_accept(s, '*')) {
		if (++pointers > DERIVATIONS_MAX)
			break;
		ftr__c_skip_qualifiers(s);
	}
	if (ftr__c_is(s, '(') && opens_declarator(s)) {
		ftr__c_advance(s);
		if (ftr__c_enter(s))
			declarator(s, d);
		ftr__c_leave(s);
		ftr__c_require(s, ')');
	} else if (s->token == T_NAME) {
		ftr__c_advance(s);
	}
	while (!s->error && (ftr__c_is(s, '(') || ftr__c_is(s, '['))) {
		if (ftr__c_accept(s, '('))
			function_suffix(s, d);
		else if (ftr__c_accept(s, '['))
			array_suffix(s, d);
	}
	ftr__c_skip_qualifiers(s); /* attributes */
	while (pointers--)
		derive(s, d, POINTER, 0);
}

/* What the derivations from `from` on make of the base. */
static struct ftr__type *apply(struct ftr__c_parser *s, const struct declarator *d, unsigned from,
			       struct ftr__type *base)
{
	bool function = false;

	for (unsigned i = d->n; i-- > from && !s->error;) {
		const struct derivation *one = &d->list[i];
		if (function && one->what != POINTER)
			ftr__c_fail_at(s, s->start, EINVAL, "an array of functions, or a function that"
				" returns one");
		if (one->what == FUNCTION && base->kind == FTR__TYPE_ARRAY)
			ftr__c_fail_at(s, s->start, EINVAL, "a function that returns an array");
		function = one->what == FUNCTION;
		if (one->what == ARRAY) {
			ftr__c_check_complete(s, base, s->start, "an array");
			struct ftr__type *array = ftr__c_type_new(s, FTR__TYPE_ARRAY);
			uint64_t bytes = (uint64_t)one->count * ftr__c_bytes(base);
			array->count = one->count;
			array->bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
			array->element = base;
			base = array;
		} else {
			/* A function only ever stands behind a pointer, or is one. */
			base = ftr__c_type_new(s, FTR__TYPE_POINTER);
		}
	}
	return base;
}

struct ftr__type *ftr__c_declared(struct ftr__c_parser *s, struct ftr__type *base)
{
	struct declarator d = { .n = 0 };

	if (ftr__c_enter(s))
		declarator(s, &d);
	ftr__c_leave(s);
	return apply(s, &d, 0, base);
}

static void prototype(struct ftr__c_parser *s)
{
	struct declarator d = { .n = 0 };

	s->outermost = true;
	struct ftr__type *base = ftr__c_specifiers(s);
	const char *where = s->start;
	declarator(s, &d);
	ftr__c_accept(s, ';');
	if (s->token != T_END)
		ftr__c_expected(s, "the end");
	if (!s->error && (!d.n || d.list[0].what != FUNCTION))
		ftr__c_fail_at(s, where, EINVAL, "this is no function: its parameters are missing");
	s->p->result = apply(s, &d, 1, base);
	if (!s->error && d.n > 1 && d.list[1].what != POINTER)
		ftr__c_fail_at(s, where, EINVAL, "a function that returns an array or a function");
	if (s->p->result->kind != FTR__TYPE_VOID)
		ftr__c_check_complete(s, s->p->result, where, "a result");
}

int ftr__prototype_parse(struct ftr__prototype *p, const char *text)
{
	struct ftr__c_parser s = { .p = p, .text = text, .at = text, .start = text,
				   .nothing = { .kind = FTR__TYPE_INTEGER, .size = 4 } };

	memset(p, 0, sizeof *p);
	if (strnlen(text, FTR__PROTOTYPE_MAX + 1) > FTR__PROTOTYPE_MAX)
		return ftr__fail(EINVAL, "a prototype of more than %d bytes", FTR__PROTOTYPE_MAX);
	p->types = calloc(FTR__TYPES_MAX, sizeof *p->types);
	if (!p->types)
		return ftr__fail(ENOMEM, "no memory to parse a prototype");
	ftr__c_advance(&s);
	prototype(&s);
	if (s.error)
		ftr__prototype_free(p);
	return s.error;
}

void ftr__prototype_free(struct ftr__prototype *p)
{
	free(p->types);
	p->types = NULL;
}
