-- Takes one of somebody's places for tokens, if one is free; what has expired frees its place.
-- KEYS: the places. ARGV: token id, its end, now, how many places there are.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
  return 0
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
-- Another program's token may end when no key can.
redis.call('EXPIREAT', KEYS[1], string.format('%.0f', math.min(tonumber(last[2]), 253402300799)))
return 1
