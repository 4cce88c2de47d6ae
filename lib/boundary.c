/* SPDX-License-Identifier: MIT */
/*
 * See boundary.h.  Floor 4.
 *
 * Instructions are followed from the latest place before that is known to begin
 * one: a function symbol, or what .eh_frame describes, which is there in stripped
 * modules, too.  What was followed is kept for the latest function: probes in a
 * row are asked for.
 */
#include "lib/boundary.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "lib/ehrange.h"
#include "lib/error.h"
#include "lib/point.h"
#include "lib/prologue.h"

/* --- modules and symbols ---------------------------------------------------------- */

struct ftr__module *ftr__boundary_module(uintptr_t addr)
{
	const struct ftr__modules *modules = ftr__modules();

	for (size_t i = 0; i < modules->n; i++) {
		struct ftr__module *m = modules->list[i];
		for (size_t j = 0; j < m->phnum && !m->gone; j++) {
			const ElfW(Phdr) *p = &m->phdr[j];
			if (p->p_type == PT_LOAD && (p->p_flags & PF_X) &&
			    addr - (m->base + p->p_vaddr) < p->p_filesz)
				return m;
		}
	}
	return NULL;
}

/* Read when they are first asked for, and kept with the module. */
static const struct ftr__elf *symbols_of(struct ftr__module *m)
{
	if (!m->symbols_read && m->path[0] &&
	    ftr__elf_read(&m->elf, m->path, m->phdr, m->phnum) != -ENOMEM)
		m->symbols_read = true;
	return &m->elf;
}

static uintptr_t find_name(struct ftr__module *m, const char *name)
{
	const struct ftr__elf *elf = symbols_of(m);

	for (size_t i = 0; i < elf->n_functions; i++)
		if (!strcmp(elf->names + elf->functions[i].name, name))
			return m->base + elf->functions[i].addr;
	return 0;
}

uintptr_t ftr__boundary_symbol(const char *module, const char *name, unsigned *n)
{
	const struct ftr__modules *modules = ftr__modules();
	uintptr_t found = 0;

	*n = 0;
	for (size_t i = 0; i < modules->n; i++) {
		struct ftr__module *m = modules->list[i];
		if (m->gone || (module && strcmp(module, m->name)))
			continue;
		uintptr_t addr = find_name(m, name);
		if (!addr)
			continue;
		if (!found || !strcmp(m->path, "/proc/self/exe"))
			found = addr;
		++*n;
	}
	return found;
}

/* --- functions ------------------------------------------------------------------------ */

static bool readable(const void *module, uintptr_t addr, size_t size)
{
	const struct ftr__module *m = module;

	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t offset = addr - (m->base + p->p_vaddr);
		if (p->p_type == PT_LOAD && (p->p_flags & PF_R) && offset < p->p_memsz &&
		    size <= p->p_memsz - offset)
			return true;
	}
	return false;
}

static struct ftr__ehframe open_ehframe(const struct ftr__module *m)
{
	for (size_t i = 0; i < m->phnum; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t at = m->base + p->p_vaddr;
		if (p->p_type == PT_GNU_EH_FRAME && readable(m, at, p->p_memsz))
			return ftr__ehframe_open(at, p->p_memsz);
	}
	return (struct ftr__ehframe){ 0 };
}

/* The last function symbol at or below an address. */
static const struct ftr__function *symbol_below(struct ftr__module *m, uintptr_t addr)
{
	const struct ftr__elf *elf = symbols_of(m);
	size_t low = 0, high = elf->n_functions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->base + elf->functions[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &elf->functions[low - 1] : NULL;
}

/* Both tell of places where an instruction begins: the later one counts. */
static bool function_around(struct ftr__boundary *b, uintptr_t addr, bool *signal_frame)
{
	const struct ftr__function *f = symbol_below(b->module, addr);
	struct ftr__ehframe eh = open_ehframe(b->module);
	struct ftr__ehframe_range range;

	*signal_frame = false;
	if (f) {
		b->named = b->module->base + f->addr;
		b->name = b->module->elf.names + f->name;
		if (!f->size || addr - b->named < f->size) {
			b->start = b->named;
			b->end = f->size ? b->named + f->size : 0;
		}
	}
	if (ftr__ehframe_find(&eh, addr, readable, b->module, &range)) {
		*signal_frame = range.signal_frame;
		if (range.start >= b->start) {
			b->start = range.start;
			b->end = range.end;
		}
	}
	return b->start != 0;
}

/* --- following ------------------------------------------------------------------------ */

enum { WALK_MAX = 1 << 20, INSN_MAX = 15 };

/* The latest function that was followed. */
static struct {
	uint32_t module;
	uintptr_t start, end;
	uintptr_t stopped; /* where that ended: at the end, or where it could not go on */
	uint8_t *begins;   /* a bit for each byte: an instruction begins there */
} walk;

static void mark(uintptr_t at)
{
	walk.begins[(at - walk.start) / 8] |= (uint8_t)(1u << (at - walk.start) % 8);
}

static bool is_marked(uintptr_t at)
{
	return walk.begins[(at - walk.start) / 8] & 1u << (at - walk.start) % 8;
}

/* The first site at or above an address. */
static const struct ftr_site *site_from(const struct ftr__module *m, uintptr_t addr)
{
	size_t low = 0, high = m->n_sites;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->sites[middle].ip < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return m->sites + low;
}

static size_t length_at(uintptr_t at, uintptr_t end)
{
	uint8_t bytes[INSN_MAX];
	size_t room = end - at < sizeof bytes ? end - at : sizeof bytes;

	ftr__points_original(at, bytes, room);
	ftr__prologue_original(at, bytes, room);
	return ftr__backend->insn_length(bytes, room);
}

bool ftr__boundary_in_padding(uintptr_t addr)
{
	enum { PADDING_MAX = 64 };
	struct ftr__module *m = ftr__boundary_module(addr);
	const struct ftr__function *f = m ? symbol_below(m, addr) : NULL;
	uintptr_t at = f && f->size ? m->base + f->addr + f->size : addr;

	if (at >= addr)
		return false;
	/* What falls through, up to there: assemblers fill with such as i386's
	 * "lea 0(%esi,%eiz,1), %esi", which has a short branch in it. */
	while (at < addr && addr - at < PADDING_MAX) {
		struct ftr__insn insn;
		uint8_t bytes[INSN_MAX];
		if (!readable(m, at, sizeof bytes))
			return false;
		ftr__points_original(at, bytes, sizeof bytes);
		if (!ftr__backend->decode(bytes, sizeof bytes, at, &insn) || !insn.length ||
		    insn.branches || insn.ends)
			return false;
		at += insn.length;
	}
	return at > addr;
}

/* A site's pad is one instruction, or will be, and what is left of it is ours. */
static void follow(const struct ftr__module *m)
{
	const struct ftr_site *site = site_from(m, walk.start), *last = m->sites + m->n_sites;
	uintptr_t at = walk.start;

	while (at < walk.end) {
		size_t length;
		while (site < last && site->ip < at)
			site++;
		if (site < last && site->ip == at)
			length = site->pad;
		else
			length = length_at(at, walk.end);
		if (!length || length > walk.end - at)
			break;
		mark(at);
		at += length;
	}
	walk.stopped = at;
}

static int walk_through(const struct ftr__boundary *b, uintptr_t addr)
{
	uintptr_t end = b->end && b->end - b->start < WALK_MAX ? b->end : addr + INSN_MAX;

	if (walk.begins && walk.module == b->module->number && walk.start == b->start &&
	    addr < walk.end)
		return 0;
	free(walk.begins);
	walk.module = b->module->number;
	walk.start = b->start;
	walk.end = end;
	walk.begins = calloc((end - b->start) / 8 + 1, 1);
	if (!walk.begins)
		return ftr__fail(ENOMEM, "no memory to follow %zu bytes of code",
				 (size_t)(end - b->start));
	follow(b->module);
	return 0;
}

/* The instruction that an address lies in. */
static uintptr_t begin_before(uintptr_t addr)
{
	while (addr > walk.start && !is_marked(addr))
		addr--;
	return addr;
}

static int check_walk(const struct ftr__boundary *b, uintptr_t addr, bool unsure)
{
	int result = walk_through(b, addr);

	if (result)
		return result;
	if (addr < walk.stopped && !is_marked(addr))
		return ftr__fail(EINVAL, "%#lx is in the middle of the instruction at %#lx",
				 (unsigned long)addr, (unsigned long)begin_before(addr));
	if (addr >= walk.stopped && !unsure)
		return ftr__fail(EILSEQ, "the code before %#lx can't be followed: there is no"
				 " instruction at %#lx", (unsigned long)addr,
				 (unsigned long)walk.stopped);
	return 0;
}

/* --- what must not be probed ------------------------------------------------------------ */

/* <linux/rseq.h>, struct rseq_cs; fields of 64 bits on every architecture. */
struct rseq_cs {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

/* A sequence, from its start to its abort handler's end, as far as that is known:
 * its first instruction, and the signature before that. */
static int check_rseq(struct ftr__module *m, uintptr_t addr)
{
	const struct ftr__elf *elf = symbols_of(m);
	size_t n = elf->rseq_size / sizeof(struct rseq_cs);
	const struct rseq_cs *cs = (const struct rseq_cs *)(m->base + elf->rseq);

	if (!n || !readable(m, (uintptr_t)cs, n * sizeof *cs))
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (addr - (uintptr_t)cs[i].start < cs[i].length ||
		    addr - ((uintptr_t)cs[i].abort - sizeof(uint32_t)) <= sizeof(uint32_t))
			return ftr__fail(EPERM, "%#lx is in a restartable sequence, which a"
					 " breakpoint would restart for ever", (unsigned long)addr);
	}
	return 0;
}

/* What runs between a breakpoint and a handler.  The linker makes these. */
extern const char __start_ftr_bare[] __attribute__((weak, visibility("hidden")));
extern const char __stop_ftr_bare[] __attribute__((weak, visibility("hidden")));

static int check_own(const struct ftr__module *m, uintptr_t addr)
{
	uintptr_t own = (uintptr_t)ftr__boundary_check;
	bool program = !strcmp(m->path, "/proc/self/exe");

	if ((own >= m->low && own < m->high && !program) ||
	    (addr >= (uintptr_t)__start_ftr_bare && addr < (uintptr_t)__stop_ftr_bare))
		return ftr__fail(EPERM, "%#lx is in the library's own code", (unsigned long)addr);
	if (readable(m, getauxval(AT_SYSINFO_EHDR), 1))
		return ftr__fail(EPERM, "%#lx is in code that the kernel lends",
				 (unsigned long)addr);
	return 0;
}

static int check_insn(uintptr_t addr, struct ftr__insn *insn)
{
	uint8_t bytes[INSN_MAX];
	struct ftr__module *m = ftr__boundary_module(addr);
	uintptr_t end;

	ftr__module_segment(m, addr, &end);
	size_t room = end - addr < sizeof bytes ? end - addr : sizeof bytes;
	ftr__points_original(addr, bytes, room);
	if (!ftr__backend->decode(bytes, room, addr, insn))
		return ftr__fail(EILSEQ, "there is no instruction at %#lx", (unsigned long)addr);
	if (insn->refused)
		return ftr__fail(insn->no_code ? EILSEQ : EOPNOTSUPP, "the instruction at %#lx can't"
				 " be probed: %s", (unsigned long)addr, insn->refused);
	return 0;
}

int ftr__boundary_check_replaced(uintptr_t addr)
{
	if (!ftr__prologue_covers(addr))
		return 0;
	return ftr__fail(EBUSY, "%#lx is where a jump to what replaces its function is",
			 (unsigned long)addr);
}

/* Sites are probed as a whole. */
static int check_pad(const struct ftr__module *m, uintptr_t addr)
{
	const struct ftr_site *site = site_from(m, addr);

	if (site > m->sites && addr < site[-1].ip + site[-1].pad)
		return ftr__fail(EINVAL, "%#lx is inside the site at %#lx", (unsigned long)addr,
				 (unsigned long)site[-1].ip);
	return 0;
}

int ftr__boundary_check(uintptr_t addr, bool unsure, struct ftr__boundary *around,
			struct ftr__insn *insn)
{
	bool signal_frame;

	*around = (struct ftr__boundary){ .module = ftr__boundary_module(addr) };
	if (!around->module)
		return ftr__fail(EINVAL, "%#lx is in no loaded module's code", (unsigned long)addr);
	int result = check_own(around->module, addr);
	if (!result)
		result = check_rseq(around->module, addr);
	if (!result)
		result = ftr__boundary_check_replaced(addr);
	if (!result)
		result = check_pad(around->module, addr);
	if (result)
		return result;
	if (!function_around(around, addr, &signal_frame) && !unsure)
		return ftr__fail(EINVAL, "no function is known at %#lx: whether an instruction begins"
				 " there can't be told", (unsigned long)addr);
	if (signal_frame)
		return ftr__fail(EPERM, "%#lx is what signals' handlers return to: all that debuggers"
				 " and unwinders know of it is its bytes", (unsigned long)addr);
	if (around->start)
		result = check_walk(around, addr, unsure);
	return result ? result : check_insn(addr, insn);
}
