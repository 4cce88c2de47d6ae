/* SPDX-License-Identifier: MIT */
/*
 * A few pages a trampoline area: a small object file in memory, whose .eh_frame
 * serves all unwinders alike, and the records by which each of them links it
 * into its lists.  Floor 3.
 *
 * Lock: the library's.  Areas stay, so nothing here is ever taken back, not
 * even at shutdown: a thread may be late in a slot then.
 *
 * The unwinders are met by weak references: they serve the process, not this
 * library.  The shared library links libgcc's, because backtrace() and
 * pthread_cancel() of a C program load it on their own, after the areas were
 * made.  A static program has what its other parts brought along.
 *
 * What libgcc before version 13 makes of the first registered frame: it takes
 * a mutex in each search from then on, and allocates under it at an object's
 * first search.  So that search happens here, and without handlers in this
 * thread: one of malloc that walks the stack would wait for itself.
 */
#include "lib/unwind.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/backend.h"
#include "lib/ehframe.h"
#include "lib/error.h"
#include "lib/grace.h"

/* --- the interfaces, as their manuals have them ------------------------------- */

/* libgcc.  The object's storage is ours; crtstuff.c gives it six words, or
 * seven. */
struct gcc_object {
	void *words[16];
};
struct gcc_bases {
	void *text, *data, *function;
};
extern void __register_frame_info(const void *eh_frame, struct gcc_object *object)
	__attribute__((weak));
extern const void *_Unwind_Find_FDE(void *pc, struct gcc_bases *bases) __attribute__((weak));

/* LLVM's libunwind, which has __register_frame_info, too, doing nothing. */
extern void __unw_add_dynamic_fde(uintptr_t fde) __attribute__((weak));

/* libunwind-dynamic(3), format "remote table"; the addresses in the table are
 * 32 bits from `segment`. */
struct dyn_entry {
	int32_t start, fde;
};
struct dyn_info {
	struct dyn_info *next, *prev;
	uintptr_t start, end, gp;
	int32_t format, pad;
	uintptr_t load_offset; /* not before libunwind 1.5 */
	uintptr_t name, segment, table_words, table;
	uintptr_t more; /* the union's largest member has five words */
};
enum { DYN_REMOTE_TABLE = 2 };
extern void _U_dyn_register(struct dyn_info *info) __attribute__((weak));

/* gdb's manual, "JIT Compilation Interface". */
struct jit_code_entry {
	struct jit_code_entry *next, *prev;
	const void *object;
	uint64_t size;
};
struct jit_descriptor {
	uint32_t version;
	uint32_t action;
	struct jit_code_entry *relevant, *first;
};
enum { JIT_VERSION = 1, JIT_REGISTER = 1 };

/*
 * Each module may have a pair of these, and the debugger looks at all.  Hidden:
 * two JITs that shared one pair would share no lock.  Weak: in one static
 * program they have to share it.
 */
extern struct jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code(void);

__attribute__((weak, visibility("hidden"))) struct jit_descriptor __jit_debug_descriptor = {
	.version = JIT_VERSION
};

/* The debugger has a breakpoint here. */
__attribute__((weak, visibility("hidden"), noinline)) void __jit_debug_register_code(void)
{
	FTR__BARRIER();
}

/* --- .eh_frame ----------------------------------------------------------------- */

enum {
	CALLERS_MAX = 64,
	EH_FRAME_MAX = 24 * 1024, /* what is not needed is not touched */
	CIE_VERSION = 1,
	PE_ABSPTR = 0 /* addresses as they are */
};

static uint8_t *put(uint8_t *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static uint8_t *put_byte(uint8_t *at, uint8_t byte)
{
	*at = byte;
	return at + 1;
}

/* A record begins with its length, and is filled up by DW_CFA_nop, which is 0:
 * the memory is. */
static uint8_t *end_record(uint8_t *start, uint8_t *at)
{
	uint8_t *end = (uint8_t *)ftr__align_up((uintptr_t)at, sizeof(void *));
	uint32_t length = (uint32_t)(end - start - sizeof length);

	put(start, &length, sizeof length);
	return end;
}

/* What is common to all frames of a kind (DWARF 4, "Structure of Call Frame
 * Information"; Linux Standard Base Core, "The .eh_frame section"). */
static uint8_t *put_cie(uint8_t *start, uint8_t return_column, bool signal, const uint8_t *code,
			size_t size)
{
	uint8_t *at = start + 2 * sizeof(uint32_t); /* length, and 0 for a CIE */

	at = put_byte(at, CIE_VERSION);
	at = put(at, signal ? "zRS" : "zR", signal ? sizeof "zRS" : sizeof "zR");
	at = put_byte(at, 1);                                 /* unit of code */
	at = put_byte(at, -(int)sizeof(void *) & 0x7f);       /* unit of data */
	at = put_byte(at, return_column);
	at = put_byte(at, 1); /* bytes of what z and R are about */
	at = put_byte(at, PE_ABSPTR);
	at = put(at, code, size);
	return end_record(start, at);
}

/* `size` bytes at `start` are unwound by a CIE and by `n` bytes of `code`. */
static uint8_t *put_fde(uint8_t *record, const uint8_t *cie, uintptr_t start, size_t size,
			const uint8_t *code, size_t n)
{
	uint8_t *at = record + sizeof(uint32_t);
	uint32_t back = (uint32_t)(at - cie);

	at = put(at, &back, sizeof back);
	at = put(at, &start, sizeof start);
	at = put(at, &size, sizeof size);
	at = put_byte(at, 0); /* bytes of augmentation */
	at = put(at, code, n);
	return end_record(record, at);
}

/* --- the callers' own descriptions ------------------------------------------------ */

static struct ftr__fde callers[CALLERS_MAX];

static size_t count_callers(void)
{
	return (size_t)(ftr__backend->callers_starts_end - ftr__backend->callers_starts);
}

static const uint8_t *find_fde(uintptr_t start, struct gcc_bases *bases)
{
	const uint8_t *fde = _Unwind_Find_FDE((void *)start, bases);

	return (uintptr_t)bases->function == start ? fde : NULL;
}

static void find_callers(void *arg)
{
	bool *found = arg;
	struct gcc_bases bases;
	size_t room = 0;

	for (size_t i = 0; i < count_callers(); i++) {
		uintptr_t start = ftr__backend->callers_starts[i];
		const uint8_t *fde = find_fde(start, &bases);
		if (!fde || !ftr__ehframe_read(fde, start, &callers[i]))
			return;
		room += callers[i].common_size + callers[i].own_size + 128;
	}
	*found = 2 * room <= EH_FRAME_MAX - 512;
}

bool ftr__unwind_callers(void)
{
	static bool searched, found;

	if (searched || !_Unwind_Find_FDE || count_callers() > CALLERS_MAX)
		return found;
	searched = true;
	ftr__grace_quietly(find_callers, &found);
	return found;
}

/* --- the page -------------------------------------------------------------------- */

enum { TEXT = 1, EH_FRAME, SYMBOLS, STRINGS, N_SECTIONS };

#define STRING_TABLE "\0.text\0.eh_frame\0.symtab\0.strtab\0ftr_caller\0........"
enum { NAME_TEXT = 1, NAME_EH_FRAME = 7, NAME_SYMTAB = 17, NAME_STRTAB = 25, NAME_CALLER = 33,
       NAME_CODE = 44 };

/* The object file. */
struct image {
	ElfW(Ehdr) header;
	ElfW(Shdr) sections[N_SECTIONS];
	char strings[sizeof STRING_TABLE];
	ElfW(Sym) symbols[1 + 1 + CALLERS_MAX];
	_Alignas(sizeof(void *)) uint8_t eh_frame[EH_FRAME_MAX];
};

/* What one description is for. */
struct range {
	uintptr_t start;
	size_t size;
	const uint8_t *fde;
	struct dyn_info dyn;
	struct dyn_entry dyn_table;
};

struct page {
	struct gcc_object *gcc;
	const uint8_t *gcc_frame; /* in eh_frame */
	struct jit_code_entry jit;
	size_t n;
	struct range ranges[1 + CALLERS_MAX];
	struct image image; /* what is used of it comes first */
};

/* Below 2 GiB if that can be had: see tell_libunwind(). */
static struct page *page_map(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = MAP_FAILED;

#ifdef MAP_32BIT
	p = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, flags | MAP_32BIT, -1, 0);
#endif
	if (p == MAP_FAILED)
		p = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, flags, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* libgcc's object is on the heap, where a leak checker follows pointers to what
 * libgcc allocates for it. */
static struct page *page_new(void)
{
	struct gcc_object *gcc = calloc(1, sizeof *gcc);
	struct page *page = gcc ? page_map() : NULL;

	if (page)
		page->gcc = gcc;
	else
		free(gcc);
	return page;
}

static void fill_header(struct image *image)
{
	const uint8_t ident[EI_NIDENT] = {
		ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
		sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32,
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB, EV_CURRENT
	};

	image->header = (ElfW(Ehdr)){
		.e_type = ET_REL,
		.e_machine = ftr__backend->elf_machine,
		.e_version = EV_CURRENT,
		.e_shoff = offsetof(struct image, sections),
		.e_ehsize = sizeof image->header,
		.e_shentsize = sizeof image->sections[0],
		.e_shnum = N_SECTIONS,
		.e_shstrndx = STRINGS,
	};
	memcpy(image->header.e_ident, ident, sizeof ident);
}

/* The debugger takes the sections' addresses for what they are. */
static void fill_sections(struct image *image, uintptr_t code, size_t size, size_t symbols)
{
	image->sections[TEXT] = (ElfW(Shdr)){
		.sh_name = NAME_TEXT, .sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
		.sh_addr = code, .sh_size = size, .sh_addralign = 1,
	};
	image->sections[EH_FRAME] = (ElfW(Shdr)){
		.sh_name = NAME_EH_FRAME, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC,
		.sh_addr = (uintptr_t)image->eh_frame, .sh_addralign = 1,
		.sh_offset = offsetof(struct image, eh_frame),
	};
	image->sections[SYMBOLS] = (ElfW(Shdr)){
		.sh_name = NAME_SYMTAB, .sh_type = SHT_SYMTAB, .sh_addralign = 1,
		.sh_offset = offsetof(struct image, symbols),
		.sh_size = symbols * sizeof image->symbols[0],
		.sh_entsize = sizeof image->symbols[0], .sh_link = STRINGS, .sh_info = 1,
	};
	image->sections[STRINGS] = (ElfW(Shdr)){
		.sh_name = NAME_STRTAB, .sh_type = SHT_STRTAB, .sh_addralign = 1,
		.sh_offset = offsetof(struct image, strings), .sh_size = sizeof image->strings,
	};
	memcpy(image->strings, STRING_TABLE, sizeof image->strings);
}

/* A description was written: whose it is. */
static void add_range(struct page *page, const uint8_t *fde, uintptr_t start, size_t size,
		      unsigned name)
{
	page->ranges[page->n++] = (struct range){ .start = start, .size = size, .fde = fde };
	page->image.symbols[page->n] = (ElfW(Sym)){
		.st_name = name, .st_shndx = TEXT, .st_value = start - page->ranges[0].start,
		.st_size = size,
		.st_info = ELF32_ST_INFO(STB_GLOBAL, STT_FUNC), /* as in ELF64 */
	};
}

/* listed: these are what unwinders other than libgcc's get. */
static uint8_t *put_callers(struct page *page, uint8_t *at, uintptr_t copy, bool listed)
{
	const struct ftr__fde *common = NULL;
	const uint8_t *cie = NULL;

	for (size_t i = 0; i < count_callers(); i++) {
		const struct ftr__fde *c = &callers[i];
		uintptr_t start = copy + (c->start - (uintptr_t)ftr__backend->callers);
		if (!common || common->common != c->common) {
			common = c;
			cie = at;
			at = put_cie(at, c->return_column, false, c->common, c->common_size);
		}
		if (listed)
			add_range(page, at, start, c->size, NAME_CALLER);
		at = put_fde(at, cie, start, c->size, c->own, c->own_size);
	}
	return at;
}

/* Behind what the others get, and the word 0 that ends that. */
static void put_gcc(struct page *page, uint8_t *end, const struct ftr__unwind_area *area)
{
	const struct ftr__slot_cfi *cfi = area->cfi;
	uint8_t *cie = (uint8_t *)ftr__align_up((uintptr_t)(end + sizeof(uint32_t)), sizeof(void *));
	uint8_t *fde = put_cie(cie, cfi->return_column, true, cfi->gcc_bytes, cfi->gcc_size);

	uint8_t *at = put_fde(fde, cie, area->code, area->size, cfi->gcc_bytes, 0);
	if (area->callers)
		put_callers(page, at, area->callers, false);
	page->gcc_frame = cie;
}

static void fill(struct page *page, const struct ftr__unwind_area *area)
{
	struct image *image = &page->image;
	const struct ftr__slot_cfi *cfi = area->cfi;
	uint8_t *fde = put_cie(image->eh_frame, cfi->return_column, false, cfi->bytes, cfi->size);
	uint8_t *end = put_fde(fde, image->eh_frame, area->code, area->size, cfi->bytes, 0);
	size_t size = area->size;

	add_range(page, fde, area->code, area->size, NAME_CODE);
	if (area->callers) {
		end = put_callers(page, end, area->callers, true);
		size = area->callers - area->code +
		       (size_t)(ftr__backend->callers_end - ftr__backend->callers);
	}
	fill_header(image);
	fill_sections(image, area->code, size, 1 + page->n);
	memcpy(image->strings + NAME_CODE, area->name, FTR__UNWIND_NAME);
	/* With the word 0 that ends it. */
	image->sections[EH_FRAME].sh_size = (size_t)(end - image->eh_frame) + sizeof(uint32_t);
	page->gcc_frame = image->eh_frame;
	if (cfi->gcc_bytes)
		put_gcc(page, end, area);
}

/* --- telling --------------------------------------------------------------------- */

static void register_and_search(void *arg)
{
	struct page *page = arg;
	struct gcc_bases bases;

	__register_frame_info(page->gcc_frame, page->gcc);
	if (_Unwind_Find_FDE)
		_Unwind_Find_FDE((void *)page->image.sections[TEXT].sh_addr, &bases);
}

static void tell_libgcc(struct page *page)
{
	if (__register_frame_info)
		ftr__grace_quietly(register_and_search, page);
}

/*
 * Where `load_offset` came into this struct, libunwind kept its soname.  Earlier
 * versions read each later field one word too early: the segment as the
 * table's length.  A segment of 0 makes that an empty table to them, and a
 * description below 2 GiB can be reached from it.  The one entry begins at the
 * lowest of all offsets, so that the signed 32 bits to which libunwind cuts an
 * address lie behind it.
 */
static void tell_libunwind(struct page *page, struct range *range)
{
	if (!_U_dyn_register || (sizeof(void *) > 4 && (uintptr_t)(page + 1) > INT32_MAX))
		return;
	range->dyn_table = (struct dyn_entry){ INT32_MIN, (int32_t)(intptr_t)range->fde };
	range->dyn = (struct dyn_info){
		.start = range->start,
		.end = range->start + range->size,
		.format = DYN_REMOTE_TABLE,
		.table_words = sizeof range->dyn_table / sizeof(void *),
		.table = (uintptr_t)&range->dyn_table,
	};
	_U_dyn_register(&range->dyn);
}

static void tell_debugger(struct page *page)
{
	struct jit_descriptor *all = &__jit_debug_descriptor;

	page->jit = (struct jit_code_entry){
		.next = all->first,
		.object = &page->image,
		.size = page->image.sections[EH_FRAME].sh_offset +
			page->image.sections[EH_FRAME].sh_size,
	};
	if (all->first)
		all->first->prev = &page->jit;
	all->first = &page->jit;
	all->relevant = &page->jit;
	all->action = JIT_REGISTER;
	__jit_debug_register_code();
}

int ftr__unwind_area(const struct ftr__unwind_area *area)
{
	struct page *page = page_new();

	if (!page)
		return ftr__fail(ENOMEM, "no memory for unwind information");
	fill(page, area);
	tell_libgcc(page);
	for (size_t i = 0; i < page->n; i++) {
		if (__unw_add_dynamic_fde)
			__unw_add_dynamic_fde((uintptr_t)page->ranges[i].fde);
		tell_libunwind(page, &page->ranges[i]);
	}
	tell_debugger(page);
	return 0;
}
