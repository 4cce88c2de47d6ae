/* SPDX-License-Identifier: MIT */
/*
 * See signature.h.  Floor 5.
 *
 * How values are passed is libffi's knowledge alone: types are handed to it as
 * they were written.  To decode the arguments of a traced call, one of its
 * closures is called with the registers of that call; to change them, it is
 * made to call a routine that stores them; the same with results.  How much it
 * stores is found out once, when the signature is made, by patterns.
 *
 * These closures are Go's: their static chain says what is called, so they need
 * no executable memory, and lie on the stack.
 */
#include "lib/signature.h"

#include <ffi.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/stored.h"

enum {
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
	/* What calls a function where nothing is to be done besides; else NULL.  By a
	 * pointer: a call out of a shared library first finds that one's tables. */
	void (*call)(ffi_cif *cif, void (*fn)(void), void *ret, void **args);
	bool variadic;
	bool by_register; /* regparm: all arguments are in registers */
	ffi_abi abi;
	size_t result_size;
	size_t result_clear; /* so many words of a result are zero before it is written */
	ffi_cif cif;
	ffi_type *types[FTR__PARAMETERS_MAX];
	struct aggregate *aggregates;

	/* --- of traced calls --- */

	bool in_memory; /* the caller says where the result belongs: the first of */
	ffi_type *entry_types[FTR__PARAMETERS_MAX + 1];
	ffi_cif entry_cif; /* that return nothing */
	ffi_cif exit_cif;  /* that take nothing */
	ffi_go_closure entry, exit; /* these are copied */
	unsigned how;      /* FTR__HOW_* */
	/* Each argument lies in one piece, here: libffi need not be asked. */
	bool direct, in_vectors;
	struct ftr__argument places[FTR__PARAMETERS_MAX + 1];
	struct ftr__stored stored; /* by the entry_cif */
	struct ftr__layout layout; /* of a copy of the arguments */
	char text[]; /* the prototype */
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

static const unsigned hows[] = {
	[FTR__CALL_C] = FTR__HOW_C,
	[FTR__CALL_STDCALL] = FTR__HOW_C,
	[FTR__CALL_FASTCALL] = FTR__HOW_FAST,
	[FTR__CALL_THISCALL] = FTR__HOW_FAST,
	[FTR__CALL_REGPARM] = FTR__HOW_REGPARM,
};

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
	s->how = hows[p->convention];
	if (!pops_right(p))
		return ftr__fail(EOPNOTSUPP, "fastcall and thiscall are available where nothing"
				 " wider than a word comes before the last register");
	if (p->convention == FTR__CALL_REGPARM && !all_in_registers(p))
		return ftr__fail(EOPNOTSUPP, "regparm(%u) is available where registers hold all"
				 " parameters and the result is no struct", p->registers);
	if (p->variadic) { /* as compilers take it */
		s->abi = FFI_SYSV;
		s->how = FTR__HOW_C;
	}
	return 0;
}
#else
static int choose_abi(struct ftr_signature *s, const struct ftr__prototype *p)
{
	s->abi = FFI_DEFAULT_ABI;
	s->how = FTR__HOW_C;
	return 0;
}
#endif

/* --- what libffi stores ------------------------------------------------------------------ */

/* Of the first n arguments (lib/stored.h). */
static bool store_arguments(void *arg, unsigned n, void **args, struct ftr__values *values)
{
	struct ftr_signature *s = arg;
	ffi_cif cif;

	if (ffi_prep_cif(&cif, s->entry_cif.abi, n, &ffi_type_void, s->entry_types) != FFI_OK)
		return false;
	ffi_call_go(&cif, ftr__backend->typed->store[s->how], NULL, args, values);
	return true;
}

static unsigned extension(const ffi_type *type)
{
	switch (type->type) {
	case FFI_TYPE_SINT8: return FTR__SIGNED_BYTE;
	case FFI_TYPE_UINT8: return FTR__BYTE;
	case FFI_TYPE_SINT16: return FTR__SIGNED_HALF;
	case FFI_TYPE_UINT16: return FTR__HALF;
	default: return FTR__AS_IT_IS;
	}
}

static void find_pieces(struct ftr_signature *s, const struct ftr__storing *storing)
{
	s->direct = s->how == FTR__HOW_C && ftr__stored_places(s->places, storing);
	for (unsigned i = 0; i < storing->n && s->direct; i++) {
		s->places[i].extend = extension(s->entry_types[i]);
		s->in_vectors |= s->places[i].where == FTR__VECTOR;
	}
}

static int find_stored(struct ftr_signature *s)
{
	struct ftr__storing storing = { .n = s->entry_cif.nargs, .how = s->how,
					.stack_room = s->entry_cif.bytes,
					.store = store_arguments, .arg = s };

	for (unsigned i = 0; i < storing.n; i++)
		storing.sizes[i] = s->entry_types[i]->size;
	int result = ftr__stored_find(&s->stored, &storing);
	find_pieces(s, &storing);
	if (s->by_register) { /* what it puts on the stack goes there */
		s->stored.n_general = s->cif.nargs;
		s->stored.stack_size = 0;
	}
	return result;
}

/* libffi loads all argument registers, used or not: what is left on the stack from
 * calls before would be in them, an address of the result, too. */
static __attribute__((noinline)) void wipe_stack(size_t size)
{
	char left[size];

	memset(left, 0x5a, size);
	__asm__ volatile("" : : "r"(left) : "memory");
}

/* Whether the address where the result belongs is passed. */
static int find_result(struct ftr_signature *s, const struct ftr__prototype *p)
{
	unsigned type = s->cif.rtype->type;
	/* x86_64 returns it on the x87 stack, which is empty here. */
	bool on_x87 = sizeof(void *) == 8 && type == FFI_TYPE_COMPLEX &&
		      p->result->rank == FTR__LONG_DOUBLE;
	size_t stack_size = ftr__align_up(s->cif.bytes, sizeof(void *)) + sizeof(void *);

	if ((type != FFI_TYPE_STRUCT && type != FFI_TYPE_COMPLEX) || on_x87)
		return 0;
	void *result = calloc(1, s->cif.rtype->size + FTR__RESULT_ROOM + FTR__BYTES_MAX);
	uintptr_t *stack = calloc(1, stack_size);
	if (result && stack) {
		struct ftr__values values = { .stack = stack, .stack_size = stack_size,
					      .how = s->how };
		void *args[FTR__PARAMETERS_MAX];
		for (unsigned i = 0; i < s->cif.nargs; i++)
			args[i] = (char *)result + s->cif.rtype->size;
		wipe_stack(s->cif.bytes + 4096);
		ffi_call_go(&s->cif, ftr__backend->typed->store[s->how], result, args, &values);
		s->in_memory = stack[0] == (uintptr_t)result ||
			       (ftr__backend->typed->n_general[s->how] &&
				values.general[0] == (uintptr_t)result);
	}
	free(result);
	free(stack);
	return result && stack ? 0 : no_memory();
}

struct decoding {
	ffi_go_closure closure; /* first: the static chain points here */
	const struct ftr_signature *signature;
	struct ftr__values *values;
	ftr__arguments_fn *fn;
	void *arg;
};

static void on_arguments(ffi_cif *cif, void *ret, void **args, void *user);
static void on_result(ffi_cif *cif, void *ret, void **args, void *user);

static int prepare_traced(struct ftr_signature *s, const struct ftr__prototype *p)
{
	int result = find_result(s, p);
	unsigned n = s->cif.nargs;

	if (result)
		return result;
	s->entry_types[0] = &ffi_type_pointer;
	memcpy(s->entry_types + s->in_memory, s->types, n * sizeof *s->types);
	if (ffi_prep_cif(&s->entry_cif, s->by_register ? FFI_DEFAULT_ABI : s->abi,
			 n + s->in_memory, &ffi_type_void, s->entry_types) != FFI_OK ||
	    ffi_prep_cif(&s->exit_cif, FFI_DEFAULT_ABI, 0, s->cif.rtype, NULL) != FFI_OK ||
	    ffi_prep_go_closure(&s->entry, &s->entry_cif, on_arguments) != FFI_OK ||
	    ffi_prep_go_closure(&s->exit, &s->exit_cif, on_result) != FFI_OK)
		return ftr__fail(EOPNOTSUPP, "libffi can't pass the types of this prototype");
	for (unsigned i = 0; i < n; i++)
		ftr__layout_add(&s->layout, s->types[i]->size);
	return find_stored(s);
}

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
		if (size > FTR__BYTES_MAX)
			return ftr__fail(EOPNOTSUPP, "with parameter %u arguments are of more than"
					 " %d bytes", i + 1, FTR__BYTES_MAX);
	}
	ffi_status status = p->variadic && p->n_parameters
		? ffi_prep_cif_var(&s->cif, s->abi, p->n_parameters, p->n_parameters, result,
				   s->types)
		: ffi_prep_cif(&s->cif, s->abi, p->n_parameters, result, s->types);
	if (status != FFI_OK)
		return ftr__fail(EOPNOTSUPP, "libffi can't pass the types of this prototype"
				 " (status %d)", (int)status);
	if (result->size > FTR__BYTES_MAX)
		return ftr__fail(EOPNOTSUPP, "a result of more than %d bytes", FTR__BYTES_MAX);
	return 0;
}

/* libffi stores a narrow result as a whole word. */
static bool is_narrow(const struct ftr_signature *s)
{
	return s->result_size && s->result_size < sizeof(ffi_arg);
}

int ftr__signature_make(struct ftr_signature **signature, const struct ftr__prototype *p,
			const char *text)
{
	size_t length = strlen(text);
	struct ftr_signature *s = calloc(1, sizeof *s + length + 1);

	*signature = NULL;
	if (!s)
		return no_memory();
	memcpy(s->text, text, length);
	s->users = 1;
	s->variadic = p->variadic;
	int result = choose_abi(s, p);
	if (!result)
		result = prepare(s, p);
	if (!result)
		result = prepare_traced(s, p);
	if (result) {
		ftr__signature_unref(s);
		return result;
	}
	s->result_size = p->result->kind == FTR__TYPE_VOID ? 0 : s->cif.rtype->size;
	s->result_clear = p->result->kind == FTR__TYPE_STRUCT
				  ? 0 : (s->result_size + sizeof(ffi_arg) - 1) / sizeof(ffi_arg);
	s->call = s->stored.mend || is_narrow(s) ? NULL : ffi_call;
	*signature = s;
	return 0;
}

bool ftr__signature_same(const struct ftr_signature *a, const struct ftr_signature *b)
{
	return a == b || !strcmp(a->text, b->text);
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

static void call_mended(const struct ftr_signature *s, void *fn, void *ret, void **args)
{
	ffi_cif *cif = (ffi_cif *)&s->cif;

	if (!s->stored.mend) {
		ffi_call(cif, FFI_FN(fn), ret, args);
		return;
	}
	struct ftr__mended mend = { .fn = fn };
	ftr__stored_mend(&s->stored, args - s->in_memory, &mend.vector);
	ffi_call_go(cif, ftr__backend->typed->vectors, ret, args, &mend);
}

static __attribute__((noinline)) void call_with_care(const struct ftr_signature *s, void *fn,
						     void *ret, void **args)
{
	ffi_arg word = 0;

	if (ret && is_narrow(s)) {
		call_mended(s, fn, &word, args);
		memcpy(ret, &word, s->result_size);
	} else {
		call_mended(s, fn, ret, args);
	}
}

void ftr__signature_call(const struct ftr_signature *s, void *fn, void *ret, void **args)
{
	if (FTR__LIKELY(s->call != NULL))
		s->call((ffi_cif *)&s->cif, FFI_FN(fn), ret, args);
	else
		call_with_care(s, fn, ret, args);
}

/* --- closures ---------------------------------------------------------------------------- */

struct ftr__thunk {
	ffi_closure closure; /* allocated by libffi, this with it */
	const struct ftr_signature *signature;
	struct ftr__closure_data data;
};

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
	t->data = (struct ftr__closure_data){ arg, signature->result_clear };
	ffi_status status = ffi_prep_closure_loc(&t->closure, (ffi_cif *)&signature->cif,
						 (void (*)(ffi_cif *, void *, void **, void *))fn,
						 &t->data, *code);
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

/* --- arguments of traced calls ---------------------------------------------------------------- */

/* Apart, so that handlers which change nothing need less. */
FTR__BARE static __attribute__((noinline)) void put_arguments(const struct ftr_signature *s, struct ftr__values *v,
				    void **args)
{
	if (s->by_register) {
		v->stack = v->general;
		v->stack_size = s->cif.nargs * sizeof *v->general;
	}
	ffi_call_go((ffi_cif *)&s->entry_cif, ftr__backend->typed->store[s->how], NULL, args, v);
	if (s->stored.mend)
		ftr__stored_mend(&s->stored, args, v->vector[0]);
	ftr__backend->typed->put(v, s->stored.n_general);
}

FTR__BARE static void on_arguments(ffi_cif *cif, void *ret, void **args, void *user)
{
	struct decoding *d = user;

	if (d->fn(args + d->signature->in_memory, d->arg))
		put_arguments(d->signature, d->values, args);
}

FTR__BARE static void arguments_by_libffi(const struct ftr_signature *s,
					  struct ftr__values *v, ftr__arguments_fn *fn, void *arg)
{
	struct decoding d = { s->entry, s, v, fn, arg };

	v->stack_size = s->stored.stack_size;
	v->how = s->how;
	ftr__backend->typed->enter(v, &d);
}

FTR__BARE void ftr__signature_arguments(const struct ftr_signature *s, struct ftr_regs *regs,
					ftr__arguments_fn *fn, void *arg)
{
	unsigned n = s->entry_cif.nargs;
	struct ftr__values values;

	ftr__backend->typed->find(regs, &values);
	if (!s->direct || (s->in_vectors && !values.vectors)) {
		arguments_by_libffi(s, &values, fn, arg);
		return;
	}
	void *args[n + 1];
	ftr__stored_point(s->places, n, &values, args);
	fn(args + s->in_memory, arg);
	ftr__stored_extend(s->places, n, args);
}

bool ftr__signature_in_place(const struct ftr_signature *s)
{
	return s->direct;
}

const struct ftr__layout *ftr__signature_layout(const struct ftr_signature *s)
{
	return &s->layout;
}

/* --- results of traced calls -------------------------------------------------------- */

struct result {
	ffi_go_closure closure; /* first: the static chain points here */
	const void *from;
	size_t size;
};

FTR__BARE static void on_result(ffi_cif *cif, void *ret, void **args, void *user)
{
	const struct result *r = user;

	memcpy(ret, r->from, r->size);
}

size_t ftr__signature_result_size(const struct ftr_signature *s)
{
	return s->result_size;
}

FTR__BARE void *ftr__signature_result(const struct ftr_signature *s, struct ftr__values *v,
				      void *buffer)
{
	if (!s->result_size)
		return NULL;
	if (s->in_memory)
		return (void *)*ftr__backend->regs_return(v->regs);
	ffi_call_go((ffi_cif *)&s->exit_cif, ftr__backend->typed->give, buffer, NULL, v);
	return buffer;
}

FTR__BARE void ftr__signature_set_result(const struct ftr_signature *s, struct ftr__values *v,
					 const void *buffer)
{
	struct result r = { s->exit, buffer, s->result_size };

	ftr__backend->typed->take(v, &r);
	*ftr__backend->regs_return(v->regs) = v->general[0];
	*ftr__backend->regs_return2(v->regs) = v->general[1];
	for (unsigned i = 0; v->vectors && i < 2; i++)
		__builtin_memcpy((char *)v->vectors + i * v->stride, v->vector[i], 8);
}
