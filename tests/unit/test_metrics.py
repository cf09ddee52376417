"""The numbers for Prometheus."""

from letterbox.metrics import Metrics


def test_numbers_are_given_without_when_each_began():
    metrics = Metrics()
    metrics.messages.labels("smtp", "dkim").inc()
    metrics.seconds.labels("smtp").observe(0.3)
    text = metrics.text().decode()
    assert 'letterbox_messages_total{edge="smtp",proof="dkim"} 1.0' in text
    assert 'letterbox_intake_seconds_bucket{edge="smtp",le="0.5"} 1.0' in text
    assert "_created" not in text


def test_what_the_process_uses_is_among_them():
    text = Metrics().text().decode()
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds"):
        assert f"\nprocess_{name} " in text
