"""Notices to the channels of consumers: folded, never in quiet time or a pause, soon or not at all.

What came is gathered, beside the way of the mail, as rows (:mod:`letterbox.records.news`). They are
looked at when they may be told: then one notice of all of them is owed to each channel, in one
commit with that it was told. A channel that fails is tried again for an hour. Killed after a call
and before it is written down, the same notice goes out again, under the same id.
"""

import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from letterbox.feedback import notice
from letterbox.feedback.destination import LONGEST, BadDestination, look_at
from letterbox.feedback.notice import AUTH_OCTETS, KEY_OCTETS, LASTS, Request, Said
from letterbox.feedback.sentences import Sentences, safe
from letterbox.metrics import Metrics
from letterbox.model.channel import Call, Channel, ChannelKind, ChannelOff, Summary
from letterbox.model.kind import Kind
from letterbox.model.preferences import Preferences
from letterbox.ports.clock import Clock
from letterbox.ports.courier import WebCourier, WebTrouble
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import (
    Add,
    Commit,
    Delete,
    Document,
    Expect,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.channels import Channels
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import new_id
from letterbox.records.news import News, Notified, gathered
from letterbox.wishes import Rhythm, name_of

#: After the first failure, the second, and so on.
_DELAYS: Final = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 300, 900))
#: A channel by which nothing arrived for so long is called no more.
_PATIENCE: Final = timedelta(days=3)
_ROWS: Final = 500
_TRIALS_PER_HOUR: Final = 20
_HOUR: Final = timedelta(hours=1)
_SUCCESSES: Final = range(200, 300)
_GONE: Final = frozenset({404, 410})
_LONGEST_LABEL: Final = 60
_LONGEST_TOKEN: Final = 200

log = structlog.get_logger("letterbox.delivery")


class Tried(NamedTuple):
    """What came of a call; ``detail`` says why it failed, in English."""

    arrived: bool
    status: int = 0
    detail: str = ""


class TooManyTrials(Exception):
    """A consumer tried channels more often than they may in an hour."""


class BadChannel(Exception):
    """It cannot be a channel; the text says why, ``field`` of what."""

    def __init__(self, field: str, mistake: str, allowed: str) -> None:
        super().__init__(mistake)
        self.field, self.mistake, self.allowed = field, mistake, allowed


class Notifier:
    """Gives notice. ``private`` admits URLs within our own walls, ``url`` is our own address."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        channels: Channels,
        mailboxes: Mailboxes,
        courier: WebCourier,
        resolver: Resolver,
        sentences: Sentences,
        metrics: Metrics,
        hostname: str,
        url: Callable[[], str],
        private: bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._channels = channels
        self._mailboxes = mailboxes
        self._courier = courier
        self._resolver = resolver
        self._sentences = sentences
        self._metrics = metrics
        self._hostname = hostname
        self._url = url
        self._private = private

    # ---- what has come

    async def gather(self, consumer: str, decision: str) -> None:
        """Something came that notice is to be given of: put it among the rest."""
        partition = places.consumer(consumer)
        record = await self._mailboxes.decision(consumer, decision)
        if record is None:
            gone = Unschedule(places.NEW + decision, expect=False)
            await self._store.commit(Commit(partition, (gone,)))
            return
        # Rejected where another process was faster.
        await self._store.commit(Commit(partition, gathered(record, self._clock.now())))

    async def look(self, consumer: str) -> None:
        """Something came, or may be told by now: owe it to each channel, or see when it may be."""
        stored = await self._consumers.stored(consumer)
        partition = places.consumer(consumer)
        woken = await self._store.get(partition, places.NEWS)
        rows = await self._store.documents(partition, places.NEW, limit=_ROWS)
        preferences = stored.preferences if stored else Preferences()
        channels = [each for each in await self._channels.listed(consumer) if each.off is None]
        if not rows or preferences.notify is None or not channels:
            await self._rest(partition, woken, rows)
            return
        now, rhythm = self._clock.now(), self._consumers.rhythm(preferences)
        last = await self._store.get(partition, places.NOTIFIED)
        every = timedelta(minutes=preferences.notify.every_minutes)
        earliest = decode(last.value, Notified).at + every if last else now
        at = max(earliest, now)
        at = rhythm.silent_until(at) or at
        if at > now:
            await self._store.commit(Commit(partition, (Schedule(places.NEWS, at=at),)))
            return
        found = [decode(row.value, News) for row in rows]
        summary = _summary(each for each in found if not _is_paused(rhythm, each, now))
        gone = tuple(Delete(row.key) for row in rows)
        told: list[Operation] = []
        if summary.new or summary.waiting:
            for channel in channels:
                told += await self._owe(consumer, channel, summary, now)
            revision = last.revision if last else 0
            told.append(Put(places.NOTIFIED, encode(Notified(now)), expect=revision))
        again = Schedule(places.NEWS, at=now + every)
        await self._store.commit(Commit(partition, (*told, *gone, again)))

    async def _rest(self, partition: str, woken: Document | None, rows: Iterable[Document]) -> None:
        """There is nothing to tell, or nobody to tell it by; what came meanwhile is looked at."""
        same = Expect(places.NEWS, revision=woken.revision if woken else 0)
        gone = tuple(Delete(row.key) for row in rows)
        stop = Unschedule(places.NEWS, expect=False)
        await self._store.commit(Commit(partition, (same, *gone, stop)))

    async def _owe(
        self, consumer: str, channel: Channel, summary: Summary, now: datetime
    ) -> list[Operation]:
        """What has a channel called; a notice that is on its way there still is folded in."""
        key = places.channel_call(channel.id)
        document = await self._store.get(places.consumer(consumer), key)
        if document is not None:
            summary = decode(document.value, Call).summary.and_also(summary)
        call = Call(id=new_id(now), at=now, summary=summary)
        revision = document.revision if document else 0
        return [Put(key, encode(call), expect=revision), Schedule(key, at=now)]

    # ---- on the way

    async def call(self, consumer: str, name: str) -> None:
        """A notice is due by a channel: call it, unless that is of no use any more."""
        partition, key = places.consumer(consumer), places.channel_call(name)
        document = await self._store.get(partition, key)
        stored = await self._consumers.stored(consumer)
        channel = await self._channels.get(consumer, name)
        preferences = stored.preferences if stored else Preferences()
        notify = preferences.notify
        if document is None or notify is None or channel is None or channel.off is not None:
            await self._done(partition, key, document)
            return
        now, call = self._clock.now(), decode(document.value, Call)
        silent = self._consumers.rhythm(preferences).silent_until(now)
        until = call.at + LASTS
        if now >= until or (silent is not None and silent >= until):
            await self._done(partition, key, document)
            return
        if silent is not None:
            await self._store.commit(Commit(partition, (Schedule(key, at=silent),)))
            return
        summary = notice.shown(call.summary, notify.shows)
        words = notice.lines(self._sentences, summary, preferences.language)
        page = "/inbox" if summary.new else "/waiting"
        said = Said(call.id, call.at, "letterbox", words, f"{self._url()}{page}", summary)
        tried = await self._post(channel, said)
        outcome = "delivered" if tried.arrived else "failed"
        self._metrics.notices.labels(channel.kind, outcome).inc()
        await self._note(consumer, channel, tried)
        if tried.arrived or tried.status in _GONE:
            await self._done(partition, key, document)
            return
        attempts = call.attempts + 1
        again = now + _DELAYS[min(attempts, len(_DELAYS)) - 1]
        put = Put(key, encode(replace(call, attempts=attempts)), expect=document.revision)
        # Rejected where more has come meanwhile, which is due at once.
        await self._store.commit(Commit(partition, (put, Schedule(key, at=again))))

    async def _done(self, partition: str, key: str, document: Document | None) -> None:
        gone = Delete(key, expect=document.revision if document else 0)
        stop = Unschedule(key, expect=False)
        await self._store.commit(Commit(partition, (gone, stop)))

    async def _post(self, channel: Channel, said: Said) -> Tried:
        try:
            request = await self._request(channel, said)
            answer = await self._courier.post(channel.url, request.headers, request.body)
        except WebTrouble as trouble:
            return Tried(arrived=False, detail=trouble.kind)
        except ValueError:
            return Tried(arrived=False, detail="key")  # no point of the curve
        arrived = answer.status in _SUCCESSES
        return Tried(arrived, answer.status, "" if arrived else str(answer.status))

    async def _request(self, channel: Channel, said: Said) -> Request:
        match channel.kind:
            case "webhook":
                return notice.webhook(said._replace(at=self._clock.now()), channel.secret)
            case "ntfy":
                return notice.ntfy(said, channel.token)
            case "push":
                key, now = await self._channels.push_key(), self._clock.now()
                subject = f"mailto:postmaster@{self._hostname}"
                return notice.push(said, channel, key, subject=subject, now=now)

    async def _note(self, consumer: str, channel: Channel, tried: Tried) -> None:
        """Write down what became of a call; a channel that takes nothing for days is turned off."""
        now = self._clock.now()

        def noted(before: Channel) -> Channel:
            if tried.arrived:
                return replace(before, last=now, failing=None, detail="")
            failing = before.failing or now
            off: ChannelOff | None = None
            if tried.status in _GONE:
                off = "gone"
            elif now - failing >= _PATIENCE:
                off = "failing"
            return replace(before, failing=failing, detail=tried.detail, off=off)

        changed = await self._channels.change(consumer, channel.id, noted)
        if changed is not None and changed.off is not None:
            log.warning("channel-off", consumer=consumer, channel=channel.id, because=changed.off)

    # ---- what a consumer asks for

    async def add(
        self,
        consumer: str,
        kind: ChannelKind,
        url: str,
        *,
        label: str = "",
        token: str = "",
        key: bytes = b"",
        auth: bytes = b"",
    ) -> Channel:
        """Add a channel.

        Raises :class:`BadChannel`, :class:`letterbox.records.channels.TooMany`.
        """
        if len(url) > LONGEST:
            raise BadChannel("url", "it is too long", f"at most {LONGEST:,} characters")
        try:
            destination = await look_at(url, self._resolver, private=self._private)
        except BadDestination as bad:
            raise BadChannel("url", bad.mistake, bad.allowed) from None
        if not token.isascii() or not token.isprintable() or len(token) > _LONGEST_TOKEN:
            raise BadChannel(
                "token", "it is no token", f"at most {_LONGEST_TOKEN} letters of ASCII"
            )
        if kind == "push" and (len(key) != KEY_OCTETS or len(auth) != AUTH_OCTETS):
            raise BadChannel(
                "key", "it is no subscription of a browser's", "p256dh and auth of one"
            )
        now = self._clock.now()
        channel = Channel(
            id=new_id(now),
            kind=kind,
            url=destination.url,
            at=now,
            label=safe(label, _LONGEST_LABEL),
            secret=os.urandom(32) if kind == "webhook" else b"",
            token=token if kind == "ntfy" else "",
            key=key if kind == "push" else b"",
            auth=auth if kind == "push" else b"",
        )
        log.info("channel-added", consumer=consumer, channel=channel.id, kind=kind)
        return await self._channels.add(consumer, channel)

    async def turn_on(self, consumer: str, name: str) -> Channel | None:
        """Call a channel again that was turned off; None where there is none of that id."""
        return await self._channels.change(
            consumer, name, lambda before: replace(before, off=None, failing=None, detail="")
        )

    async def test(self, consumer: str, name: str) -> Tried | None:
        """Send a notice that tells of nothing, at any time; None where there is no such channel.

        Raises :class:`TooManyTrials`.
        """
        channel = await self._channels.get(consumer, name)
        stored = await self._consumers.stored(consumer)
        if channel is None:
            return None
        now = self._clock.now()
        counter = Add(places.channel_trials(now), now + _HOUR, limit=_TRIALS_PER_HOUR)
        (result,) = await self._store.commit(Commit(places.consumer(consumer), (counter,)))
        if isinstance(result, Rejected):
            raise TooManyTrials
        language = stored.preferences.language if stored else "en"
        words = (self._sentences.line("own", "trial", {}, language),)
        url = f"{self._url()}/notices"
        said = Said(new_id(now), now, "letterbox", words, url, Summary(), trial=True)
        tried = await self._post(channel, said)
        await self._note(consumer, channel, tried)
        return tried


def _summary(found: Iterable[News]) -> Summary:
    whole = Summary()
    for each in found:
        company, subject = (each.company,), (f"{each.company}: {each.subject}",)
        one = Summary(int(not each.waits), int(each.waits), company, subject)
        whole = whole.and_also(one)
    return whole


def _is_paused(rhythm: Rhythm, each: News, now: datetime) -> bool:
    names = frozenset(name_of(name) for name in each.names)
    return rhythm.is_paused_for(now, Kind(each.kind), names)
