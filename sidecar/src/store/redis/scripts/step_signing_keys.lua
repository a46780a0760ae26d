-- Takes one step with the signing keys, if they still are as whoever decided on it saw them.
-- KEYS: the hash. ARGV: its version then; the version from now on; how many keys are put; for each of them its id, its
-- JSON, and the end of its last token ('' if it had none); for each that goes its id, the end of its last token then
-- ('' if it had none, 'any' if that is of no concern), and the moment before which it must not go (Unix seconds).
-- Answers 1 if it is taken, 0 if not, 2 if it is too early.
local hash = KEYS[1]
if (redis.call('HGET', hash, 'version') or '') ~= ARGV[1] then
  return 0
end
local first_gone = 4 + 3 * tonumber(ARGV[3])
-- A sidecar with a wrong clock must not refuse everybody's tokens: both clocks have to agree.
local now = tonumber(redis.call('TIME')[1])
for i = first_gone, #ARGV, 3 do
  if ARGV[i + 1] ~= 'any' and (redis.call('HGET', hash, 'end|' .. ARGV[i]) or '') ~= ARGV[i + 1] then
    return 0
  end
  if now < tonumber(ARGV[i + 2]) then
    return 2
  end
end
for i = 4, first_gone - 1, 3 do
  redis.call('HSET', hash, 'key|' .. ARGV[i], ARGV[i + 1])
  -- A later token may have been noted since.
  if ARGV[i + 2] ~= '' and tonumber(ARGV[i + 2]) > (tonumber(redis.call('HGET', hash, 'end|' .. ARGV[i]) or '') or 0) then
    redis.call('HSET', hash, 'end|' .. ARGV[i], ARGV[i + 2])
  end
end
for i = first_gone, #ARGV, 3 do
  redis.call('HDEL', hash, 'key|' .. ARGV[i], 'end|' .. ARGV[i])
end
redis.call('HSET', hash, 'version', ARGV[2])
return 1
