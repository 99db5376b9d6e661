-- Gcra: the theoretical arrival time as {microseconds, parts of one}. The parts are 1/row[4] of a microsecond, so that a
-- token is a whole number of them; kept apart, both numbers are exact where their product would pass 53 bits.
-- row[6], row[7] is the charge and row[8], row[9] the capacity, written the same way. Where 53 bits hold all products,
-- row[10] is the capacity and row[11] a token, in parts: then what is left is told, else the state, for who asks to read.

local gcra = {}

function gcra.load(state)
  if state[SIZE] == 0 then
    state[KNOWN], state[MORE] = 0, 0
  else
    state[KNOWN], state[MORE] = unpack_text('<dd', state[TEXT], state[AT])
  end
end

-- The debt after the charge.
local function debt_with(state, row)
  local debt, part = row[6], row[7]
  if state[KNOWN] >= now then
    debt, part = debt + state[KNOWN] - now, part + state[MORE]
    if part >= row[4] then debt, part = debt + 1, part - row[4] end
  end
  return debt, part
end

-- Only whether it has to wait: how long is worked out from the state by who asked.
function gcra.wait(state, row)
  local debt, part = debt_with(state, row)
  if debt > row[8] or (debt == row[8] and part > row[9]) then return 1 end
  return 0
end

function gcra.charge(state, row)
  local debt, part = debt_with(state, row)
  state[KNOWN], state[MORE] = now + debt, part
  local token = row[11]
  if not token then return now + debt, part end
  local free = row[10] - debt * row[4] - part
  local left = floor(free / token)
  return left, ceil(((left + 1) * token - free) / row[4])
end

function gcra.view(state)
  return state[KNOWN], state[MORE]
end

function gcra.pack(state, row)
  local dead_at = state[KNOWN] + 1
  return pack('<ddI2dd', row[TAG], dead_at, 16, state[KNOWN], state[MORE]), dead_at
end

-- What has run out of the bucket since then is not given back: it would be poured out twice.
function gcra.give_back(state, row, at)
  local whole = row[6] - math.max(now - at, 0)
  if whole < 0 then return false end
  state[KNOWN], state[MORE] = state[KNOWN] - whole, state[MORE] - row[7]
  if state[MORE] < 0 then state[KNOWN], state[MORE] = state[KNOWN] - 1, state[MORE] + row[4] end
  if state[KNOWN] < 0 then state[KNOWN], state[MORE] = 0, 0 end
  return true
end

return gcra
