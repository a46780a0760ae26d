-- Takes members out of sorted sets whose time is over. Answers how many there were.
-- KEYS: the set whose scores are the ends, other sets of the same members. ARGV: now, how many at most.
local ended = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
if #ended > 0 then
  for _, key in ipairs(KEYS) do
    redis.call('ZREM', key, unpack(ended))
  end
end
return #ended
