"""Processes that read old mail: whatever hostile mail does to a reader, it does there."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context, parent_process

from letterbox.model.proposal import Sighting
from letterbox.reading.facts import Reader
from letterbox.reading.sightings import sight


def readers(make_reader: Callable[[], Reader], count: int) -> ProcessPoolExecutor:
    """So many of them, to be handed :func:`read_all`. ``make_reader`` is called in each."""
    return ProcessPoolExecutor(
        max_workers=count,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(make_reader,),
    )


#: Of the process that reads: it is handed nothing but mails.
_readers: list[Reader] = []


def _begin(make_reader: Callable[[], Reader]) -> None:
    # Whoever interrupts us at a terminal means the process that we work for.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _readers.append(make_reader())


def _end_with_parent() -> None:
    """A process that was killed tells nobody: those that read for it would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def read_all(mails: list[bytes], now: datetime) -> list[Sighting | None]:
    """What mails show, in order; None for each that cannot be read."""
    return [sight(raw, _readers[-1], now) for raw in mails]
