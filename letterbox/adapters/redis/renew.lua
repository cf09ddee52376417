-- Go on holding the store. KEYS: the lease, the owner. ARGV: our name, milliseconds; 0 lets it go.
-- Answers 1; 0 where another has taken the store since.
--
-- A lease that has ended by itself is taken up again where nobody had it meanwhile.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then
    return 0
end
if ARGV[2] == '0' then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
