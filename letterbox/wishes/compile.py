"""Preferences into their fast form, and finding one's way in it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, tzinfo
from types import MappingProxyType

from letterbox.model.address import Address, is_below, parse_address
from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import (
    KEEP,
    Limit,
    Limits,
    OnwardRule,
    Preferences,
    VendorRule,
    each_limit,
)
from letterbox.model.sender import VendorRef
from letterbox.model.taxonomy import Taxonomy
from letterbox.model.wishes import Counted, Quota, Relationship, Wishes
from letterbox.wishes.calendar import Calendar
from letterbox.wishes.expecting import key_of
from letterbox.wishes.interests import compile_interests
from letterbox.wishes.names import mailbox_of, name_of, other_side

_JUST_NOW: Mapping[str, datetime] = MappingProxyType({})


def compile_wishes(
    consumer: str,
    revision: int,
    preferences: Preferences,
    *,
    zone: tzinfo,
    taxonomy: Taxonomy,
    since: Mapping[str, datetime] = _JUST_NOW,
) -> Wishes:
    """Work out everything that does not depend on a message.

    ``zone`` is the preferences' time zone; ``since`` when relationships were declared, by
    :func:`letterbox.wishes.other_side`. Preferences are checked before
    (:func:`letterbox.wishes.check`); what is wrong nevertheless matches nothing.
    """
    rules = [
        (rule, Relationship(rule, quotas=_quotas_of(rule), since=since.get(other_side(rule))))
        for rule in preferences.vendor
    ]
    return Wishes(
        consumer=consumer,
        revision=revision,
        language=preferences.language,
        newcomers=preferences.newcomers,
        ask_for_days=preferences.ask_for_days,
        times=Calendar(zone, preferences.window, preferences.pauses, preferences.exceptions),
        quotas=_quotas("all", preferences.limit),
        interests=compile_interests(preferences.interest, taxonomy),
        vendors={name_of(rule.vendor): made for rule, made in rules if rule.vendor},
        domains={name_of(rule.domain): made for rule, made in rules if rule.domain},
        addresses={mailbox_of(rule.address): made for rule, made in rules if rule.address},
        own={
            f"{address.local.lower()}@{address.domain}": entry.vendor
            for entry in preferences.bound_addresses
            if (address := parse_address(entry.address))
        },
        expecting={key_of(each): each for each in preferences.expecting},
        notified=frozenset(preferences.notify.about if preferences.notify else ()),
        onward=_onward(preferences.onward),
        cleaned_onward=preferences.cleaned_onward,
        tracking=preferences.tracking,
        observes=preferences.mode == "observe",
    )


def _onward(rules: Sequence[OnwardRule]) -> dict[str, str]:
    """Where each kind goes: as the rule says that names it, else as the one that names none."""
    others = [rule for rule in rules if not rule.kinds]
    found = {str(kind): rule.to for rule in others for kind in Kind}
    found |= {str(kind): rule.to for rule in rules for kind in rule.kinds}
    return {kind: to for kind, to in found.items() if to != KEEP}


def lookup(
    wishes: Wishes, vendor: VendorRef, domains: Collection[str], author: Address
) -> Relationship | None:
    """The relationship that covers a sender: by its address, its vendor, or its domain.

    ``domains`` are those it is known by (:func:`letterbox.model.sender.domains_of`). The most
    particular rule counts, so one for a domain covers those below it that have none. Of rules for
    several domains of one sender a block counts first: it is the vendor that is locked out.
    """
    found = wishes.addresses.get(str(author.mailbox))
    # Under our own name a vendor writes as its id: one that it chose may be a person's address.
    if found and not (vendor.chose_id and not any(is_below(author.domain, d) for d in domains)):
        return found
    if found := wishes.vendors.get(name_of(vendor.id)):
        return found
    if not wishes.domains:
        return None
    nearest = [rule for rule in (_nearest(wishes, domain) for domain in domains) if rule]
    blocked = (each for each in nearest if each.rule.standing == "blocked")
    return next(blocked, nearest[0] if nearest else None)


def _nearest(wishes: Wishes, domain: str) -> Relationship | None:
    """The rule for a domain, or for the nearest one above it."""
    while domain:
        if found := wishes.domains.get(domain):
            return found
        domain = domain.partition(".")[2]
    return None


def quotas_for(
    wishes: Wishes, relationship: Relationship | None, kind: Kind, now: datetime
) -> tuple[Counted, ...]:
    """What a delivery of ``kind`` now counts towards: the counters to read, and to add to."""
    return wishes.counted(relationship, kind, now)


def _quotas_of(rule: VendorRule) -> tuple[Quota, ...]:
    scope = f"with/{name_of(rule.key)}"
    service = _quotas(scope, rule.service_limit, frozenset((Kind.SERVICE,)))
    return _quotas(scope, rule.limit) + service


def _quotas(
    scope: str, limits: Limits | None, kinds: frozenset[Kind] = RULED_KINDS
) -> tuple[Quota, ...]:
    return tuple(_quota(scope, limit, kinds) for limit in each_limit(limits))


def _quota(scope: str, limit: Limit, kinds: frozenset[Kind]) -> Quota:
    """Of ``kinds`` the limit may name some; to name none means all of them."""
    counted = kinds.intersection(limit.kinds or kinds)
    return Quota(scope=scope, messages=limit.messages, per=limit.per, kinds=counted)
