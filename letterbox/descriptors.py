"""How many connections and files a process may have open at once."""

import resource
from typing import Final

import structlog

from letterbox.model.configuration import Configuration

#: For the store, bodies, questions to resolvers, and whatever else.
_OTHERS: Final = 256

log = structlog.get_logger()


def make_room(configuration: Configuration) -> int:
    """Raise the limit of descriptors to what the configured limits may need; return it.

    As far as it may be raised without rights: where that is too little, it is logged.
    """
    smtp, submission = configuration.smtp, configuration.submission
    mail = (smtp.listen, configuration.lmtp.listen, submission.listen, submission.listen_tls)
    needed = smtp.max_sessions * sum(map(bool, mail)) + _OTHERS
    needed += configuration.webhooks.at_once
    if configuration.http.listen:
        needed += configuration.http.max_connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        log.warning(
            "few-descriptors",
            allowed=soft,
            needed=needed,
            advice="raise LimitNOFILE, or lower smtp.max_sessions and http.max_connections",
        )
    return soft
