-- The greatest number that a stream ever had. KEYS: the stream. Answers 0 where it is not there.

if redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
local about = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #about, 2 do
    if about[at] == 'last-generated-id' then
        return tonumber(about[at + 1]:match('%d+$'))
    end
end
