-- Own a shard. KEYS: its owner. ARGV: our name.

return redis.call('SET', KEYS[1], ARGV[1])
