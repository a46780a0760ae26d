-- Lets tokens join a family, unless it is sealed. Answers whether they did.
-- KEYS: the family. ARGV: until when it is remembered, at least; what seals it; token ids.
if redis.call('SISMEMBER', KEYS[1], ARGV[2]) == 1 then
  return 0
end
for i = 3, #ARGV do
  redis.call('SADD', KEYS[1], ARGV[i])
end
if tonumber(ARGV[1]) > redis.call('EXPIRETIME', KEYS[1]) then
  redis.call('EXPIREAT', KEYS[1], ARGV[1])
end
return 1
