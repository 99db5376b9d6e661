-- SubWindows: {number of the current slice, sum, then SLICES + 1 counts}, the slice numbered n at place n % (SLICES + 1).
-- row[6] is the length of a slice.

local SLICES, COUNTS = 60, 3

local subwindows = {}

function subwindows.latest(row)
  return now + 2 * (SLICES + 1) * row[6]
end

function subwindows.load(state, row)
  local counts = state[SIZE] > 0 and cmsgpack.unpack(body_of(state)) or {0, 0}
  for place = #counts + 1, COUNTS + SLICES do counts[place] = 0 end
  state[KNOWN], state[MORE] = counts, row[6]
end

local function place_of(number)
  return COUNTS + number % (SLICES + 1)
end

local function oldest_slice(counts, slice)
  return math.max(floor(now / slice), counts[1]) - SLICES
end

local function used_slices(counts, slice)
  if floor(now / slice) <= counts[1] then return counts[2] end
  local used = 0
  for number = oldest_slice(counts, slice), counts[1] do used = used + counts[place_of(number)] end
  return used
end

function subwindows.wait(state, row)
  local counts, slice = state[KNOWN], state[MORE]
  local in_the_way = used_slices(counts, slice) + row[COST] - row[LIMIT]
  if in_the_way <= 0 then return 0 end
  if row[COST] > row[LIMIT] then return NEVER end
  local number = oldest_slice(counts, slice) - 1
  while in_the_way > 0 do
    number = number + 1
    in_the_way = in_the_way - counts[place_of(number)]
  end
  return (number + SLICES + 1) * slice - now
end

function subwindows.view(state, row)
  local counts, slice = state[KNOWN], state[MORE]
  local used = used_slices(counts, slice)
  if used == 0 then return row[LIMIT], 0 end
  local number = oldest_slice(counts, slice)
  while counts[place_of(number)] == 0 do number = number + 1 end
  return row[LIMIT] - used, (number + SLICES + 1) * slice - now
end

function subwindows.charge(state, row)
  local counts, slice = state[KNOWN], state[MORE]
  local number, current = floor(now / slice), counts[1]
  if number - current > SLICES then
    for place = 2, COUNTS + SLICES do counts[place] = 0 end
    counts[1] = number
  elseif number > current then
    for passed = current + 1, number do
      local place = place_of(passed)
      counts[2] = counts[2] - counts[place]
      counts[place] = 0
    end
    counts[1] = number
  end
  local place = place_of(counts[1])
  counts[2] = counts[2] + row[COST]
  counts[place] = counts[place] + row[COST]
  return subwindows.view(state, row)
end

function subwindows.pack(state, row)
  local counts = state[KNOWN]
  local body, dead_at = cmsgpack.pack(counts), (counts[1] + SLICES + 1) * state[MORE]
  return pack(RECORD, row[TAG], dead_at, #body) .. body, dead_at
end

function subwindows.give_back(state, row, at, units)
  local counts, number = state[KNOWN], floor(at / state[MORE])
  if number < counts[1] - SLICES or number > counts[1] then return false end
  local place = place_of(number)
  local given = math.min(units, counts[place])
  counts[place] = counts[place] - given
  counts[2] = counts[2] - given
  return given > 0
end

return subwindows
