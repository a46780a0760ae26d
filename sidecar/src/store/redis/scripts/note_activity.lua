-- Adds what somebody did. Answers when they count as active no more, and whether the other keys are to be written, too,
-- which is the case once in a while for each token.
-- KEYS: the user's hash. ARGV: last access, requests, method, address or '', token id or '', life, how seldom.
local at = tonumber(ARGV[1])
local seen = tonumber(redis.call('HGET', KEYS[1], 'last_access'))
redis.call('HINCRBY', KEYS[1], 'requests', ARGV[2])
if not seen then
  redis.call('HSET', KEYS[1], 'first_access', at, 'expires_at', at + ARGV[6])
  redis.call('EXPIREAT', KEYS[1], at + ARGV[6])
end
if not seen or at >= seen then
  redis.call('HSET', KEYS[1], 'last_access', at, 'method', ARGV[3])
  if ARGV[4] ~= '' then
    redis.call('HSET', KEYS[1], 'address', ARGV[4])
  end
end
local written = tonumber(redis.call('HGET', KEYS[1], 'token:' .. ARGV[5]))
if written and at < written + ARGV[7] then
  return {0, 0}
end
redis.call('HSET', KEYS[1], 'token:' .. ARGV[5], at)
return {1, tonumber(redis.call('HGET', KEYS[1], 'expires_at')) or 0}
