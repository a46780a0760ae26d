-- Takes one of somebody's places for tokens for a short while, if one is free; what has expired frees its place.
-- KEYS: the places. ARGV: token id, for how many seconds, how many places there are.
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
  return 0
end
local ends = now + tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], ends, ARGV[1])
if ends > redis.call('EXPIRETIME', KEYS[1]) then
  redis.call('EXPIREAT', KEYS[1], ends)
end
return 1
