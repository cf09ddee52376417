"""The pages of a vendor: what became of its mail, why, and what to do."""

from letterbox.web.vendor import (
    domains,
    feedback,
    keys,
    overview,
    preflight,
    reporting,
    webhooks,
)

PAGES = (
    *overview.PAGES,
    *feedback.PAGES,
    *preflight.PAGES,
    *domains.PAGES,
    *keys.PAGES,
    *webhooks.PAGES,
    *reporting.PAGES,
)
