-- SPDX-License-Identifier: MIT
-- A JSON parser and writer: documents are made, written, read back, compared,
-- changed; broken ones are refused at the right place.

local escapes = {
	['"'] = '"', ["\\"] = "\\", ["/"] = "/",
	b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}
local written = {}
for short, char in pairs(escapes) do
	if char ~= "/" then
		written[char] = "\\" .. short
	end
end

local Parser = {}
Parser.__index = Parser

function Parser:fail(what)
	error(("%s at byte %d"):format(what, self.at), 0)
end

function Parser:skip()
	self.at = self.text:find("[^ \t\r\n]", self.at) or #self.text + 1
	return self.text:sub(self.at, self.at)
end

function Parser:expect(char)
	if self:skip() ~= char then
		self:fail("expected '" .. char .. "'")
	end
	self.at = self.at + 1
end

function Parser:string()
	local parts = {}
	self:expect('"')
	while true do
		local stop = self.text:find('["\\]', self.at)
		if not stop then
			self:fail("string without an end")
		end
		parts[#parts + 1] = self.text:sub(self.at, stop - 1)
		self.at = stop + 1
		if self.text:byte(stop) == 34 then
			return table.concat(parts)
		end
		parts[#parts + 1] = self:escape()
	end
end

function Parser:escape()
	local char = self.text:sub(self.at, self.at)
	if char == "u" then
		local digits = self.text:match("^%x%x%x%x", self.at + 1)
		if not digits then
			self:fail("bad \\u")
		end
		self.at = self.at + 5
		return utf8.char(tonumber(digits, 16))
	end
	if not escapes[char] then
		self:fail("bad escape")
	end
	self.at = self.at + 1
	return escapes[char]
end

function Parser:number()
	local text = self.text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", self.at)
	local number = text and tonumber(text)
	if not number then
		self:fail("bad number")
	end
	self.at = self.at + #text
	return number
end

function Parser:array()
	local array = {}
	self:expect("[")
	if self:skip() == "]" then
		self.at = self.at + 1
		return array
	end
	while true do
		array[#array + 1] = self:value()
		if self:skip() == "]" then
			self.at = self.at + 1
			return array
		end
		self:expect(",")
	end
end

function Parser:object()
	local object = {}
	self:expect("{")
	if self:skip() == "}" then
		self.at = self.at + 1
		return object
	end
	while true do
		self:skip()
		local key = self:string()
		self:expect(":")
		object[key] = self:value()
		if self:skip() == "}" then
			self.at = self.at + 1
			return object
		end
		self:expect(",")
	end
end

local words = { ["true"] = true, ["false"] = false, null = "null" }

function Parser:value()
	local char = self:skip()
	if char == "{" then
		return self:object()
	elseif char == "[" then
		return self:array()
	elseif char == '"' then
		return self:string()
	elseif char:find("[%d-]") then
		return self:number()
	end
	local word = self.text:match("^%a+", self.at)
	if not word or words[word] == nil then
		self:fail("expected a value")
	end
	self.at = self.at + #word
	return words[word]
end

local function parse(text)
	local parser = setmetatable({ text = text, at = 1 }, Parser)
	local value = parser:value()
	if parser:skip() ~= "" then
		parser:fail("text after the value")
	end
	return value
end

local function sorted_keys(object)
	local keys = {}
	for key in pairs(object) do
		keys[#keys + 1] = key
	end
	table.sort(keys)
	return keys
end

local write

local function write_object(object, out)
	out[#out + 1] = "{"
	for i, key in ipairs(sorted_keys(object)) do
		out[#out + 1] = i > 1 and "," or ""
		write(key, out)
		out[#out + 1] = ":"
		write(object[key], out)
	end
	out[#out + 1] = "}"
end

local function write_array(array, out)
	out[#out + 1] = "["
	for i, value in ipairs(array) do
		out[#out + 1] = i > 1 and "," or ""
		write(value, out)
	end
	out[#out + 1] = "]"
end

function write(value, out)
	local kind = type(value)
	if kind == "table" then
		if next(value) == nil or value[1] ~= nil then
			write_array(value, out)
		else
			write_object(value, out)
		end
	elseif kind == "string" then
		out[#out + 1] = '"' .. value:gsub('[%c"\\]', written) .. '"'
	else
		out[#out + 1] = tostring(value)
	end
end

local function to_json(value)
	local out = {}
	write(value, out)
	return table.concat(out)
end

local function record(i)
	return {
		id = i,
		name = ("user \"%d\"\t<%x>"):format(i, i * 2654435761 & 0xffffff),
		scores = { i % 7, i * 0.25, -i, (i * i) % 1009 },
		tags = { "a" .. i % 3, "b" .. i % 5, "line\n" .. i },
		address = { street = "No. " .. i % 90, city = "C" .. i % 17, far = i % 2 == 0 },
	}
end

local function checksum(text)
	local sum = 0
	for i = 1, #text, 61 do
		sum = (sum * 31 + text:byte(i)) & 0xffffffff
	end
	return sum
end

local list = {}
for i = 1, 250 do
	list[i] = record(i)
end
for round = 1, 60 do
	local text = to_json(list)
	local again = parse(text)
	assert(to_json(again) == text, "what was read is not what was written")
	again[round].name = "changed in round " .. round .. " \\ \u{e9}"
	again[round].scores[2] = round / 8
	list = again
	if round % 12 == 0 then
		print(("round %2d: %d bytes, checksum %08x"):format(round, #text, checksum(text)))
	end
end
print(parse('["\\u00e9", "\\u20ac", 1e3, -0.5, [], {}, null]')[2])
for _, broken in ipairs { "", "[1,", '{"a" 1}', '"\\x"', "nul", "[1] 2", '"open', '"\\u12"', "-" } do
	print(select(2, pcall(parse, broken)))
end
