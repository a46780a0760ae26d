-- Puts a token into every order.
-- KEYS: created, expires, used, email, name. ARGV: id, created_at, expires_at, last_used, email's member, name's member.
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], 'GT', ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[5])
redis.call('ZADD', KEYS[5], 0, ARGV[6])
