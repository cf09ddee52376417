"""The URLs of Redis deployments of several servers."""

import re
from typing import Final, Literal
from urllib.parse import unquote

import msgspec

#: The ports that servers listen on where a URL names none.
_USUAL: Final = {"cluster": 6379, "sentinel": 26379}
_MAX_PORT: Final = 65535
_URL: Final = re.compile(
    r"redis(?P<tls>s?)\+(?P<kind>cluster|sentinel)://(?:(?P<userinfo>.*)@)?"
    r"(?P<hosts>[^/?#@]+)(?:/(?P<path>[^?#]*))?",
    re.DOTALL,
)
_HOST: Final = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>\d+))?"
)
_PATH: Final = re.compile(r"(?P<name>[\w.-]+)(?:/(?P<database>\d+))?")


class Deployment(msgspec.Struct, frozen=True):
    """A cluster, or the primary ``name`` that Sentinel watches. ``hosts`` know where all is."""

    kind: Literal["cluster", "sentinel"]
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = None
    name: str = ""
    database: int = 0


def parse(url: str) -> Deployment | None:
    """What a URL names; None where it is none of ours.

    ``redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT`` or
    ``redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME[/DATABASE]``; ``rediss`` is by TLS.
    """
    found = _URL.fullmatch(url)
    if found is None:
        return None
    is_cluster, path = found["kind"] == "cluster", found["path"] or ""
    hosts = [_host(text, _USUAL[found["kind"]]) for text in found["hosts"].split(",")]
    named = _PATH.fullmatch(path)
    if None in hosts or (path if is_cluster else named is None):
        return None
    username, _, password = (found["userinfo"] or "").partition(":")
    return Deployment(
        kind="cluster" if is_cluster else "sentinel",
        tls=bool(found["tls"]),
        hosts=tuple(host for host in hosts if host),
        username=unquote(username) or None,
        password=unquote(password) or None,
        name=named["name"] if named else "",
        database=int(named["database"] or 0) if named else 0,
    )


def _host(text: str, usual: int) -> tuple[str, int] | None:
    found = _HOST.fullmatch(text)
    if found is None or not 0 < (port := int(found["port"] or usual)) <= _MAX_PORT:
        return None
    return found["address"] or found["name"], port
