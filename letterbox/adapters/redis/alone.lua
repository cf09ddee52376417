-- Have the store alone, go on with that, or let it go.
--
-- KEYS: who has it alone, the processes that have it. ARGV: our name; milliseconds until it ends by
-- itself (0 lets it go); 1 to take it, 0 to go on with what is ours still.
--
-- Answers {1, now in seconds, names ...} where it is ours: of those who went without a word and may
-- think that they are there. Where others have it, {0, until when they do at least, how many}: none
-- is one who copies it as well.

local alone, present = KEYS[1], KEYS[2]
local name, milliseconds, takes = ARGV[1], ARGV[2], ARGV[3] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder = redis.call('GET', alone)

if milliseconds == '0' then
    if holder == name then
        redis.call('DEL', alone)
    end
    return { 0, 0, 0 }
end
if holder ~= name then
    if holder or not takes then
        return { 0, now + math.max(redis.call('PTTL', alone), 0), 0 }
    end
    local there = redis.call('ZCOUNT', present, '(' .. string.format('%.0f', now), '+inf')
    if there > 0 then
        local last = redis.call('ZRANGE', present, -1, -1, 'WITHSCORES')
        return { 0, tonumber(last[2]), there }
    end
end
redis.call('SET', alone, name, 'PX', milliseconds)
local answer = redis.call('ZRANGE', present, 0, -1)
table.insert(answer, 1, 1)
table.insert(answer, 2, tonumber(time[1]))
return answer
