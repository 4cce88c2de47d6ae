-- SPDX-License-Identifier: MIT
-- Some of all that an interpreter does, in some ten milliseconds; the result is
-- a string that depends on nothing but this text.

local sum, parts = 0, {}

local function mix(a, b)
	return (a * 31 + b) % 2147483647
end

-- tables, sorting, closures
local list = {}
for i = 1, 400 do
	list[i] = (i * 7919) % 1009
end
table.sort(list, function(a, b) return a < b end)
for i, v in ipairs(list) do
	sum = mix(sum, v * i)
end

-- strings, patterns
local text = {}
for i = 1, 200 do
	text[#text + 1] = ("word%d=%x;"):format(i, i * i)
end
for name, value in table.concat(text):gmatch("(%w+)=(%x+);") do
	sum = mix(sum, #name + tonumber(value, 16))
end
parts[#parts + 1] = table.concat(text):gsub("%d", "#"):sub(1, 40)

-- floating point, coroutines, errors, garbage
local function numbers(n)
	return coroutine.wrap(function()
		for i = 1, n do
			coroutine.yield(math.sqrt(i) * 1.5)
		end
	end)
end
local total = 0.0
for x in numbers(300) do
	total = total + x
end
parts[#parts + 1] = ("%.9f"):format(total)
for i = 1, 50 do
	local ok, message = pcall(error, { code = i })
	sum = mix(sum, ok and 0 or message.code)
	sum = mix(sum, step())
end
collectgarbage("collect")

parts[#parts + 1] = tostring(sum)
return table.concat(parts, "|")
