-- Removes entries that are over, if they are still what the caller saw.
-- KEYS: entries, bans. ARGV: field, value, field, value, …
local removed = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
    local name = string.match(ARGV[i], '^ban|(.*)$')
    if name then
      redis.call('ZREM', KEYS[2], name)
    end
  end
end
return removed
