"""Reading an Authentication-Results field (RFC 8601, section 2.2), or a sealed one (RFC 8617).

Strict where it decides, because what can be read in two ways proves nothing: a field that is not
of the form is not read at all. Two liberties are taken that large providers need: a value may hold
any sign that ends no value (``header.b=ab/cd``), and ``word=value`` without a type is passed over
(``action=none``). Pure.
"""

import re

import msgspec

_MOST = 16 * 1024  # octets of a value that are looked at; one of a provider has about 600
_MOST_RESULTS = 100
_MOST_NESTED = 20  # comments within one another
_FOLD = re.compile(r"\r\n(?=[ \t])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SPACE = re.compile(r"[ \t]+")
_COMMENT_TEXT = re.compile(r"(?:[^()\\]|\\.)+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_\-]*[A-Za-z0-9])?")  # RFC 5321, section 4.1.2
_VALUE = re.compile(r'[^\s()<>,;"\\]+')
_DIGITS = re.compile(r"[0-9]{1,3}")
_ONE = "1"  # the version of the field and of every method


class BadResults(Exception):
    """Not a field of the form. The text says why."""


class Result(msgspec.Struct, frozen=True):
    """What one method found. Names and the result are lower case, values as they were written.

    ``properties`` are by type and name, such as ``header.d``.
    """

    method: str
    result: str
    properties: dict[str, str]


class Results(msgspec.Struct, frozen=True):
    """One field: what the server ``server`` (its authserv-id, lower case) found."""

    server: str
    results: tuple[Result, ...]

    def of(self, method: str) -> list[Result]:
        """The results of one method."""
        return [result for result in self.results if result.method == method]


def read_results(value: bytes) -> Results | None:
    """Read the value of an Authentication-Results field; None where it is none. Never raises."""
    try:
        return _payload(_Cursor(value))
    except BadResults:
        return None


def read_sealed_results(value: bytes) -> Results | None:
    """Read the value of an ARC-Authentication-Results field (RFC 8617, section 4.1.1).

    None where it is none. Never raises.
    """
    try:
        cursor = _Cursor(value)
        _instance(cursor)
        return _payload(cursor)
    except BadResults:
        return None


def sealed_instance(value: bytes) -> str:
    """The number an ARC-Authentication-Results field begins with. Raises :class:`BadResults`."""
    return _instance(_Cursor(value))


class _Cursor:
    """A place in a value; every step passes over the comments and space before it."""

    def __init__(self, value: bytes) -> None:
        if len(value) > _MOST:
            raise BadResults(f"it is longer than {_MOST} octets")
        try:
            text = _FOLD.sub("", value.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise BadResults("it is neither ASCII nor UTF-8") from error
        if _CONTROL.search(text):
            raise BadResults("it holds control characters")
        self._text = text
        self._at = 0

    def ended(self) -> bool:
        """Whether nothing more stands there."""
        self._skip()
        return self._at == len(self._text)

    def sign(self, sign: str) -> bool:
        """Pass over one sign, if it is the next."""
        self._skip()
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def need(self, sign: str) -> None:
        """Pass over one sign that must stand there."""
        if not self.sign(sign):
            raise BadResults(f"{sign!r} is missing")

    def word(self, form: re.Pattern[str]) -> str | None:
        """What is next, if it is of a form."""
        self._skip()
        found = form.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def keyword(self) -> str:
        """A name that must stand there, in lower case."""
        word = self.word(_KEYWORD)
        if word is None:
            raise BadResults("a name is missing")
        return word.lower()

    def value(self) -> str:
        """A value that must stand there: a word, a quoted text, or an address."""
        quoted = self.word(_QUOTED)
        if quoted is not None:
            start = _ESCAPED.sub(r"\1", quoted[1:-1])
            # "local part"@domain
            rest = self._adjoining() if self._text.startswith("@", self._at) else ""
            return start + rest
        value = self.word(_VALUE)
        if value is None:
            raise BadResults("a value is missing")
        return value

    def _adjoining(self) -> str:
        found = _VALUE.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _skip(self) -> None:
        """Space and comments (RFC 5322, section 3.2.2)."""
        depth = 0
        while self._at < len(self._text):
            form = _COMMENT_TEXT if depth else _SPACE
            found = form.match(self._text, self._at)
            if found:
                self._at = found.end()
                continue
            sign = self._text[self._at]
            if sign != "(" and not (depth and sign == ")"):
                break
            depth += 1 if sign == "(" else -1
            self._at += 1
            if depth > _MOST_NESTED:
                raise BadResults("comments stand too deep in one another")
        if depth:
            raise BadResults("a comment does not end")


def _instance(cursor: _Cursor) -> str:
    if cursor.keyword() != "i":
        raise BadResults("the instance is missing")
    cursor.need("=")
    number = cursor.word(_DIGITS)
    if number is None:
        raise BadResults("the instance is no number")
    cursor.need(";")
    return number


def _payload(cursor: _Cursor) -> Results:
    server = cursor.value().lower()
    if not (cursor.ended() or cursor.sign(";")):
        if cursor.word(_DIGITS) != _ONE:
            raise BadResults("its version is not 1")
        if not cursor.ended():
            cursor.need(";")
    results: list[Result] = []
    while not cursor.ended():
        if len(results) == _MOST_RESULTS:
            raise BadResults(f"it holds more than {_MOST_RESULTS} results")
        result = _result(cursor)
        if result is None:
            if results or not cursor.ended():
                raise BadResults("something stands beside none")
            break
        results.append(result)
    return Results(server=server, results=tuple(results))


def _result(cursor: _Cursor) -> Result | None:
    """One result and the semicolon after it; None for the word that says there is none."""
    method = cursor.keyword()
    if method == "none" and cursor.ended():
        return None
    if cursor.sign("/") and cursor.word(_DIGITS) != _ONE:
        method = ""  # a version that may mean anything; no method has this name
    cursor.need("=")
    result = cursor.keyword()
    properties: dict[str, str] = {}
    while not (cursor.ended() or cursor.sign(";")):
        name = cursor.keyword()
        typed = cursor.sign(".")
        if typed:
            name = f"{name}.{cursor.keyword()}"
        cursor.need("=")
        value = cursor.value()
        if name in properties:
            raise BadResults("a property stands twice")
        properties[name] = value
    return Result(method=method, result=result, properties=properties)
