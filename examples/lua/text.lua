-- SPDX-License-Identifier: MIT
-- Text: a story is made of a word list by a fixed random sequence; it is
-- counted, wrapped, changed by patterns, packed and unpacked.

local seed = 42
local function random(n)
	seed = (seed * 1103515245 + 12345) & 0x7fffffff
	return (seed >> 8) % n + 1
end

local words = {}
for word in ([[the quick tracer looks at every function that a program calls and while it
	runs writes five bytes into the text so that each call first visits a handler which counts
	it nothing is lost nothing is torn the program never knows]]):gmatch("%a+") do
	words[#words + 1] = word
end

local function story(n)
	local out = {}
	for i = 1, n do
		local word = words[random(#words)]
		out[i] = i % 11 == 1 and word:gsub("^%l", string.upper) or word
		if i % 11 == 0 then
			out[i] = out[i] .. "."
		end
	end
	return table.concat(out, " ")
end

local function count(text)
	local counts, order = {}, {}
	for word in text:lower():gmatch("%a+") do
		if not counts[word] then
			counts[word] = 0
			order[#order + 1] = word
		end
		counts[word] = counts[word] + 1
	end
	table.sort(order, function(a, b)
		return counts[a] > counts[b] or counts[a] == counts[b] and a < b
	end)
	return counts, order
end

local function wrap(text, width)
	local lines, line = {}, ""
	for word in text:gmatch("%S+") do
		if #line + #word + 1 > width then
			lines[#lines + 1] = line
			line = word
		else
			line = line == "" and word or line .. " " .. word
		end
	end
	lines[#lines + 1] = line
	return lines
end

-- Runs of one character become the character and a number.
local function squeeze(text)
	local out, at = {}, 1
	while at <= #text do
		local char = text:sub(at, at)
		local stop = at
		while text:byte(stop + 1) == char:byte() do
			stop = stop + 1
		end
		out[#out + 1] = stop > at and char .. stop - at + 1 or char
		at = stop + 1
	end
	return table.concat(out)
end

local function rot13(text)
	return (text:gsub("%a", function(char)
		local base = char:find("%l") and 97 or 65
		return string.char((char:byte() - base + 13) % 26 + base)
	end))
end

local function adler(text)
	local a, b = 1, 0
	for i = 1, #text do
		a = (a + text:byte(i)) % 65521
		b = (b + a) % 65521
	end
	return b << 16 | a
end

for chapter = 1, 110 do
	local text = story(2200)
	local counts, order = count(text)
	local lines = wrap(text, 72)
	local crypt = rot13(text)
	assert(rot13(crypt) == text)
	local swapped = text:gsub("(%a+) (%a+)", "%2 %1"):gsub("%f[%a]%a%f[%A]", "[%0]")
	local packed = string.pack("<I4s4z", adler(text), crypt, swapped)
	local sum, part = string.unpack("<I4s4", packed)
	assert(sum == adler(rot13(part)))
	if chapter % 22 == 0 then
		print(("chapter %3d: %5d bytes %3d lines adler %08x, %-8s %4d, %q"):format(chapter,
			#text, #lines, sum, order[1], counts[order[1]], lines[#lines]:sub(-9)))
		print(("  %s %08x"):format(squeeze(text):sub(1, 40), adler(swapped)))
	end
end
print(("%5.2f|%-6s|%06d|%+.3e|%x|%c|%a|%i|%%"):format(3.14159, "left", 42, 12345.678, 255, 65, 1, 7))
print(("a,b;;c"):gsub("[,;]", { [","] = "<comma>" }))
print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
print(utf8.len("na\u{ef}ve \u{2192} \u{1f600}"), ("x"):rep(5, "-"), ("stressed"):reverse())
