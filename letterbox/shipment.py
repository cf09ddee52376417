"""What comes with the program: reasons, words, categories, read once and never changed."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from letterbox.configuration import shipped
from letterbox.feedback.objecting import Letters, read_words
from letterbox.feedback.wording import Wording, read_wording
from letterbox.identity.domains import Domains
from letterbox.model.reason import Phrases, Registry, read_phrases, read_registry
from letterbox.reading.facts import Reader
from letterbox.reading.prose import Tables
from letterbox.reading.sightings import LIMITS
from letterbox.reading.signs import read_signs
from letterbox.reading.trackers import Rules, read_rules
from letterbox.wishes import Taxonomy, read_taxonomy


class Shipment(NamedTuple):
    """The files of ``config/``, in the forms that the broker works with."""

    registry: Registry
    phrases: Phrases
    wording: Mapping[str, Wording]
    taxonomy: Taxonomy
    tables: Tables
    domains: Domains
    trackers: Rules
    letters: Letters


def unpack(tracker_rules: Iterable[bytes] = ()) -> Shipment:
    """Read all of it: some tenths of a second. Raises FileNotFoundError where one is missing.

    ``tracker_rules`` are files of the operator's, checked with the configuration.
    """
    reasons = shipped("reasons.toml")
    taxonomy = read_taxonomy(shipped("taxonomy.toml"))
    wording = read_wording(shipped("wording.toml"))
    return Shipment(
        registry=read_registry(reasons),
        phrases=read_phrases(reasons),
        wording=wording,
        taxonomy=taxonomy,
        tables=Tables(taxonomy, read_signs(shipped("signs.toml"))),
        domains=Domains(shipped("mailbox_providers.toml")),
        trackers=read_rules(shipped("trackers.toml"), *tracker_rules),
        letters=Letters(read_words(shipped("objection.toml")), wording),
    )


def reader_of_old_mail() -> Reader:
    """What reads old mail, in whatever process; it knows no categories of others."""
    taxonomy = read_taxonomy(shipped("taxonomy.toml"))
    return Reader(LIMITS, taxonomy, tables=Tables(taxonomy, read_signs(shipped("signs.toml"))))
