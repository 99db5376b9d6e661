-- Gcra: the theoretical arrival time as {microseconds, parts of one}. The parts are 1/row[4] of a microsecond, so that a
-- token is a whole number of them; kept apart, both numbers are exact where their product would pass 53 bits.
-- row[6], row[7] is the charge and row[8], row[9] the capacity, written the same way. Where 53 bits hold all products,
-- row[10] is the capacity and row[11] a token, in parts: then what is left is told, else the state, for who asks to read.

local gcra = {}

function gcra.latest(row)
  return now + (2 + SPARE) * row[8] + 2
end

function gcra.load(state)
  if state[SIZE] == 0 then
    state[KNOWN], state[MORE] = 0, 0
  else
    state[KNOWN], state[MORE] = unpack_text('<dd', state[TEXT], state[AT])
  end
end

-- The debt after the charge.
local function debt_with(whole, parts, row)
  local debt, part = row[6], row[7]
  if whole >= now then
    debt, part = debt + whole - now, part + parts
    if part >= row[4] then debt, part = debt + 1, part - row[4] end
  end
  return debt, part
end

-- What is left at a debt, and when there is more; the state where it is not told.
local function view_of(debt, part, row)
  local token = row[11]
  if not token then return now + debt, part end
  local free = row[10] - debt * row[4] - part
  local left = floor(free / token)
  return left, ceil(((left + 1) * token - free) / row[4])
end

-- Only whether it has to wait: how long is worked out from the state by who asked.
function gcra.wait(state, row)
  local debt, part = debt_with(state[KNOWN], state[MORE], row)
  if debt > row[8] or (debt == row[8] and part > row[9]) then return 1 end
  return 0
end

function gcra.charge(state, row)
  local debt, part = debt_with(state[KNOWN], state[MORE], row)
  state[KNOWN], state[MORE] = now + debt, part
  return view_of(debt, part, row)
end

-- Decides and tells as those above do, written out, and with % in place of floor and ceil: this is what nearly every
-- request comes to, and a call of a function costs more than what it works out.
function gcra.renew(text, at, row)
  local tag, known, dead_at, _, whole, parts, ends = row[TAG], row[TAG], 0, 0, 0, 0, 1
  if text then
    if #text < at + 33 then return nil end -- another limit's
    known, dead_at, _, whole, parts, ends = unpack_text('<ddI2dd', text, at)
    if known ~= tag or dead_at > row.latest then return nil end
  end
  local debt, part, one = row[6], row[7], row[4]
  if whole >= now then
    debt, part = debt + whole - now, part + parts
    if part >= one then debt, part = debt + 1, part - one end
  end
  if debt >= row[8] and (debt > row[8] or part > row[9]) then return nil end
  whole = now + debt
  if whole >= dead_at then dead_at = prolonged(whole + 1, row[8]) end
  local record, token = pack('<ddI2dd', tag, dead_at, 16, whole, part), row[11]
  if not token then return ends, record, dead_at, whole, part end
  local free = row[10] - debt * one - part
  local rest = free % token
  local more_in = (token - rest) / one
  return ends, record, dead_at, (free - rest) / token, more_in + -more_in % 1
end

function gcra.view(state)
  return state[KNOWN], state[MORE]
end

function gcra.pack(state, row)
  local dead_at = state[DEAD_AT]
  if state[KNOWN] >= dead_at then dead_at = prolonged(state[KNOWN] + 1, row[8]) end
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
