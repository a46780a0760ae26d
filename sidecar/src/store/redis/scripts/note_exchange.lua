-- Notes one more exchange of a token, if it may be exchanged. Answers until when it is good, or 0.
-- KEYS: the token's exchange. ARGV: family, good until, now, until when this is remembered, how often at most.
local good_until = tonumber(redis.call('HGET', KEYS[1], 'good_until'))
if good_until and good_until <= tonumber(ARGV[3]) then
  -- Its end came, and nobody revoked it: an exchange that was cut short. It begins anew.
  good_until = nil
end
if redis.call('HINCRBY', KEYS[1], 'count', 1) > tonumber(ARGV[5]) then
  return 0
end
if not good_until then
  good_until = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'family', ARGV[1], 'good_until', ARGV[2])
end
redis.call('EXPIREAT', KEYS[1], ARGV[4])
return good_until
