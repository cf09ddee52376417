-- What lies in the outboxes, oldest first within each, an equal share of each first.
--
-- KEYS: the outboxes. ARGV: how many. Answers id, partition, value, id, partition, value.

local limit = tonumber(ARGV[1])
local share = math.max(1, math.floor(limit / #KEYS))
local from, answer, count = {}, {}, 0
for shard = 1, #KEYS do
    from[shard] = '-'
end
while next(from) and count < limit do
    for shard = 1, #KEYS do
        if from[shard] and count < limit then
            local many = math.min(share, limit - count)
            local entries = redis.call('XRANGE', KEYS[shard], from[shard], '+', 'COUNT', many)
            for _, entry in ipairs(entries) do
                local fields = entry[2]
                answer[#answer + 1] = entry[1]
                answer[#answer + 1] = fields[2]
                answer[#answer + 1] = fields[4]
                count = count + 1
            end
            from[shard] = #entries == many and '(' .. entries[#entries][1] or nil
        end
    end
end
return answer
