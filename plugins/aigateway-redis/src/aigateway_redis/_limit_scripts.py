"""What runs inside Redis for limits: a key per identity says when all it took is back. Times are in microseconds."""

from __future__ import annotations

__all__ = ["TAKE"]

# KEYS[1]: the identity's key. ARGV: step, burst, limit, window, how much ahead, what was taken elsewhere, how long ago
# that was, what is given back, when that was taken; then the amounts that are asked for, each all or nothing.
# Kept are: when all is back, and since when some of it has been missing. The rule is that of the gateway's own meter.
# A clock that was set back must not lock anybody out: what lies further ahead than it can is as if the burst were gone.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, burst, limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local ahead, more, ago = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local back, at = tonumber(ARGV[8]), tonumber(ARGV[9])
local kept_full, kept_since = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
local full, since = tonumber(kept_full) or 0, tonumber(kept_since) or 0

if full > now + (limit + burst) * step then full = now + burst * step end
if since > now then since = now end
if back > 0 and since <= at then full = full - back * step end
if more > 0 then
  full = math.min(math.max(full, now - ago) + more * step, math.max(full, now + limit * step))
end
full = math.max(full, now - window)

local function take(amount)
  if full <= now then
    full = now
    since = now
  end
  full = full + amount * step
end

local found = {now, 0, 0}
for i = 10, #ARGV do
  local amount = tonumber(ARGV[i])
  if full + (amount - burst) * step <= now then
    take(amount)
    found[#found + 1] = 1
  else
    found[#found + 1] = 0
  end
end
local spare = math.min(ahead, math.floor(burst / 2 - math.max(0, full - now) / step))
if spare > 0 then
  take(spare)
  found[3] = spare
end
found[2] = full - now
local lives = math.ceil((full - now + window) / 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.0f %.0f', full, since), 'PX', lives)
return found
"""
