-- Puts a session into every list, or tells the lists anew what they hold of it.
-- KEYS: entries, users, texts, used, begun, ends. ARGV: id, owner, the member of texts, last access, begin, the end of its
-- record. An entry is the owner, a separator and that member: what must be taken out once the session is gone.
local entry = ARGV[2] .. '\1' .. ARGV[3]
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before ~= entry then
  if before then
    local owner, member = string.match(before, '^([^\1]*)\1(.*)$')
    redis.call('ZREM', KEYS[3], member)
    if tonumber(redis.call('ZINCRBY', KEYS[2], -1, owner)) <= 0 then
      redis.call('ZREM', KEYS[2], owner)
    end
  end
  redis.call('HSET', KEYS[1], ARGV[1], entry)
  redis.call('ZADD', KEYS[3], 0, ARGV[3])
  redis.call('ZINCRBY', KEYS[2], 1, ARGV[2])
end
redis.call('ZADD', KEYS[4], 'GT', ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[6], 'GT', ARGV[6], ARGV[1])
