-- Loops that LuaJIT compiles, its FFI, coroutines, and errors across compiled frames.
local ffi = require("ffi")
local sum = 0
for i = 1, 2e7 do sum = sum + i % 7 end
print(sum, jit.version_num > 20000, jit.status() == true)
local a = ffi.new("double[?]", 1000)
for i = 0, 999 do a[i] = i * 0.5 end
local s = 0
for k = 1, 2000 do for i = 0, 999 do s = s + a[i] end end
print(s)
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(co(), co(), co())
local function thrower(n) if n == 0 then error("deep") end return thrower(n - 1) + 1 end
local failures = 0
for i = 1, 300 do if not pcall(thrower, i % 50) then failures = failures + 1 end end
print(failures, ("abc"):rep(3):gsub("b", "x"))
