"""The configuration: what it takes, and what it says about what it does not."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from letterbox.configuration import (
    ConfigurationError,
    admin_socket,
    load,
    load_for,
    shipped,
    source,
    stray_variables,
)
from letterbox.model.configuration import Configuration
from letterbox.model.role import Role


def from_text(folder: Path, text: str, environ: dict[str, str] | None = None) -> Configuration:
    file = folder / "mine.toml"
    file.write_text(text)
    return load(str(file), environ or {})


def keys(kind: type[msgspec.Struct], before: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from keys(field.type, f"{before}{field.name}.")
        else:
            yield before + field.name


def test_the_shipped_file_is_the_defaults(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == Configuration()
    assert source(None, {}) is None


def test_every_key_stands_in_the_shipped_file_with_a_comment_before_it():
    text = shipped("letterbox.toml").decode()
    tables = tomllib.loads(text)
    for key in keys(Configuration):
        table = tables
        for name in key.split("."):
            assert name in table, key
            table = table[name]
    lines = text.splitlines()
    for number, line in enumerate(lines):
        # "key" shares the comment of "certificate": both or neither.
        if re.match(r"\w+ = ", line) and not line.startswith("key = "):
            assert lines[number - 1].startswith("# "), line


BETWEEN = "[[smtp.trusted_peers]]\naddress = '127.0.0.1'\n[filter]\n"
BAD = [
    ("[outbound]\nrelay = 'relay'", "outbound.relay", "is not host:port"),
    ("[outbound.dkim]\nselector = 's'", "outbound.dkim.key", "it is missing"),
    ("[outbound.dkim]\nkey = 'k'", "outbound.dkim.selector", "it is missing"),
    (
        "[outbound.dkim]\nselector = 's'\nkey = 'no.pem'",
        "outbound.dkim.key",
        "no.pem cannot be read",
    ),
    (
        "[outbound.dkim]\nselector = 's'\nkey = '/dev/null'",
        "outbound.dkim.key",
        "no unencrypted private key",
    ),
    ("hostnam = 'x'", "hostnam", "no such field; did you mean hostname?"),
    ("[smpt]\nlisten = ''", "smpt", "did you mean smtp?"),
    ("[smtp]\nmax_sizes = 1", "smtp.max_sizes", "did you mean max_size?"),
    (
        "[smtp]\nmax_size = '25M'",
        "smtp.max_size",
        "'25M' is not valid here; allowed: a whole number",
    ),
    ("[smtp]\nmax_size = 0", "smtp.max_size", "0 is not valid here; allowed: a whole number of at"),
    ("[smtp]\ncommand_timeout = 0.0", "smtp.command_timeout", "allowed: a number above 0"),
    ("[smtp]\nmax_size = true", "smtp.max_size", "true is not valid here"),
    ("smtp = 1", "smtp", "1 is not valid here; allowed: a table of listen"),
    ("domains = 'a.example'", "domains", "'a.example' is not valid here; allowed: a list of: text"),
    ("domains = [1]", "domains[0]", "1 is not valid here; allowed: text"),
    ("[retention]\nclaims = 6", "retention.claims", "at least 7"),
    ("[log]\nlevel = 'loud'", "log.level", "allowed: debug, info, warning, error"),
    ("hostname = 'a b'", "hostname", "is no domain"),
    ("domains = ['ok.example', '-x.example']", "domains[1]", "is no domain"),
    ("public_url = 'letterbox.example'", "public_url", "is no web address"),
    ("public_url = 'ftp://letterbox.example'", "public_url", "is no web address"),
    ("[http]\nlisten = '8080'", "http.listen", "is not host:port"),
    ("[http]\nlisten = ':8080'", "http.listen", "is not host:port"),
    ("[lmtp]\nlisten = '127.0.0.1:99999'", "lmtp.listen", "is not host:port"),
    ("[smtp]\nlisten = '::1:25'", "smtp.listen", "is not host:port"),
    ("[admin]\nlisten = '[nonsense]:25'", "admin.listen", "is not host:port"),
    ("[smtp]\nlisten = '127.0.0.1:8080'", "smtp.listen", "taken by http.listen (127.0.0.1:8080)"),
    ("[smtp]\nlisten = '0.0.0.0:8080'", "smtp.listen", "is taken by http.listen"),
    (
        "http.listen = ''\nsmtp.listen = ''\nadmin.listen = '127.0.0.1:1'",
        "http.listen, smtp.listen, lmtp.listen",
        "nothing could come in",
    ),
    ("[submission]\nlisten = '0.0.0.0:587'", "submission.listen", "in the clear"),
    ("[submission]\nlisten_tls = '127.0.0.1:465'", "submission.listen_tls", "no certificate"),
    ("[submission]\nlisten = '127.0.0.1:2525'", "submission.listen", "is taken by smtp.listen"),
    (f"{BETWEEN}listen = '127.0.0.1:10025'", "filter.next_hop", "no mail server behind"),
    (f"{BETWEEN}next_hop = '127.0.0.1'", "filter.next_hop", "is not host:port"),
    (f"{BETWEEN}next_hop = '127.0.0.1:0'", "filter.next_hop", "is not host:port"),
    (f"{BETWEEN}next_hop = '127.0.0.1:2525'", "filter.next_hop", "in circles"),
    (
        f"{BETWEEN}listen = '127.0.0.1:2525'\nnext_hop = '127.0.0.1:26'",
        "filter.listen",
        "is taken by smtp.listen",
    ),
    (
        "[filter]\nlisten = '127.0.0.1:25'\nnext_hop = '127.0.0.1:26'",
        "smtp.trusted_peers",
        "no mail server before filter.listen",
    ),
    ("[identity]\narc_sealers = ['not a domain']", "identity.arc_sealers[0]", "no domain"),
    ("[identity]\narc_sealers = ['a.example', 'Co.UK']", "identity.arc_sealers[1]", "anybody"),
    ("[identity]\ntrusted_results = ['mx a']", "identity.trusted_results[0]", "no server's name"),
    ("[identity]\ntrusted_results = ['mx.a']", "identity.trusted_results[0]", "trusted_peers"),
    (
        "hostname = 'mx.a'\n[identity]\ntrusted_results = ['MX.a']",
        "identity.trusted_results[0]",
        "our own name",
    ),
    ("[[smtp.trusted_peers]]\naddress = 'relay'", "smtp.trusted_peers[0].address", "relay"),
    ("[[smtp.trusted_peers]]\naddress = '10.0.0.1/8'", "smtp.trusted_peers[0].address", "host"),
    ("[[smtp.trusted_peers]]\nasserts = 'from'", "smtp.trusted_peers[0].address", "missing"),
    (
        "[[smtp.trusted_peers]]\naddress = '10.0.0.1'\nclient = 'proxy'\nasserts = 'from'",
        "smtp.trusted_peers[0].asserts",
        "a proxy connects clients",
    ),
    (
        "[[smtp.trusted_peers]]\naddress = '10.0.0.1'\nclient = 'xclent'",
        "smtp.trusted_peers[0].client",
        "'xclent' is not valid here; allowed: proxy, xclient, xforward",
    ),
    ("[store]\nurl = 'redis:localhost'", "store.url", "what follows redis: cannot be read"),
    ("[store]\nurl = 'redis://h:x'", "store.url", "what follows redis: cannot be read"),
    ("[store]\nurl = 'redis://h/x'", "store.url", "what follows redis: cannot be read"),
    ("[store]\nurl = 'redis://h?socket_timeout=0'", "store.url", "what follows redis: cannot"),
    ("[store]\nurl = 'unix://socket'", "store.url", "what follows unix: cannot be read"),
    ("[store]\nurl = 'redi://u:secret@h'", "store.url", "begins no store; did you mean redis?"),
    ("[store]\nurl = 'redis+cluster://h/1'", "store.url", "what follows redis+cluster: cannot"),
    ("[store]\nurl = 'redis+cluster://h,'", "store.url", "what follows redis+cluster: cannot"),
    ("[store]\nurl = 'redis+cluster://h:0'", "store.url", "what follows redis+cluster: cannot"),
    ("[store]\nurl = 'rediss+cluster://h?x=1'", "store.url", "what follows rediss+cluster: cannot"),
    ("[store]\nurl = 'redis+sentinel://h:1,i:2'", "store.url", "what follows redis+sentinel: can"),
    ("[store]\nurl = 'redis+sentinel://h/n/x'", "store.url", "what follows redis+sentinel: can"),
    ("[store]\nurl = 'redis+clustre://h'", "store.url", "did you mean redis+cluster?"),
    ("[store]\nreplicas = -1", "store.replicas", "-1 is not valid here"),
    ("[store]\nurl = 'sqlit:x.db'", "store.url", "did you mean sqlite?"),
    ("[store]\nurl = 'sqlite:'", "store.url", "begins no store"),
    ("[bodies]\nurl = 's3://key:geheim@bucket'", "bodies.url", "it names no place for bodies"),
    ("[bodies]\nurl = 's3://'", "bodies.url", "it names no place for bodies"),
    ("[bodies]\nurl = 'dir:'", "bodies.url", "it names no place for bodies"),
    ("[bodies]\nurl = 'file:/srv'", "bodies.url", "it names no place for bodies"),
    ("[bodies]\nendpoint = 'objects:9000'", "bodies.endpoint", "no address of a server"),
    ("[bodies]\nendpoint = 'https://k:s@objects'", "bodies.endpoint", "no address of a server"),
    ("[retention]\nstrangers = 367", "retention.strangers", "not valid here"),
    ("[dns]\nservers = ['ns.example:53']", "dns.servers[0]", "is not address:port"),
    ("[dns]\nservers = ['127.0.0.1']", "dns.servers[0]", "is not address:port"),
    ("[tls]\nkey = 'key.pem'", "tls.certificate", "it is missing"),
    ("[tls]\ncertificate = 'c.pem'", "tls.key", "it is missing"),
    ("[tls]\ncertificate = '/no/c'\nkey = '/no/k'", "tls.certificate", "cannot be read"),
    ("[http\n", "line 1, column 6", "Expected ']'"),
    ("a = 1\na = 2\n", "line 2, column 6", "overwrite"),
    ("a = [1,", "the end of the file", "Invalid value"),
]


@pytest.mark.parametrize(("text", "path", "says"), BAD)
def test_a_mistake_is_named_with_its_file_and_place(tmp_path, text, path, says):
    with pytest.raises(ConfigurationError) as raised:
        from_text(tmp_path, text)
    (mistake,) = raised.value.mistakes
    assert mistake.path == path
    assert says in str(mistake)
    assert str(raised.value) == f"{tmp_path}/mine.toml: {mistake}"


def test_every_mistake_is_named_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        from_text(tmp_path, "hostnam = 1\n[smtp]\nmax_size = 'x'\nmax_lines = 3\n[lgo]\n")
    assert [m.path for m in raised.value.mistakes] == [
        "hostnam",
        "lgo",
        "smtp.max_lines",
        "smtp.max_size",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = '\xff'", "line 1: this is not UTF-8"),
        (b"a = " + b"[" * 5000, "the file: nested too deeply"),
        (b"#" * ((1 << 20) + 1), "too large"),
    ],
)
def test_hostile_files_are_refused(tmp_path, content, says):
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        load(str(file), {})


def test_a_missing_file_is_named():
    with pytest.raises(ConfigurationError, match=r"/no/such.toml: the file: .* cannot be read"):
        load("/no/such.toml", {})


def test_a_pair_that_does_not_load_is_refused(tmp_path):
    (tmp_path / "pair.pem").write_text("nothing")
    text = f"[tls]\ncertificate = '{tmp_path}/pair.pem'\nkey = '{tmp_path}/pair.pem'\n"
    with pytest.raises(ConfigurationError, match="does not load"):
        from_text(tmp_path, text)


def test_the_file_is_the_named_one_then_the_variables_then_the_one_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("named", "variable", "letterbox"):
        Path(f"{name}.toml").write_text(f"hostname = '{name}.example'")
    environ = {"LETTERBOX_CONFIG": "variable.toml"}
    assert load("named.toml", environ).hostname == "named.example"
    assert load(None, environ).hostname == "variable.example"
    assert load(None, {}).hostname == "letterbox.example"
    assert source(None, {}) == "letterbox.toml"


def test_variables_stand_over_the_file(tmp_path):
    configuration = from_text(
        tmp_path,
        "hostname = 'a.example'\n[smtp]\nlisten = '127.0.0.1:25'\nmax_size = 1000",
        {
            "LETTERBOX__HOSTNAME": "127",
            "LETTERBOX__SMTP__LISTEN": "0.0.0.0:2525",
            "LETTERBOX__SMTP__MAX_SIZE": "2000",
            "LETTERBOX__SMTP__TRUSTED_PEERS": '[{"address": "10.0.0.0/8", "asserts": "from"}]',
            "LETTERBOX__DOMAINS": '["b.example"]',
            "LETTERBOX__DNS__TIMEOUT": "2.5",
            "LETTERBOX__LOG__LEVEL": "debug",
            "OTHER__SMTP__LISTEN": "x",
        },
    )
    assert configuration.hostname == "127"
    assert configuration.smtp.listen == "0.0.0.0:2525"
    assert configuration.smtp.max_size == 2000
    assert configuration.smtp.trusted_peers[0].address == "10.0.0.0/8"
    assert configuration.domains == ("b.example",)
    assert configuration.dns.timeout == 2.5
    assert configuration.log.level == "debug"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("LETTERBOX__SMTP__LISTTEN", "x", "smtp.listten (set by LETTERBOX__SMTP__LISTTEN): there"),
        ("LETTERBOX__SMTP__MAX_SIZE", "big", "smtp.max_size (set by LETTERBOX__SMTP__MAX_SIZE)"),
        ("LETTERBOX__SMTP", "x", "smtp (set by LETTERBOX__SMTP): 'x' is not valid here"),
        ("LETTERBOX__HOSTNAME__X", "x", "hostname (set by LETTERBOX__HOSTNAME__X): a table"),
        ("LETTERBOX__HTTP__LISTEN", "x", "http.listen (set by LETTERBOX__HTTP__LISTEN): 'x' is"),
        ("LETTERBOX__DOMAINS", '["a b"]', "domains[0] (set by LETTERBOX__DOMAINS): 'a b' is"),
        ("LETTERBOX__", "x", " (set by LETTERBOX__): there is no such field"),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable(variable, value, says):
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        load(None, {variable: value})


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0", "[::1]:25", "[::]:2525", "localhost:8080", "mail.example:25", ""]
)
def test_addresses_to_listen_on(listen):
    assert load(None, {"LETTERBOX__HTTP__LISTEN": listen}).http.listen == listen


@pytest.mark.parametrize(
    ("http", "smtp"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("[::]:8080", "0.0.0.0:8080"),
        ("", ""),
    ],
)
def test_places_that_leave_one_another_room(http, smtp):
    environ = {"LETTERBOX__HTTP__LISTEN": http, "LETTERBOX__SMTP__LISTEN": smtp}
    assert load(None, environ | {"LETTERBOX__LMTP__LISTEN": "127.0.0.1:24"}).smtp.listen == smtp


def test_names_are_kept_as_what_comes_in_is_compared(tmp_path):
    configuration = from_text(
        tmp_path, "hostname = 'Mail.Bücher.example'\ndomains = ['Bücher.example']"
    )
    assert configuration.hostname == "mail.xn--bcher-kva.example"
    assert configuration.our_domains == {"xn--bcher-kva.example"}
    assert Configuration(hostname="Letterbox.Example").our_domains == {"letterbox.example"}


def test_variables_that_set_nothing_are_named_with_their_neighbour():
    stray = stray_variables(
        {
            "LETTERBOX_CONFIG": "x",
            "LETTERBOX_SHARED": "x",
            "LETTERBOX__SMTP__LISTEN": "x",
            "LETTERBOX_SMTP_LISTEN": "x",
            "LETTERBOX_HOSTNAME": "x",
            "LETTERBOX_PORT": "tcp://10.0.0.1:25",
            "LETTERBOXES": "x",
        }
    )
    assert stray == [
        "LETTERBOX_HOSTNAME (did you mean LETTERBOX__HOSTNAME?)",
        "LETTERBOX_PORT",
        "LETTERBOX_SMTP_LISTEN (did you mean LETTERBOX__SMTP__LISTEN?)",
    ]


def test_the_admin_socket_lies_beside_the_store_unless_it_is_named():
    beside = load(None, {"LETTERBOX__STORE__URL": "sqlite:/srv/box.db"})
    assert admin_socket(beside) == Path("/srv/box.db.sock")
    named = load(None, {"LETTERBOX__ADMIN__SOCKET": "run/admin.sock"})
    assert admin_socket(named) == Path.cwd() / "run/admin.sock"
    assert admin_socket(load(None, {"LETTERBOX__STORE__URL": "memory:"})) is None


SEVERAL = {"LETTERBOX__STORE__URL": "redis://localhost"}


@pytest.mark.parametrize(
    ("variables", "role", "several", "path"),
    [
        ({"LETTERBOX__STORE__URL": "memory:"}, Role.ALL, True, "store.url"),
        ({}, Role.GATEWAY, True, "store.url"),
        ({}, Role.GATEWAY, False, "store.url"),
        ({"LETTERBOX__STORE__URL": "memory:"}, Role.WORKER, False, "store.url"),
        (SEVERAL | {"LETTERBOX__HTTP__LISTEN": ""}, Role.WEB, False, "http.listen"),
        (
            SEVERAL | {"LETTERBOX__SMTP__LISTEN": ""},
            *(Role.GATEWAY, True, "smtp.listen, lmtp.listen, submission.listen, filter.listen"),
        ),
    ],
)
def test_a_role_needs_a_store_to_share_and_a_door_to_open(variables, role, several, path):
    load(None, variables)
    with pytest.raises(ConfigurationError) as raised:
        load_for(None, variables, role=role, several=several)
    assert [mistake.path for mistake in raised.value.mistakes] == [path]


@pytest.mark.parametrize("role", [Role.ALL, Role.GATEWAY, Role.WEB, Role.WORKER])
def test_a_store_on_a_server_is_for_every_role(role):
    loaded = load_for(None, SEVERAL, role=role, several=True)
    assert loaded.store.url == SEVERAL["LETTERBOX__STORE__URL"]


def test_the_embedded_store_is_for_several_processes_of_one_machine():
    assert load_for(None, {}, role=Role.ALL, several=True) == load(None, {})


def test_shipped_files_are_found_and_missing_ones_named():
    assert b"[[reason]]" in shipped("reasons.toml")
    with pytest.raises(FileNotFoundError, match=r"nothing.toml is missing"):
        shipped("nothing.toml")


def test_our_signature_names_every_mistake(tmp_path):
    text = "[outbound.dkim]\nselector = 'a b'\nkey = '/dev/null'\ndomain = '-x'"
    with pytest.raises(ConfigurationError) as raised:
        from_text(tmp_path, text)
    paths = [mistake.path for mistake in raised.value.mistakes]
    assert paths == ["outbound.dkim.selector", "outbound.dkim.domain", "outbound.dkim.key"]
