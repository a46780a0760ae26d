-- Notes one more exchange of a token, if it may be exchanged. Answers until when it is good, or 0.
-- KEYS: the token's exchange. ARGV: family, for how many seconds it is good, its end, until when this is remembered, how
-- often at most, whether its revocation is in line (1 or 0).
if redis.call('HEXISTS', KEYS[1], 'retired') == 1 then
  return 0
end
local now = tonumber(redis.call('TIME')[1])
local good_until = tonumber(redis.call('HGET', KEYS[1], 'good_until'))
if good_until and good_until <= now then
  if ARGV[6] == '1' then
    return 0
  end
  -- Its end came, and nobody is to revoke it: an exchange that was cut short. It begins anew.
  good_until = nil
end
if redis.call('HINCRBY', KEYS[1], 'count', 1) > tonumber(ARGV[5]) then
  return 0
end
if not good_until then
  good_until = math.min(now + tonumber(ARGV[2]), tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'family', ARGV[1], 'good_until', string.format('%.0f', good_until))
end
-- The token of an exchange before may live longer than that of this one.
if tonumber(ARGV[4]) > redis.call('EXPIRETIME', KEYS[1]) then
  redis.call('EXPIREAT', KEYS[1], ARGV[4])
end
return good_until
