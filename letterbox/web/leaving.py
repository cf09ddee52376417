"""Taking everything along, to read or for programs; and erasing it."""

import asyncio
import json
import zipfile
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import web

from letterbox.administration.export import SECTIONS, Section
from letterbox.web.failures import missing
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

#: What each section is called.
TITLES: Final[Mapping[Section, str]] = {
    "preferences": N_("Rules"),
    "history": N_("Changes of the rules"),
    "inbox": N_("Inbox"),
    "held": N_("Waiting"),
    "decisions": N_("What was decided"),
    "activity": N_("Activity"),
    "requests": N_("Who asked to come back"),
    "import": N_("Old mail"),
    "objections": N_("Objections"),
    "strangers": N_("From nobody proven"),
    "tokens": N_("Keys of programs"),
    "sessions": N_("Where you are signed in"),
    "destinations": N_("Your mailboxes elsewhere"),
    "channels": N_("Channels"),
    "digest": N_("Digest"),
}
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
#: What a thing is headed by: the first of these that it has.
_TITLES: Final = ("subject", "type", "at", "id")
_HTML: Final = ".html"
#: So much of the archive is sent at once, in octets.
_PIECE: Final = 64 * 1024


class Row(NamedTuple):
    """One thing of a section, for people. ``file`` is the message itself, where that is kept."""

    title: str
    facts: tuple[tuple[str, str], ...]
    file: str = ""


async def export_json(visit: Visit) -> web.StreamResponse:
    """The document of ``GET /v1/me/export``."""
    return await _sent(
        visit, "json", "application/json", visit.parts.exporting.document(visit.consumer)
    )


async def export_zip(visit: Visit) -> web.StreamResponse:
    """The same as pages to read, with every message as a file."""
    return await _sent(visit, "zip", "application/zip", _archive(visit))


async def show_erase(visit: Visit) -> web.Response:
    """What goes."""
    return await _asked(visit)


async def erase(visit: Visit) -> web.Response:
    """Erase everything, once it is typed who that is."""
    if visit.field("typed").lower() != visit.consumer:
        return await _asked(visit, wrong=True)
    if not await visit.parts.erasure.begin(visit.consumer):
        raise missing()
    response = visit.see("/signin", "erased")
    visit.set_session(response, None)
    return response


async def _asked(visit: Visit, *, wrong: bool = False) -> web.Response:
    if await visit.parts.consumers.stored(visit.consumer) is None:
        raise missing()
    return await visit.page(
        "erase.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
        wrong=wrong,
        days=visit.parts.configuration.retention.decisions,
    )


async def _sent(
    visit: Visit, suffix: str, media_type: str, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """A file, written as it is made."""
    named = f'attachment; filename="letterbox-{visit.consumer}.{suffix}"'
    response = web.StreamResponse(headers=_HEADERS | {"Content-Disposition": named})
    response.content_type = media_type
    await response.prepare(visit.request)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


class _Outgoing:
    """What a zip file is written into, which cannot go back: it is taken out piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, content: bytes) -> int:
        """Take what comes next."""
        self._pieces.append(bytes(content))
        self.size += len(content)
        return len(content)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def taken(self) -> bytes:
        """What has come since."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return content


async def _archive(visit: Visit) -> AsyncIterator[bytes]:
    outgoing = _Outgoing()
    with zipfile.ZipFile(outgoing, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        async for name, content in _files(visit):
            # To compress a large message keeps nobody waiting.
            await asyncio.to_thread(archive.writestr, name, content)
            if outgoing.size >= _PIECE:
                yield outgoing.taken()
    yield outgoing.taken()


async def _files(visit: Visit) -> AsyncIterator[tuple[str, bytes]]:
    """Every file: an index, a few pages for each section, and the messages."""
    index: list[tuple[str, str]] = []
    for section in SECTIONS:
        number, after = 0, None
        while True:
            rows = await visit.parts.exporting.page(visit.consumer, section, after)
            number += 1
            if section == "messages":
                for item in rows.items:
                    yield f"messages/{item['id']}.eml", b64decode(item["raw"])
            else:
                for item in rows.items if section == "objections" else ():
                    if raw := item.pop("raw", None):
                        yield f"objections/{item['id']}.eml", b64decode(raw)
                title = visit.say(TITLES[section]) + (f" ({number})" if number > 1 else "")
                name = f"{section}-{number}{_HTML}"
                index.append((name, title))
                yield name, _read(visit, title, rows=_rows(section, rows.items))
            after = rows.after
            if after is None:
                break
    title = visit.say(N_("All that is kept about %(name)s"), name=visit.consumer)
    yield f"index{_HTML}", _read(visit, title, index=index)


def _read(visit: Visit, title: str, **said: object) -> bytes:
    said = {"index": (), "rows": ()} | said
    return visit.inside.text("export.html", visit.language, {"title": title, **said}).encode()


def _rows(section: Section, items: Any) -> list[Row]:
    if isinstance(items, dict):
        return [Row(name, _facts(value)) for name, value in items.items()]
    return [_row(section, item) for item in items]


def _row(section: Section, item: Any) -> Row:
    if not isinstance(item, dict):
        return Row(str(item), ())
    title = next(
        (str(item[name]) for name in ("subject", "type", "at", "id") if item.get(name)), ""
    )
    file = f"messages/{item['id']}.eml" if section == "inbox" else ""
    return Row(title, _facts(item), file)


def _facts(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, dict):
        return tuple((name, _said(each)) for name, each in value.items())
    if isinstance(value, list):
        return tuple((str(nth), _said(each)) for nth, each in enumerate(value, start=1))
    return (("", _said(value)),)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


PAGES = (
    Page("GET", "/settings/export.json", "consumer", export_json),
    Page("GET", "/settings/export.zip", "consumer", export_zip),
    Page("GET", "/settings/erase", "consumer", show_erase),
    Page("POST", "/settings/erase", "consumer", erase),
)
