-- A row of a copied store put in its place, as it was. What is there already stays right.
--
-- KEYS and ARGV, by the first word:
--   document: the documents, the index; the key, revision and value
--   cell:     a counter, claim or body; what it holds, milliseconds until it may go (0: never)
--   due:      the entries, the entries by time; the name, when, the value
--   entry:    a stream; the number, fields and values
--   newest:   a stream; the number that the next entry is to be above

local words = {
    document = function(key, stored)
        redis.call('HSET', KEYS[1], key, stored)
        redis.call('ZADD', KEYS[2], 0, key)
    end,
    cell = function(stored, milliseconds)
        if milliseconds == '0' then
            redis.call('SET', KEYS[1], stored)
        else
            redis.call('SET', KEYS[1], stored, 'PX', milliseconds)
        end
    end,
    due = function(name, at, value)
        redis.call('HSET', KEYS[1], name, at .. value)
        redis.call('ZADD', KEYS[2], 0, at .. name)
    end,
}

-- The newest number of the stream; 0 where it is not there.
local function last()
    if redis.call('EXISTS', KEYS[1]) == 0 then
        return 0
    end
    local about = redis.call('XINFO', 'STREAM', KEYS[1])
    for at = 1, #about, 2 do
        if about[at] == 'last-generated-id' then
            return tonumber(about[at + 1]:match('%d+$'))
        end
    end
end

function words.entry(number, ...)
    -- Entries come in order: what is not above the newest was put there before.
    if tonumber(number) > last() then
        redis.call('XADD', KEYS[1], '0-' .. number, ...)
    end
end

function words.newest(number)
    if tonumber(number) > last() then
        redis.call('XADD', KEYS[1], '0-' .. number, 'p', '', 'v', '')
        redis.call('XDEL', KEYS[1], '0-' .. number)
    end
end

words[ARGV[1]](unpack(ARGV, 2))
return 1
