"""When a command cannot be done."""

from collections.abc import Sequence


class Failed(Exception):
    """Nothing was changed, and the message says what to do. ``mistakes`` has one line each."""

    def __init__(self, message: str, mistakes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.mistakes = tuple(mistakes)
