"""What stands in commands: paths, addresses, parameters. Pure."""

import ipaddress
import re

from letterbox.model.address import MAX_ADDRESS, MAX_LOCAL, Address, fold_domain, parse_address

# RFC 5321, sections 4.1.1.2 and 4.1.1.3. Real clients put a space behind the colon; the
# quantifiers are possessive, so that no input makes the match slow.
_PATH = re.compile(
    r"""(FROM|TO):[ ]?
        < ( (?: [^<>"\\\ ]++ | "(?: [^"\\]++ | \\. )*+" )*+ ) >
        (?: [ ]++ (.*) )?""",
    re.IGNORECASE | re.VERBOSE,
)
# RFC 5321, section 4.1.2: Quoted-string, widened by RFC 6531 to UTF-8 (without its controls).
_QUOTED = re.compile(
    r'"((?:[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]|\\[\x20-\x7e])*+)"@([^@]+)', re.DOTALL
)
_LITERAL = re.compile(r"\[(?:IPv6:([0-9a-f:.]+)|([0-9.]+))\]", re.IGNORECASE)
# RFC 5321, section 4.1.2: esmtp-param, widened by RFC 6531, section 3.3, to UTF-8.
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([!-<>-~\xa1-\U0010ffff]++))?")


def read_path(arg: str, word: str) -> tuple[str, str] | None:
    """Split ``FROM:<path> parameters``; ``word`` is FROM or TO. None where it is not so."""
    match = _PATH.fullmatch(arg)
    if match is None or match[1].upper() != word:
        return None
    return match[2], match[3] or ""


def read_parameters(text: str) -> dict[str, str | None] | None:
    """Parameters by upper-case keyword; None where one is badly formed or stands twice."""
    found: dict[str, str | None] = {}
    for part in filter(None, text.split(" ")):
        match = _PARAMETER.fullmatch(part)
        if match is None or match[1].upper() in found:
            return None
        found[match[1].upper()] = match[2]
    return found


def read_mailbox(path: str) -> Address | None:
    """The address of a path, without its source route; None where it is badly formed.

    A quoted local part that needs no quotes is the same as without them; one that needs them is
    kept in quotes, as an address that nobody here has. A domain may be an address literal.
    """
    if path.startswith("@"):
        # RFC 5321, section 4.1.1.3 and appendix C: a source route is taken and ignored.
        route, colon, path = path.partition(":")
        if not colon or not all(_is_hop(hop) for hop in route.split(",")):
            return None
    if not path.startswith('"') and not path.endswith("]"):
        return parse_address(path)
    local, _, domain = path.rpartition("@")
    if match := _QUOTED.fullmatch(path):
        local, domain = re.sub(r"\\(.)", r"\1", match[1]), match[2]
        if plain := _join(local, domain):
            return plain
        escaped = re.sub(r'(["\\])', r"\\\1", local)
        return _checked(f'"{escaped}"', _host(domain))
    return _join(local, domain)


def _join(local: str, domain: str) -> Address | None:
    """A plain local part at a host or an address literal."""
    host = _host(domain)
    plain = parse_address(f"{local}@letterbox.invalid")
    return _checked(plain.local, host) if plain else None


def _checked(local: str, host: str | None) -> Address | None:
    if host is None or len(local.encode()) > MAX_LOCAL:
        return None
    address = Address(local=local, domain=host)
    return address if len(str(address).encode()) <= MAX_ADDRESS else None


def _host(domain: str) -> str | None:
    """A folded host name, or an address literal (RFC 5321, section 4.1.3)."""
    if not domain.startswith("["):
        return fold_domain(domain)
    match = _LITERAL.fullmatch(domain)
    if match is None:
        return None
    try:
        if match[1]:
            return f"[ipv6:{ipaddress.IPv6Address(match[1])}]"
        return f"[{ipaddress.IPv4Address(match[2])}]"
    except ValueError:
        return None


def _is_hop(hop: str) -> bool:
    return hop.startswith("@") and _host(hop[1:]) is not None
