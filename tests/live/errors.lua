-- SPDX-License-Identifier: MIT
-- Errors, which are longjmp(), at many depths, also in and across coroutines; for
-- exits_programs.sh.
local function fail(n)
  if n == 0 then error("failed") end
  return fail(n - 1) + 1
end

local function count(n)
  local caught = 0
  for i = 1, n do
    if not pcall(fail, i % 40) then caught = caught + 1 end
    local ok = pcall(function() return table.concat({ {} }) end)
    if not ok then caught = caught + 1 end
    local handled = select(2, xpcall(fail, function(m) return "handled " .. #m end, i % 7))
    if handled:find("handled") then caught = caught + 1 end
  end
  return caught
end
print(count(500))

-- A coroutine that fails is given up; one that yields inside pcall goes on.
local function yields(n)
  for i = 1, n do
    if not pcall(function()
      coroutine.yield(i)
      error(i)
    end) then coroutine.yield(-i) end
  end
  error("the end")
end
local sum, ended = 0, 0
for _ = 1, 50 do
  local co = coroutine.create(yields)
  local ok, value = coroutine.resume(co, 5)
  while ok and value do
    sum = sum + value * value
    ok, value = coroutine.resume(co)
  end
  if not ok then ended = ended + 1 end
end
print(sum, ended)

-- Sorting and substitution call back into Lua, and fail there.
print(pcall(table.sort, { 3, 1, 2 }, function() error("no order") end))
print(pcall(string.gsub, "abc", "%w", function() error("no substitute") end))
print(pcall(string.rep, "x", -1), pcall(string.rep))
-- Too deep for C.
print(pcall(string.find, ("a"):rep(300000), (".-"):rep(200000) .. "b"))
local deep = 0
local function deeper() deep = deep + 1; return 1 + deeper() end
print(pcall(deeper) == false, deep > 1000)
