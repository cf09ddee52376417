"""When mail of this kind may arrive: windows and pauses."""

from letterbox.model.case import Case
from letterbox.model.verdict import DELIVER, Fact, Finding, Hold, Refuse, UntilOpen

NAME = "window"


def apply(case: Case) -> Finding:
    """Hold what comes too early until the next opening, or refuse it where that is wanted."""
    opening = case.opening
    facts: dict[str, Fact] = {"kind": str(case.message.kind)} if opening.ruled else {}
    if opening.at == case.now:
        return Finding(filter=NAME, verdict=DELIVER, facts=facts)
    if opening.at is not None:
        local = case.wishes.times.local(opening.at)
        day = local.date().isoformat()
        facts |= {"date": day, "time": f"{local:%H:%M}"}
        if opening.outside == "hold":
            hold = Hold(conditions=(UntilOpen(reason="window-closed", at=opening.at),))
            return Finding(filter=NAME, verdict=hold, facts=facts)
        facts["next"] = day
    return Finding(filter=NAME, verdict=Refuse(reason="window-closed"), facts=facts)
