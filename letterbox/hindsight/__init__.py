"""Hindsight: decisions taken again, undone, or taken as other wishes would have taken them."""

from letterbox.hindsight.cases import PastCases, Unjudged
from letterbox.hindsight.changes import Changes, Found
from letterbox.hindsight.fits import Fits, Fitting
from letterbox.hindsight.replay import Difference, Replay, Replayed
from letterbox.hindsight.suggestions import Adopted, Effect, Observed, Suggestion, Suggestions
from letterbox.hindsight.undo import Gone, Undo, UndoFailed

__all__ = [
    "Adopted",
    "Changes",
    "Difference",
    "Effect",
    "Fits",
    "Fitting",
    "Found",
    "Gone",
    "Observed",
    "PastCases",
    "Replay",
    "Replayed",
    "Suggestion",
    "Suggestions",
    "Undo",
    "UndoFailed",
    "Unjudged",
]
