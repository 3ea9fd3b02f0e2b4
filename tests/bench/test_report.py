"""What a report shows: charts, other shops, starts and images."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import images, peers, plots, start_up
from bench.charts import INKS, SERIES, Bar, Line, draw_bars, draw_lines, draw_panels, spread
from bench.hot_path import CACHED, STATIC

SVG = "{http://www.w3.org/2000/svg}"
LINES = [
    Line("up & <down>", [(1, 10), (8, 100), (32, 1000)]),
    Line("level", [(1, 10), (32, 10)], ink=1, dashed=True),
]


def parse(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)  # noqa: S314  # It is our own.


def read_places(chart: str) -> list[tuple[float, float]]:
    """Return the middles of a chart's dots."""
    dots = parse(chart).iter(f"{SVG}circle")
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in dots if dot.attrib["r"] == "3.5"]


def test_equal_factors_are_equal_ways_on_a_logarithmic_axis() -> None:
    (x1, y1), (x2, y2), (x3, y3) = read_places(draw_lines("T", "S", LINES[:1], x="clients", y="a second"))
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert y1 > y2 > y3
    assert (x2 - x1) / (x3 - x2) == pytest.approx(3 / 2, abs=0.01)


def test_a_chart_names_its_lines_its_axes_and_itself() -> None:
    root = parse(draw_lines("Title", "Subtitle", LINES, x="clients", y="a second"))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {"Title", "Subtitle", "clients", "a second", "up & <down>, 1 000", "level, 10"} <= {
        (text or "").replace("\N{NO-BREAK SPACE}", " ") for text in texts
    }
    assert {"1", "8", "32"} <= texts


def test_panels_have_the_same_axes() -> None:
    chart = draw_panels("T", "S", [("one", LINES[:1]), ("two", LINES[1:])], x="clients", y="ms")
    places = read_places(chart)
    assert places[0][1] == places[3][1] == places[4][1]


def test_bars_begin_at_the_same_place_and_are_as_long_as_what_they_stand_for() -> None:
    chart = draw_bars(
        "T", "S", [("one", [Bar("a", 10, "10"), Bar("b", 40, "40"), Bar("c", 40, "20 to 40", low=20)])]
    )
    boxes = [
        (float(box.attrib["x"]), float(box.attrib["width"]))
        for box in parse(chart).iter(f"{SVG}rect")
        if box.attrib["class"] != "paper"
    ]
    (left, short), (other_left, long), (middle, half) = boxes
    assert left == other_left
    assert long == pytest.approx(4 * short, abs=0.2)
    assert (middle - left, half) == (pytest.approx(long / 2, abs=0.2), pytest.approx(long / 2, abs=0.2))


def test_names_at_the_ends_of_lines_do_not_cover_each_other() -> None:
    assert spread([10, 12, 50], 18, top=0, bottom=100) == [10, 28, 50]
    assert spread([90, 95, 99], 18, top=0, bottom=100) == [64, 82, 100]


def brightness(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1])
def test_charts_can_be_read_on_light_and_on_dark(mode: int) -> None:
    def contrast(colour: str) -> float:
        low, high = sorted((brightness(colour), brightness(INKS["paper"][mode])))
        return (high + 0.05) / (low + 0.05)

    assert contrast(INKS["text"][mode]) >= 7
    assert contrast(INKS["soft"][mode]) >= 4.5
    assert min(contrast(inks[mode]) for inks in SERIES) >= 3


def make_load(clients: int, rate: float, **changes: Any) -> dict[str, Any]:
    return {"scenario": "GET /cart", "clients": clients, "rate": rate, "p50": 2.0, "p99": 9.0, **changes}


def make_parts() -> dict[str, Any]:
    memory = {
        "at_rest": {"gateway": (3, 10.0), "auth-service": (2, 90.0), "postgres": (9, 500.0)},
        "after_load": {"gateway": (3, 20.0), "auth-service": (2, 180.0), "postgres": (9, 500.0)},
    }
    checkouts = [
        make_load(clients, rate, title="checkout") for clients, rate in ((1, 20.0), (8, 55.5), (32, 60.0))
    ]
    return {
        "calls": {"loads": [make_load(1, 100.0), make_load(8, 0.0, p50=None, p99=None)], "memory": memory},
        "checkout": {"loads": [*checkouts, make_load(8, 1.0, title="checkout, one product for all")]},
        "hot-path": {
            "rows": [
                {"way": STATIC, "clients": 1, "rate": 100.0},
                {"way": CACHED, "clients": 1, "rate": 60.0},
            ],
            "ratios": [{"way": STATIC, "clients": 1, "ratio": 0.6}],
        },
    }


def test_every_chart_is_drawn_of_what_was_measured_also_where_nothing_was_answered() -> None:
    charts = plots.draw(make_parts())
    assert charts.keys() == {"hot-path.svg", "throughput.svg", "latency.svg", "peers.svg"}
    assert "full checkout, 60" in charts["throughput.svg"]
    assert "gateway x 0.6" in charts["hot-path.svg"]
    for chart in charts.values():
        assert not re.search("nan|inf|None", chart)
        parse(chart)


def test_no_chart_is_drawn_of_what_was_not_measured() -> None:
    assert plots.draw({"start": {}}) == {}
    assert peers.render({"checkout": make_parts()["checkout"]}) == []


def test_others_stand_beside_the_same_numbers_of_ours() -> None:
    lines = peers.render(make_parts())
    [ours] = [line for line in lines if "Shopfleet" in line]
    # The checkout of all products with 8 clients; MiB are 1.048576 MB, and PostgreSQL is left out.
    assert [cell.strip() for cell in ours.split("|")[1:4]] == ["Shopfleet", "55.5", "105 to 210"]
    assert any("django-oscar" in line and "18" in line and "159 to 319" in line for line in lines)


def test_a_start_is_told_with_its_services() -> None:
    start = {"title": "first start", "seconds": 9.87, "services": {"auth-service": 2.5}}
    again = {"title": "second start", "seconds": 4.0, "services": {}}
    rows = [line.split("|")[1:-1] for line in start_up.render({"starts": [start, again]}) if line[:2] == "| "]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["start", "the shop", "auth-service"],
        ["first start", "9.9", "2.5"],
        ["second start", "4.0", ""],
    ]


BASE, OWN = ["sha256:a", "sha256:b"], ["sha256:c"]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that knows a base of 100 MiB and images of 130 MiB on top of it."""
    program = tmp_path / "docker"
    program.write_text(
        """#!/bin/sh
        case "$*" in
            "image inspect python"*) echo '[{"Size": 104857600, "RootFS": {"Layers": ["a", "b"]}}]' ;;
            "image inspect shopfleet/logs-service") echo "[$LOGS]" ;;
            "image inspect"*) echo '[{"Size": 136314880, "RootFS": {"Layers": ["a", "b", "c"]}}]' ;;
        esac
        """
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("LOGS", '{"Size": 157286400, "RootFS": {"Layers": ["a", "b", "c", "d"]}}')
    return program


def test_an_image_is_told_with_what_it_has_on_top_of_its_base(docker: Path, tmp_path: Path) -> None:
    results = images.measure(tmp_path, 1.0)
    assert results["base"].startswith("python:")
    [logs] = [each for each in results["images"] if each["image"] == "shopfleet/logs-service"]
    assert logs == {"image": "shopfleet/logs-service", "layers": 2, "all_mib": 150.0, "own_mib": 50.0}
    assert "| shopfleet/logs-service     | 150.0 |   50.0 |             2 |" in images.render(results)


def test_an_image_of_another_base_is_not_measured(docker: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LOGS", '{"Size": 157286400, "RootFS": {"Layers": ["z", "b", "c", "d"]}}')
    results = images.measure(tmp_path, 1.0)
    assert results["images"] == []
    assert "logs-service is not made from" in images.render(results)[0]


def test_without_docker_the_report_says_so(docker: Path, tmp_path: Path) -> None:
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    results = images.measure(tmp_path, 1.0)
    assert "Cannot connect to the Docker daemon" in images.render(results)[0]
