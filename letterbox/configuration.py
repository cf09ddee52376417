"""Reading the configuration: a file, variables over it, and everything checked before use."""

import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect

from letterbox.administration.shape import Misshapen, nearest, read_toml, shape
from letterbox.identity.domains import Domains
from letterbox.model.address import fold_domain
from letterbox.model.configuration import Configuration, TrustedPeer
from letterbox.wishes import Mistake

#: ``LETTERBOX__SMTP__LISTEN`` stands over ``smtp.listen`` of the file.
_PREFIX = "LETTERBOX__"
_NAMED_FILE = "LETTERBOX_CONFIG"
#: What else may begin as our variables do; the second is the tests'.
_OTHERS = frozenset({_NAMED_FILE, "LETTERBOX_SHARED"})
_HERE = "letterbox.toml"
_MAX_FILE = 1 << 20
_MAX_PORT = 65535


class ConfigurationError(Exception):
    """The configuration cannot be used. ``mistakes`` says what is wrong and what may stand there.

    ``file`` is where the configuration came from; a mistake made by a variable names it.
    """

    def __init__(self, file: str, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("; ".join(f"{file}: {mistake}" for mistake in mistakes))
        self.file = file
        self.mistakes = mistakes


def shipped(name: str) -> bytes:
    """A file that comes with the program: from the wheel, or from ``config/`` beside the source."""
    package = Path(__file__).parent
    for folder in (package / "shipped", package.parent / "config"):
        if (folder / name).is_file():
            return (folder / name).read_bytes()
    raise FileNotFoundError(f"{name} is missing from the installation; install letterbox again")


def load(path: str | None, environ: Mapping[str, str]) -> Configuration:
    """The checked configuration.

    ``path`` names the file; else ``LETTERBOX_CONFIG`` does; else it is ``letterbox.toml`` of the
    working directory where there is one; else the defaults hold. Raises
    :class:`ConfigurationError` with every mistake found.
    """
    file, content = _find(path, environ)
    origins: dict[str, str] = {}
    try:
        tables = read_toml(content)
        _override(tables, environ, origins)
        configuration = shape(tables, Configuration)
    except Misshapen as misshapen:
        raise ConfigurationError(file, _with_origin(misshapen.mistakes, origins)) from misshapen
    if mistakes := tuple(_check(configuration)):
        raise ConfigurationError(file, _with_origin(mistakes, origins))
    return configuration


def source(path: str | None, environ: Mapping[str, str]) -> str | None:
    """The name of the file that :func:`load` would read; None for the shipped defaults."""
    named = path or environ.get(_NAMED_FILE)
    return named or (_HERE if Path(_HERE).is_file() else None)


def stray_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like ours and set nothing, each with the one it may have meant.

    Not mistakes: an orchestrator may set some of its own for a program of our name.
    """
    stray = [
        name
        for name in sorted(environ)
        if name.startswith("LETTERBOX_") and not name.startswith(_PREFIX) and name not in _OTHERS
    ]
    if not stray:
        return []
    known = {_squeezed(name): name for name in (*_variables(), *_OTHERS)}
    found = []
    for name in stray:
        near = get_close_matches(_squeezed(name), known, n=1, cutoff=0.9)
        found.append(f"{name} (did you mean {known[near[0]]}?)" if near else name)
    return found


def admin_socket(configuration: Configuration) -> Path | None:
    """Where the command line reaches a running server; None for a store that has no place."""
    if configuration.admin.socket:
        return Path(configuration.admin.socket).absolute()
    file = store_file(configuration)
    return file.with_name(file.name + ".sock") if file else None


def store_file(configuration: Configuration) -> Path | None:
    """The file of the store, whether it is there or not; None for a store without one."""
    scheme, _, place = configuration.store.url.partition(":")
    return Path(place).absolute() if scheme == "sqlite" else None


def _find(path: str | None, environ: Mapping[str, str]) -> tuple[str, bytes]:
    file = source(path, environ)
    if file is None:
        return "the defaults", shipped(_HERE)
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(file, (_unreadable("the file", error),)) from error
    if len(content) > _MAX_FILE:
        mistake = Mistake(path="the file", mistake="too large", allowed=f"{_MAX_FILE:,} octets")
        raise ConfigurationError(file, (mistake,))
    return file, content


def _with_origin(mistakes: tuple[Mistake, ...], origins: Mapping[str, str]) -> tuple[Mistake, ...]:
    """Name the variable where it was one that set the key."""
    named = []
    for mistake in mistakes:
        for key, variable in origins.items():
            if _is_within(mistake.path, key) or _is_within(key, mistake.path):
                place = f"{mistake.path} (set by {variable})"
                named.append(msgspec.structs.replace(mistake, path=place))
                break
        else:
            named.append(mistake)
    return tuple(named)


def _is_within(path: str, key: str) -> bool:
    return path == key or path.startswith((key + ".", key + "["))


# ---- variables --------------------------------------------------------------------------------


def _override(tables: dict[str, Any], environ: Mapping[str, str], origins: dict[str, str]) -> None:
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX):
            continue
        keys = variable.removeprefix(_PREFIX).lower().split("__")
        origins[".".join(keys)] = variable
        table = tables
        for key in keys[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}  # where that cannot be, the shape check says so
            table = table[key]
        table[keys[-1]] = _value(keys, environ[variable])


def _variables() -> Iterator[str]:
    """Every variable that sets a key."""
    for name, value in msgspec.to_builtins(Configuration()).items():
        keys = [f"{name}__{key}" for key in value] if isinstance(value, dict) else [name]
        yield from (_PREFIX + key.upper() for key in keys)


def _squeezed(variable: str) -> str:
    return variable.removeprefix("LETTERBOX").replace("_", "").lower()


def _value(keys: list[str], text: str) -> Any:
    """A variable's value: text where text is wanted, else JSON (``25``, ``true``, ``["a"]``)."""
    kind: inspect.Type | None = inspect.type_info(Configuration)
    for key in keys:
        fields = kind.fields if isinstance(kind, inspect.StructType) else ()
        kind = next((field.type for field in fields if field.encode_name == key), None)
    if isinstance(kind, inspect.StrType | inspect.LiteralType):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


# ---- what the types cannot tell ---------------------------------------------------------------


def _check(configuration: Configuration) -> Iterator[Mistake]:
    yield from _names(configuration)
    yield from _listeners(configuration)
    yield from _submission(configuration)
    for nth, peer in enumerate(configuration.smtp.trusted_peers):
        yield from _peer(f"smtp.trusted_peers[{nth}]", peer)
    for nth, proxy in enumerate(configuration.http.proxies):
        yield from _network(f"http.proxies[{nth}]", proxy)
    yield from _store(configuration.store.url)
    if configuration.bodies.url != "store:":
        yield Mistake(
            path="bodies.url",
            mistake=f"{configuration.bodies.url!r} is not built yet",
            allowed="store:, which keeps received bytes with everything else",
        )
    for nth, server in enumerate(configuration.dns.servers):
        yield from _resolver(f"dns.servers[{nth}]", server)
    yield from _trusted(configuration)
    yield from _tls(configuration.tls.certificate, configuration.tls.key)


def _names(configuration: Configuration) -> Iterator[Mistake]:
    named = {"hostname": configuration.hostname}
    named |= {f"domains[{nth}]": name for nth, name in enumerate(configuration.domains)}
    for path, name in named.items():
        if fold_domain(name) is None:
            yield Mistake(
                path=path, mistake=f"{name!r} is no domain", allowed="such as letterbox.example"
            )
    url = urlsplit(configuration.public_url)
    if configuration.public_url and (
        url.scheme not in {"http", "https"} or not url.netloc or url.query or url.fragment
    ):
        yield Mistake(
            path="public_url",
            mistake=f"{configuration.public_url!r} is no web address",
            allowed="such as https://letterbox.example; empty for the HTTP address",
        )


def _submission(configuration: Configuration) -> Iterator[Mistake]:
    """A key must not be shown in the clear but on this machine."""
    section = configuration.submission
    if configuration.tls.certificate:
        return
    if section.listen_tls:
        yield Mistake(
            path="submission.listen_tls",
            mistake="there is no certificate to speak TLS with",
            allowed="empty, or tls.certificate and tls.key beside it",
        )
    if section.listen and not _is_loopback(section.listen):
        yield Mistake(
            path="submission.listen",
            mistake=f"{section.listen} is open to others, who would show their keys in the clear",
            allowed="a loopback address, or tls.certificate and tls.key beside it",
        )


def _is_loopback(listen: str) -> bool:
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listeners(configuration: Configuration) -> Iterator[Mistake]:
    places = {
        f"{section}.listen": getattr(configuration, section).listen
        for section in ("http", "smtp", "lmtp", "submission", "admin")
    }
    places["submission.listen_tls"] = configuration.submission.listen_tls
    if not any(place for path, place in places.items() if path != "admin.listen"):
        yield Mistake(
            path="http.listen, smtp.listen, lmtp.listen",
            mistake="they are all empty, so that nothing could come in",
            allowed="an address for at least one of them",
        )
    heard: dict[str, str] = {}
    for path, text in places.items():
        yield from _listen(path, text)
        for other, place in heard.items():
            if _collide(text, place):
                yield Mistake(
                    path=path,
                    mistake=f"{text} is taken by {other} ({place})",
                    allowed="an address of its own; port 0 takes a free one",
                )
        heard[path] = text


def _collide(one: str, other: str) -> bool:
    """Whether two places to listen on are one, or one is everywhere and the other within it."""
    (host, _, port), (there, _, door) = one.rpartition(":"), other.rpartition(":")
    if not (port and door) or port != door or not port.strip("0"):
        return False
    wide = {"0.0.0.0", "[::]"}  # noqa: S104 - looked for, not listened on
    same_family = host.startswith("[") == there.startswith("[")
    return host.lower() == there.lower() or (same_family and not wide.isdisjoint({host, there}))


def _listen(path: str, text: str) -> Iterator[Mistake]:
    if text and not _is_host_and_port(text):
        yield Mistake(
            path=path,
            mistake=f"{text!r} is not host:port",
            allowed="such as 127.0.0.1:2525, 0.0.0.0:25 or [::]:25; port 0 takes a free one; "
            "empty is off",
        )


def _is_host_and_port(text: str) -> bool:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        return False
    if host.startswith("[") and host.endswith("]"):
        return _is_address(host[1:-1]) and ":" in host
    return ":" not in host and (_is_address(host) or fold_domain(host) is not None)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network(path: str, text: str) -> Iterator[Mistake]:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        allowed = "an address or a network, such as 10.0.0.7 or 10.0.0.0/8"
        yield Mistake(path=path, mistake=str(error), allowed=allowed)


def _peer(path: str, peer: TrustedPeer) -> Iterator[Mistake]:
    yield from _network(f"{path}.address", peer.address)
    if peer.client in {"proxy", "xclient"} and peer.asserts is not None:
        yield Mistake(
            path=f"{path}.asserts",
            mistake="a proxy connects clients, and has proven the author of nothing",
            allowed='no asserts here; name the relay behind it: { address = …, asserts = "from" }',
        )


def _trusted(configuration: Configuration) -> Iterator[Mistake]:
    """Servers whose word about authors is taken: each must be somebody, and not ourselves."""
    identity = configuration.identity
    domains = Domains(shipped("mailbox_providers.toml")) if identity.arc_sealers else None
    for nth, name in enumerate(identity.arc_sealers):
        path = f"identity.arc_sealers[{nth}]"
        if fold_domain(name) is None:
            yield Mistake(
                path=path, mistake=f"{name!r} is no domain", allowed="such as example.org"
            )
        elif domains and domains.is_public_suffix(name):
            yield Mistake(
                path=path,
                mistake=f"anybody may have a domain below {name}",
                allowed="the domain of one forwarder, such as lists.example.org",
            )
    for nth, name in enumerate(identity.trusted_results):
        path = f"identity.trusted_results[{nth}]"
        if fold_domain(name) is None:
            mistake = f"{name!r} is no server's name"
        elif name == configuration.hostname:
            mistake = "it is our own name, and what claims to be ours is never read"
        elif not configuration.smtp.trusted_peers:
            mistake = "smtp.trusted_peers is empty, so that nothing of it would be read"
        else:
            continue
        yield Mistake(
            path=path,
            mistake=mistake,
            allowed="what a relay of yours writes first in Authentication-Results",
        )


def _store(url: str) -> Iterator[Mistake]:
    scheme, colon, place = url.partition(":")
    if scheme in {"redis", "redis+cluster"} and colon:
        mistake = "the Redis store is not built yet"
    elif (scheme == "sqlite" and place) or url == "memory:":
        return
    else:
        mistake = f"{url!r} is no store" + nearest(scheme, ["sqlite", "memory"])
    yield Mistake(
        path="store.url",
        mistake=mistake,
        allowed="sqlite:FILE such as sqlite:var/letterbox.db, or memory: (keeps nothing)",
    )


def _resolver(path: str, server: str) -> Iterator[Mistake]:
    host = server.rpartition(":")[0].strip("[]")
    if not (_is_host_and_port(server) and _is_address(host)):
        yield Mistake(
            path=path,
            mistake=f"{server!r} is not address:port",
            allowed="such as 127.0.0.1:53 or [::1]:53",
        )


def _tls(certificate: str, key: str) -> Iterator[Mistake]:
    if not certificate and not key:
        return
    if not certificate or not key:
        missing = "tls.key" if certificate else "tls.certificate"
        yield Mistake(
            path=missing, mistake="it is missing", allowed="both certificate and key, or neither"
        )
        return
    for path, file in (("tls.certificate", certificate), ("tls.key", key)):
        try:
            os.close(os.open(file, os.O_RDONLY))
        except OSError as error:
            yield _unreadable(path, error)
            return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        yield Mistake(
            path="tls.certificate",
            mistake=f"it does not load with tls.key: {getattr(error, 'reason', None) or error}",
            allowed="a certificate chain and its unencrypted key, both PEM",
        )


def _unreadable(path: str, error: OSError) -> Mistake:
    return Mistake(
        path=path,
        mistake=f"{error.filename or 'it'} cannot be read: {error.strerror or error}",
        allowed="a readable file",
    )
