-- Take the lease of a shard, go on with it, or let it go.
--
-- KEYS: the lease, who had it last, who may write there no more. ARGV: our name, milliseconds until
-- it ends by itself; 0 lets it go. Answers 1 where it is ours now.
--
-- A lease that has ended goes on where nobody had it meanwhile. Whoever takes it from one that did
-- not let it go shuts that one out: it may have been paused in the midst of its work.

local DAY = 86400

local lease, owner, fenced = KEYS[1], KEYS[2], KEYS[3]
local name, milliseconds = ARGV[1], ARGV[2]
local last = redis.call('GET', owner)

if milliseconds == '0' then
    if last == name then
        redis.call('DEL', lease, owner)
    end
    return 0
end
if redis.call('ZSCORE', fenced, name) then
    return 0
end
if last ~= name then
    if redis.call('EXISTS', lease) == 1 then
        return 0
    end
    if last then
        local now = tonumber(redis.call('TIME')[1])
        redis.call('ZREMRANGEBYSCORE', fenced, '-inf', now)
        redis.call('ZADD', fenced, now + DAY, last)
    end
    redis.call('SET', owner, name)
end
redis.call('SET', lease, name, 'PX', milliseconds)
return 1
