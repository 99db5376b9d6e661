-- SubWindows: {number of the current slice, sum, then SLICES + 1 counts}, the slice numbered n at place n % (SLICES + 1).

local SLICES, COUNTS = 60, 3

local subwindows = {}

function subwindows.load(key, row)
  local packed = redis.call('GET', key)
  local state = packed and cmsgpack.unpack(packed) or {0, 0}
  for place = #state + 1, COUNTS + SLICES do state[place] = 0 end
  state.key, state.slice = key, row[5]
  return state
end

local function place_of(number)
  return COUNTS + number % (SLICES + 1)
end

local function oldest_slice(state)
  return math.max(math.floor(now / state.slice), state[1]) - SLICES
end

local function used_slices(state)
  if math.floor(now / state.slice) <= state[1] then return state[2] end
  local used = 0
  for number = oldest_slice(state), state[1] do used = used + state[place_of(number)] end
  return used
end

function subwindows.wait(state, row)
  local in_the_way = used_slices(state) + row[3] - row[4]
  if in_the_way <= 0 then return 0 end
  if row[3] > row[4] then return NEVER end
  local number = oldest_slice(state) - 1
  while in_the_way > 0 do
    number = number + 1
    in_the_way = in_the_way - state[place_of(number)]
  end
  return (number + SLICES + 1) * state.slice - now
end

function subwindows.charge(state, row)
  local number, current = math.floor(now / state.slice), state[1]
  if number - current > SLICES then
    for place = 2, COUNTS + SLICES do state[place] = 0 end
    state[1] = number
  elseif number > current then
    for passed = current + 1, number do
      local place = place_of(passed)
      state[2] = state[2] - state[place]
      state[place] = 0
    end
    state[1] = number
  end
  local place = place_of(state[1])
  state[2] = state[2] + row[3]
  state[place] = state[place] + row[3]
end

function subwindows.view(state, row)
  local used = used_slices(state)
  if used == 0 then return row[4], 0 end
  local number = oldest_slice(state)
  while state[place_of(number)] == 0 do number = number + 1 end
  return row[4] - used, (number + SLICES + 1) * state.slice - now
end

function subwindows.store(state)
  local key, slice = state.key, state.slice
  state.key, state.slice = nil, nil -- what is left is a plain list
  redis.call('SET', key, cmsgpack.pack(state), 'PX', lifetime((state[1] + SLICES + 1) * slice - now))
  state.key, state.slice = key, slice
end

function subwindows.give_back(state, row, at, units)
  local number = math.floor(at / state.slice)
  if number < state[1] - SLICES or number > state[1] then return false end
  local place = place_of(number)
  local given = math.min(units, state[place])
  state[place] = state[place] - given
  state[2] = state[2] - given
  return given > 0
end
