"""How messages get in: bytes or JSON in, one intake call, replies out."""
