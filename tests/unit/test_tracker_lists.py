"""Rules of the operator's: published lists taken in, and named in the configuration."""

import json

import pytest

from letterbox.cli import main
from letterbox.configuration import shipped
from letterbox.reading.trackers import clean_part, read_rules

FILTERS = """[Adblock Plus 2.0]
! a comment
||pixel.example^$third-party
||mail.example/open.gif
||both.example^$image,script
||script.example^$script
&ad_id=
@@||fine.example^
shop.example##.advert
||some.example^$domain=page.example
$removeparam=foo_id
||shop.example^$removeparam=ref
$removeparam=/^bar_/
$removeparam=/(a|b)c/
"""
HOSTS = """# a comment
127.0.0.1 localhost
0.0.0.0 counter.example
beacon.example
"""
SCHEME = "^https?:\\/\\/(?:[a-z0-9-]+\\.)*?"
CLEAR_URLS = {
    "providers": {
        "globalRules": {
            "urlPattern": ".*",
            "rules": ["(?:%3F)?utm(?:_[a-z_]*)?", "ga_[a-z_]+", "x_(?:a|b)"],
        },
        "leads": {
            "urlPattern": f"{SCHEME}leads\\.example",
            "rules": ["tag"],
            "rawRules": ["\\/ref=[^/?]*"],
            "exceptions": ["^https?:\\/\\/leads\\.example\\/fine"],
            "redirections": ["^https?:\\/\\/leads\\.example\\/.*?url=([^&]+)"],
        },
        "everywhere": {"urlPattern": f"{SCHEME}many(?:\\.[a-z]{{2,}}){{1,}}", "rules": ["qid"]},
        "blocked": {"urlPattern": f"{SCHEME}blocked\\.example", "completeProvider": True},
    }
}


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "filters.txt").write_text(FILTERS)
    (tmp_path / "hosts.txt").write_text(HOSTS)
    (tmp_path / "clear.json").write_text(json.dumps(CLEAR_URLS))
    return tmp_path


def test_what_maps_is_a_rule_and_what_does_not_is_told_with_the_reason(lists, capsys):
    files = [str(lists / name) for name in ("filters.txt", "hosts.txt", "clear.json")]
    to = lists / "own.toml"
    assert main(["--json", "import-trackers", *files, "--to", str(to)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mapped"] == {"open": 6, "redirect": 1, "parameter": 7}
    left = {each["why"]: each["rules"] for each in told["left"]}
    assert left == {
        "is not about pictures": 1,
        "a pattern within the address": 1,
        "an exception, of which rules here have none": 2,
        "hides what is on a page": 1,
        "holds on some pages only, and a mail is none": 1,
        "parameters by a pattern": 2,
        "no host that mail could name": 1,
        "changes an address by a pattern": 1,
        "its hosts are a pattern": 1,
    }
    rules = read_rules(shipped("trackers.toml"), to.read_bytes())
    for host in ("a.pixel.example", "both.example", "counter.example", "beacon.example"):
        html = f'<img src="https://{host}/x.png">'
        assert host not in clean_part(html, "text/html", rules, "careful").text
    kept = '<img src="https://mail.example/x.png"><img src="https://script.example/x.png">'
    assert clean_part(kept, "text/html", rules, "careful").text == kept
    url = "https://shop.example/?foo_id=1&bar_x=2&utm=3&ga_c=4&ref=5&tag=6&size=7"
    text = clean_part(url, "text/plain", rules, "careful").text
    assert text == "https://shop.example/?tag=6&size=7"
    lead = "https://leads.example/go?url=https%3A%2F%2Fshop.example%2F"
    assert clean_part(lead, "text/plain", rules, "strict").text == "https://shop.example/"
    plain = "https://leads.example/go?size=7"
    assert clean_part(plain, "text/plain", rules, "strict").text == plain


def test_rules_of_ones_own_hold_beside_ours(lists, capsys, monkeypatch):
    own, mail = lists / "own.toml", lists / "x.eml"
    own.write_text('[[parameter]]\nnames = ["who"]\n')
    mail.write_text("Subject: x\n\nhttps://shop.example/?who=me&utm_source=x\n")
    monkeypatch.setenv("LETTERBOX__TRACKERS__RULES", json.dumps([str(own)]))
    assert main(["--json", "trackers", str(mail)]) == 0
    counts = json.loads(capsys.readouterr().out)["all"]["careful"]
    assert counts == {"links": 1, "parameters": 2, "removed parameter parameter": 2}
    assert main(["trackers", str(lists)]) == 0
    assert "2 removed parameter parameter" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[[open]]\nwhere = 1\n", "[[parameter]]\nnames = []\n", "["])
def test_rules_that_are_none_are_named_before_anything_is_served(
    lists, capsys, monkeypatch, content
):
    own = lists / "own.toml"
    own.write_text(content)
    monkeypatch.setenv("LETTERBOX__TRACKERS__RULES", json.dumps([str(own)]))
    assert main(["check-config"]) == 1
    assert "trackers.rules[0]" in capsys.readouterr().err
    monkeypatch.setenv("LETTERBOX__TRACKERS__RULES", json.dumps([str(lists / "none.toml")]))
    assert main(["check-config"]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "no catalogue"), ("&ad=\n", "nothing in"), ('{"providers": []}', "no catalogue")],
)
def test_a_list_of_which_nothing_maps_writes_nothing(lists, capsys, content, said):
    (lists / "x.txt").write_text(content)
    to = lists / "own.toml"
    assert main(["import-trackers", str(lists / "x.txt"), "--to", str(to)]) == 1
    assert said in capsys.readouterr().err
    assert not to.exists()


def test_files_that_are_not_there_are_named(lists, capsys):
    assert main(["trackers", str(lists / "none.eml")]) == 1
    assert "none.eml cannot be read" in capsys.readouterr().err
    assert main(["trackers", str(lists)]) == 1
    assert "no mail" in capsys.readouterr().err
