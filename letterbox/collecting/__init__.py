"""Old mail read on the command line: it never leaves the process that reads it.

What goes to the server is what was seen of each mail (:class:`letterbox.model.proposal.Sighting`),
some hundreds at a time, with how far the mailbox has been read.
"""

from letterbox.collecting.commands import run

__all__ = ["run"]
