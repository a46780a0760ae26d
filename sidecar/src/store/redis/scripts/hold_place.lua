-- Gives a token its place until it ends, whether there is one or not.
-- KEYS: the places. ARGV: token id, its end.
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if tonumber(ARGV[2]) > redis.call('EXPIRETIME', KEYS[1]) then
  redis.call('EXPIREAT', KEYS[1], ARGV[2])
end
