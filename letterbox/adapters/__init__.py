"""Implementations of the ports; only the composition root imports them."""
