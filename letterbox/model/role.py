"""What a process is there for, where one installation has several."""

from enum import StrEnum

from letterbox.model.configuration import Configuration


class Role(StrEnum):
    """Which of the doors a process opens, and whether it works on what is due and owed."""

    ALL = "all"
    #: Takes mail.
    GATEWAY = "gateway"
    #: Serves the API and the pages.
    WEB = "web"
    #: Releases what is held, carries feedback, calls endpoints, sends what goes out by mail.
    WORKER = "worker"
    #: Of several on an embedded store the one that has it, and works; and one that has the doors.
    KEEPER = "keeper"
    SERVING = "serving"
    #: The command line, beside the others: no door, no work.
    COMMAND = "command"

    @property
    def works(self) -> bool:
        """Whether what is due and owed is worked on."""
        return self in {Role.ALL, Role.WORKER, Role.KEEPER}

    def doors(self, configuration: Configuration) -> dict[str, str]:
        """Where a process of this role is to listen, by the door's name; empty for nowhere.

        The door of operators (``admin``) is every server's.
        """
        if self is Role.COMMAND:
            return {}
        doors = {}
        if self in {Role.ALL, Role.WEB, Role.SERVING}:
            doors["http"] = configuration.http.listen
        if self in {Role.ALL, Role.GATEWAY, Role.SERVING}:
            submission = configuration.submission
            doors["smtp"] = configuration.smtp.listen
            doors["lmtp"] = configuration.lmtp.listen
            doors["submission"] = submission.listen
            doors["submissions"] = submission.listen_tls
            doors["filter"] = configuration.filter.listen
        return doors | {"admin": configuration.admin.listen}
