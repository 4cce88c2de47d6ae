/* SPDX-License-Identifier: MIT */
/*
 * See signature.h.  Floor 5.
 *
 * How values are passed is libffi's knowledge alone: types are handed to it as
 * they were written, and nothing here looks at registers.
 */
#include "lib/signature.h"

#include <ffi.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

enum {
	ARGUMENTS_MAX = 65536, /* bytes */
	/* Structs above this size go in memory whatever their members are (x86_64
	 * psABI, "Parameter Passing": 64; i386: all do). */
	MEMORY_SIZE = 64
};

/* An ffi_type of ours: a struct, with its members behind it. */
struct aggregate {
	struct aggregate *next;
	ffi_type type;
	ffi_type *elements[];
};

struct ftr_signature {
	unsigned users;
	bool variadic;
	bool by_register; /* regparm: all arguments are in registers */
	ffi_abi abi;
	size_t result_size;
	size_t result_clear; /* as much of a result is zero before it is written */
	ffi_cif cif;
	ffi_type *types[FTR__PARAMETERS_MAX];
	struct aggregate *aggregates;
};

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for a signature");
}

/* --- types ------------------------------------------------------------------------ */

static ffi_type *aggregate_new(struct ftr_signature *s, size_t n)
{
	struct aggregate *a = calloc(1, sizeof *a + (n + 1) * sizeof *a->elements);

	if (!a)
		return NULL;
	a->type.type = FFI_TYPE_STRUCT;
	a->type.elements = a->elements;
	a->next = s->aggregates;
	s->aggregates = a;
	return &a->type;
}

/* libffi has none: two words of their own alignment are passed alike. */
static ffi_type *int128_type(struct ftr_signature *s)
{
	ffi_type *type = aggregate_new(s, 2);

	if (!type)
		return NULL;
	type->size = type->alignment = 16;
	type->elements[0] = type->elements[1] = &ffi_type_uint64;
	return type;
}

static ffi_type *integer_type(struct ftr_signature *s, const struct ftr__type *from)
{
	switch (from->size) {
	case 1: return from->is_signed ? &ffi_type_sint8 : &ffi_type_uint8;
	case 2: return from->is_signed ? &ffi_type_sint16 : &ffi_type_uint16;
	case 4: return from->is_signed ? &ffi_type_sint32 : &ffi_type_uint32;
	case 8: return from->is_signed ? &ffi_type_sint64 : &ffi_type_uint64;
	default: return int128_type(s);
	}
}

static ffi_type *convert(struct ftr_signature *s, const struct ftr__type *from);

/* libffi works out size and alignment when it lays a struct out for itself. */
static bool lay_out(struct ftr_signature *s, ffi_type *type)
{
	return type->size || ffi_get_struct_offsets(s->abi, type, NULL) == FFI_OK;
}

/* An array so large that only its size counts. */
static ffi_type *large_array(struct ftr_signature *s, ffi_type *element, size_t count)
{
	ffi_type *type = aggregate_new(s, 1);

	if (!type || !lay_out(s, element))
		return NULL;
	type->size = count * element->size;
	type->alignment = element->alignment;
	type->elements[0] = element;
	return type;
}

/* libffi has no arrays: as many members. */
static ffi_type *array_type(struct ftr_signature *s, const struct ftr__type *from)
{
	ffi_type *element = convert(s, from->element);

	if (!element || !lay_out(s, element))
		return NULL;
	if ((uint64_t)from->count * element->size > MEMORY_SIZE)
		return large_array(s, element, from->count);
	ffi_type *type = aggregate_new(s, from->count);
	for (size_t i = 0; type && i < from->count; i++)
		type->elements[i] = element;
	return type;
}

/* A struct that is one long double and nothing else: libffi looks for its like in
 * the wrong register when it is returned (x86_64), and passes it the same way. */
static bool is_long_double(const struct ftr__type *type)
{
	while (type->kind == FTR__TYPE_STRUCT || (type->kind == FTR__TYPE_ARRAY && type->count == 1)) {
		if (type->kind == FTR__TYPE_STRUCT && type->element->next)
			return false;
		type = type->element;
	}
	return type->kind == FTR__TYPE_REAL && type->rank == FTR__LONG_DOUBLE;
}

static ffi_type *struct_type(struct ftr_signature *s, const struct ftr__type *from)
{
	size_t n = 0;

	if (sizeof(void *) == 8 && is_long_double(from))
		return &ffi_type_longdouble;
	for (const struct ftr__type *m = from->element; m; m = m->next)
		n++;
	ffi_type *type = aggregate_new(s, n);
	n = 0;
	for (const struct ftr__type *m = from->element; type && m; m = m->next) {
		type->elements[n] = convert(s, m);
		if (!type->elements[n++])
			return NULL;
	}
	return type;
}

static ffi_type *real_type(const struct ftr__type *from)
{
	static ffi_type *const types[][2] = {
		[FTR__FLOAT] = { &ffi_type_float, &ffi_type_complex_float },
		[FTR__DOUBLE] = { &ffi_type_double, &ffi_type_complex_double },
		[FTR__LONG_DOUBLE] = { &ffi_type_longdouble, &ffi_type_complex_longdouble },
	};

	return types[from->rank][from->kind == FTR__TYPE_COMPLEX];
}

/* NULL: no memory. */
static ffi_type *convert(struct ftr_signature *s, const struct ftr__type *from)
{
	switch (from->kind) {
	case FTR__TYPE_VOID: return &ffi_type_void;
	case FTR__TYPE_INTEGER: return integer_type(s, from);
	case FTR__TYPE_REAL:
	case FTR__TYPE_COMPLEX: return real_type(from);
	case FTR__TYPE_ARRAY: return array_type(s, from);
	case FTR__TYPE_STRUCT: return struct_type(s, from);
	default: return &ffi_type_pointer;
	}
}

/* --- calling conventions ------------------------------------------------------------- */

#if defined(__i386__)
static const ffi_abi abis[] = {
	[FTR__CALL_C] = FFI_SYSV,
	[FTR__CALL_STDCALL] = FFI_STDCALL,
	[FTR__CALL_FASTCALL] = FFI_FASTCALL,
	[FTR__CALL_THISCALL] = FFI_THISCALL,
	/* Another compiler's: the same while nothing is on the stack. */
	[FTR__CALL_REGPARM] = FFI_REGISTER,
};

static bool one_register(const struct ftr__type *type)
{
	return type->kind == FTR__TYPE_POINTER ||
	       (type->kind == FTR__TYPE_INTEGER && type->size <= 4);
}

/* gcc's regparm and libffi's part where the stack begins. */
static bool all_in_registers(const struct ftr__prototype *p)
{
	bool fits = p->n_parameters <= p->registers && !p->variadic &&
		    p->result->kind != FTR__TYPE_STRUCT && p->result->kind != FTR__TYPE_COMPLEX;

	for (unsigned i = 0; fits && i < p->n_parameters; i++)
		fits = one_register(p->parameters[i]);
	return fits;
}

/*
 * A wide argument uses up the registers of these two conventions, though it goes
 * on the stack; libffi's closures then forget to pop it.
 */
static bool pops_right(const struct ftr__prototype *p)
{
	unsigned registers = p->convention == FTR__CALL_FASTCALL ? 2 : UINT32_MAX;

	if (p->convention != FTR__CALL_FASTCALL && p->convention != FTR__CALL_THISCALL)
		return true;
	for (unsigned i = 0; registers && i < p->n_parameters; i++) {
		if (one_register(p->parameters[i]))
			registers--;
		else if (p->parameters[i]->kind != FTR__TYPE_REAL)
			return false;
	}
	return true;
}

static int choose_abi(struct ftr_signature *s, const struct ftr__prototype *p)
{
	s->abi = abis[p->convention];
	s->by_register = p->convention == FTR__CALL_REGPARM;
	if (!pops_right(p))
		return ftr__fail(EOPNOTSUPP, "fastcall and thiscall are available where nothing"
				 " wider than a word comes before the last register");
	if (p->convention == FTR__CALL_REGPARM && !all_in_registers(p))
		return ftr__fail(EOPNOTSUPP, "regparm(%u) is available where registers hold all"
				 " parameters and the result is no struct", p->registers);
	if (p->convention != FTR__CALL_C && p->variadic)
		s->abi = FFI_SYSV; /* as compilers take it */
	return 0;
}
#else
static int choose_abi(struct ftr_signature *s, const struct ftr__prototype *p)
{
	s->abi = FFI_DEFAULT_ABI;
	return 0;
}
#endif

/* --- signatures ----------------------------------------------------------------------- */

static size_t align_up(size_t size)
{
	return ftr__align_up(size, 2 * sizeof(void *));
}

static int prepare(struct ftr_signature *s, const struct ftr__prototype *p)
{
	ffi_type *result = convert(s, p->result);
	size_t size = 0;

	if (!result)
		return no_memory();
	for (unsigned i = 0; i < p->n_parameters; i++) {
		s->types[i] = convert(s, p->parameters[i]);
		if (!s->types[i] || !lay_out(s, s->types[i]))
			return no_memory();
		size += align_up(s->types[i]->size);
		if (size > ARGUMENTS_MAX)
			return ftr__fail(EOPNOTSUPP, "arguments of more than %d bytes",
					 ARGUMENTS_MAX);
	}
	ffi_status status = p->variadic && p->n_parameters
		? ffi_prep_cif_var(&s->cif, s->abi, p->n_parameters, p->n_parameters, result,
				   s->types)
		: ffi_prep_cif(&s->cif, s->abi, p->n_parameters, result, s->types);
	if (status != FFI_OK)
		return ftr__fail(EOPNOTSUPP, "libffi can't pass the types of this prototype"
				 " (status %d)", (int)status);
	if (result->size > ARGUMENTS_MAX)
		return ftr__fail(EOPNOTSUPP, "a result of more than %d bytes", ARGUMENTS_MAX);
	return 0;
}

int ftr__signature_make(struct ftr_signature **signature, const struct ftr__prototype *p)
{
	struct ftr_signature *s = calloc(1, sizeof *s);

	*signature = NULL;
	if (!s)
		return no_memory();
	s->users = 1;
	s->variadic = p->variadic;
	int result = choose_abi(s, p);
	if (!result)
		result = prepare(s, p);
	if (result) {
		ftr__signature_unref(s);
		return result;
	}
	s->result_size = p->result->kind == FTR__TYPE_VOID ? 0 : s->cif.rtype->size;
	s->result_clear = p->result->kind == FTR__TYPE_STRUCT ? 0 : s->result_size;
	*signature = s;
	return 0;
}

const struct ftr_signature *ftr__signature_ref(const struct ftr_signature *signature)
{
	struct ftr_signature *s = (struct ftr_signature *)signature;

	__atomic_fetch_add(&s->users, 1, __ATOMIC_RELAXED);
	return s;
}

void ftr__signature_unref(const struct ftr_signature *signature)
{
	struct ftr_signature *s = (struct ftr_signature *)signature;

	if (__atomic_sub_fetch(&s->users, 1, __ATOMIC_ACQ_REL))
		return;
	while (s->aggregates) {
		struct aggregate *a = s->aggregates;
		s->aggregates = a->next;
		free(a);
	}
	free(s);
}

unsigned ftr__signature_count(const struct ftr_signature *signature)
{
	return signature->cif.nargs;
}

bool ftr__signature_variadic(const struct ftr_signature *signature)
{
	return signature->variadic;
}

/* --- calls ------------------------------------------------------------------------------ */

/* libffi stores a narrow result as a whole word. */
void ftr__signature_call(const struct ftr_signature *s, void *fn, void *ret, void **args)
{
	ffi_cif *cif = (ffi_cif *)&s->cif;
	ffi_arg word = 0;

	if (ret && s->result_size < sizeof word) {
		ffi_call(cif, FFI_FN(fn), &word, args);
		memcpy(ret, &word, s->result_size);
	} else {
		ffi_call(cif, FFI_FN(fn), ret, args);
	}
}

/* --- closures ---------------------------------------------------------------------------- */

struct ftr__thunk {
	ffi_closure closure; /* allocated by libffi, this with it */
	const struct ftr_signature *signature;
	ftr__closure_fn *fn;
	void *arg;
};

static void on_call(ffi_cif *cif, void *ret, void **args, void *user)
{
	const struct ftr__thunk *thunk = user;

	memset(ret, 0, thunk->signature->result_clear);
	thunk->fn(ret, args, thunk->arg);
}

int ftr__thunk_new(struct ftr__thunk **thunk, const struct ftr_signature *signature,
		   ftr__closure_fn *fn, void *arg, void **code)
{
	if (signature->by_register)
		return ftr__fail(EOPNOTSUPP, "libffi has no working closures for regparm");
	struct ftr__thunk *t = ffi_closure_alloc(sizeof *t, code);
	if (!t)
		return ftr__fail(EACCES, "libffi has no executable memory for a closure: a security"
				 " policy of the system may forbid it");
	t->signature = ftr__signature_ref(signature);
	t->fn = fn;
	t->arg = arg;
	ffi_status status = ffi_prep_closure_loc(&t->closure, (ffi_cif *)&signature->cif, on_call,
						 t, *code);
	if (status != FFI_OK) {
		ftr__thunk_free(t);
		return ftr__fail(EOPNOTSUPP, "libffi has no closures of this calling convention");
	}
	*thunk = t;
	return 0;
}

void ftr__thunk_free(struct ftr__thunk *thunk)
{
	ftr__signature_unref(thunk->signature);
	ffi_closure_free(thunk);
}
