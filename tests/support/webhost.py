"""Another web server, without a socket: it notes what is posted, and answers as it is told to."""

from collections.abc import Mapping
from typing import NamedTuple

from letterbox.ports.courier import WebAnswer, WebTrouble


class Posted(NamedTuple):
    """One call."""

    url: str
    headers: dict[str, str]
    body: bytes


class WebHost:
    """``answers`` are given to the next calls, then 200: a status, or a trouble that is raised."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answers: list[int | WebTrouble] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebAnswer:
        self.posted.append(Posted(url, dict(headers), body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, WebTrouble):
            raise answer
        return WebAnswer(status=answer)
