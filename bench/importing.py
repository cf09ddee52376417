"""How long the import of a large mbox takes, and that it can be interrupted.

    python -m bench.importing [--mails 20000]

A mailbox is made up, half of it mail of the shared collection where that is there, and imported by
``letterbox import mbox`` beside a running server; once in one go, and once by a command that is
killed over and over. Prints the figures.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.oldmail import mixed, write_mbox
from tests.support.processes import Letterbox, serving

_PEOPLE = "".join(
    f'[[consumer]]\nid = "{name}"\naddresses = ["{name}@letterbox.example"]\n'
    for name in ("anna", "ben")
)
_BETWEEN_KILLS = 10.0  # seconds


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.importing", description=__doc__)
    parser.add_argument("--mails", type=int, default=20_000)
    mails = parser.parse_args().mails
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        mbox = folder / "old.mbox"
        write_mbox(mbox, mixed(mails))
        size = mbox.stat().st_size
        _say(f"an mbox of {mails:,} mails, {size / 1e6:,.0f} MB")
        with serving(folder) as letterbox:
            letterbox.apply(_PEOPLE)
            began = time.monotonic()
            _command(letterbox, mbox, "anna").wait()
            took = time.monotonic() - began
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            whole = letterbox.ask("import", "show", "--consumer", "anna", "--people")
            _say(
                f"read in {took:.1f} s, {mails / took:,.0f} mails a second, {most:,.0f} MB at most"
            )
            companies = len(whole["items"]) - whole["people"]
            _say(f"found {companies} companies and {whole['people']} people")
            _say(f"{whole['unread']:,} mails could not be read")
            kills = 0
            while (command := _command(letterbox, mbox, "ben")) and _killed(command):
                kills += 1
            parts = letterbox.ask("import", "show", "--consumer", "ben", "--people")
            same = _without_whose(whole) == _without_whose(parts)
            _say(f"killed {kills} times and gone on with: {'the same' if same else 'DIFFERENT'}")
    return 0 if same else 1


def _command(letterbox: Letterbox, mbox: Path, consumer: str) -> subprocess.Popen[bytes]:
    asked = ["import", "mbox", str(mbox), "--consumer", consumer]
    return subprocess.Popen(
        [*letterbox.command, *asked, "--config", str(letterbox.config)],
        cwd=letterbox.folder,
        stdout=subprocess.DEVNULL,
        # What a killed process leaves behind is tidied up with a word.
        stderr=subprocess.DEVNULL,
    )


def _killed(command: subprocess.Popen[bytes]) -> bool:
    """Whether it had to be killed, since it was not done by then."""
    try:
        command.wait(_BETWEEN_KILLS)
    except subprocess.TimeoutExpired:
        command.send_signal(signal.SIGKILL)
        command.wait()
        return True
    return False


def _without_whose(shown: dict[str, object]) -> str:
    return json.dumps({**shown, "consumer": ""}, sort_keys=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
