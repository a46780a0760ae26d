-- Shared by the scripts that write to the feed (rule P1: number, stream entry and state in one step).
-- KEYS: epoch, version, stream, entries, bans.

-- What lies below a floor is not valid any more: tokens issued before a moment, older revisions of keys. Stored as
-- `issued_before`, after the first of the two.
local function has_floor(kind)
  return kind == 'not_before' or kind == 'keyset'
end

-- Who logged somebody out later may have the slower clock: of two floors the higher one holds.
local function keep_highest(kind, name, until_s, floor)
  local present = redis.call('HGET', KEYS[4], kind .. '|' .. name) or ''
  local ends, present_floor = string.match(present, '"until":(%d+),"issued_before":(%d+),')
  if ends and tonumber(ends) > tonumber(redis.call('TIME')[1]) then
    if tonumber(ends) > tonumber(until_s) then
      until_s = ends
    end
    if tonumber(present_floor) > tonumber(floor) then
      floor = present_floor
    end
  end
  return until_s, floor
end

-- A lift has until_s '0', and says when it was made.
local function write(kind, name, until_s, floor, lifted_at, was)
  if has_floor(kind) then
    until_s, floor = keep_highest(kind, name, until_s, floor)
  end
  local version = string.format('%.0f', redis.call('INCR', KEYS[2]))
  -- The stream comes before the state: if it refuses the number, readers see a gap and load anew.
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', '100000', version .. '-0',
    'kind', kind, 'name', name, 'until', until_s, 'issued_before', floor, 'lifted_at', lifted_at)
  redis.call('HSET', KEYS[4], kind .. '|' .. name, '{"version":' .. version .. ',"until":' .. until_s ..
    ',"issued_before":' .. floor .. ',"lifted_at":' .. lifted_at .. ',"was":' .. was .. '}')
  if kind == 'ban' then
    if until_s == '0' then
      redis.call('ZREM', KEYS[5], name)
    else
      redis.call('ZADD', KEYS[5], 0, name)
    end
  end
  return version
end
