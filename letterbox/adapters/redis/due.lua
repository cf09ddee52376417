-- What is due in all shards, the earliest first.
--
-- KEYS: for each shard the due-set by time, and its entries. ARGV: the last moment that counts,
-- how many. Answers when and name, entry, when and name, entry.
--
-- Only the times are compared, as numbers: how Lua compares text depends on the server's locale.

local limit = tonumber(ARGV[2])
local found = {}
for shard = 1, #KEYS, 2 do
    local upto = '(' .. ARGV[1] .. '\255'
    local due = redis.call('ZRANGE', KEYS[shard], '-', upto, 'BYLEX', 'LIMIT', 0, limit)
    for order, member in ipairs(due) do
        found[#found + 1] = {
            tonumber(member:sub(1, 10)), tonumber(member:sub(11, 20)), shard, order, member,
        }
    end
end
table.sort(found, function(one, other)
    for at = 1, 3 do
        if one[at] ~= other[at] then
            return one[at] < other[at]
        end
    end
    return one[4] < other[4]
end)
local answer = {}
for at = 1, math.min(limit, #found) do
    local _, _, shard, _, member = unpack(found[at])
    answer[#answer + 1] = member
    answer[#answer + 1] = redis.call('HGET', KEYS[shard + 1], member:sub(21))
end
return answer
