-- A page of a partition's documents.
--
-- KEYS: the documents, the index of their keys.
-- ARGV: from, to (as ZRANGE BYLEX wants them, in the order of walking), 1 to walk backwards, how
--       many. Answers key, document, key, document.

local about = { 'ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX' }
if ARGV[3] == '1' then
    about[#about + 1] = 'REV'
end
for _, word in ipairs({ 'LIMIT', 0, ARGV[4] }) do
    about[#about + 1] = word
end
local page = {}
for _, key in ipairs(redis.call(unpack(about))) do
    page[#page + 1] = key
    page[#page + 1] = redis.call('HGET', KEYS[1], key)
end
return page
