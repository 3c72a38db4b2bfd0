-- About a second of what Lua programs do: tables of tables, strings built and cut, closures, a small parser.
-- The last line is a checksum: it must be the same on every allocator. The argument is the number of rounds.
local rounds = tonumber(arg and arg[1]) or 10

local function serialize(value, out)
  local kind = type(value)
  if kind == "table" then
    if #value > 0 then
      out[#out + 1] = "["
      for i, entry in ipairs(value) do
        if i > 1 then out[#out + 1] = "," end
        serialize(entry, out)
      end
      out[#out + 1] = "]"
    else
      local keys = {}
      for key in pairs(value) do keys[#keys + 1] = key end
      table.sort(keys)
      out[#out + 1] = "{"
      for i, key in ipairs(keys) do
        if i > 1 then out[#out + 1] = "," end
        out[#out + 1] = '"' .. key .. '":'
        serialize(value[key], out)
      end
      out[#out + 1] = "}"
    end
  elseif kind == "string" then
    out[#out + 1] = '"' .. value .. '"'
  else
    out[#out + 1] = tostring(value)
  end
end

local parse
local function parse_list(text, at, close, entry)
  local result = {}
  if text:sub(at, at) == close then return result, at + 1 end
  while true do
    at = entry(result, at)
    local mark = text:sub(at, at)
    at = at + 1
    if mark == close then return result, at end
  end
end

function parse(text, at)
  local first = text:sub(at, at)
  if first == "[" then
    return parse_list(text, at + 1, "]", function(result, where)
      local value, after = parse(text, where)
      result[#result + 1] = value
      return after
    end)
  elseif first == "{" then
    return parse_list(text, at + 1, "}", function(result, where)
      local key, after = text:match('^"([^"]*)":()', where)
      local value
      value, after = parse(text, after)
      result[key] = value
      return after
    end)
  elseif first == '"' then
    return text:match('^"([^"]*)"()', at)
  end
  local number, after = text:match("^(-?[%d.]+)()", at)
  return tonumber(number), after
end

local function record(n)
  return {
    id = n,
    name = "stone " .. (n * 7919 % 10007),
    tags = { "tag" .. n % 3, "tag" .. n % 5, "tag" .. n % 7 },
    place = { x = n * 3, y = -n, note = ("n"):rep(n % 60) },
  }
end

local check, kept = 0, {}
for round = 1, rounds do
  local records = {}
  for n = 1, 3000 do records[n] = record(round * 11 + n) end
  local out = {}
  serialize(records, out)
  local text = table.concat(out)
  local again = parse(text, 1)
  local count = {}
  for _, entry in ipairs(again) do
    for word in (entry.name .. " " .. table.concat(entry.tags, " ")):gmatch("%S+") do
      count[word] = (count[word] or 0) + 1
    end
    check = (check * 31 + #entry.place.note + entry.id) % 1000000007
  end
  local words = {}
  for word, times in pairs(count) do words[#words + 1] = word .. "=" .. times end
  table.sort(words)
  local joined = table.concat(words, " "):gsub("stone", "rock")
  for i = 1, #joined, 97 do check = (check * 31 + joined:byte(i)) % 1000000007 end
  local chain = {}
  for n = 1, 20000 do
    local before = chain
    chain = { before = before, value = function() return n end }
  end
  kept[round % 3 + 1] = { again, chain }
end
print(check)
