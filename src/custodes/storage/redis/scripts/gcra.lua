-- Gcra: the theoretical arrival time as {microseconds, parts of one}. The parts are 1/row[4] of a microsecond, so that a
-- token is a whole number of them; kept apart, both numbers are exact where their product would pass 53 bits.
-- row[5], row[6] is the charge and row[7], row[8] the capacity, written the same way.

local gcra = {}

function gcra.load(key)
  local packed = redis.call('GET', key)
  if not packed then return {0, 0, key} end
  local whole, part = struct.unpack('<dd', packed)
  return {whole, part, key}
end

-- The debt after the charge.
local function debt_with(state, row)
  local debt, part = row[5], row[6]
  if state[1] >= now then
    debt, part = debt + state[1] - now, part + state[2]
    if part >= row[4] then debt, part = debt + 1, part - row[4] end
  end
  return debt, part
end

-- Only whether it has to wait: how long is worked out from the state by who asked.
function gcra.wait(state, row)
  local debt, part = debt_with(state, row)
  if debt > row[7] or (debt == row[7] and part > row[8]) then return 1 end
  return 0
end

function gcra.charge(state, row)
  local debt, part = debt_with(state, row)
  state[1], state[2] = now + debt, part
end

function gcra.view(state)
  return state[1], state[2]
end

function gcra.store(state)
  redis.call('SET', state[3], struct.pack('<dd', state[1], state[2]), 'PX', lifetime(state[1] + 1 - now))
end

-- What has run out of the bucket since then is not given back: it would be poured out twice.
function gcra.give_back(state, row, at)
  local whole = row[5] - math.max(now - at, 0)
  if whole < 0 then return false end
  state[1], state[2] = state[1] - whole, state[2] - row[6]
  if state[2] < 0 then state[1], state[2] = state[1] - 1, state[2] + row[4] end
  if state[1] < 0 then state[1], state[2] = 0, 0 end
  return true
end
