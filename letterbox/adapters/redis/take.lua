-- Take the store for one letterbox. KEYS: the lease, the owner. ARGV: our name, milliseconds until
-- the lease ends by itself. Answers 1; 0 where another has it.

if redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
