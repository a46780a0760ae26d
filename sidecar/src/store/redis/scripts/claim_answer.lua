-- Says what is known of a call with an Idempotency-Key, and claims it if nothing is.
-- KEYS: the call, its caller's calls. ARGV: fingerprint, claim, the claim's life in ms, how long calls are kept in ms,
-- how many of a caller, the call's name among its caller's.
local known = redis.call('HMGET', KEYS[1], 'fingerprint', 'claim', 'answer')
if known[1] then
  if known[1] ~= ARGV[1] then return {'another'} end
  if known[2] then return {'running'} end
  return {'answered', known[3] or ''}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
-- The oldest goes, one for each that comes: rarely more than one, after the bound was lowered.
local over = redis.call('ZCARD', KEYS[2]) - ARGV[5] + 1
if over > 0 then
  for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, math.min(over, 100) - 1)) do
    redis.call('DEL', KEYS[2] .. ':' .. name)
    redis.call('ZREM', KEYS[2], name)
  end
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'claim', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'claimed'}
