"""Where others ask to be called: every spelling of an address is the address."""

import pytest

from letterbox.feedback.destination import BadDestination, addresses_of, read_destination
from letterbox.model.network import is_public, written_ipv4
from letterbox.ports.resolver import ResolverTrouble
from tests.support.signing import Zone

NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "100:0:0:1::1"),
    *("2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::"),
    *("3fff::1", "5f00::1", "4000::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1"),
    *("ff02::1", "fe80::1%eth0", "2606:4700::1%1", "", "localhost", "8.8.8", "1.2.3.4.5"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1"),
    *("192.0.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255"),
    *("2001:200::1", "2606:4700::1111", "2a00::1", "2003::1"),
]
#: Ways to write a loopback or private host that a browser, a shell or a resolver would follow.
SPELLINGS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0X7F.0.0.1"),
    *("0177.0.0.1", "017700000001", "127.0.0.01", "0x7f.0x0.0x0.0x1", "127.0.0.1.", "0", "0x"),
    *("10.1", "0xa9fea9fe", "169.254.43518", "3232235777", "0300.0250.1", "192.168.257"),
    *("１２７.０.０.１", "127。0。0。1", "①②⑦.0.0.1", "0ｘ7f.1"),  # noqa: RUF001
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00::1]"),
    *("localhost", "LOCALHOST", "localhost.", "a.b.localhost", "ｌocalhost"),  # noqa: RUF001
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_private_host_is_called(host):
    with pytest.raises(BadDestination, match="not a public address"):
        read_destination(f"https://{host}/hook", private=False)


@pytest.mark.parametrize("host", [*SPELLINGS, "8.8.8.8", "shop.example"])
def test_what_private_addresses_are_admitted_as(host):
    destination = read_destination(f"http://{host}:8080/hook", private=True)
    shown = f"[{destination.host}]" if ":" in destination.host else destination.host
    assert destination.url == f"http://{shown}:8080/hook"
    # What is called is the form that was looked at: read again, it is the same.
    assert read_destination(destination.url, private=True) == destination


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("1.2.3", "1.2.0.3"),
        ("0x10.010.8", "16.8.0.8"),
        ("4294967295", "255.255.255.255"),
        ("shop.example", None),
        ("1.example", None),
        ("0x7g", None),
        ("1x", None),
    ],
)
def test_addresses_are_read_as_others_read_them(host, address):
    assert written_ipv4(host) == address


@pytest.mark.parametrize(
    "host", ["256.1.1.1", "4294967296", "1.2.3.4.5", "08", "shop.1", "1.2.3.256", "1..2"]
)
def test_numbers_that_are_no_address_are_no_name_either(host):
    with pytest.raises(ValueError, match=r".*"):
        written_ipv4(host)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("http://shop.example/", "https"),
        ("ftp://shop.example/", "no URL"),
        ("shop.example/hook", "no URL"),
        ("https:shop.example", "no URL"),
        ("https:///hook", "no host"),
        ("https://", "no host"),
        ("https://user@shop.example/", "user"),
        ("https://user:secret@shop.example/", "user"),
        ("https://8.8.8.8@127.0.0.1/", "user"),
        ("https://shop.example/#top", "fragment"),
        ("https://shop.example:0/", "port"),
        ("https://shop.example:65536/", "port"),
        ("https://shop.example:https/", "no URL"),
        ("https://shop.example:/", "no URL"),
        ("https://shop_.example/", "no host"),
        ("https://-shop.example/", "no host"),
        ("https://shop..example/", "no host"),
        ("https://shop.example../", "no host"),
        ("https://%31%32%37.0.0.1/", "no host"),
        ("https://127.0.0.1%00.shop.example/", "no host"),
        ("https://[::1%25eth0]/", "no host"),
        ("https://[::1/", "no URL"),
        ("https://[::1]evil/", "no URL"),
        ("https://[127.0.0.1]/", "no host"),
        ("https://256.256.256.256/", "no host"),
        ("https://shop.example\\@127.0.0.1/", "backslash"),
        ("https://shop.example/a b", "space"),
        ("https://shop.example/\r\nX-Header: 1", "control"),
        ("https://shop.example/\u2028", "control"),
        (" https://shop.example/", "space"),
        ("https://shop.example/%zz", "well formed"),
        ("https://shop.example/é", "well formed"),
        ('https://shop.example/"', "well formed"),
        ("https://" + "a" * 64 + ".example/", "no host"),
        ("https://shop.example/" + "a" * 2000, "too long"),
    ],
)
def test_what_is_no_url_to_call(url, mistake):
    with pytest.raises(BadDestination, match=mistake):
        read_destination(url, private=False)


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://shop.example", "https://shop.example/"),
        ("HTTPS://Shop.Example.:8443/Hook?a=%2f&b", "https://shop.example:8443/Hook?a=%2f&b"),
        ("https://shop.example?key=1", "https://shop.example/?key=1"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://0x8080808/", "https://8.8.8.8/"),
        ("https://[2606:4700:0::1111]:443/", "https://[2606:4700::1111]:443/"),
        ("https://shop.example//a/../b;c@d:e", "https://shop.example//a/../b;c@d:e"),
    ],
)
def test_a_url_has_one_form(url, form):
    assert read_destination(url, private=False).url == form


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("both.example", ("8.8.8.8", "2606:4700::1")),
        ("half.example", ("8.8.8.8",)),
        ("nobody.example", ()),
        ("localhost", ("127.0.0.1", "::1")),
        ("8.8.4.4", ("8.8.4.4",)),
        ("::1", ("::1",)),
    ],
)
async def test_the_addresses_of_a_host(host, found):
    zone = Zone(
        {
            "both.example": {"A": ["8.8.8.8"], "AAAA": ["2606:4700::1"]},
            "half.example": {"A": ["8.8.8.8"]},
        }
    )
    assert await addresses_of(host, zone) == found


async def test_a_name_without_an_answer_is_trouble():
    with pytest.raises(ResolverTrouble):
        await addresses_of("slow.example", Zone({}, trouble=frozenset({"slow.example"})))
