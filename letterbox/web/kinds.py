"""Kinds of mail, as people call them."""

from collections.abc import Mapping

from letterbox.model.kind import Kind
from letterbox.web.texts import N_

#: By the kind's own name.
KINDS: Mapping[str, str] = {
    Kind.SERVICE: N_("service mail"),
    Kind.OFFER: N_("offers"),
    Kind.NEWSLETTER: N_("newsletters"),
    Kind.PERSONAL: N_("personal mail"),
}
