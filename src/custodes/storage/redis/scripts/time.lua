-- What the decision knows of time: the server's clock, so that instances whose clocks differ count the same.

local seconds, micros = unpack(redis.call('TIME'))
local now = tonumber(seconds) * 1000000 + tonumber(micros)

-- Milliseconds to keep a state that says nothing more after so many microseconds. At least one: zero would delete it.
-- Most of a call are kept equally long, and a number costs more to write than to look up.
local lifetimes = {}

local function lifetime(micros_left)
  local written = lifetimes[micros_left]
  if not written then
    written = string.format('%.0f', math.max(math.ceil(micros_left / 1000), 1))
    lifetimes[micros_left] = written
  end
  return written
end
