"""Mail that was handed on from here and comes round again."""

from collections.abc import Sequence

from letterbox.identity.loops import NAME, Loops
from letterbox.reading.mail import Mail
from letterbox.records.secrets import OwnSecret


class Rounds:
    """Knows again what was handed on from here, by our own mark."""

    def __init__(self, secret: OwnSecret, hostname: str) -> None:
        self._secret = secret
        self._hostname = hostname

    async def of(self, mail: Mail, consumers: Sequence[str]) -> frozenset[str]:
        """Whose own mail a message is, that was handed on for them before."""
        if mail.first(NAME) is None:
            return frozenset()
        loops = Loops(await self._secret.key("loop"), self._hostname)
        return frozenset(each for each in consumers if loops.comes_back(mail, each))
