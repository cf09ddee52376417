"""What is wrong with a configuration that its types cannot tell."""

import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from letterbox.administration.shape import nearest
from letterbox.identity.domains import Domains
from letterbox.identity.signing import BadKey, OwnSigner
from letterbox.misdirected import onward
from letterbox.model import redis_url
from letterbox.model.address import fold_domain
from letterbox.model.configuration import (
    BodiesSection,
    Configuration,
    OutboundSection,
    TrustedPeer,
)
from letterbox.model.role import Role
from letterbox.reading.trackers.rules import read_file
from letterbox.wishes import Mistake

_MAX_PORT = 65535
#: What S3 lets a bucket be called.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REDIS = frozenset({"redis", "rediss", "unix"})
_DEPLOYMENTS = frozenset(
    f"{scheme}+{kind}" for scheme in ("redis", "rediss") for kind in ("cluster", "sentinel")
)


def check(configuration: Configuration, domains: Callable[[], Domains]) -> Iterator[Mistake]:
    """Every mistake of a configuration. ``domains`` is asked only where it is needed."""
    yield from _names(configuration)
    yield from _listeners(configuration)
    yield from _submission(configuration)
    yield from _filter(configuration)
    for nth, peer in enumerate(configuration.smtp.trusted_peers):
        yield from _peer(f"smtp.trusted_peers[{nth}]", peer)
    for nth, proxy in enumerate(configuration.http.proxies):
        yield from _network(f"http.proxies[{nth}]", proxy)
    yield from store(configuration.store.url)
    yield from _bodies(configuration.bodies)
    for nth, server in enumerate(configuration.dns.servers):
        yield from _resolver(f"dns.servers[{nth}]", server)
    yield from _trusted(configuration, domains)
    yield from _outbound(configuration.outbound)
    yield from onward(configuration, _is_host_and_port)
    yield from _tls(configuration.tls.certificate, configuration.tls.key)
    for nth, name in enumerate(configuration.trackers.rules):
        yield from _tracker_rules(f"trackers.rules[{nth}]", name)


def _tracker_rules(path: str, name: str) -> Iterator[Mistake]:
    try:
        read_file(Path(name).read_bytes())
    except OSError as error:
        yield unreadable(path, error)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        allowed = "rules as config/trackers.toml has them"
        yield Mistake(path=path, mistake=f"{name}: {error}", allowed=allowed)


def check_role(configuration: Configuration, role: Role, *, several: bool) -> Iterator[Mistake]:
    """What keeps processes of a role from serving by a configuration that is sound by itself."""
    scheme = configuration.store.url.partition(":")[0]
    if scheme == "memory" and (several or role is not Role.ALL):
        yield Mistake(
            path="store.url",
            mistake="memory: is for one process, and --role and --processes are for several",
            allowed="sqlite:FILE or redis://HOST:PORT, which they share; or one process",
        )
    elif scheme == "sqlite" and role is not Role.ALL:
        yield Mistake(
            path="store.url",
            mistake=f"sqlite: is for one machine, and --role {role} is for one of several",
            allowed="redis://HOST:PORT, which they share; or serve without --role",
        )
    doors = role.doors(configuration)
    if role is not Role.WORKER and not any(doors[name] for name in doors if name != "admin"):
        keys = {name: f"{name}.listen" for name in doors if name not in {"admin", "submissions"}}
        yield Mistake(
            path=", ".join(keys.values()),
            mistake=f"empty, so that --role {role} has no door to open",
            allowed="an address; or another role",
        )


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


def _filter(configuration: Configuration) -> Iterator[Mistake]:
    """Between two mail servers there must be both."""
    section = configuration.filter
    if section.next_hop and not (
        _is_host_and_port(section.next_hop) and section.next_hop.rpartition(":")[2].strip("0")
    ):
        yield Mistake(
            path="filter.next_hop",
            mistake=f"{section.next_hop!r} is not host:port",
            allowed="the mail server behind, such as 127.0.0.1:10026; empty where there is none",
        )
    for path in ("filter", "smtp", "lmtp"):
        if _collide(section.next_hop, getattr(configuration, path).listen):
            yield Mistake(
                path="filter.next_hop",
                mistake=f"{section.next_hop} is our own {path}.listen: mail would go in circles",
                allowed="the mail server behind",
            )
    if not section.listen:
        return
    if not section.next_hop:
        yield Mistake(
            path="filter.next_hop",
            mistake="there is no mail server behind filter.listen, to be handed what is delivered",
            allowed="its address, such as 127.0.0.1:10026; or filter.listen empty",
        )
    if all(peer.client == "proxy" for peer in configuration.smtp.trusted_peers):
        yield Mistake(
            path="smtp.trusted_peers",
            mistake="it names no mail server before filter.listen, which serves nobody else",
            allowed='such as { address = "127.0.0.1", client = "xforward" }',
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
    places["filter.listen"] = configuration.filter.listen
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


def _trusted(configuration: Configuration, domains: Callable[[], Domains]) -> Iterator[Mistake]:
    """Servers whose word about authors is taken: each must be somebody, and not ourselves."""
    identity = configuration.identity
    known = domains() if identity.arc_sealers else None
    for nth, name in enumerate(identity.arc_sealers):
        path = f"identity.arc_sealers[{nth}]"
        if fold_domain(name) is None:
            yield Mistake(
                path=path, mistake=f"{name!r} is no domain", allowed="such as example.org"
            )
        elif known and known.is_public_suffix(name):
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


def store(url: str) -> Iterator[Mistake]:
    """What is wrong with the URL of a store."""
    scheme, colon, place = url.partition(":")
    if url == "memory:" or (scheme == "sqlite" and place):
        return
    if _is_redis(url):
        return
    # What is wrong is not repeated: there may be a password in it.
    if scheme in _REDIS | _DEPLOYMENTS:
        mistake = f"what follows {scheme}: cannot be read"
    else:
        known = ["sqlite", "memory", *sorted(_REDIS | _DEPLOYMENTS)]
        mistake = f"{scheme + colon!r} begins no store" + nearest(scheme, known)
    yield Mistake(
        path="store.url",
        mistake=mistake,
        allowed="sqlite:FILE such as sqlite:var/letterbox.db, redis://HOST:PORT, "
        "rediss://HOST:PORT, unix://SOCKET, redis+cluster://HOST:PORT,HOST:PORT, "
        "redis+sentinel://HOST:PORT,HOST:PORT/NAME, or memory: (keeps nothing)",
    )


def _bodies(section: BodiesSection) -> Iterator[Mistake]:
    # What is wrong is not repeated: somebody may have written a key into it.
    if bodies_place(section.url) is None:
        yield Mistake(
            path="bodies.url",
            mistake="it names no place for bodies",
            allowed="store: (with everything else), dir:PATH such as dir:/srv/letterbox/bodies, or "
            "s3://BUCKET/PREFIX, with credentials in the environment and never here",
        )
    endpoint = urlsplit(section.endpoint)
    if section.endpoint and (
        endpoint.scheme not in {"http", "https"}
        or not endpoint.hostname
        or endpoint.username is not None
        or endpoint.query
        or endpoint.fragment
    ):
        yield Mistake(
            path="bodies.endpoint",
            mistake="it is no address of a server",
            allowed="such as https://objects.example.org:9000; empty for AWS",
        )


def bodies_place(url: str) -> tuple[str, str, str] | None:
    """What a URL of bodies says: ``store``, ``dir`` or ``s3``; path or bucket; prefix.

    None where it says nothing that can be read.
    """
    scheme, _, rest = url.partition(":")
    if url == "store:":
        return "store", "", ""
    if scheme == "dir" and rest and not rest.startswith("//"):
        return "dir", rest, ""
    bucket, _, prefix = rest.removeprefix("//").partition("/")
    if scheme == "s3" and rest.startswith("//") and _BUCKET.fullmatch(bucket):
        return "s3", bucket, prefix.strip("/")
    return None


def _is_redis(url: str) -> bool:
    """Whether nothing is in a URL but what the store reads from it."""
    if url.partition(":")[0] in _DEPLOYMENTS:
        return redis_url.parse(url) is not None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return False
    if parts.scheme not in _REDIS or parts.fragment:
        return False
    if parts.scheme == "unix":
        return parts.path.startswith("/") and not parts.query
    database = parts.path.removeprefix("/")
    return bool(parts.hostname) and not parts.query and (not database or database.isdecimal())


def _resolver(path: str, server: str) -> Iterator[Mistake]:
    host = server.rpartition(":")[0].strip("[]")
    if not (_is_host_and_port(server) and _is_address(host)):
        yield Mistake(
            path=path,
            mistake=f"{server!r} is not address:port",
            allowed="such as 127.0.0.1:53 or [::1]:53",
        )


def _outbound(section: OutboundSection) -> Iterator[Mistake]:
    if section.relay and not _is_host_and_port(section.relay):
        yield Mistake(
            path="outbound.relay",
            mistake=f"{section.relay!r} is not host:port",
            allowed="such as relay.example.org:25 or 127.0.0.1:25; empty finds servers by the DNS",
        )
    dkim = section.dkim
    if not dkim.selector and not dkim.key:
        return
    if not dkim.selector or not dkim.key:
        missing = "outbound.dkim.key" if dkim.selector else "outbound.dkim.selector"
        yield Mistake(
            path=missing, mistake="it is missing", allowed="both selector and key, or neither"
        )
        return
    for path, name in (("selector", dkim.selector), ("domain", dkim.domain)):
        if name and fold_domain(name) is None:
            yield Mistake(
                path=f"outbound.dkim.{path}",
                mistake=f"{name!r} is no part of a domain name",
                allowed="letters, digits and dots",
            )
    try:
        OwnSigner("signer.invalid", dkim.selector, Path(dkim.key).read_bytes())
    except OSError as error:
        yield unreadable("outbound.dkim.key", error)
    except BadKey as bad:
        yield Mistake(
            path="outbound.dkim.key", mistake=str(bad), allowed="an RSA key of 2048 bits, in PEM"
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
            yield unreadable(path, error)
            return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        yield Mistake(
            path="tls.certificate",
            mistake=f"it does not load with tls.key: {getattr(error, 'reason', None) or error}",
            allowed="a certificate chain and its unencrypted key, both PEM",
        )


def unreadable(path: str, error: OSError) -> Mistake:
    """A file that cannot be read."""
    return Mistake(
        path=path,
        mistake=f"{error.filename or 'it'} cannot be read: {error.strerror or error}",
        allowed="a readable file",
    )
