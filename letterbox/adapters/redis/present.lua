-- Say that a process is there, or (with 0 milliseconds) that it leaves.
--
-- KEYS: those that have the store, those of them that work. ARGV: our name, milliseconds until we
-- are thought gone, 1 where we work. Answers how many work.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 1, 2 do
    redis.call('ZREMRANGEBYSCORE', KEYS[at], '-inf', now)
    if ARGV[2] == '0' then
        redis.call('ZREM', KEYS[at], ARGV[1])
    elseif at == 1 or ARGV[3] == '1' then
        redis.call('ZADD', KEYS[at], now + ARGV[2], ARGV[1])
    end
end
return redis.call('ZCARD', KEYS[2])
