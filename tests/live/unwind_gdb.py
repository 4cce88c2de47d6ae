# SPDX-License-Identifier: MIT
# Run by gdb in unwind_gdb.sh: steps from the call of the traced function
# through slot, caller and handler back to the parent; at each stop the stack
# must be what it is.  Prints a line "wrong: ..." for each that is not.
import gdb

ROUNDS = 4  # the callers that the debuggee has
STEPS = 20000  # more than a round ever takes

seen = {"slot": 0, "caller": 0, "handler": 0, "traced": 0}
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
    if names[at + 1 : at + 3] != ["parent", "main"]:
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


def step_to(name, limit):
    for _ in range(limit):
        gdb.execute("stepi", to_string=True)
        if gdb.newest_frame().name() == name:
            return
    complain("never came to %s" % name)


def one_round():
    step_to("traced", 100)
    parent_sp = int(gdb.newest_frame().older().read_register("sp"))
    for _ in range(STEPS):
        error = check(parent_sp)
        if error:
            complain(error)
            return
        gdb.execute("stepi", to_string=True)
        if gdb.newest_frame().name() == "parent":
            return
    complain("never came back to the parent")


gdb.execute("set pagination off")
gdb.execute("set width 0")
gdb.execute("break parent")
gdb.execute("run")
for _ in range(ROUNDS):
    if gdb.newest_frame().name() != "parent":
        complain("not in parent")
        break
    one_round()
    if wrong:
        break
    gdb.execute("continue")
print("stops: %s" % " ".join("%s %d" % pair for pair in sorted(seen.items())))
if seen["slot"] != 2 * ROUNDS:
    print("wrong: %d stops in slots" % seen["slot"])
if min(seen.values()) < ROUNDS:
    print("wrong: too few stops")
if not wrong:
    print("all rounds right")
