"""Implementations of the ports; only the composition roots import them."""
