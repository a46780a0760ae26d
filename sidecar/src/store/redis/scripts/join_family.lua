-- Lets tokens join a family, unless it is sealed. Answers whether they did. Those that ended leave it.
-- KEYS: the family. ARGV: what seals it; then for each token its member and until when it is remembered.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
local last = redis.call('EXPIRETIME', KEYS[1])
for i = 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'GT', ARGV[i + 1], ARGV[i])
  last = math.max(last, tonumber(ARGV[i + 1]))
end
redis.call('EXPIREAT', KEYS[1], string.format('%.0f', last))
return 1
