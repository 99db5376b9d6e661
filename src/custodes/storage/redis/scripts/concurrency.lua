-- Concurrency: the moments at which the leases of the held slots end, in order, 8 bytes each. row[6] is how long one is.

local concurrency = {}

function concurrency.latest(row)
  return now + 2 * row[6]
end

function concurrency.load(state)
  if has_key_of_its_own(state) and not state[OWN] then return end
  state[KNOWN] = has_key_of_its_own(state) and (call('GET', state[OWN]) or '') or body_of(state)
end

local function lease_end(state, number)
  return (unpack_text('<d', state[KNOWN], number * 8 + 1))
end

-- Number of leases that end at this moment or before.
local function ended_by(state, moment)
  local low, high = 0, #state[KNOWN] / 8
  while low < high do
    local middle = floor((low + high) / 2)
    if lease_end(state, middle) <= moment then low = middle + 1 else high = middle end
  end
  return low
end

function concurrency.wait(state, row)
  if not state[KNOWN] then return nil end
  local gone = ended_by(state, now)
  local used = #state[KNOWN] / 8 - gone + row[COST]
  local in_the_way = used - row[LIMIT]
  if in_the_way <= 0 then
    if used * 8 > LONGEST and not state[OWN] then return nil end
    return 0
  end
  if row[COST] > row[LIMIT] then return NEVER end
  return lease_end(state, gone + in_the_way - 1) - now
end

function concurrency.view(state, row)
  local gone = ended_by(state, now)
  local held = #state[KNOWN] / 8 - gone
  if held == 0 then return row[LIMIT], 0 end
  return row[LIMIT] - held, lease_end(state, gone) - now
end

function concurrency.charge(state, row)
  local ends = sub(state[KNOWN], ended_by(state, now) * 8 + 1)
  state[KNOWN] = ends
  local place = ended_by(state, now + row[6]) * 8
  local taken = rep(pack('<d', now + row[6]), row[COST])
  state[KNOWN] = sub(ends, 1, place) .. taken .. sub(ends, place + 1)
  return concurrency.view(state, row)
end

function concurrency.pack(state, row)
  local ends = state[KNOWN]
  if ends == '' then return nil end
  local last = unpack_text('<d', ends, #ends - 7)
  if #ends > LONGEST then
    call('SET', state[OWN], ends, 'PX', lifetime(last - now))
    ends = ''
  end
  return pack(RECORD, row[TAG], last, #ends) .. ends, last
end

function concurrency.give_back(state, row, at, units)
  local ends, past = state[KNOWN], ended_by(state, at + row[6])
  local first = math.max(ended_by(state, at + row[6] - 1), past - units)
  state[KNOWN] = sub(ends, 1, first * 8) .. sub(ends, past * 8 + 1)
  return first < past
end

return concurrency
