"""What is asked of the store, counted: equal answers are to cost equal work."""

from tests.support.house import House


class Counting:
    """Counts what is asked of the store."""

    def __init__(self, house: House, monkeypatch) -> None:
        self.calls: list[str] = []
        for name in ("get", "commit", "counters", "claim", "documents", "log"):
            monkeypatch.setattr(house.app.store, name, self.counted(name, house.app.store))

    def counted(self, name: str, store):
        ask = getattr(store, name)

        async def counted(*arguments, **options):
            size = sum(len(c.operations) for c in arguments) if name == "commit" else ""
            self.calls.append(f"{name}{size}")
            return await ask(*arguments, **options)

        return counted

    def taken(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls
