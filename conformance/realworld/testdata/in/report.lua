-- Everything here works without setjmp: no errors are caught and no coroutine yields.
local words, lines = {}, 0
for line in io.lines("in/page.md") do
  lines = lines + 1
  for w in line:lower():gmatch("%a+") do words[w] = (words[w] or 0) + 1 end
end
local order = {}
for w in pairs(words) do order[#order + 1] = w end
table.sort(order, function(a, b) return words[a] > words[b] or words[a] == words[b] and a < b end)
print(lines, #order)
for i = 1, 5 do print(("%-8s %3d"):format(order[i], words[order[i]])) end
print(1/3, 2^53, 10//3, -7 % 3, 7.0, 1e15, 1e16, math.maxinteger, 0x7fffffffffffffff + 1, 3 | 8, "10" + 5)
print(string.pack("<i4d", -2, 0.5):byte(1, -1))
print(utf8.len("漢字 é"), ("x"):rep(3, ","), ("%q"):format("a\n\"\0"), #arg, arg[1], arg[2])
local account = setmetatable({}, {__index = function(_, k) return k .. "!" end, __call = function(_, n) return n * 2 end, __close = nil})
print(account.hello, account(21), select("#", nil, nil), table.concat({1, 2, 3}, "-"), string.find("a.b", ".", 1, true))
local function sieve(n) local no, c = {}, 0 for i = 2, n do if not no[i] then c = c + 1 for j = i * i, n, i do no[j] = true end end end return c end
print(sieve(300000), os.time{year = 2024, month = 2, day = 29, hour = 12}, os.getenv("NO_SUCH_VARIABLE"))
for line in io.stdin:lines() do io.write(line:reverse(), "\n") end
os.exit(7)
