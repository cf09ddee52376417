"""What became of handing a message on, in words for its consumer."""

from collections.abc import Mapping

from letterbox.feedback.sentences import Sentences
from letterbox.model.onward import HandingOn
from letterbox.model.preferences import MAILBOX
from letterbox.model.verdict import Fact


class OnwardWords:
    """The words of one language."""

    def __init__(self, sentences: Sentences, language: str) -> None:
        self._sentences = sentences
        self._language = language

    def sentence(self, onward: HandingOn) -> str:
        """What became of it, and what the next server said."""
        state: str = onward.why or onward.state
        if onward.state == "owed" and onward.next is not None:
            state = "waits"
        said = self._said(state, {"to": self.place(onward.to)})
        heard = self._said("said", {"detail": onward.detail or None})
        return f"{said} {heard}" if heard and onward.state != "done" else said

    def place(self, to: str) -> str:
        """Where mail goes, as it is called."""
        return self._said("mailbox", {}) if to == MAILBOX else to

    def notice(self, onward: HandingOn, subject: str) -> tuple[str, str]:
        """What a consumer is told when mail stays here: a line, and the text below it."""
        title = self._said("problem", {"to": self.place(onward.to)})
        about = self._said("about", {"subject": subject or None})
        lines = (f"{title}.", about, self.sentence(onward), self._said("helps", {}))
        return title, "\n\n".join(line for line in lines if line) + "\n"

    def _said(self, name: str, facts: Mapping[str, Fact]) -> str:
        said = self._sentences.line("notice", f"onward-{name}", facts, self._language)
        return said.encode(errors="replace").decode()  # half a surrogate pair is no text
