-- SPDX-License-Identifier: MIT
-- Arithmetic: a lexer, a precedence climbing parser, an evaluator of trees, a
-- compiler to closures and Lua's own compiler; all three must agree.

local function lex(text)
	local tokens, at = {}, 1
	while true do
		at = text:find("%S", at)
		if not at then
			return tokens
		end
		local token = text:match("^%d+%.?%d*", at) or text:match("^[%a_][%w_]*", at)
			or text:match("^[-+*/%%^()?:<>,]", at)
		if not token then
			error(("unknown character '%s' at %d"):format(text:sub(at, at), at), 0)
		end
		tokens[#tokens + 1] = token
		at = at + #token
	end
end

local levels = {
	["<"] = 1, [">"] = 1, ["+"] = 2, ["-"] = 2, ["*"] = 3, ["/"] = 3, ["%"] = 3, ["^"] = 5,
}

local operators = {
	["+"] = function(a, b) return a + b end,
	["-"] = function(a, b) return a - b end,
	["*"] = function(a, b) return a * b end,
	["/"] = function(a, b)
		if b == 0 then
			error({ kind = "division", by = b })
		end
		return a / b
	end,
	["%"] = function(a, b) return math.fmod(a, b) end,
	["^"] = function(a, b) return a ^ b end,
	["<"] = function(a, b) return a < b and 1 or 0 end,
	[">"] = function(a, b) return a > b and 1 or 0 end,
}

local functions = { min = math.min, max = math.max, abs = math.abs, floor = math.floor }

local expression

local function arguments(tokens, at)
	local args = {}
	repeat
		args[#args + 1], at = expression(tokens, at + 1, 1)
	until tokens[at] ~= ","
	if tokens[at] ~= ")" then
		error("expected ) but found " .. tostring(tokens[at]), 0)
	end
	return args, at + 1
end

local function primary(tokens, at)
	local token = tokens[at]
	if token == "-" then
		local operand, after = expression(tokens, at + 1, 4)
		return { op = "-", { number = 0.0 }, operand }, after
	elseif token == "(" then
		local args, after = arguments(tokens, at)
		return args[1], after
	elseif token and token:find("^%d") then
		return { number = tonumber(token) + 0.0 }, at + 1
	elseif token and token:find("^[%a_]") then
		if tokens[at + 1] == "(" then
			local args, after = arguments(tokens, at + 1)
			return { call = token, args = args }, after
		end
		return { name = token }, at + 1
	end
	error("expected an operand but found " .. tostring(token), 0)
end

function expression(tokens, at, level)
	local left
	left, at = primary(tokens, at)
	while true do
		local op = tokens[at]
		local own = levels[op]
		if not own or own < level then
			return left, at
		end
		local right
		right, at = expression(tokens, at + 1, op == "^" and own or own + 1)
		left = { op = op, left, right }
	end
end

local function parse(text)
	local tokens = lex(text)
	local tree, at = expression(tokens, 1, 1)
	if tokens[at] then
		error("unexpected " .. tokens[at], 0)
	end
	return tree
end

local function evaluate(tree, env)
	if tree.number then
		return tree.number
	elseif tree.name then
		return env[tree.name] or error("no variable " .. tree.name, 0)
	elseif tree.call then
		local args = {}
		for i, arg in ipairs(tree.args) do
			args[i] = evaluate(arg, env)
		end
		return functions[tree.call](table.unpack(args))
	end
	return operators[tree.op](evaluate(tree[1], env), evaluate(tree[2], env))
end

local function compile(tree)
	if tree.number then
		local number = tree.number
		return function() return number end
	elseif tree.name then
		local name = tree.name
		return function(env) return env[name] or error("no variable " .. name, 0) end
	elseif tree.call then
		local fn, a, b = functions[tree.call], compile(tree.args[1]), tree.args[2]
		b = b and compile(b) or function() end
		return function(env) return fn(a(env), b(env)) end
	end
	local op, a, b = operators[tree.op], compile(tree[1]), compile(tree[2])
	return function(env) return op(a(env), b(env)) end
end

local texts = {
	"a + b * c - d / 4",
	"(a + b) * (c - d) ^ 2 / 7",
	"-a ^ 2 + max(b, c * 2) - min(d, 3)",
	"floor(a * 1000 % 17) + abs(b - c * d)",
	"2 ^ 3 ^ 2 - a * (b + (c - (d + 1)))",
}
local natives = {
	"a + b * c - d / 4",
	"(a + b) * (c - d) ^ 2 / 7",
	"-a ^ 2 + math.max(b, c * 2) - math.min(d, 3)",
	"math.floor(math.fmod(a * 1000, 17)) + math.abs(b - c * d)",
	"2 ^ 3 ^ 2 - a * (b + (c - (d + 1)))",
}

local total = 0
for round = 1, 12000 do
	local env = { a = round / 3, b = 17.0 - round % 11, c = round % 5 + 0.5, d = round % 13 + 1.0 }
	for i, text in ipairs(texts) do
		local tree = parse(text)
		local by_tree = evaluate(tree, env)
		local by_closure = compile(tree)(env)
		local by_lua = load("return " .. natives[i], "native", "t",
			setmetatable({ math = math }, { __index = env }))()
		assert(by_tree == by_closure and by_tree == by_lua, text)
		total = total + by_tree
	end
end
print(("total %.6f"):format(total))

for _, text in ipairs { "1 +", "2 $ 3", "(1", "a b", "missing * 2", "max(1, 2" } do
	print(text, select(2, pcall(function()
		return evaluate(parse(text), { a = 1.0 })
	end)))
end
local _, problem = pcall(evaluate, parse("1 / (2 - 2)"), {})
print(problem.kind, problem.by)
local depth = 0
local ok, trace = xpcall(function()
	local function dive(n)
		depth = depth + 1
		if n == 0 then
			error("bottom", 0)
		end
		return 1 + dive(n - 1)
	end
	return dive(150)
end, function(message)
	return message .. " after " .. depth
end)
print(ok, trace)
print(pcall(string.rep, "x", -1), select("#", pcall(error)))
