# SPDX-License-Identifier: MIT
# Run by gdb in unwind_gdb.sh: steps from the call of the traced function
# through slot, caller and handler back to the parent, without and with a return
# hook; at each stop the stack must be what it is.  Prints a line "wrong: ..." for
# each that is not.
import gdb

ROUNDS = 4  # the callers that the debuggee has
STEPS = 20000  # more than a round ever takes

DEEP = 4  # hooked calls of each other
WRITES = "cells_emit"  # as many instructions as cells, in C: none of them is interesting
# Instructions of a slot.
SLOT_STEPS = 3 if gdb.parse_and_eval("sizeof(void *)") == 8 else 2

seen = {"slot": 0, "caller": 0, "handler": 0, "traced": 0}
seen_hooked = {"jump": 0, "slot": 0, "cell": 0, "caller": 0, "entry": 0, "exit": 0, "traced": 0}
wrong = 0


def complain(what):
    global wrong
    wrong += 1
    print("wrong: %s" % what)
    gdb.execute("bt")
    gdb.execute("x/2i $pc")


def frames():
    found, frame = [], gdb.newest_frame()
    while frame is not None:
        found.append(frame)
        frame = frame.older()
    return found


def check(parent_sp):
    """The stack now: what is wrong with it, or None."""
    stack = frames()
    names = [f.name() for f in stack]
    if "traced" not in names:
        return "no traced function"
    at = names.index("traced")
    if [n for n in names[at + 1 : at + 4] if n != "rounds"][:2] != ["parent", "main"]:
        return "%s called traced" % names[at + 1 :]
    if int(stack[at + 1].read_register("sp")) != parent_sp:
        return "another stack pointer in parent"
    if names[0] == "ftr_slot" and at != 1:
        return "frames between slot and traced function"
    if names[0] == "ftr_slot":
        seen["slot"] += 1
    elif at == 0:
        seen["traced"] += 1
    elif at == 1:
        seen["caller"] += 1
    elif "handler_calls" in names:
        seen["handler"] += 1
    return None


def check_hooked(parent_sp):
    """The same under a return hook: the parent is there on all the way."""
    stack = frames()
    names = [f.name() for f in stack]
    if (names[0] or "").startswith("__x86.get_pc_thunk"):  # without unwind information
        return None
    if "parent" not in names:
        return "no parent"
    at = names.index("parent")
    if names[at + 1] not in ("rounds", "main"):
        return "%s called parent" % names[at + 1]
    if int(stack[at].read_register("sp")) != parent_sp:
        return "another stack pointer in parent"
    if any(f.type() == gdb.SIGTRAMP_FRAME for f in stack):
        return "a frame that no signal made"
    where = names[0][4:] if names[0] in ("ftr_jump", "ftr_slot", "ftr_cell") else None
    if "handler_calls" in names:
        where = "entry"
    elif "handler_returns" in names:
        where = "exit"
    elif names[0] == "traced":
        where = "traced"
    elif (names[0] or "").startswith(("ftr_caller", "ftr__x86_64_", "ftr__i386_")):
        where = "caller"
    if where:
        seen_hooked[where] += 1
    return None


def check_deep(wanted):
    """In a handler: all calls that are under way."""
    names = [f.name() for f in frames()]
    while names and names[0] != "deep" and names[0] != "deep_parent":
        names.pop(0)
    names = [n for n in names if n != "ftr_cell"]
    if names[:wanted] != ["deep"] * wanted or names[wanted : wanted + 1] != ["deep_parent"]:
        return "%s, not %d calls" % (names, wanted)
    if names[-1] != "main" and "main" not in names:
        return "no main"
    return None


def step_to(name, limit):
    for _ in range(limit):
        gdb.execute("stepi", to_string=True)
        if gdb.newest_frame().name() == name:
            return
    complain("never came to %s" % name)


def one_round(check):
    step_to("traced", 100)
    parent_sp = int(gdb.newest_frame().older().read_register("sp"))
    for _ in range(STEPS):
        error = check(parent_sp)
        if error:
            complain(error)
            return
        written = gdb.newest_frame().name() == WRITES
        gdb.execute("finish" if written else "stepi", to_string=True)
        if gdb.newest_frame().name() == "parent":
            return
    complain("never came back to the parent")


def rounds(check):
    for _ in range(ROUNDS):
        if gdb.newest_frame().name() != "parent":
            complain("not in parent")
        if wrong:
            break
        one_round(check)
        if check is check_hooked and not wrong:
            deep_round()
        gdb.execute("continue")


def deep_round():
    """Entries from the outermost call on, then exits, the innermost first."""
    for function, depths in (
        ("handler_calls", range(1, DEEP + 1)),
        ("handler_returns", range(DEEP, 0, -1)),
    ):
        stop = gdb.Breakpoint(function)
        for depth in depths:
            gdb.execute("continue", to_string=True)
            # Of the call that returns nothing is left.
            error = check_deep(depth - (function == "handler_returns"))
            if error:
                complain(error)
                return
        stop.delete()


gdb.execute("set pagination off")
gdb.execute("set width 0")
gdb.execute("break parent")
gdb.execute("run")
rounds(check)
rounds(check_hooked)
for stops in (seen, seen_hooked):
    print("stops: %s" % " ".join("%s %d" % pair for pair in sorted(stops.items())))
    if min(stops.values()) < ROUNDS:
        print("wrong: too few stops")
if seen["slot"] != SLOT_STEPS * ROUNDS or seen_hooked["slot"] != SLOT_STEPS * ROUNDS:
    print("wrong: too many stops in slots, or too few")
if seen_hooked["jump"] != 2 * ROUNDS or seen_hooked["cell"] < 5 * ROUNDS:
    print("wrong: not all stops in stubs and cells")
if not wrong:
    print("all rounds right")
