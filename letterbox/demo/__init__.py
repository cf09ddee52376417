"""The demonstration: a broker, vendors and consumers on loopback, started by one command."""
