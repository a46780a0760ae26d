-- Takes members out of an order by text whose tokens are in no order by time any more.
-- KEYS: created, the order by text. ARGV: members, which end with a separator and the token's id.
local removed = 0
for _, member in ipairs(ARGV) do
  local id = string.match(member, '([^\1]*)$')
  if not redis.call('ZSCORE', KEYS[1], id) then
    removed = removed + redis.call('ZREM', KEYS[2], member)
  end
end
return removed
