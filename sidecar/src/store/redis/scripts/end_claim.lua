-- Ends or renews a claim on a call with an Idempotency-Key, if it still holds.
-- KEYS: the call, its caller's calls. ARGV: claim, what to do, life in ms, the call's name among its caller's, answer.
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
if ARGV[2] == 'release' then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[4])
  return 1
end
if ARGV[2] == 'keep' then
  redis.call('HSET', KEYS[1], 'answer', ARGV[5])
  redis.call('HDEL', KEYS[1], 'claim')
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
