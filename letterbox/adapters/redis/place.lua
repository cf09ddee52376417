-- Rows of a copied store put in their places, as they were. What is there already stays right.
--
-- KEYS: those of all rows, one row's after another's. ARGV: for each row its word, how many keys it
-- has, how many more words, and those:
--   document: the documents, the index; the key, revision and value
--   cell:     a counter, claim or body; what it holds, milliseconds until it may go (0: never)
--   due:      the entries, the entries by time; the name, when, the value
--   entry:    a stream; the number, fields and values
--   newest:   a stream; the number that the next entry is to be above

local place = {}

function place.document(documents, index, key, stored)
    redis.call('HSET', documents, key, stored)
    redis.call('ZADD', index, 0, key)
end

function place.cell(key, stored, milliseconds)
    if milliseconds == '0' then
        redis.call('SET', key, stored)
    else
        redis.call('SET', key, stored, 'PX', milliseconds)
    end
end

function place.due(entries, times, name, at, value)
    redis.call('HSET', entries, name, at .. value)
    redis.call('ZADD', times, 0, at .. name)
end

local function last(stream)
    if redis.call('EXISTS', stream) == 0 then
        return 0
    end
    local about = redis.call('XINFO', 'STREAM', stream)
    for at = 1, #about, 2 do
        if about[at] == 'last-generated-id' then
            return tonumber(about[at + 1]:match('%d+$'))
        end
    end
end

function place.entry(stream, number, ...)
    -- Entries come in order: what is not above the newest was put there before.
    if tonumber(number) > last(stream) then
        redis.call('XADD', stream, '0-' .. number, ...)
    end
end

function place.newest(stream, number)
    if tonumber(number) > last(stream) then
        redis.call('XADD', stream, '0-' .. number, 'p', '', 'v', '')
        redis.call('XDEL', stream, '0-' .. number)
    end
end

local at, key = 1, 1
while at <= #ARGV do
    local keys, words = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local row = { unpack(KEYS, key, key + keys - 1) }
    for nth = 1, words do
        row[keys + nth] = ARGV[at + 2 + nth]
    end
    place[ARGV[at]](unpack(row))
    at, key = at + 3 + words, key + keys
end
return 1
