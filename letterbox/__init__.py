"""letterbox: a message broker between vendors and consumers."""
