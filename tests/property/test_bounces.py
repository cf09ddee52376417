"""Whatever another server sends back, reading it is bounded and safe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.reading.bounce import is_report, undelivered
from letterbox.reading.mail import DEFAULT_LIMITS, split
from tests.unit.test_onward import report

TO = "SRS0=x@letterbox.example"


@given(st.binary(max_size=400))
def test_no_report_makes_it_stumble(status: bytes) -> None:
    head, _, rest = report(TO).partition(b"Reporting-MTA: dns; mx.provider.test\r\n\r\n")
    content = head + status.replace(b"--b", b"") + b"\r\n\r\n" + rest
    said = undelivered(split(content), DEFAULT_LIMITS)
    assert said is None or (said and len(said) <= 300 and said.isprintable())


@given(st.binary(max_size=600))
def test_no_message_makes_it_stumble(raw: bytes) -> None:
    mail = split(raw.replace(b"\n", b"").replace(b"\r", b"\r\n"))
    said = undelivered(mail, DEFAULT_LIMITS)
    assert said is None or (said and len(said) <= 300 and said.isprintable())
    assert is_report(mail, DEFAULT_LIMITS) in {True, False}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "5.1.1 550 no such user"),
        (
            {"Diagnostic_Code": "smtp; 550 5.1.1\r\n no\r\n such user"},
            "5.1.1 550 5.1.1 no such user",
        ),
        ({"Diagnostic_Code": "smtp;\r\n <b>\x1b[31m"}, "5.1.1 <b>"),
        ({"Status": "", "Diagnostic_Code": ""}, "it came back"),
        ({"Diagnostic_Code": "smtp; " + "x" * 5000}, None),
    ],
)
def test_what_it_says_is_one_line_fit_to_be_shown(fields: dict[str, str], said: str | None) -> None:
    found = undelivered(split(report(TO, **fields)), DEFAULT_LIMITS)
    assert found is not None
    assert len(found) <= 300
    assert found.isprintable()
    if said is not None:
        assert found.startswith(said)
