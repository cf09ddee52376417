-- Commits in order, each all or nothing.
--
-- KEYS: who was shut out, of each shard that is written to; then whatever the commits touch.
-- ARGV: the caller's name; how many of the keys say who was shut out; now, as twenty digits; then for each commit its bound, how many
-- operations it has, and for each operation its name, how many words follow, and those (see
-- encoding.py). The bound is 1 where a commit is left out with any before it, 2 with the one just
-- before it, 3 both.
--
-- Answers one row for each commit that was not left out: {1, numbers ...} where it is done,
-- {0, which operation (from 1), what stood in its way} where a guard failed.
--
-- Each operation of a commit is checked first, against what those before it are going to do
-- (`seen`); what is to be written waits in `writes` until all of the commit has passed. Times are
-- compared as numbers of ten digits each: a Lua number holds no more than sixteen.

for shard = 1, tonumber(ARGV[2]) do
    if redis.call('ZSCORE', KEYS[shard], ARGV[1]) then
        return redis.error_reply('FENCED another process works here now')
    end
end

local now = ARGV[3]
local NUMBER = '%.0f'

local seen, writes

local function later(one, other)
    local first, second = tonumber(one:sub(1, 10)), tonumber(other:sub(1, 10))
    if first ~= second then
        return first > second
    end
    return tonumber(one:sub(11, 20)) > tonumber(other:sub(11, 20))
end

local function write(...)
    writes[#writes + 1] = { ... }
end

local function row(key)
    if not seen[key] then
        seen[key] = {}
    end
    return seen[key]
end

-- The revision of a document; 0 where there is none.
local function revision(key, field)
    local there = row(key)
    if not there[field] then
        local document = redis.call('HGET', key, field)
        there[field] = document and tonumber(document:match('^%d+')) or 0
    end
    return there[field]
end

-- What a counter or a claim holds behind its time; false where it is absent or expired.
local function cell(key)
    local there = row(key)
    if there.value == nil then
        local value = redis.call('GET', key)
        there.value = value and (value:sub(1, 1) == '~' or later(value:sub(1, 20), now))
            and value:sub(21)
    end
    return there.value
end

local function set_cell(key, expires, milliseconds, value)
    -- What is set to a time that has gone is not seen again.
    row(key).value = (expires:sub(1, 1) == '~' or later(expires, now)) and value
    if milliseconds ~= '0' then
        write('SET', key, expires .. value, 'PX', milliseconds)
    else
        write('SET', key, expires .. value)
    end
end

-- When an entry of the due-set is due; false where there is none.
local function due(key, name)
    local there = row(key)
    if there[name] == nil then
        local entry = redis.call('HGET', key, name)
        there[name] = entry and entry:sub(1, 20)
    end
    return there[name]
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

-- A stream's numbers as this commit sees them: `count` is the newest, `gone` what it has taken.
local function counted(stream)
    local there = row(stream)
    if not there.count then
        there.begun = last(stream)
        there.count = there.begun
        there.gone = {}
    end
    return there
end

local function append(stream, ...)
    local there = counted(stream)
    there.count = there.count + 1
    write('XADD', stream, string.format('0-' .. NUMBER, there.count), ...)
    return there.count
end

local operation = {}

function operation.put(documents, index, key, value, expect)
    local found, expected = revision(documents, key), tonumber(expect)
    if expected >= 0 and expected ~= found then
        return nil, found
    end
    row(documents)[key] = found + 1
    write('HSET', documents, key, string.format(NUMBER, found + 1) .. ':' .. value)
    if found == 0 then
        write('ZADD', index, 0, key)
    end
    return found + 1
end

function operation.delete(documents, index, key, expect)
    local found, expected = revision(documents, key), tonumber(expect)
    if expected >= 0 and expected ~= found then
        return nil, found
    end
    row(documents)[key] = 0
    write('HDEL', documents, key)
    write('ZREM', index, key)
    return 0
end

function operation.expect(documents, key, expected)
    local found = revision(documents, key)
    if tonumber(expected) ~= found then
        return nil, found
    end
    return 0
end

function operation.append(stream, value)
    return append(stream, 'v', value)
end

function operation.trim(stream, through)
    -- The newest stays: it holds the count.
    local upto = math.min(tonumber(through), counted(stream).count - 1)
    if upto > 0 then
        write('XTRIM', stream, 'MINID', '=', string.format('0-' .. NUMBER, upto + 1))
    end
    return 0
end

-- No entry of a stream can be changed: all of it is written anew, each under its number.
function operation.rewrite(stream, ...)
    local anew, words = {}, { ... }
    for nth = 1, #words, 2 do
        anew['0-' .. words[nth]] = words[nth + 1]
    end
    local entries = redis.call('XRANGE', stream, '-', '+')
    if #entries > 0 then
        write('DEL', stream)
    end
    for _, entry in ipairs(entries) do
        write('XADD', stream, entry[1], 'v', anew[entry[1]] or entry[2][2])
    end
    return 0
end

function operation.add(key, expires, milliseconds, amount, limit)
    local found = tonumber(cell(key) or 0)
    local count = found + tonumber(amount)
    if limit ~= '' and count > tonumber(limit) then
        return nil, found
    end
    set_cell(key, expires, milliseconds, string.format(NUMBER, count))
    return count
end

function operation.claim(key, expires, milliseconds, value)
    local found = cell(key)
    if found then
        return nil, found
    end
    set_cell(key, expires, milliseconds, value)
    return 0
end

function operation.unclaim(key)
    row(key).value = false
    write('DEL', key)
    return 0
end

function operation.schedule(entries, times, name, at, value)
    local before = due(entries, name)
    if before then
        write('ZREM', times, before .. name)
    end
    row(entries)[name] = at
    write('HSET', entries, name, at .. value)
    write('ZADD', times, 0, at .. name)
    return 0
end

function operation.unschedule(entries, times, name, expected)
    local before = due(entries, name)
    if before then
        row(entries)[name] = false
        write('HDEL', entries, name)
        write('ZREM', times, before .. name)
    elseif expected == '1' then
        return nil, 0
    end
    return 0
end

function operation.emit(stream, partition, value)
    return append(stream, 'p', partition, 'v', value)
end

function operation.settle(stream, number)
    local there, sequence = counted(stream), tonumber(number)
    if sequence < 1 then
        return nil, 0
    end
    local id = '0-' .. number
    local is_there = sequence > there.begun and sequence <= there.count
        or #redis.call('XRANGE', stream, id, id) == 1
    if there.gone[sequence] or not is_there then
        return nil, 0
    end
    there.gone[sequence] = true
    write('XDEL', stream, id)
    return 0
end

function operation.announce()
    return 0
end

function operation.tell(channel, word)
    write('PUBLISH', channel, word)
    return 0
end

function operation.keep(key, content)
    write('SET', key, content, 'NX')
    return 0
end

function operation.drop(key)
    write('DEL', key)
    return 0
end

local at = 4

local function word()
    at = at + 1
    return ARGV[at - 1]
end

-- The operations of a commit, each a name and its words.
local function read()
    local operations = {}
    for nth = 1, tonumber(word()) do
        local name, count = word(), tonumber(word())
        operations[nth] = { name, unpack(ARGV, at, at + count - 1) }
        at = at + count
    end
    return operations
end

local function apply(operations)
    seen, writes = {}, {}
    local answer = { 1 }
    for nth, each in ipairs(operations) do
        local number, found = operation[each[1]](unpack(each, 2))
        if not number then
            if type(found) == 'number' then
                found = string.format(NUMBER, found)
            end
            return { 0, nth, found }
        end
        answer[nth + 1] = number
    end
    for _, each in ipairs(writes) do
        redis.call(unpack(each))
    end
    return answer
end

local answers = {}
local any, previous = false, false
while at <= #ARGV do
    local bound = tonumber(word())
    local operations = read()
    if (bound % 2 == 1 and any) or (bound >= 2 and previous) then
        previous = true
    else
        local answer = apply(operations)
        answers[#answers + 1] = answer
        previous = answer[1] == 0
        any = any or previous
    end
end
return answers
