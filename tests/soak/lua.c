/* SPDX-License-Identifier: MIT */
/*
 * Lua 5.4, in a shared object that was built with sites (tests/soak/run.sh).
 * Its few functions are declared here as its reference manual has them ("The
 * Application Program Interface"): no header is needed to build this.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/soak/account.h"
#include "tests/soak/soak.h"

typedef struct lua_State lua_State;

static struct {
	lua_State *(*newstate)(void);
	void (*openlibs)(lua_State *);
	int (*loadfilex)(lua_State *, const char *name, const char *mode);
	int (*pcallk)(lua_State *, int nargs, int nresults, int handler, intptr_t ctx, void *k);
	const char *(*tolstring)(lua_State *, int index, size_t *length);
	void (*pushinteger)(lua_State *, long long);
	void (*pushcclosure)(lua_State *, int (*fn)(lua_State *), int n);
	void (*setglobal)(lua_State *, const char *name);
	void (*close)(lua_State *);
} api;

static const char *program;
static char *expected;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool find(void *handle, const char *name, void *at)
{
	void *symbol = dlsym(handle, name);

	memcpy(at, &symbol, sizeof(symbol));
	return symbol != NULL;
}

bool lua_open(const char *library, const char *file)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);

	program = file;
	return handle && find(handle, "luaL_newstate", &api.newstate) &&
	       find(handle, "luaL_openlibs", &api.openlibs) &&
	       find(handle, "luaL_loadfilex", &api.loadfilex) &&
	       find(handle, "lua_pcallk", &api.pcallk) &&
	       find(handle, "lua_tolstring", &api.tolstring) &&
	       find(handle, "lua_pushinteger", &api.pushinteger) &&
	       find(handle, "lua_pushcclosure", &api.pushcclosure) &&
	       find(handle, "lua_setglobal", &api.setglobal) &&
	       find(handle, "lua_close", &api.close);
}

/* step(): Lua calls a traced function of the program, that calls others. */
static int step(lua_State *state)
{
	account_work(20);
	api.pushinteger(state, 20);
	return 1;
}

static void compare(const char *result)
{
	pthread_mutex_lock(&lock);
	if (!expected)
		expected = strdup(result);
	else if (strcmp(expected, result) != 0)
		soak_fail("Lua's result is wrong: %s instead of %s", result, expected);
	pthread_mutex_unlock(&lock);
}

void lua_work(void)
{
	lua_State *state = api.newstate();
	const char *result;

	if (!state)
		soak_fail("no Lua state");
	api.openlibs(state);
	api.pushcclosure(state, step, 0);
	api.setglobal(state, "step");
	if (api.loadfilex(state, program, NULL) || api.pcallk(state, 0, 1, 0, 0, NULL))
		soak_fail("Lua: %s", api.tolstring(state, -1, NULL));
	result = api.tolstring(state, -1, NULL);
	if (!result || strlen(result) < 20)
		soak_fail("Lua gave no result");
	compare(result);
	api.close(state);
}
