-- Say that a process is there, or (with 0 milliseconds) that it leaves.
--
-- KEYS: those that have the store, those of them that work, who has it alone. ARGV: our name,
-- milliseconds until we are thought gone, 1 where we work. Answers how many work; -1, and nothing is
-- done, where somebody has the store alone.
--
-- Who went without a word is remembered for a day: it may come back and think that it is there still.

local DAY = 86400000

local leaves = ARGV[2] == '0'
if not leaves and redis.call('EXISTS', KEYS[3]) == 1 then
    return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 1, 2 do
    redis.call('ZREMRANGEBYSCORE', KEYS[at], '-inf', at == 1 and now - DAY or now)
    if leaves then
        redis.call('ZREM', KEYS[at], ARGV[1])
    elseif at == 1 or ARGV[3] == '1' then
        redis.call('ZADD', KEYS[at], now + ARGV[2], ARGV[1])
    end
end
return redis.call('ZCARD', KEYS[2])
