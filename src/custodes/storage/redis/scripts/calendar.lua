-- CalendarQuota: {end of the period, units used in it}. Time zones are known to who asks, not here: row[6] is the begin
-- of the period that it takes for the current one, row[7] its end and row[8] the end of the one after. When the server's
-- clock is outside of both, the request is not decided, and comes again with other periods.

local calendar = {}

-- Who asks with other periods than the server's is asked again, and knows no better which states are too far ahead.
function calendar.latest(row)
  return now >= row[6] and now < row[8] and row[8] or math.huge
end

function calendar.load(state)
  if state[SIZE] == 0 then
    state[KNOWN], state[MORE] = 0, 0
  else
    state[KNOWN], state[MORE] = unpack_text('<dd', state[TEXT], state[AT])
  end
end

function calendar.wait(state, row)
  local begun = now < state[KNOWN]
  if not begun and (now < row[6] or now >= row[8]) then return nil end
  local used = begun and state[MORE] or 0
  if used + row[COST] <= row[LIMIT] then return 0 end
  if row[COST] > row[LIMIT] then return NEVER end
  return state[KNOWN] - now
end

function calendar.view(state, row)
  if now >= state[KNOWN] or state[MORE] == 0 then return row[LIMIT], 0 end
  return row[LIMIT] - state[MORE], state[KNOWN] - now
end

function calendar.charge(state, row)
  if now < state[KNOWN] then
    state[MORE] = state[MORE] + row[COST]
  else
    state[KNOWN], state[MORE] = now < row[7] and row[7] or row[8], row[COST]
  end
  return calendar.view(state, row)
end

function calendar.pack(state, row)
  return pack('<ddI2dd', row[TAG], state[KNOWN], 16, state[KNOWN], state[MORE]), state[KNOWN]
end

function calendar.give_back(state, row, at, units)
  if now >= state[KNOWN] or at >= state[KNOWN] then return false end
  state[MORE] = math.max(state[MORE] - units, 0)
  return true
end

return calendar
