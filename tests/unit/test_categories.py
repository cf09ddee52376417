"""Foreign taxonomies: their files read, their categories matched with ours, kept and asked."""

from functools import cache

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.administration import Failed
from letterbox.administration.categories import (
    MAX_LINES,
    MAX_SIZE,
    TaxonomyFile,
    map_files,
    read_published,
)
from letterbox.administration.matching import Matching
from letterbox.ports.store import StoreUnavailable
from letterbox.records.categories import Categories, Foreign
from tests.support.clock import FakeClock
from tests.support.house import open_house
from tests.support.plain import taxonomy
from tests.support.processes import serving

GOOGLE = """# Google_Product_Taxonomy_Version: 2031-01-01
11 - Garden Things
12 - Garden Things > Garden Tools
13 - Garden Things > Garden Tools > Pruners & Loppers
14 - Garden Things > Garden Tools > Dibbers
20 - Zymurgy
"""
SHOPIFY = """# Shopify Product Taxonomy - Categories: 2031-02
# Format: {GID} : {Ancestor name} > ... > {Category name}

gid://shopify/TaxonomyCategory/zz     : Pets
gid://shopify/TaxonomyCategory/zz-1   : Pets > Dogs
gid://shopify/TaxonomyCategory/zz-1-2 : Pets > Dogs > Dog Treadmills
"""


def file(text, name="file.txt"):
    content = text if isinstance(text, bytes) else text.encode()
    return TaxonomyFile(name=name, content=content)


def mapped(*texts, corrections=None):
    given = file(corrections, "map.toml") if corrections is not None else None
    return map_files([file(text) for text in texts], given, taxonomy())


# ---- reading ------------------------------------------------------------------------------


def test_the_forms_of_google():
    read = read_published(file(GOOGLE))
    assert (read.source, read.version) == ("google", "2031-01-01")
    assert read.lines[2] == ("13", "Garden Things > Garden Tools > Pruners & Loppers")
    without = "# Google_Product_Taxonomy_Version: 2031-01-01\r\nGarden Things\r\nA>B\r\n"
    assert read_published(file(without)).lines == [("", "Garden Things"), ("", "A > B")]
    # Ids tell whose it is, comment or not; a mark of byte order is no part of it.
    assert read_published(file("\ufeff11 - Garden Things")).lines == [("11", "Garden Things")]


def test_the_form_of_shopify():
    read = read_published(file(SHOPIFY))
    assert (read.source, read.version) == ("shopify", "2031-02")
    assert read.lines[1] == ("zz-1", "Pets > Dogs")


def test_spaces_that_do_not_break_are_spaces():
    assert read_published(file("1 - Caf\u00e9\u00a0& th\u00e9")).lines == [("1", "Café & thé")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "file.txt is no taxonomy .* it is empty, not such as '166 - "),
        ("# only a comment\n", "no taxonomy"),
        ("Garden > Tools\n", "line 1 is 'Garden > Tools', not such as"),
        ("a,b\n1,2\n", "no taxonomy"),
        (GOOGLE + "Garden > Tools\n", "line 7 is 'Garden > Tools'; a line such as '166 - "),
        (GOOGLE + "15 - A > > B\n", "line 7 is '15 - A > > B'"),
        (GOOGLE + "15 - A\x1b[31m\n", "line 7 is"),
        (GOOGLE + f"15 - {'x' * 501}\n", "line 7 is"),
        (GOOGLE + f"15 - {'x>' * 17}x\n", "line 7 is"),
        (GOOGLE + "12 - Something else\n", "line 7 repeats line 3"),
        (SHOPIFY + "gid://shopify/Product/1 : A\n", "line 7 is .*TaxonomyCategory/ap-1 : Animals"),
        (SHOPIFY + SHOPIFY, "line 10 repeats line 4"),
        (GOOGLE.encode() + b"15 - \xff\n", "line 7 is not UTF-8"),
        ("1 - a\n" + "\n" * MAX_LINES, "more than 50,000 lines"),
    ],
)
def test_what_is_no_taxonomy_is_refused_with_its_line(text, says):
    with pytest.raises(Failed, match=says):
        mapped(text)


def test_what_is_refused_of_several_files():
    with pytest.raises(Failed, match="no file"):
        mapped()
    with pytest.raises(Failed, match="different taxonomies"):
        mapped(GOOGLE, SHOPIFY)
    with pytest.raises(Failed, match="more than 4 MiB"):
        mapped(GOOGLE, b"#" * MAX_SIZE)
    half = "".join(f"{nth} - a{nth}\n" for nth in range(MAX_LINES // 2 + 1))
    with pytest.raises(Failed, match="more than 50,000 lines"):
        mapped(half, half)


# ---- matching -----------------------------------------------------------------------------

# Our category for each path; the mark says "=" by its own name, "<" by a broader one.
MEANT = """
= Pets & Animal Things > Dog Food                   | pets/food
< Pets & Animal Things > Bird Supplies              | pets/other
< Pet Supplies > Dogs > Dog Treadmills              | pets/dogs
< Pet Supplies > Cats > Mirrors & Puzzles           | pets/cats
< Pet Supplies > Diet Dog Food                      | pets/food
= Apparel & Accessories                             | clothing
= Apparel & Accessories > Coats & Jackets           | clothing/outerwear
= Apparel & Accessories > Jewelry > Watches         | clothing/jewellery/watches
= Apparel & Accessories > Footwear                  | clothing/shoes
< Apparel & Accessories > Shoe Accessories          | clothing/shoes
< Apparel & Accessories > Costumes                  | clothing
< Footwear > Leather Boots                          | clothing/shoes
= Electronics > Audio                               | electronics/audio
= Electronics > Printers, Copiers & Fax Machines    | electronics/computers/peripherals
< Electronics > Video Game Consoles                 | electronics/gaming
= Electronics > Laptops                             | electronics/computers
= Furniture                                         | home-garden/furniture
= Furniture > Office Furniture                      | business/office-furniture
= Furniture > Garden Furniture                      | home-garden/garden-furniture
= Home & Garden > Lawn Mowers                       | home-garden/garden-tools/mowers
< Home & Garden > Lawn Mowers > Spare Blades        | home-garden/garden-tools/mowers
< Home & Garden > Covers for Garden Furniture        | home-garden/garden-furniture
  Covers for Bicycles                                |
= Home & Garden > Pruning Shears                    | home-garden/garden-tools/pruning
< Home & Garden > Ashtrays                          | home-garden
= Beverages > Wine                                  | food-drink/wine-beer/wine
< Beverages > Wine & Beer                           | food-drink/wine-beer
= Fruits & Vegetables                               | food-drink/groceries/fruit-vegetables
= Media > Books                                     | books-media/books
= Media > Sheet Music                               | hobby/instruments
= Sporting Goods > Tennis > Tennis Rackets          | sports-outdoors/racket-sports
= Sporting Goods > Bicycles                         | sports-outdoors/cycling
= Baby & Toddler > Diapering                        | children-toys/baby
= Toys & Games > Board Games                        | children-toys/board-games
= Personal Care > Hair Care                         | beauty/hair
= Health Care > Medicine & Drugs                    | health/medicines
= Vehicles & Parts                                  | vehicles
= Software > Antivirus                              | services/software/security
= Gift Cards                                        | gifts
= Kleding & Accessoires > Schoenen                  | clothing/shoes
= Huis & Tuin > Tuingereedschap > Snoeischaren      | home-garden/garden-tools/pruning
= Dranken > Bier                                    | food-drink/wine-beer/beer
= Elektronica > Koptelefoons                        | electronics/audio
  Health & Beauty                                   |
  Zymurgy > Airlocks                                |
  & > 42                                            |
"""


@cache
def matching():
    return Matching(taxonomy(), {})


@pytest.mark.parametrize("line", MEANT.strip("\n").splitlines())
def test_what_a_foreign_category_means(line):
    mark, rest = line[0], line[2:]
    path, _, ours = rest.partition("|")
    found = matching().of(path.strip())
    assert found.ours == (ours.strip() or None)
    assert found.exact == (mark == "=")


def test_what_was_read_is_counted():
    done = mapped(GOOGLE)
    assert [line.ours for line in done.lines] == [
        "", "home-garden/garden-tools", "home-garden/garden-tools/pruning",
        "home-garden/garden-tools", "",
    ]  # fmt: skip
    assert (done.exact, done.broader, done.unmapped) == (2, 1, 2)


def test_a_second_language_means_what_the_ids_meant():
    dutch = GOOGLE.replace("Garden Things", "Dingen").replace("Pruners & Loppers", "Onbekend")
    done = mapped(GOOGLE, dutch)
    assert (done.exact, done.broader, done.unmapped) == (2, 1, 2)
    by_path = {line.path: line.ours for line in done.lines}
    assert by_path["Dingen > Garden Tools > Onbekend"] == "home-garden/garden-tools/pruning"


def test_corrections_stand_over_what_was_found_and_below():
    corrections = '"garden things>garden tools" = ""\n"Zymurgy" = "food-drink/wine-beer/beer"\n'
    done = mapped(GOOGLE + "21 - Zymurgy > Airlocks\n", corrections=corrections)
    assert {line.id: line.ours for line in done.lines} == {
        "11": "", "12": "", "13": "home-garden/garden-tools/pruning", "14": "",
        "20": "food-drink/wine-beer/beer", "21": "food-drink/wine-beer/beer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("corrections", "says"),
    [
        ('"Zymurgie" = "pets"', "'Zymurgie' is none of the categories imported"),
        ('"Zymurgy" = 3', "'Zymurgy' must be the id of a category"),
        ('"Zymurgy" = "pet"', "no category 'pet'; did you mean pets"),
        ('"Zymurgy"', "map.toml cannot be read"),
        ("#" * (300 << 10), "256 KiB"),
    ],
)
def test_wrong_corrections_are_named(corrections, says):
    with pytest.raises(Failed) as failed:
        mapped(GOOGLE, corrections=corrections)
    assert says in "\n".join((str(failed.value), *failed.value.mistakes))


# ---- keeping and asking -------------------------------------------------------------------

LINES = [
    Foreign(id="1604", path="Apparel & Accessories > Clothing", ours="clothing"),
    Foreign(id="212", path="Apparel & Accessories > Café  Things", ours="food-drink"),
    Foreign(id="9", path="Zymurgy", ours=""),
]
SHOPIFY_LINES = [
    Foreign(id="ap-1", path="Animals > Dogs", ours="pets/dogs"),
    Foreign(id="aa-1", path="Apparel & Accessories > Clothing", ours="clothing/women"),
]


@pytest.fixture
async def store():
    store = MemoryStore(FakeClock())
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("label", "ours"),
    [
        ("google:1604", "clothing"),
        (" Google: 1604 ", "clothing"),
        ("google:9", None),
        ("google:77", None),
        ("1604", None),
        ("shopify:ap-1", "pets/dogs"),
        ("gid://shopify/TaxonomyCategory/ap-1", "pets/dogs"),
        ("gid://shopify/TaxonomyCategory/ap-1-7-2", "pets/dogs"),
        ("shopify:ap", None),
        ("shopify:ap-11", None),
        ("ap-1", None),
        ("gid://shopify/Product/1", None),
        ("Apparel & Accessories > Clothing", "clothing"),
        ("apparel &  accessories>CLOTHING", "clothing"),
        ("Apparel & Accessories > Clothing > New This Year", "clothing"),
        ("Apparel & Accessories > Cafe things", "food-drink"),
        ("Apparel & Accessories", None),
        ("Clothing", None),
        ("Zymurgy", None),
        ("ANIMALS > dogs", "pets/dogs"),
        ("", None),
        (" > ", None),
        ("Apparel & Accessories > Clothing" + " > x" * 400, None),
    ],
)
async def test_what_a_label_means(store, label, ours):
    categories = Categories(store)
    await categories.replace("google", LINES)
    await categories.replace("shopify", SHOPIFY_LINES)
    assert categories.ours(label) == ours


async def test_what_was_kept_is_there_after_a_start(store):
    many = [Foreign(id=str(nth), path=f"Thing {nth}", ours="pets") for nth in range(1201)]
    await Categories(store).replace("google", many, version="2031")
    started = Categories(store)
    assert started.ours("google:1200") is None
    await started.load()
    assert started.ours("google:1200") == "pets"
    assert started.ours("thing 0") == "pets"
    kept = await started.imported("google")
    assert (kept.version, kept.lines) == ("2031", 1201)


async def test_a_new_file_takes_the_place_of_the_old_one_whole(store):
    many = [Foreign(id=str(nth), path=f"Thing {nth}", ours="pets") for nth in range(1201)]
    categories = Categories(store)
    await categories.replace("google", many)
    await categories.replace("google", LINES)
    for asked in (categories, started := Categories(store)):
        if asked is started:
            await started.load()
        assert asked.ours("google:1604") == "clothing"
        assert asked.ours("google:1200") is None
    assert await categories.page("google", 0) == (tuple(LINES), 1)
    assert await categories.page("google", 1) == ((), None)


async def test_what_could_not_be_kept_counts_for_nothing(store, monkeypatch):
    categories = Categories(store)
    await categories.replace("google", LINES)

    async def fail(*_):
        raise StoreUnavailable

    monkeypatch.setattr(store, "commit", fail)
    with pytest.raises(StoreUnavailable):
        await categories.replace("google", [])
    assert categories.ours("google:1604") == "clothing"


# ---- the commands -------------------------------------------------------------------------


async def test_an_import_through_the_administration():
    async with open_house() as house:
        perform = house.app.administration.perform
        given = [{"name": "g.txt", "content": GOOGLE.encode()}]
        assert await perform("taxonomy import", {"files": given}) == {
            "source": "google", "version": "2031-01-01",
            "read": 5, "exact": 2, "broader": 1, "unmapped": 2,
        }  # fmt: skip
        assert house.app.categories.ours("google:13") == "home-garden/garden-tools/pruning"
        listed = await perform("taxonomy foreign", {"source": "google"})
        assert listed["items"][0] == {"id": "11", "path": "Garden Things", "ours": None}
        broken = [{"name": "g.txt", "content": (GOOGLE + "broken").encode()}]
        with pytest.raises(Failed, match=r"g\.txt: line 7"):
            await perform("taxonomy import", {"files": broken})
        assert house.app.categories.ours("google:13") == "home-garden/garden-tools/pruning"
        with pytest.raises(Failed, match="wrong arguments"):
            await perform("taxonomy foreign", {"source": "amazon"})


def test_an_import_beside_a_running_server(tmp_path):
    (tmp_path / "s.txt").write_text(SHOPIFY)
    (tmp_path / "map.toml").write_text('"Pets > Dogs > Dog Treadmills" = "sports-outdoors/fitness"')
    with serving(tmp_path) as letterbox:
        done = letterbox.ask("taxonomy", "import", "s.txt", "--map", "map.toml")
        assert (done["source"], done["exact"], done["unmapped"]) == ("shopify", 3, 0)
        listed = letterbox.ask("taxonomy", "foreign", "shopify")["items"]
        assert [item["ours"] for item in listed] == ["pets", "pets/dogs", "sports-outdoors/fitness"]
