/* SPDX-License-Identifier: MIT */
/**
 * @file plugin.h
 * What a shared object made of plugin.c shows.
 */
#ifndef TESTS_PLUGIN_H
#define TESTS_PLUGIN_H

/** Functions of a plugin; the last has no dynamic symbol. */
enum { PLUGIN_ONE, PLUGIN_TWO, PLUGIN_HIDDEN, PLUGIN_FUNCTIONS };

/** Exported as `plugin`.  Every function returns x + its number + 1. */
struct plugin {
	long (*call[PLUGIN_FUNCTIONS])(long x);
};

/**
 * plugin_e: its constructor and its destructor call each function once, and
 * then this one of the program, if it has it.
 */
enum plugin_event { PLUGIN_LOADED, PLUGIN_UNLOADED };
extern void plugin_notice(enum plugin_event event, long wrong) __attribute__((weak));

#endif /* TESTS_PLUGIN_H */
