-- CalendarQuota: {end of the period, units used in it}. Time zones are known to who asks, not here: row[5] is the begin
-- of the period that it takes for the current one, row[6] its end and row[7] the end of the one after. When the server's
-- clock is outside of both, the request is not decided, and comes again with other periods.

local calendar = {}

function calendar.load(key)
  local packed = redis.call('GET', key)
  local state = packed and cmsgpack.unpack(packed) or {0, 0}
  state.key = key
  return state
end

function calendar.wait(state, row)
  local begun = now < state[1]
  if not begun and (now < row[5] or now >= row[7]) then return nil end
  local used = begun and state[2] or 0
  if used + row[3] <= row[4] then return 0 end
  if row[3] > row[4] then return NEVER end
  return state[1] - now
end

function calendar.charge(state, row)
  if now < state[1] then
    state[2] = state[2] + row[3]
  else
    state[1], state[2] = now < row[6] and row[6] or row[7], row[3]
  end
end

function calendar.view(state, row)
  if now >= state[1] or state[2] == 0 then return row[4], 0 end
  return row[4] - state[2], state[1] - now
end

function calendar.store(state)
  redis.call('SET', state.key, cmsgpack.pack({state[1], state[2]}), 'PX', lifetime(state[1] - now))
end

function calendar.give_back(state, row, at, units)
  if now >= state[1] or at >= state[1] then return false end
  state[2] = math.max(state[2] - units, 0)
  return true
end
