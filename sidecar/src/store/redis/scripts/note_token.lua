-- Notes that a key signs a token, if the key is still there. KEYS: the hash. ARGV: the key's id, the token's exp.
if redis.call('HEXISTS', KEYS[1], 'key|' .. ARGV[1]) == 0 then
  return 0
end
local field = 'end|' .. ARGV[1]
local present = tonumber(redis.call('HGET', KEYS[1], field) or '') or 0
if tonumber(ARGV[2]) > present then
  redis.call('HSET', KEYS[1], field, ARGV[2])
end
return 1
