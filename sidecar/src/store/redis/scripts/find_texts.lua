-- Some members of an order by text, after which the next step goes on, and those of them in which a text is.
-- KEYS: the order by text. ARGV: the bound from which on, how many, the text.
local members = redis.call('ZRANGE', KEYS[1], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
local found = {}
for _, member in ipairs(members) do
  local _, last = string.find(member, ARGV[3], 1, true)
  -- Behind the last separator is the token's id, which is not looked into.
  if last and string.find(member, '\1', last + 1, true) then
    table.insert(found, member)
  end
end
return { members[#members] or '', found }
