/* SPDX-License-Identifier: MIT */
/*
 * See loader.h.  Floor 4.
 *
 * The C library does not see to the lock of dl_iterate_phdr() in fork(): a
 * child finds it locked for good if another thread of the parent held it.  So
 * a fork waits until none of our threads is in there, and they wait for it.
 */
#include "lib/loader.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/error.h"
#include "lib/thread.h"

static unsigned walkers; /* threads in dl_iterate_phdr(), or about to be */
static int forking;     /* forks that wait, or go on */

/* A thread that holds the loader's lock in a callback of its own may wait for
 * the fork, and the fork for us, who wait for that thread: nobody waits for
 * ever. */
enum { FORK_PATIENCE = 10000, PAUSE_NS = 100000 };

static void pause_shortly(void)
{
	struct timespec pause = { 0, PAUSE_NS };

	nanosleep(&pause, NULL);
}

static void enter(struct ftr__thread *self)
{
	/* Pairs with ftr__loader_before_fork(): one of the two sees the other. */
	__atomic_add_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
	/* Who is in there already goes on: the fork waits for it. */
	bool inner = self && self->walks;
	for (int i = 0; !inner && __atomic_load_n(&forking, __ATOMIC_SEQ_CST) &&
			i < FORK_PATIENCE; i++) {
		__atomic_sub_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
		pause_shortly();
		__atomic_add_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
	}
	if (self)
		self->walks++;
}

static void leave(struct ftr__thread *self)
{
	if (self)
		self->walks--;
	__atomic_sub_fetch(&walkers, 1, __ATOMIC_SEQ_CST);
}

static int walk(int (*fn)(struct dl_phdr_info *info, size_t size, void *arg), void *arg)
{
	struct ftr__thread *self = ftr__thread_self();

	enter(self);
	int result = dl_iterate_phdr(fn, arg);
	leave(self);
	return result;
}

static unsigned own_walks(void)
{
	return ftr__self ? ftr__self->walks : 0;
}

void ftr__loader_before_fork(void)
{
	__atomic_add_fetch(&forking, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < FORK_PATIENCE; i++) {
		if (__atomic_load_n(&walkers, __ATOMIC_SEQ_CST) <= own_walks())
			return;
		pause_shortly();
	}
}

void ftr__loader_after_fork(bool child)
{
	if (!child) {
		__atomic_sub_fetch(&forking, 1, __ATOMIC_SEQ_CST);
		return;
	}
	walkers = own_walks();
	forking = 0;
}

static bool copy(struct ftr__loaded *to, const struct dl_phdr_info *info, bool program)
{
	size_t size = info->dlpi_phnum * sizeof *info->dlpi_phdr;

	*to = (struct ftr__loaded){ .base = info->dlpi_addr, .where = info->dlpi_phdr,
				    .phnum = info->dlpi_phnum, .program = program };
	to->path = strdup(program ? "/proc/self/exe" : info->dlpi_name ? info->dlpi_name : "");
	to->phdr = malloc(size + 1);
	if (!to->path || !to->phdr) {
		free(to->path);
		free(to->phdr);
		return false;
	}
	memcpy(to->phdr, info->dlpi_phdr, size);
	return true;
}

static int add(struct ftr__loaded_list *list, const struct dl_phdr_info *info, bool program)
{
	void *grown = realloc(list->list, (list->n + 1) * sizeof *list->list);

	if (!grown)
		return -ENOMEM;
	list->list = grown;
	if (!copy(&list->list[list->n], info, program))
		return -ENOMEM;
	list->n++;
	return 0;
}

/* --- namespaces of dlmopen(3) -------------------------------------------------- */

#ifdef DLFO_STRUCT_HAS_EH_DBASE /* <dlfcn.h> has _dl_find_object(3) */
extern __typeof__(_dl_find_object) _dl_find_object __attribute__((weak));

/* What debuggers read (<link.h>): from version 2 on one for each namespace. */
struct namespace {
	struct r_debug base;
	struct namespace *next;
};

/* The program's dynamic section leads there. */
static const struct namespace *first_namespace(const struct dl_phdr_info *program)
{
	const ElfW(Dyn) *dynamic = NULL;

	for (int i = 0; i < program->dlpi_phnum; i++)
		if (program->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (void *)(program->dlpi_addr + program->dlpi_phdr[i].p_vaddr);
	while (dynamic && dynamic->d_tag != DT_NULL && dynamic->d_tag != DT_DEBUG)
		dynamic++;
	if (!dynamic || dynamic->d_tag != DT_DEBUG)
		return NULL;
	const struct namespace *first = (void *)dynamic->d_un.d_ptr;
	return first && first->base.r_version >= 2 ? first : NULL;
}

/* The dynamic linker itself is in every namespace. */
static bool is_in(const struct namespace *space, const struct link_map *map)
{
	const struct link_map *m = space->base.r_map;

	while (m && m->l_ld != map->l_ld)
		m = m->l_next;
	return m != NULL;
}

/* The program headers lie behind the file's, in its first page. */
static bool headers_of(const struct link_map *map, struct dl_phdr_info *info)
{
	enum { FIRST_PAGE = 4096 };
	struct dl_find_object found;

	/* Not known yet where it is just being loaded. */
	if (_dl_find_object(map->l_ld, &found))
		return false;
	const ElfW(Ehdr) *header = found.dlfo_map_start;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff > FIRST_PAGE ||
	    header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > FIRST_PAGE)
		return false;
	info->dlpi_addr = map->l_addr;
	info->dlpi_name = map->l_name;
	info->dlpi_phdr = (void *)((uintptr_t)header + header->e_phoff);
	info->dlpi_phnum = header->e_phnum;
	return true;
}

/*
 * dl_iterate_phdr(3) tells of the caller's namespace alone.  Its lock is that
 * of all of them, and its counters count in all.
 */
static int add_other_namespaces(struct ftr__loaded_list *list, const struct dl_phdr_info *program)
{
	const struct namespace *first = _dl_find_object ? first_namespace(program) : NULL;
	int result = 0;

	for (const struct namespace *s = first ? first->next : NULL; s; s = s->next) {
		for (const struct link_map *m = s->base.r_map; m && !result; m = m->l_next) {
			struct dl_phdr_info info = { 0 };
			if (!is_in(first, m) && headers_of(m, &info))
				result = add(list, &info, false);
		}
	}
	return result;
}
#else
static int add_other_namespaces(struct ftr__loaded_list *list, const struct dl_phdr_info *program)
{
	return 0;
}
#endif

static int collect(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct ftr__loaded_list *list = arg;
	/* The program comes first (dl_iterate_phdr(3)). */
	bool program = list->n == 0;
	int result = add(list, info, program);

	list->state.adds = info->dlpi_adds;
	list->state.subs = info->dlpi_subs;
	return result || !program ? result : add_other_namespaces(list, info);
}

int ftr__loader_list(struct ftr__loaded_list *list)
{
	memset(list, 0, sizeof *list);
	if (walk(collect, list) == 0)
		return 0;
	ftr__loader_free(list);
	return ftr__fail(ENOMEM, "no memory for the list of modules");
}

void ftr__loader_free(struct ftr__loaded_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->list[i].path);
		free(list->list[i].phdr);
	}
	free(list->list);
	list->list = NULL;
	list->n = 0;
}

struct locked {
	int (*fn)(const struct ftr__loader_state *state, void *arg);
	void *arg;
	int result;
};

/* In the first call the lock is held; one call is enough. */
static int run(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct locked *locked = arg;
	struct ftr__loader_state state = { info->dlpi_adds, info->dlpi_subs };

	locked->result = locked->fn(&state, locked->arg);
	return 1;
}

int ftr__loader_locked(int (*fn)(const struct ftr__loader_state *state, void *arg), void *arg)
{
	struct locked locked = { .fn = fn, .arg = arg };

	walk(run, &locked);
	return locked.result;
}
