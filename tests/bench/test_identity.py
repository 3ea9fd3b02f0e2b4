"""What the bench finds out about identity, as far as that needs no shop."""

from bench.identity import measure_verification, render


def test_verifying_a_token_is_mostly_its_signature() -> None:
    found = measure_verification(rounds=5)
    assert 0 < found["signature"] < found["verify"]
    assert 0 < found["again"] < found["signature"]


def test_the_numbers_are_told_in_sentences() -> None:
    times = {
        **{"quiet_50": 2.0, "quiet_99": 10.0, "somebody_50": 2.5, "somebody_99": 12.0},
        **{"botnet_50": 3.0, "botnet_99": 15.0, "torrent_50": 20.0, "torrent_99": 95.0},
    }
    lines = render(
        {
            "verification": {"verify": 150.0, "again": 10.0, "signature": 75.0},
            "products": {"requests": 100, "cpu": 3000.0, "share": 0.05},
            "logins": {
                "a_second": 20.0,
                "statuses": {"200": 160, "503": 9},
                "at_rest_mib": 70.0,
                "peak_mib": 95.0,
            },
            "visitors": {"statuses": {"200": 32}, "p50": 80.4, "longest": 349.6},
            "others": {
                "calls": {"GET /cart": times},
                "errors": 0,
                "tries": {"quiet": {}, "somebody": {"429": 9}, "botnet": {"401": 50}, "torrent": {}},
            },
        }
    )
    text = "\n".join(lines)
    assert "5.0% of the 3000 µs" in text
    assert "20 log-ins a second with 32 clients (160 x 200, 9 x 503)" in text
    assert "without a pause, a log-in takes 80 ms (p50), and 350 at most (32 x 200)" in text
    assert "32 clients who try to log in, 64 times a second; 0 were not answered with 200" in text
    assert (
        "`GET /cart`: quiet 10.0 (2.0); flood of somebody 12.0 (2.5), x 1.20; "
        "of a botnet 15.0 (3.0), x 1.50; of one without a pause 95.0 (20.0), x 9.50"
    ) in text
    assert "flood of somebody 9 x 429; of a botnet 50 x 401; of one without a pause none." in text
