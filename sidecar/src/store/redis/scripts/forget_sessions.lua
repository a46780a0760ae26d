-- Takes sessions out of every list. Answers how many were in them.
-- KEYS: entries, users, texts, used, begun, ends. ARGV: ids.
local forgotten = 0
for _, id in ipairs(ARGV) do
  local entry = redis.call('HGET', KEYS[1], id)
  if entry then
    local owner, member = string.match(entry, '^([^\1]*)\1(.*)$')
    redis.call('ZREM', KEYS[3], member)
    if tonumber(redis.call('ZINCRBY', KEYS[2], -1, owner)) <= 0 then
      redis.call('ZREM', KEYS[2], owner)
    end
    redis.call('HDEL', KEYS[1], id)
    forgotten = forgotten + 1
  end
  for list = 4, 6 do
    redis.call('ZREM', KEYS[list], id)
  end
end
return forgotten
