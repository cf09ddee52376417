"""Whatever others write as a URL or a Retry-After, it is read safely."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from letterbox.feedback.destination import BadDestination, is_address, read_destination
from letterbox.feedback.webhooks import wait_asked
from letterbox.model.network import is_public, written_ipv4

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = st.one_of(
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 300).map("0{:o}".format),
)
HOST = st.one_of(
    st.lists(NUMBER, min_size=1, max_size=5).map(".".join),
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
    st.text(st.sampled_from("0123456789abcdefx.:[]@%\\/#?-_１。é\u2028\t "), max_size=30),  # noqa: RUF001
    st.just("shop.example"),
)
URLS = st.one_of(
    st.text(max_size=60),
    st.builds("{}{}{}{}".format, st.sampled_from(["https://", "http://", "HTTPS:"]), HOST,
              st.sampled_from(["", ":443", ":0", ":", ":99999"]),
              st.text(max_size=20)),
)  # fmt: skip


@given(URLS, st.booleans())
@example("https://user@shop.example@127.0.0.1/", False)
@example("https://[::ffff:127.0.0.1]/", False)
def test_a_url_is_refused_or_has_one_form(text: str, private: bool):
    try:
        destination = read_destination(text, private=private)
    except BadDestination:
        return
    assert read_destination(destination.url, private=private) == destination
    # Whoever reads it next reads the same host.
    assert urlsplit(destination.url).hostname == destination.host
    assert URL(destination.url, encoded=True).raw_host == destination.host
    assert destination.url.isascii()
    assert destination.url.isprintable()
    assert " " not in destination.url
    if not private:
        assert destination.url.startswith("https://")
        assert not is_address(destination.host) or is_public(destination.host)


@given(HOST)
def test_an_address_is_read_as_the_system_reads_it(host: str):
    import socket

    try:
        found = written_ipv4(host)
    except ValueError:
        return
    if found is not None and host.isascii() and "0x." not in host + ".":
        assert socket.inet_ntoa(socket.inet_aton(host.removesuffix("."))) == found


@given(st.one_of(st.text(max_size=100), st.datetimes().map("{:%a, %d %b %Y %H:%M:%S GMT}".format)))
def test_no_wait_is_endless(field: str):
    assert timedelta(0) <= wait_asked(field, NOW) <= timedelta(days=1)
