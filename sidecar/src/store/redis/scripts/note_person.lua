-- Puts what is new of somebody who is active together with what is known: in one step, since workers report the same
-- person at the same moment. KEYS: the user's JSON. ARGV: what is new, and what holds if nothing is known, as JSON; when they
-- count as active no more.
local function object(text)
  local is_json, value = pcall(cjson.decode, text)
  return is_json and type(value) == 'table' and value or nil
end
local text = redis.pcall('GET', KEYS[1])
local present = type(text) == 'string' and object(text) or nil
local known = present or {}
local before = tonumber(known.last_access) or 0
for name, value in pairs(object(ARGV[2])) do
  if known[name] == nil then
    known[name] = value
  end
end
for name, value in pairs(object(ARGV[1])) do
  known[name] = value
end
known.last_access = math.max(known.last_access, before)
if present then
  redis.call('SET', KEYS[1], cjson.encode(known), 'KEEPTTL')
else
  redis.call('SET', KEYS[1], cjson.encode(known), 'EXAT', ARGV[3])
end
return 1
