-- SPDX-License-Identifier: MIT
-- Runs the programs beside this one after the other, in one interpreter.
-- What they print depends on nothing but their text: no clock, no address, no
-- order of pairs().

local dir = arg[0]:match("^(.*/)") or "./"

for _, name in ipairs { "json", "expr", "text", "sort", "objects" } do
	print("== " .. name)
	dofile(dir .. name .. ".lua")
end
