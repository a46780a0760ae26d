-- Writes back what a sidecar holds from before the present epoch (rule P2), unless the feed knows
-- something newer about the name: a write of this epoch, or the same or a later one of the old. Of two
-- with a floor, the higher one and the one that lasts longer is newer.
-- ARGV: epoch, base, kind, name, until (0: lift), floor, lifted_at, version in the old epoch.
local epoch, base, kind, name, until_s, floor, lifted_at, mine = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'id') ~= epoch then
  return 'OTHER'
end
local present = redis.call('HGET', KEYS[4], kind .. '|' .. name)
if present and has_floor(kind) then
  local ends, present_floor = string.match(present, '"until":(%d+),"issued_before":(%d+),')
  if tonumber(ends) >= tonumber(until_s) and tonumber(present_floor) >= tonumber(floor) then
    return 'NEWER'
  end
elseif present then
  local version = tonumber(string.match(present, '"version":(%d+)'))
  local was = tonumber(string.match(present, '"was":(%d+)'))
  if version > tonumber(base) then
    -- Another sidecar may have written back an older memory than this one.
    if was == 0 or was >= tonumber(mine) then
      return 'NEWER'
    end
  elseif version >= tonumber(mine) then
    return 'NEWER'
  end
end
return write(kind, name, until_s, floor, lifted_at, mine)
