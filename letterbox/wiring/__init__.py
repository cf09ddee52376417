"""The parts of one installation, wired once: :class:`~letterbox.wiring.broker.Broker` has them all.

Beside it each module wires what belongs together, and says which of its work comes due.
"""
