/* SPDX-License-Identifier: MIT */
/**
 * @file load.h
 * Loading and unloading plugins, at places of the test's choice; and copies of
 * them with their bytes changed.
 */
#ifndef TESTS_LOAD_H
#define TESTS_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "tests/live/plugin.h"

/** A loaded plugin, and what it was when it is loaded no more. */
struct loaded {
	void *handle;
	const struct plugin *plugin;
	uintptr_t base; /**< its lowest mapped address */
	size_t size;    /**< of all its mappings, with what lies between */
	uintptr_t text; /**< where its executable segment lies */
	size_t text_size;
	char module[64]; /**< as ftr_site_module() names it */
};

/** The file of plugin_`which`; valid until the next call. */
const char *load_path(const char *which);

/** Load a file; the test fails if that fails. */
void load(struct loaded *loaded, const char *path);

/** Load a file where `before`, no longer loaded, lay; see its size. */
void load_again_at(struct loaded *loaded, const char *path, const struct loaded *before);

/** Load a file anywhere but where `before`, no longer loaded, lay. */
void load_elsewhere(struct loaded *loaded, const char *path, const struct loaded *before);

/** Unload; fails if the loader keeps it. */
void unload(struct loaded *loaded);

/** Call each function once, with its result checked. */
void load_call_all(const struct loaded *loaded);

/** A file in memory; free() its bytes. */
struct image {
	unsigned char *bytes;
	size_t size;
};

struct image image_read(const char *path);

/** Write a new file beside the program; free() its name, after unlink(). */
char *image_write(const struct image *image);

/** Take the section headers away, as sstrip does. */
void image_drop_sections(struct image *image);

#endif /* TESTS_LOAD_H */
