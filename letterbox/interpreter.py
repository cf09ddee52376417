"""How the interpreter is set up for a server: its memory, its collector, its threads."""

import ctypes
import gc
import sys
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
#: Seconds after which a busy thread lets another one go on. The store's, back from the disk, needs
#: a few microseconds, several times a commit; with Python's own 5 ms each time, a commit took
#: longer to be told of than to be written.
_SWITCH: Final = 0.0005


def settle() -> None:
    """Once all is made that stays.

    The collector passes over it from now on, and comes less often: to look for cycles among what
    was imported and compiled at start would take some 60 ms each time, in the midst of somebody's
    message. And what a message has used is kept for the next one: glibc would give the top of its
    heap back to the system, and take it anew, page fault by page fault, with every mail of more
    than 128 KiB in all its forms.
    """
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, *gc.get_threshold()[1:])
    with suppress(OSError, AttributeError):  # not everywhere is glibc
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)  # of what the start has used
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_MMAP_THRESHOLD, _MAPPED)
