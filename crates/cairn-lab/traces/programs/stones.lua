local t = {}
for i = 1, 3000 do t[i] = { name = "stone" .. i, weight = (i * 7919) % 1009, marks = { i, i + 1 } } end
table.sort(t, function(a, b) return a.weight < b.weight or (a.weight == b.weight and a.name < b.name) end)
local out = {}
for i = 1, #t, 2 do out[#out + 1] = t[i].name:rep(t[i].weight % 5 + 1) end
t = nil; collectgarbage()
print(#table.concat(out, ","))
