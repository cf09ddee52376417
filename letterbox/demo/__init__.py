"""The demonstration: a broker, vendors and consumers on loopback, started by one command."""

from letterbox.demo.play import run

__all__ = ["run"]
