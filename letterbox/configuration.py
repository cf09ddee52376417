"""Reading the configuration: a file, variables over it, and everything checked before use."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from letterbox.administration.shape import Misshapen, read_toml, shape
from letterbox.identity.domains import Domains
from letterbox.misconfigured import check, check_role, unreadable
from letterbox.model.configuration import Configuration
from letterbox.model.role import Role
from letterbox.wishes import Mistake

#: ``LETTERBOX__SMTP__LISTEN`` stands over ``smtp.listen`` of the file.
_PREFIX = "LETTERBOX__"
_NAMED_FILE = "LETTERBOX_CONFIG"
#: What else may begin as our variables do; the second is the tests'.
_OTHERS = frozenset({_NAMED_FILE, "LETTERBOX_SHARED"})
_HERE = "letterbox.toml"
_MAX_FILE = 1 << 20
_PASSWORD = re.compile(r"(//).*(@)", re.DOTALL)


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


def own_rules(configuration: Configuration) -> list[bytes]:
    """The operator's own rules about trackers, as checked with the configuration."""
    return [Path(name).read_bytes() for name in configuration.trackers.rules]


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
    if mistakes := tuple(check(configuration, _domains)):
        raise ConfigurationError(file, _with_origin(mistakes, origins))
    return configuration


def load_for(
    path: str | None, environ: Mapping[str, str], *, role: Role, several: bool
) -> Configuration:
    """The configuration, where a process of this role, or ``several``, can serve by it.

    Raises :class:`ConfigurationError`.
    """
    configuration = load(path, environ)
    if mistakes := tuple(check_role(configuration, role, several=several)):
        raise ConfigurationError(source(path, environ) or "the defaults", mistakes)
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


def shown_of(configuration: Configuration) -> dict[str, Any]:
    """The configuration as JSON may hold it, without the password of the store."""
    shown: dict[str, Any] = msgspec.to_builtins(configuration)
    shown["store"]["url"] = _PASSWORD.sub(r"\1***\2", configuration.store.url)
    return shown


def store_file(configuration: Configuration) -> Path | None:
    """The file of the store, whether it is there or not; None for a store without one."""
    scheme, _, place = configuration.store.url.partition(":")
    return Path(place).absolute() if scheme == "sqlite" else None


def _domains() -> Domains:
    return Domains(shipped("mailbox_providers.toml"))


def _find(path: str | None, environ: Mapping[str, str]) -> tuple[str, bytes]:
    file = source(path, environ)
    if file is None:
        return "the defaults", shipped(_HERE)
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(file, (unreadable("the file", error),)) from error
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

    def within(before: str, tables: Mapping[str, Any]) -> Iterator[str]:
        for name, value in tables.items():
            if isinstance(value, dict):
                yield from within(f"{before}{name}__", value)
            else:
                yield f"{before}{name}"

    for key in within("", msgspec.to_builtins(Configuration())):
        yield _PREFIX + key.upper()


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
