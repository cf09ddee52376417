"""What things are: frozen structures without I/O, clock or randomness (floor 0)."""
