-- Shared by the scripts that write to the feed (rule P1: number, stream entry and state in one step).
-- KEYS: epoch, version, stream, entries, bans.

-- Who logged somebody out later may have the slower clock: of two not-befores the higher values hold.
local function keep_highest(name, until_s, issued_before)
  local present = redis.call('HGET', KEYS[4], 'not_before|' .. name) or ''
  local ends, before = string.match(present, '"until":(%d+),"issued_before":(%d+),')
  if ends and tonumber(ends) > tonumber(redis.call('TIME')[1]) then
    if tonumber(ends) > tonumber(until_s) then
      until_s = ends
    end
    if tonumber(before) > tonumber(issued_before) then
      issued_before = before
    end
  end
  return until_s, issued_before
end

-- A lift has until_s '0', and says when it was made.
local function write(kind, name, until_s, issued_before, lifted_at, was)
  if kind == 'not_before' then
    until_s, issued_before = keep_highest(name, until_s, issued_before)
  end
  local version = string.format('%.0f', redis.call('INCR', KEYS[2]))
  -- The stream comes before the state: if it refuses the number, readers see a gap and load anew.
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', '100000', version .. '-0',
    'kind', kind, 'name', name, 'until', until_s, 'issued_before', issued_before, 'lifted_at', lifted_at)
  redis.call('HSET', KEYS[4], kind .. '|' .. name, '{"version":' .. version .. ',"until":' .. until_s ..
    ',"issued_before":' .. issued_before .. ',"lifted_at":' .. lifted_at .. ',"was":' .. was .. '}')
  if kind == 'ban' then
    if until_s == '0' then
      redis.call('ZREM', KEYS[5], name)
    else
      redis.call('ZADD', KEYS[5], 0, name)
    end
  end
  return version
end
