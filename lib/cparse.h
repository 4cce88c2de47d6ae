/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the parser of prototypes share (lib/prototype.h).  Floor 1.
 *
 *     lib/cparse.c     tokens, errors, new types
 *     lib/cspec.c      what stands before a declarator: specifiers, attributes
 *     lib/prototype.c  declarators, parameters, the whole
 */
#ifndef FTR__CPARSE_H
#define FTR__CPARSE_H

#include "lib/error.h"
#include "lib/prototype.h"

enum { FTR__C_TAGS_MAX = 64 };

enum ftr__c_token { T_END, T_NAME, T_NUMBER, T_DOTS, T_PUNCTUATION, T_BAD };

struct ftr__c_parser {
	struct ftr__prototype *p;
	const char *text, *at; /* at: behind the token */
	enum ftr__c_token token;
	const char *start;     /* the token's */
	size_t length;
	unsigned depth;
	bool outermost; /* this is about the prototype itself, not what is inside */
	const struct ftr__type *tags[FTR__C_TAGS_MAX]; /* structs that were defined */
	unsigned n_tags;
	struct ftr__type nothing; /* what to go on with after an error */
	int error;
};

/* The first error counts; after it every token is the end. */
void ftr__c_fail_at(struct ftr__c_parser *s, const char *where, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Fail: expected what is named, found the token. */
void ftr__c_expected(struct ftr__c_parser *s, const char *what);
/* For "%.*s": the token. */
#define FTR__C_SHOWN(s) (int)((s)->length < 40 ? (s)->length : 40), (s)->start

/* To the next token. */
void ftr__c_advance(struct ftr__c_parser *s);
/* Whether the token is this; accept: and if so, go on behind it. */
bool ftr__c_is(const struct ftr__c_parser *s, char punctuation);
bool ftr__c_accept(struct ftr__c_parser *s, char punctuation);
void ftr__c_require(struct ftr__c_parser *s, char punctuation);
bool ftr__c_is_name(const struct ftr__c_parser *s, const char *name);
bool ftr__c_accept_name(struct ftr__c_parser *s, const char *name);
/* Of a list that ends with NULL. */
bool ftr__c_is_one_of(const struct ftr__c_parser *s, const char *const *names);
/* A number, and go on behind it. */
uint32_t ftr__c_number(struct ftr__c_parser *s);

/* One level deeper, within bounds; leave in any case. */
bool ftr__c_enter(struct ftr__c_parser *s);
void ftr__c_leave(struct ftr__c_parser *s);

/* Never NULL; after an error of no meaning. */
struct ftr__type *ftr__c_type_new(struct ftr__c_parser *s, enum ftr__type_kind kind);
struct ftr__type *ftr__c_integer_new(struct ftr__c_parser *s, size_t size, bool is_signed);
struct ftr__type *ftr__c_type_copy(struct ftr__c_parser *s, const struct ftr__type *from);
/* How many bytes a value takes, with no padding counted: more than FTR__BYTES_MAX
 * are none too few. */
uint32_t ftr__c_bytes(const struct ftr__type *type);
/* Fail unless a parameter, member or result (`what`) may have the type. */
void ftr__c_check_complete(struct ftr__c_parser *s, const struct ftr__type *type,
			   const char *where, const char *what);

/* Qualifiers, attributes and calling conventions. */
void ftr__c_skip_qualifiers(struct ftr__c_parser *s);
/* "__stdcall" and its like: an enum ftr__convention; -1: none stands here. */
int ftr__c_convention_word(const struct ftr__c_parser *s);
/* Whether a type's name, not a parameter's, stands here. */
bool ftr__c_begins_type(const struct ftr__c_parser *s);
struct ftr__type *ftr__c_specifiers(struct ftr__c_parser *s);
/* What a declarator makes of the type of the specifiers before it. */
struct ftr__type *ftr__c_declared(struct ftr__c_parser *s, struct ftr__type *base);

#endif
