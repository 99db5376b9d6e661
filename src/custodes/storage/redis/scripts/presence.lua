-- Says that an instance lives, and tells how many do.
--
-- KEYS[1]  sorted set of instances by the moment at which they last said so, server time
-- ARGV     id of the instance, microseconds after which one that says nothing is gone; "" to leave
-- Returns  how many live

local seconds, micros = unpack(redis.call('TIME'))
local now = tonumber(seconds) * 1000000 + tonumber(micros)

if ARGV[2] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - tonumber(ARGV[2])))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[2]) / 1000))
end
return redis.call('ZCARD', KEYS[1])
