"""The use case: a message comes in, each recipient gets a decision, and only then an answer."""

from letterbox.intake.receipt import (
    Idempotent,
    KeyReused,
    Outcome,
    Received,
    Submission,
)
from letterbox.intake.receive import Intake

__all__ = ["Idempotent", "Intake", "KeyReused", "Outcome", "Received", "Submission"]
