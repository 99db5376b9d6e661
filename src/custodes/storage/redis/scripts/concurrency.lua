-- Concurrency: the moments at which the leases of the held slots end, in order, 8 bytes each.

local concurrency = {}

function concurrency.load(key, row)
  return {key = key, ends = redis.call('GET', key) or '', lease = row[5]}
end

local function lease_end(state, number)
  return (struct.unpack('<d', state.ends, number * 8 + 1))
end

-- Number of leases that end at this moment or before.
local function ended_by(state, moment)
  local low, high = 0, #state.ends / 8
  while low < high do
    local middle = math.floor((low + high) / 2)
    if lease_end(state, middle) <= moment then low = middle + 1 else high = middle end
  end
  return low
end

function concurrency.wait(state, row)
  local gone = ended_by(state, now)
  local in_the_way = #state.ends / 8 - gone + row[3] - row[4]
  if in_the_way <= 0 then return 0 end
  if row[3] > row[4] then return NEVER end
  return lease_end(state, gone + in_the_way - 1) - now
end

function concurrency.charge(state, row)
  state.ends = string.sub(state.ends, ended_by(state, now) * 8 + 1)
  local place = ended_by(state, now + row[5]) * 8
  local taken = string.rep(struct.pack('<d', now + row[5]), row[3])
  state.ends = string.sub(state.ends, 1, place) .. taken .. string.sub(state.ends, place + 1)
end

function concurrency.view(state, row)
  local gone = ended_by(state, now)
  local held = #state.ends / 8 - gone
  if held == 0 then return row[4], 0 end
  return row[4] - held, lease_end(state, gone) - now
end

function concurrency.store(state)
  if state.ends == '' then
    redis.call('DEL', state.key)
  else
    local last = struct.unpack('<d', state.ends, #state.ends - 7)
    redis.call('SET', state.key, state.ends, 'PX', lifetime(last - now))
  end
end

function concurrency.give_back(state, row, at, units)
  local past = ended_by(state, at + row[5])
  local first = math.max(ended_by(state, at + row[5] - 1), past - units)
  state.ends = string.sub(state.ends, 1, first * 8) .. string.sub(state.ends, past * 8 + 1)
  return first < past
end
