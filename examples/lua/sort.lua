-- SPDX-License-Identifier: MIT
-- Tables: sorting in several ways, a sieve, a matrix product, a heap, a graph
-- walk, table.move and friends.

local seed = 7
local function random(n)
	seed = (seed * 6364136223846793005 + 1442695040888963407)
	return (seed >> 33) % n
end

local function numbers(n)
	local list = {}
	for i = 1, n do
		list[i] = random(1000000)
	end
	return list
end

local function in_order(list, less)
	for i = 2, #list do
		if less(list[i], list[i - 1]) then
			return false
		end
	end
	return true
end

local function merge_sort(list)
	if #list < 2 then
		return list
	end
	local half = #list // 2
	local left = merge_sort(table.move(list, 1, half, 1, {}))
	local right = merge_sort(table.move(list, half + 1, #list, 1, {}))
	local out, i, j = {}, 1, 1
	while left[i] and right[j] do
		if right[j] < left[i] then
			out[#out + 1], j = right[j], j + 1
		else
			out[#out + 1], i = left[i], i + 1
		end
	end
	table.move(left, i, #left, #out + 1, out)
	return table.move(right, j, #right, #out + 1, out)
end

local function sieve(n)
	local composite, primes = {}, {}
	for i = 2, n do
		if not composite[i] then
			primes[#primes + 1] = i
			for j = i * i, n, i do
				composite[j] = true
			end
		end
	end
	return primes
end

local function multiply(a, b)
	local n, out = #a, {}
	for i = 1, n do
		local row = {}
		for j = 1, n do
			local sum = 0
			for k = 1, n do
				sum = sum + a[i][k] * b[k][j]
			end
			row[j] = sum % 10007
		end
		out[i] = row
	end
	return out
end

local function push(heap, item)
	local i = #heap + 1
	while i > 1 and item.cost < heap[i // 2].cost do
		heap[i], i = heap[i // 2], i // 2
	end
	heap[i] = item
end

local function pop(heap)
	local top, item = heap[1], table.remove(heap)
	local i = 1
	while heap[1] do
		local child = 2 * i
		if heap[child + 1] and heap[child + 1].cost < heap[child].cost then
			child = child + 1
		end
		if not heap[child] or item.cost <= heap[child].cost then
			heap[i] = item
			break
		end
		heap[i], i = heap[child], child
	end
	return top
end

-- Dijkstra's shortest paths over a graph of n nodes.
local function shortest(n)
	local cost, heap = { [0] = 0 }, {}
	push(heap, { node = 0, cost = 0 })
	while heap[1] do
		local here = pop(heap)
		if here.cost == cost[here.node] then
			for step = 1, 4 do
				local to = (here.node * step + 7 * step) % n
				local new = here.cost + (here.node * 31 + step * 17) % 23 + 1
				if not cost[to] or new < cost[to] then
					cost[to] = new
					push(heap, { node = to, cost = new })
				end
			end
		end
	end
	local reached, sum = 0, 0
	for node = 0, n - 1 do
		if cost[node] then
			reached, sum = reached + 1, sum + cost[node]
		end
	end
	return reached, sum
end

for round = 1, 12 do
	local list = numbers(20000)
	local copy = table.move(list, 1, #list, 1, {})
	table.sort(list)
	assert(in_order(list, function(a, b) return a < b end))
	local merged = merge_sort(copy)
	for i = 1, #list do
		assert(list[i] == merged[i])
	end
	table.sort(copy, function(a, b) return a % 1000 > b % 1000 or a % 1000 == b % 1000 and a < b end)
	print(("round %d: least %d, middle %d, most %d, first by thousands %d"):format(round,
		list[1], list[#list // 2], list[#list], copy[1]))
end
local primes = sieve(400000)
print(#primes, primes[#primes])
local m = {}
for i = 1, 60 do
	m[i] = {}
	for j = 1, 60 do
		m[i][j] = (i * j) % 13
	end
end
for _ = 1, 6 do
	m = multiply(m, m)
end
print(m[1][1], m[30][31], m[60][60])
print(shortest(20000))
local names = {}
for i = 1, 6000 do
	names[i] = ("n%05d"):format(random(100000))
end
table.sort(names, function(a, b) return a:reverse() < b:reverse() end)
print(names[1], names[#names], table.concat(names, " ", 100, 104))
print(pcall(table.sort, { 3, 1, "x" }))
print(select(-2, table.unpack({ 1, 2, 3, 4 }, 2)))
