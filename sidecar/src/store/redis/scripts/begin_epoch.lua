-- Begins an epoch in place of the one that the caller saw, unless somebody else did already.
-- KEYS: epoch, version, stream. ARGV: old id ('' for none), new id, lineage, highest version known.
if (redis.call('HGET', KEYS[1], 'id') or '') == ARGV[1] then
  -- Numbers go on above every one that was ever used, so far as anybody remembers.
  local base = tonumber(redis.call('GET', KEYS[2]) or '0')
  local highest = tonumber(ARGV[4])
  if highest > 0 and highest + 1000 > base then
    base = highest + 1000
  end
  if redis.call('EXISTS', KEYS[3]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[3])
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        base = math.max(base, tonumber(string.match(info[i + 1], '^(%d+)')))
      end
    end
  end
  local text = string.format('%.0f', base)
  redis.call('SET', KEYS[2], text)
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'id', ARGV[2], 'lineage', ARGV[3], 'base', text,
    'begun_at_ms', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
end
return redis.call('HMGET', KEYS[1], 'id', 'lineage', 'base')
