/* SPDX-License-Identifier: MIT */
/*
 * C prototypes as text, parsed into types.  Floor 1; no state.
 *
 * The text may come from anywhere: its length, nesting and number of types are
 * bounded, and whatever it says an error names its place.
 */
#ifndef FTR__PROTOTYPE_H
#define FTR__PROTOTYPE_H

#include "lib/compiler.h"

enum {
	FTR__PROTOTYPE_MAX = 4096, /* bytes of text */
	FTR__PARAMETERS_MAX = 127, /* the C standard's, "Translation limits" */
	FTR__NESTING_MAX = 16,     /* structs in structs, functions in functions */
	FTR__TYPES_MAX = 2048,     /* types in one prototype, members too */
	FTR__ARRAY_MAX = INT32_MAX, /* elements of an array; behind a pointer, then */
	FTR__BYTES_MAX = 65536      /* of a value, and of all arguments */
};

enum ftr__type_kind {
	FTR__TYPE_VOID,
	FTR__TYPE_INTEGER, /* of `size` bytes; enum and _Bool too */
	FTR__TYPE_REAL,    /* by `rank` */
	FTR__TYPE_COMPLEX, /* by `rank` */
	FTR__TYPE_POINTER, /* to whatever: all are alike */
	FTR__TYPE_ARRAY,   /* `count` of `element`; in structs alone */
	FTR__TYPE_STRUCT,  /* its members: `element`, then `next` of each */
	FTR__TYPE_INCOMPLETE /* only ever behind a pointer, else an error */
};

enum ftr__type_rank { FTR__FLOAT, FTR__DOUBLE, FTR__LONG_DOUBLE };

struct ftr__type {
	enum ftr__type_kind kind;
	enum ftr__type_rank rank;
	uint8_t size;
	bool is_signed;
	uint32_t count;
	uint32_t bytes; /* of an array or a struct, no padding counted; or too many */
	struct ftr__type *element;
	struct ftr__type *next; /* behind it, among the members of a struct */
	const char *name;       /* in the text: of a struct, or of what is not known */
	uint16_t name_length;
};

/* How the function wants to be called. */
enum ftr__convention {
	FTR__CALL_C,
	FTR__CALL_STDCALL,
	FTR__CALL_FASTCALL,
	FTR__CALL_THISCALL,
	FTR__CALL_REGPARM /* `registers` of them */
};

struct ftr__prototype {
	struct ftr__type *result;
	struct ftr__type *parameters[FTR__PARAMETERS_MAX];
	unsigned n_parameters;
	bool variadic; /* "..." behind them */
	enum ftr__convention convention;
	unsigned registers;
	struct ftr__type *types; /* all of them */
	size_t n_types;
};

/*
 * Parse.  0; or -EINVAL, -EOPNOTSUPP (what this library can't pass), -ENOMEM,
 * with a sentence that names the column, from 1, and nothing to free.
 */
int ftr__prototype_parse(struct ftr__prototype *prototype, const char *text);
void ftr__prototype_free(struct ftr__prototype *prototype);

#endif
