"""The recipes of deploy/recipes, with the real programs on both sides where they are to be had."""

import asyncio
import json
import os
import re
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from textwrap import dedent
from threading import Thread

import msgspec
import pytest

from letterbox.configuration import load
from letterbox.model.configuration import Configuration
from tests.support import nameserver
from tests.support.nameserver import NameServer
from tests.support.ports import free_port
from tests.support.processes import Letterbox, serving
from tests.support.programs import program
from tests.support.tls import make_chain

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "deploy" / "recipes"
DOMAIN = "letterbox.example"
#: Where the client connects from: neither the address of the program between, nor ours.
CLIENT = "127.77.0.9"
PATIENCE = 20
MAIL = "From: Shop <shop@greenleaf.example>\r\nSubject: Hello\r\n\r\nHi\r\n"

#: What Postfix needs to live in a folder of its own; Debian's master.cf has these services, too.
POSTFIX_MAIN = """
    compatibility_level = 3.6
    myhostname = mx.example.org
    mydestination =
    inet_protocols = ipv4
    alias_maps =
    local_recipient_maps =
    queue_directory = {place}/queue
    data_directory = {place}/data
    maillog_file = {place}/postfix.log
    maillog_file_prefixes = {place}
    smtpd_peername_lookup = no
"""
POSTFIX_MASTER = """
    pickup unix n - n 60 1 pickup
    cleanup unix n - n - 0 cleanup
    qmgr unix n - n 300 1 qmgr
    rewrite unix - - n - - trivial-rewrite
    bounce unix - - n - 0 bounce
    defer unix - - n - 0 bounce
    trace unix - - n - 0 bounce
    flush unix n - n 1000? 0 flush
    proxymap unix - - n - - proxymap
    smtp unix - - n - - discard
    relay unix - - n - - discard
    error unix - - n - - error
    retry unix - - n - - error
    anvil unix - - n - 1 anvil
    scache unix - - n - 1 scache
    postlog unix-dgram n - n - 1 postlogd
"""


def recipe(name: str) -> str:
    return (RECIPES / name).read_text()


def until(true: Callable[[], object], what: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not in time: {what()}"
        time.sleep(0.05)


def greets(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE):
            return True
    except OSError:
        return False


def letterbox_side(name: str, names: str) -> str:
    """What the recipe says to letterbox, with free ports, a store in the folder, and our names."""
    text = recipe(name)
    text = re.sub(r'(listen = ")[^"]+', r"\g<1>127.0.0.1:0", text)
    text = text.replace('address = "10.0.0.5"', 'address = "127.0.0.1"')
    text = re.sub(r"^\[(tls|store|admin|submission)\]\n(?:.+\n)*", "", text, flags=re.MULTILINE)
    text = re.sub(r'^\[log\]\nformat = "json"\n', "", text, flags=re.MULTILINE)
    if "[http]" not in text:
        text += '\n[http]\nlisten = "127.0.0.1:0"\n'
    return text + f'\n[dns]\nservers = ["{names}"]\n[log]\nformat = "json"\n'


@pytest.fixture
def names(request) -> Iterator[str]:
    """A name server that knows no name, so that every sender is a stranger, unless it is given."""
    with asyncio.Runner() as loop:
        ended = asyncio.Event()
        told: Queue[str] = Queue()

        async def serve() -> None:
            async with nameserver.serving(NameServer(getattr(request, "param", {}))) as address:
                told.put(address)
                await ended.wait()

        thread = Thread(target=loop.run, args=(serve(),))
        thread.start()
        try:
            yield told.get(timeout=PATIENCE)
        finally:
            loop.get_loop().call_soon_threadsafe(ended.set)
            thread.join()


def send(port: int, to: str) -> tuple[int, str]:
    """How a client is answered that comes from an address of its own."""
    with smtplib.SMTP(
        "127.0.0.1",
        port,
        local_hostname="client.example",
        source_address=(CLIENT, 0),
        timeout=PATIENCE,
    ) as client:
        client.ehlo()
        client.mail("shop@greenleaf.example")
        code, text = client.rcpt(to)
        if code == 250:
            code, text = client.data(MAIL)
        return code, text.decode()


def lines(letterbox: Letterbox, event: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in letterbox.log.read_text().splitlines() if line[:1] == "{"]
    return [line for line in found if line["event"] == event]


# ---- Postfix ----------------------------------------------------------------------------------


def postfix_folder(place: Path, main: str, master: str) -> Path:
    """A configuration of Postfix's, with a recipe's lines at its end."""
    folder = place / "postfix"
    folder.mkdir(parents=True)
    (folder / "main.cf").write_text(dedent(POSTFIX_MAIN).format(place=place) + main)
    (folder / "master.cf").write_text(dedent(POSTFIX_MASTER) + master)
    return folder


@contextmanager
def postfix(main: str, master: str) -> Iterator[Path]:
    """Postfix, running; its log. It must be root to start."""
    binary = program("postfix")
    if os.getuid() != 0:
        pytest.skip("Postfix changes users when it starts: needs root")
    with TemporaryDirectory(prefix="letterbox-") as name:
        place = Path(name)
        # Its users must reach what lies below, which a test's own folder does not let them.
        place.chmod(0o755)
        command = [binary, "-c", str(postfix_folder(place, main, master))]
        for folder in ("queue", "data"):
            (place / folder).mkdir()
        shutil.chown(place / "data", "postfix")
        try:
            done = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            yield place / "postfix.log"
        finally:
            subprocess.run([*command, "stop"], capture_output=True, timeout=PATIENCE, check=False)


POSTFIX = {
    "behind": ("behind-postfix.main.cf", "behind-postfix.master.cf"),
    "before-queue": (
        "behind-postfix.before-queue.main.cf",
        "behind-postfix.before-queue.master.cf",
    ),
    "between": ("between-postfix.main.cf", "between-postfix.master.cf"),
    "before": ("before-postfix.main.cf", "before-postfix.master.cf"),
}


@pytest.mark.parametrize("name", POSTFIX)
def test_postfix_knows_every_word(name, tmp_path):
    main, master = POSTFIX[name]
    folder = postfix_folder(tmp_path, recipe(main), recipe(master))
    command = [program("postconf"), "-c", str(folder), "-n"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # It warns of each word that nothing uses, in master.cf as well.
    assert (done.returncode, done.stderr) == (0, "")


def test_postfix_finds_the_way_to_letterbox(tmp_path):
    folder = postfix_folder(tmp_path, recipe("behind-postfix.main.cf"), "")
    command = [program("postconf"), "-c", str(folder), "-hx", "transport_maps"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    asked = [program("postmap"), "-c", str(folder), "-q", DOMAIN, table]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "letterbox:inet:[127.0.0.1]:2424"


def test_behind_postfix_the_client_is_known(tmp_path, names):
    port = free_port()
    with serving(tmp_path, letterbox_side("behind-postfix.letterbox.toml", names)) as letterbox:
        lmtp = letterbox.address("lmtp")[1]
        main = recipe("behind-postfix.main.cf").replace(":2424", f":{lmtp}")
        master = f"127.0.0.1:{port} inet n - n - - smtpd\n" + recipe("behind-postfix.master.cf")
        with postfix(main, master) as log:
            until(lambda: greets(port))
            assert send(port, f"postmaster@{DOMAIN}")[0] == 250
            # What letterbox refuses Postfix reports; it was taken before letterbox was asked.
            assert send(port, f"nobody@{DOMAIN}")[0] == 250
            assert send(port, "nobody@elsewhere.example")[0] == 554
            until(lambda: len(lines(letterbox, "message")) == 2, log.read_text)
            until(lambda: "status=bounced" in log.read_text(), log.read_text)
    told = {line["recipient"]: line for line in lines(letterbox, "message")}
    assert told[f"postmaster@{DOMAIN}"]["told"] == "deliver"
    assert told[f"nobody@{DOMAIN}"]["told"] == "refuse"
    assert {line["client"] for line in told.values()} == {CLIENT}
    assert {line["edge"] for line in told.values()} == {"lmtp"}


def test_before_postfixs_queue_the_client_hears_letterbox_itself(tmp_path, names):
    port = free_port()
    with serving(tmp_path, letterbox_side("behind-postfix.letterbox.toml", names)) as letterbox:
        master = recipe("behind-postfix.before-queue.master.cf")
        master = master.replace("smtp      inet", f"127.0.0.1:{port} inet")
        master = master.replace(":2525", f":{letterbox.address('smtp')[1]}")
        with postfix(recipe("behind-postfix.before-queue.main.cf"), master):
            until(lambda: greets(port))
            taken = send(port, f"postmaster@{DOMAIN}")
            turned = send(port, f"nobody@{DOMAIN}")
            relayed = send(port, "nobody@elsewhere.example")
    assert taken[0] == 250, taken
    assert turned[0] == 550
    assert "not-accepted" in turned[1]
    assert relayed[0] == 554
    assert {line["client"] for line in lines(letterbox, "message")} == {CLIENT}


#: What is let through, once people have it, and what is not.
BETWEEN = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal"]
"""


@contextmanager
def between_postfix(folder: Path, names: str) -> Iterator[tuple[int, Letterbox, Path]]:
    """letterbox between two smtpds; the port of the first, and Postfix's log."""
    front, back = free_port(), free_port()
    text = letterbox_side("between-postfix.letterbox.toml", names)
    # The client is proven by its address, as greenleaf.example says in the DNS.
    with serving(folder, text.replace("127.0.0.1:10026", f"127.0.0.1:{back}")) as letterbox:
        assert letterbox.apply(BETWEEN).returncode == 0
        master = recipe("between-postfix.master.cf")
        master = master.replace("smtp      inet", f"127.0.0.1:{front} inet")
        master = master.replace("127.0.0.1:10026", f"127.0.0.1:{back}")
        master = master.replace(":10025", f":{letterbox.address('filter')[1]}")
        with postfix(recipe("between-postfix.main.cf"), master) as log:
            until(lambda: greets(front), log.read_text)
            until(lambda: greets(back), log.read_text)
            yield front, letterbox, log


PROVEN = {"greenleaf.example": {"TXT": [f"v=spf1 ip4:{CLIENT} -all"]}}


@pytest.mark.parametrize("names", [PROVEN], indirect=True)
def test_between_two_of_postfix_what_is_delivered_is_queued_and_nothing_else(tmp_path, names):
    with between_postfix(tmp_path, names) as (port, letterbox, log):
        taken = send(port, f"anna@{DOMAIN}")
        turned = send(port, f"nobody@{DOMAIN}")
        relayed = send(port, "nobody@elsewhere.example")
        until(lambda: "status=sent" in log.read_text(), log.read_text)
        exported, said = letterbox.ask("export", "anna"), log.read_text()
    assert taken[0] == 250, taken
    # The words are letterbox's, which has them from nobody: before anything was queued.
    assert "delivered" in taken[1]
    assert (turned[0], relayed[0]) == (550, 554)
    assert "no-relationship" in turned[1]
    (entry,) = exported["inbox"]
    assert entry["handed"]["said"].startswith("250 2.0.0 Ok: queued as ")
    # One message has reached the queue, from the client itself.
    assert len(re.findall(r"qmgr\[\d+\]: \w+: from=", said)) == 1
    assert f"client=unknown[{CLIENT}]" in said
    assert f"to=<anna@{DOMAIN}>" in said
    assert {line["client"] for line in lines(letterbox, "message")} == {CLIENT}


@pytest.mark.parametrize("names", [PROVEN], indirect=True)
def test_between_two_of_postfix_the_client_hears_that_the_second_is_away(tmp_path, names):
    text = letterbox_side("between-postfix.letterbox.toml", names)
    front = free_port()
    text = text.replace("127.0.0.1:10026", f"127.0.0.1:{free_port()}")  # nobody is there
    with serving(tmp_path, text) as letterbox:
        assert letterbox.apply(BETWEEN).returncode == 0
        master = recipe("between-postfix.master.cf").partition("# Behind letterbox")[0]
        master = master.replace("smtp      inet", f"127.0.0.1:{front} inet")
        master = master.replace(":10025", f":{letterbox.address('filter')[1]}")
        with postfix(recipe("between-postfix.main.cf"), master) as log:
            until(lambda: greets(front), log.read_text)
            code, text = send(front, f"anna@{DOMAIN}")
        assert letterbox.ask("export", "anna")["inbox"] == []
    assert code == 451
    assert "next-hop-unavailable" in text


# ---- balancers --------------------------------------------------------------------------------


def balanced(text: str, folder: Path, addresses: dict[str, tuple[str, int]]) -> str:
    """A balancer's configuration with our ports behind it, and files of ours."""
    chain = make_chain(folder)
    for name in (
        "/etc/haproxy/letterbox.pem",
        "/etc/nginx/letterbox.crt",
        "/etc/nginx/letterbox.key",
    ):
        text = text.replace(name, str(chain))
    inner = {"smtp": 2525, "submission": 2587, "submissions": 2465, "http": 8080}
    for gateway, port in inner.items():
        own = addresses.get(gateway, ("", 9))[1]
        text = re.sub(rf"10\.0\.0\.1[12]:{port}\b", f"127.0.0.1:{own}", text)
    return text


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_behind_a_balancer_the_client_is_known(name, tmp_path, names):
    ports = {outer: free_port() for outer in (25, 587, 465, 443)}
    with serving(tmp_path, letterbox_side("behind-balancer.letterbox.toml", names)) as letterbox:
        addresses = {gate: letterbox.address(gate) for gate in letterbox.addresses}
        text = balanced(
            recipe(f"behind-{name}.c{'fg' if name == 'haproxy' else 'onf'}"), tmp_path, addresses
        )
        for outer, inner in ports.items():
            text = text.replace(f"bind :{outer}", f"bind 127.0.0.1:{inner}")
            text = text.replace(f"listen {outer}", f"listen 127.0.0.1:{inner}")
        # Health is asked at the admin door's port; here it is HTTP that answers it.
        text = text.replace("check port 9090", f"check port {addresses['http'][1]}")
        config = tmp_path / "balancer.conf"
        config.write_text(text)
        with running(name, config, tmp_path):
            until(lambda: greets(ports[25]), (tmp_path / "balancer.log").read_text)
            assert send(ports[25], f"postmaster@{DOMAIN}")[0] == 250
    assert {line["client"] for line in lines(letterbox, "message")} == {CLIENT}


@contextmanager
def running(name: str, config: Path, folder: Path) -> Iterator[None]:
    own = ["-f", str(config)] if name == "haproxy" else nginx_words(config, folder)
    with (folder / "balancer.log").open("wb") as log:
        process = subprocess.Popen([program(name), *own], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def nginx_words(config: Path, folder: Path) -> list[str]:
    """Everything in the folder, and in the foreground."""
    if not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
        pytest.skip("needs libnginx-mod-stream")
    config.write_text(
        config.read_text()
        .replace("load_module modules/", "load_module /usr/lib/nginx/modules/")
        .replace("http {", f"http {{\n    access_log off;\n{nginx_folders(folder)}")
    )
    settings = f"daemon off; pid {folder}/nginx.pid;"
    return ["-p", str(folder), "-c", str(config), "-e", "stderr", "-g", settings]


def nginx_folders(folder: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)


def test_haproxy_knows_every_word(tmp_path):
    config = tmp_path / "haproxy.cfg"
    config.write_text(balanced(recipe("behind-haproxy.cfg"), tmp_path, {}))
    command = [program("haproxy"), "-c", "-f", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- the others -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["behind-exim.conf", "before-exim.conf"])
def test_exim_has_every_section_and_knows_every_word(name, tmp_path):
    text = recipe(name)
    sections = re.findall(r"^begin (\w+)$", text, re.MULTILINE)
    assert sections == ["acl", "routers", "transports", "retry"]
    for transport in re.findall(r"^  transport = (\w+)$", text, re.MULTILINE):
        assert re.search(rf"^{transport}:\n  driver = smtp$", text, re.MULTILINE)
    # Exim and Postfix cannot both be installed on Debian, so that it is seldom there.
    exim = shutil.which("exim4") or shutil.which("exim")
    if exim is not None:
        config = tmp_path / "exim.conf"
        config.write_text(text)
        command = [exim, "-C", str(config), "-bV"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_dovecot_hands_on_to_the_submission_port_with_tls():
    text = recipe("behind-dovecot-submission.conf")
    settings = dict(re.findall(r"^(submission_relay_\w+) = (.+)$", text, re.MULTILINE))
    assert settings["submission_relay_ssl"] == "starttls"
    shipped = msgspec.toml.decode(
        recipe("behind-dovecot-submission.letterbox.toml"), type=Configuration
    )
    assert shipped.submission.listen.endswith(f":{settings['submission_relay_port']}")
    # The key is in a file of its own.
    assert "submission_relay_password" not in settings
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("name", sorted(path.name for path in RECIPES.glob("*.letterbox.toml")))
def test_letterbox_takes_its_side(name, tmp_path):
    chain = make_chain(tmp_path)
    config = tmp_path / "letterbox.toml"
    config.write_text(re.sub(r"/etc/letterbox/tls\.(crt|key)", str(chain), recipe(name)))
    assert load(str(config), {}).hostname == DOMAIN


def test_every_recipe_is_on_the_page_and_every_one_of_the_page_is_there():
    page = (RECIPES / "README.md").read_text()
    files = {path.name for path in RECIPES.iterdir()} - {"README.md"}
    assert {target for target in re.findall(r"\]\(([^)/]+)\)", page) if "." in target} == files
