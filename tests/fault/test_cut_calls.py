"""A store of several servers may be cut off in the middle of a call."""

import pytest

from letterbox.ports.store import StoreUnavailable
from letterbox.records import places
from tests.support.house import mail, open_house

PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal"]
"""
RECIPIENTS = [f"{name}@letterbox.example" for name in ("postmaster", "anna", "ben")]
OF_RECIPIENTS = (places.OPERATOR, "anna", "ben")


class Cut:
    """Lets so many commits of all calls happen, one by one, and is cut off then."""

    def __init__(self, commit, left: int) -> None:
        self._commit = commit
        self.left = left

    async def __call__(self, *commits):
        if len(commits) > self.left:
            done, self.left = self.left, 0
            await self._commit(*commits[:done])
            raise StoreUnavailable("cut off")
        self.left -= len(commits)
        return await self._commit(*commits)


@pytest.mark.parametrize("left", range(8))
async def test_whoever_sends_again_has_sent_one_whole_message_to_each(monkeypatch, left):
    content = mail("Hello")
    async with open_house(PEOPLE) as house:
        with monkeypatch.context() as cut_off:
            cut_off.setattr(house.app.store, "commit", Cut(house.app.store.commit, left))
            first = await house.send(content, *RECIPIENTS, edge="lmtp")
        assert {each.told.reply for each in first.outcomes} == {451 if left < 7 else 250}
        again = await house.send(content, *RECIPIENTS, edge="lmtp")
        assert {each.told.reply for each in again.outcomes} == {250}
        house.clock.advance(days=31)
        await house.work()
        for consumer in OF_RECIPIENTS:
            (entry,) = (await house.app.mailboxes.inbox(consumer, after=None, limit=10)).items
            assert await house.app.mailboxes.body(entry.message) == content
