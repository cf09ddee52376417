"""The link that signs a consumer or a vendor in."""

from collections.abc import Callable, Mapping

from letterbox.administration.failed import Failed
from letterbox.administration.shape import nearest
from letterbox.administration.taking import Answer, Arguments, Command, taking
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.sessions import Owner, Sessions, Side
from letterbox.records.vendors import Vendors


class SignIn(Arguments, frozen=True):
    """A consumer or a vendor; ``side`` says which, where both have the id."""

    owner: str
    side: Side | None = None


class SignInCommands:
    """The one command. ``public_url`` is our own address."""

    def __init__(
        self,
        sessions: Sessions,
        consumers: Consumers,
        vendors: Vendors,
        public_url: Callable[[], str],
    ) -> None:
        self._sessions = sessions
        self._consumers = consumers
        self._vendors = vendors
        self._public_url = public_url
        self.table: Mapping[str, Command] = {"signin": taking(SignIn, self._sign_in)}

    async def _sign_in(self, asked: SignIn) -> Answer:
        # The operator's mailbox is there from the first day on.
        consumers = {*await self._consumers.all(), places.OPERATOR}
        vendors = await self._vendors.all()
        found: list[Owner] = []
        if asked.owner in consumers and asked.side != "vendor":
            found.append(Owner("consumer", asked.owner))
        if asked.owner in vendors and asked.side != "consumer":
            found.append(Owner("vendor", asked.owner))
        if len(found) > 1:
            raise Failed(
                f"{asked.owner!r} is a consumer and a vendor; say --side consumer or --side vendor"
            )
        if not found:
            raise Failed(
                f"there is no {asked.side or 'consumer or vendor'} {asked.owner!r}; letterbox "
                "apply makes one from a people file" + nearest(asked.owner, [*consumers, *vendors])
            )
        token = await self._sessions.link(found[0])
        return {"url": f"{self._public_url()}/signin/{token}", found[0].side: found[0].id}
