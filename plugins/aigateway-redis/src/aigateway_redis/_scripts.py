"""What runs inside Redis: one hash holds the last word on each name. Times are milliseconds of its clock."""

from __future__ import annotations

__all__ = ["FIELDS", "KEEP", "READ"]

# More fields than this are not ours, or not wanted.
FIELDS = 8192

# ARGV: how many fields at most, then for each change: name, age, left (0: it is over), how long to keep it, text.
# A field holds: when it was made, when it ends (0: it is over), until when it is kept, and the text.
# The rule is that of `_table`: of two rests the later end counts, else who spoke last.
KEEP = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local refused = 0

local function parsed(value)
  local made, ends, kept = string.match(value or '', '^(%d+) (%d+) (%d+) ')
  return tonumber(made), tonumber(ends), tonumber(kept)
end

local function has_room()
  if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[1]) then return true end
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local _, _, kept = parsed(all[i + 1])
    if not kept or kept < now then redis.call('HDEL', KEYS[1], all[i]) end
  end
  return redis.call('HLEN', KEYS[1]) < tonumber(ARGV[1])
end

local function is_news(made, ends, name)
  local old_made, old_ends, old_kept = parsed(redis.call('HGET', KEYS[1], name))
  if not old_made or old_kept < now then return true end
  if ends == 0 or old_ends == 0 then return made >= old_made end
  return ends > old_ends
end

for i = 2, #ARGV, 5 do
  local name, made, ends = ARGV[i], now - ARGV[i + 1], 0
  if tonumber(ARGV[i + 2]) ~= 0 then ends = now + ARGV[i + 2] end
  if is_news(made, ends, name) then
    if redis.call('HEXISTS', KEYS[1], name) == 1 or has_room() then
      local head = string.format('%.0f %.0f %.0f ', made, ends, now + ARGV[i + 3])
      redis.call('HSET', KEYS[1], name, head .. ARGV[i + 4])
    else
      refused = refused + 1
    end
  end
end
redis.call('PEXPIRE', KEYS[1], 90000000)
return refused
"""

# ARGV: how many fields at most. Gives rows: age, left (0: it is over), text.
READ = """
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then
  return redis.error_reply('ERR the hash has too many fields')
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local made, ends, kept, text = string.match(all[i + 1], '^(%d+) (%d+) (%d+) (.*)$')
  if kept and tonumber(kept) > now then
    local left = 0
    if tonumber(ends) ~= 0 then left = ends - now end
    found[#found + 1] = string.format('%.0f %.0f ', math.max(0, now - made), left) .. text
  end
end
return found
"""
