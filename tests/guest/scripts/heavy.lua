-- Work for the translator: loops, tables, strings, closures, garbage.
local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for k = i * i, n, i do composite[k] = true end
    end
  end
  return count
end
print("primes", sieve(100000))
local function matrix(n, seed)
  local m = {}
  for i = 1, n do m[i] = {} for j = 1, n do m[i][j] = ((i * 31 + j * 17 + seed) % 100) / 10 end end
  return m
end
local a, b, trace = matrix(40, 1), matrix(40, 2), 0
for i = 1, 40 do for j = 1, 40 do local s = 0 for k = 1, 40 do s = s + a[i][k] * b[k][j] end if i == j then trace = trace + s end end end
print(("trace %.6f"):format(trace))
local parts = {}
for i = 1, 20000 do parts[#parts + 1] = tostring(i):reverse() end
local text = table.concat(parts)
local checksum = 0
for i = 1, #text do checksum = (checksum * 33 + text:byte(i)) % 4294967291 end
print("checksum", #text, checksum)
local function queens(n, row, columns, down, up)
  if row > n then return 1 end
  local found = 0
  for c = 1, n do
    if not columns[c] and not down[row + c] and not up[row - c + n] then
      columns[c], down[row + c], up[row - c + n] = true, true, true
      found = found + queens(n, row + 1, columns, down, up)
      columns[c], down[row + c], up[row - c + n] = nil, nil, nil
    end
  end
  return found
end
print("queens", queens(7, 1, {}, {}, {}))
for i = 1, 20000 do local t = {i, {i}, tostring(i)} end
collectgarbage()
print("memory settles", collectgarbage("count") < 20000)
