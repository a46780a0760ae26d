-- Adds what somebody did. Answers what is to be written besides, and when they count as active no more.
-- 0: nothing. 1: everything, which is the case once in a while for each token. There may be too many of them: then 2, that
-- the token was used; or 3, everything but that it is in use.
-- KEYS: the user's hash. ARGV: last access, requests, method, address or '', token id or '', life, how seldom, most fields.
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
local field, has_room = 'token:' .. ARGV[5], true
local written = tonumber(redis.call('HGET', KEYS[1], field))
if not written and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[8]) then
  -- Whoever comes with another token each time fills no memory with them: the rest shares a field.
  field, has_room = 'token:', false
  written = tonumber(redis.call('HGET', KEYS[1], field))
end
if written and at < written + ARGV[7] then
  return {has_room and 0 or 2, 0}
end
redis.call('HSET', KEYS[1], field, at)
return {has_room and 1 or 3, tonumber(redis.call('HGET', KEYS[1], 'expires_at')) or 0}
