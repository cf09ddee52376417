"""How this process keeps its memory: less often given back, less often gone through.

Both matter for a server alone, whose memory is used again with the next message.
"""

import ctypes
import gc
from contextlib import suppress
from typing import Final

# mallopt(3): what may be free at the top of the heap, and what is mapped by itself, in octets.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_KEPT: Final = 64 * 1024 * 1024
_MAPPED: Final = 4 * 1024 * 1024
#: New objects, less those gone, after which cycles are looked for. Python's own 700 are a third of
#: what one message makes; nearly all of that goes without a collector's help.
_NEW: Final = 20_000


def keep() -> None:
    """Keep what a message has used for the next one.

    glibc gives the top of its heap back to the system, and takes it anew, page fault by page
    fault, for every mail of more than 128 KiB in all its forms. Elsewhere nothing is done.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_MMAP_THRESHOLD, _MAPPED)


def settle() -> None:
    """Once all is made that stays: the collector passes over it from now on, and comes less often.

    What was imported and compiled at start is a million objects; looking for cycles among them
    would take some 100 ms each time, in the midst of somebody's message.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, *gc.get_threshold()[1:])
