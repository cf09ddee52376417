"""Interests into their fast form."""

from collections import defaultdict
from collections.abc import Iterable

from letterbox.model.fold import fold
from letterbox.model.interests import Interest, Interests
from letterbox.model.message import Keyword
from letterbox.model.preferences import Interest as DeclaredInterest
from letterbox.model.taxonomy import Taxonomy
from letterbox.reading.words import keyword
from letterbox.wishes.names import name_of


def compile_interests(declared: Iterable[DeclaredInterest], taxonomy: Taxonomy) -> Interests:
    """Compile interests, and index them by what has to be there for each to be met."""
    each = tuple(_compile(interest, taxonomy) for interest in declared)
    by_category: defaultdict[str, list[int]] = defaultdict(list)
    by_form: defaultdict[str, list[int]] = defaultdict(list)
    worded: list[int] = []
    always: list[int] = []
    for place, interest in enumerate(each):
        if interest.categories:
            for category in interest.categories:
                by_category[category].append(place)
        elif interest.all_words or interest.any_words:
            worded.append(place)
            for form in _needed(interest):
                by_form[form].append(place)
        else:
            always.append(place)
    return Interests(
        each=each,
        by_id={interest.id: interest for interest in each},
        by_category={category: tuple(places) for category, places in by_category.items()},
        by_form={form: tuple(places) for form, places in by_form.items()},
        forms=frozenset(by_form),
        worded=tuple(worded),
        always=tuple(always),
        by_topic=any(interest.categories or interest.declared_only for interest in each),
    )


def _needed(interest: Interest) -> frozenset[str]:
    """Forms of which a text that meets the interest has one."""
    needed: Iterable[Keyword] = interest.all_words[:1] or interest.any_words
    return frozenset().union(*(form for word in needed for form in word.forms[:1]))


def _compile(declared: DeclaredInterest, taxonomy: Taxonomy) -> Interest:
    words = declared.keywords
    return Interest(
        id=declared.id,
        categories=frozenset().union(*map(taxonomy.covers, declared.categories)),
        any_words=tuple(map(keyword, words.any)),
        all_words=tuple(map(keyword, words.all)),
        no_words=tuple(map(keyword, words.none)),
        brands={fold(brand.strip()): brand for brand in declared.brands},
        brand_words=tuple(map(keyword, declared.brands)),
        max_price=declared.max_price,
        regions=declared.regions,
        from_=declared.from_,
        until=declared.until,
        vendors=frozenset(map(name_of, declared.vendors)),
        open_to=declared.open_to,
        declared_only=declared.declared_only,
    )
