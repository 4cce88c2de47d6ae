-- SPDX-License-Identifier: MIT
-- Objects for the garbage collector: classes, closures, coroutines, weak
-- tables, finalisers, metamethods, errors through all of them.

local Vector = {}
Vector.__index = Vector

local function vector(x, y)
	return setmetatable({ x = x, y = y }, Vector)
end

function Vector.__add(a, b) return vector(a.x + b.x, a.y + b.y) end
function Vector.__mul(a, k) return vector(a.x * k, a.y * k) end
function Vector.__eq(a, b) return a.x == b.x and a.y == b.y end
function Vector.__lt(a, b) return a.x < b.x end
function Vector.__len(a) return math.floor(math.sqrt(a.x * a.x + a.y * a.y)) end
function Vector.__tostring(a) return ("(%g, %g)"):format(a.x, a.y) end
function Vector.__concat(a, b) return tostring(a) .. tostring(b) end
function Vector.__call(a, n) return a.x + n end

local place = vector(0, 0)
for i = 1, 600000 do
	place = place + vector(i % 7, -(i % 3)) * 0.5
end
print(place .. vector(1, 2), #place, place == vector(place.x, place.y), place(1), vector(1, 0) < place)

-- A class with a parent, found through __index each time.
local Shape = { corners = 0 }
Shape.__index = Shape
function Shape:describe() return self:name() .. " with " .. self.corners end
local Square = setmetatable({ corners = 4 }, { __index = Shape })
Square.__index = Square
function Square:name() return "square" end
local text = 0
for i = 1, 600000 do
	text = text + #setmetatable({ side = i }, Square):describe()
end
print(text)

-- Coroutines: a chain of filters, as many as primes.
local function generate(n)
	return coroutine.wrap(function()
		for i = 2, n do
			coroutine.yield(i)
		end
	end)
end
local function filter(source, prime)
	return coroutine.wrap(function()
		for i in source do
			if i % prime ~= 0 then
				coroutine.yield(i)
			end
		end
	end)
end
local function sieve(n)
	local source, primes = generate(n), {}
	local prime = source()
	while prime do
		primes[#primes + 1] = prime
		source = filter(source, prime)
		prime = source()
	end
	return primes
end
for n = 50, 400, 10 do
	local primes = sieve(n)
	io.write(#primes, ":", primes[#primes], n % 100 > 0 and " " or "\n")
end

local function permutations(list, n)
	if n == 0 then
		coroutine.yield(list)
	end
	for i = 1, n do
		list[i], list[n] = list[n], list[i]
		permutations(list, n - 1)
		list[i], list[n] = list[n], list[i]
	end
end
local seen, fixed = 0, 0
for list in coroutine.wrap(function() permutations({ 1, 2, 3, 4, 5, 6, 7, 8 }, 8) end) do
	seen = seen + 1
	fixed = fixed + (list[1] == 1 and 1 or 0)
end
print(seen, fixed)

-- Closures that share a variable; memory that comes and goes.
local function counter()
	local n = 0
	return function(by) n = n + by return n end, function() return n end
end
local sum = 0
for i = 1, 300000 do
	local add, get = counter()
	add(i)
	add(1)
	sum = sum + get()
end
print(sum)

local finalised = 0
local cache = setmetatable({}, { __mode = "v" })
for i = 1, 6000 do
	cache[i] = setmetatable({ ("data"):rep(i % 50) }, { __gc = function() finalised = finalised + 1 end })
end
collectgarbage()
collectgarbage()
print(finalised, next(cache))

collectgarbage("generational")
local function tree(depth)
	return depth == 0 and {} or { tree(depth - 1), tree(depth - 1) }
end
local function leaves(node)
	return node[1] and leaves(node[1]) + leaves(node[2]) or 1
end
local total = 0
for depth = 4, 17 do
	total = total + leaves(tree(depth))
end
collectgarbage("incremental")
for _ = 1, 300 do
	total = total + leaves(tree(11))
end
print(total)

local caught = 0
for i = 1, 150000 do
	local ok, problem = pcall(function()
		if i % 3 == 0 then
			error({ code = i })
		end
		local nothing
		return nothing.field
	end)
	caught = caught + (ok and 0 or type(problem) == "table" and problem.code or 1)
end
print(caught)

do
	local log = {}
	local function scope(name)
		return setmetatable({}, { __close = function(_, problem)
			log[#log + 1] = name .. ":" .. tostring(problem)
		end })
	end
	local co = coroutine.create(function()
		local outer <close> = scope("outer")
		local inner <close> = scope("inner")
		coroutine.yield(1)
		error("broken", 0)
	end)
	print(coroutine.resume(co))
	print(coroutine.resume(co))
	print(coroutine.status(co), coroutine.close(co))
	print(table.concat(log, " "))
end
