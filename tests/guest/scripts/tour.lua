-- A tour of the language and its library: prints the same on every machine.
print(_VERSION, #arg, arg[1], arg[2])
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print("fib", fib(22))
local words = {}
for word in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do words[#words + 1] = word end
table.sort(words)
print(table.concat(words, ","))
print(("%5.2f|%-8s|%08x|%q"):format(math.pi, "left", 48879, "line\nbreak"))
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end return "done" end)
print(co(), co(), co(), co())
print(select(2, pcall(function() error({code = 42}) end)).code)
print(select(2, pcall(error, "message", 0)))
print(math.tointeger(3.0), 7 // 2, -7 // 2, 7 % -3, 1 << 40, 0xff ~ 0x0f, math.maxinteger + 1 == math.mininteger)
local meta = setmetatable({}, {__index = function(_, k) return k .. "!" end, __call = function(_, x) return x + 1 end, __close = function() print("closed") end})
print(meta.hello, meta(41))
do local guard <close> = meta end
local file = assert(io.open("tour.tmp", "wb"))
for i = 1, 1000 do file:write(i, "\n") end
file:close()
local total, lines = 0, 0
for line in io.lines("tour.tmp") do total = total + tonumber(line) lines = lines + 1 end
print("file", lines, total, os.remove("tour.tmp"))
print(os.remove("tour.tmp"))
print(utf8.char(72, 228, 8364, 128578), utf8.len("häß€"))
print(string.pack("<i4", 100):byte(1, -1))
print(load("return 1 +")) 
for i = 1, 3 do goto continue; print("never") ::continue:: end
print(#string.rep("ab", 100000, ","), collectgarbage("count") > 0)
print(os.getenv("SystemRoot") ~= nil, type(os.time()), os.date("!%Y-%m-%d", 86400))
