"""What is wrong with a form, beside its fields: the input is kept, and the summary leads there."""

from typing import NamedTuple


class Wrong(NamedTuple):
    """One mistake. ``field`` is the id of the field; ``english`` where its text is in English."""

    field: str
    text: str
    english: bool = False
