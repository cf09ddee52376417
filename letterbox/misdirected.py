"""What is wrong with where a configuration has mail handed on to."""

import re
from collections.abc import Callable, Iterator

from letterbox.model.configuration import Configuration
from letterbox.wishes import Mistake

#: What a mailbox may be called by its server: no space, and nothing that ends a command.
_MAILBOX_NAME = re.compile(r"[A-Za-z0-9._+=@-]{1,200}")


def onward(configuration: Configuration, is_place: Callable[[str], bool]) -> Iterator[Mistake]:
    """Every mistake of the section of that name. ``is_place`` knows ``host:port``."""
    section = configuration.onward
    if section.lmtp and not section.lmtp.startswith("unix:/") and not is_place(section.lmtp):
        yield Mistake(
            path="onward.lmtp",
            mistake=f"{section.lmtp!r} is neither host:port nor a socket",
            allowed="such as 127.0.0.1:24 or unix:/run/dovecot/lmtp; empty: there is none",
        )
    names = {"lmtp_user": section.lmtp_user}
    names |= {f"lmtp_users.{who}": name for who, name in section.lmtp_users.items()}
    for path, name in names.items():
        filled = name.replace("{address}", "a@b.example").replace("{id}", "a")
        if not _MAILBOX_NAME.fullmatch(filled):
            yield Mistake(
                path=f"onward.{path}",
                mistake=f"{name!r} cannot be what a mailbox is called",
                allowed="a name or an address; {address} and {id} stand for the consumer's",
            )
    if configuration.return_domain not in configuration.our_domains:
        yield Mistake(
            path="onward.domain",
            mistake=f"{section.domain!r} is no domain that mail is taken for",
            allowed=f"one of {', '.join(sorted(configuration.our_domains))}",
        )
