"""A large catalogue: the time and the processor time of an answer of catalog-service.

One client asks the service itself, because the gateway's cache would answer for it. PRODUCTS=1000000 is the
number of products. With CONTROL, a commit, the shop of that commit answers the same questions about the same
products in turn. At the end, every third product of this shop gets further variants.
"""

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import requests

from bench.errors import CannotMeasure
from bench.hot_path import run_flood
from bench.load import TIMEOUT, Call
from bench.many_products import wait_for_recount, write_products, write_variants
from bench.report import table
from bench.shop import Shop, running_commit, say
from bench.usage import subtract

HERE = "here"
ROUNDS = 3
AIM = 0.9  # As fast as the other commit.
LATER_PAGES = 10  # Of 100 products.
FEWEST = 2 * LATER_PAGES * 100
Question = Mapping[str, str | int]
LATER_PAGE, ONE_PRODUCT = "a later page", "one product"
# Add a line to measure another list.
QUESTIONS: Mapping[str, Question] = {
    "the first page": {},
    "by price": {"sort": "price"},
    "by price, falling": {"sort": "-price"},
    "by title": {"sort": "title"},
    "by rating": {"sort": "rating"},
    "the newest": {"sort": "newest"},
    "a category": {"category": "category 3"},
    "a category by price": {"category": "category 3", "sort": "price"},
    "a brand": {"brand": "Brand 5"},
    "a narrow price range": {"min_price": 10, "max_price": 11},
    "a wide price range": {"min_price": 100, "max_price": 400},
    "in stock": {"in_stock": "true"},
    "sold out": {"in_stock": "false"},
    "a common word": {"q": "walnut"},
    "common words": {"q": "walnut board oak"},
    "a rare word": {"q": "S-777"},
    "a misspelt word": {"q": "walnutt"},
    "words and a price range": {"q": "walnut board", "min_price": 100, "max_price": 200},
    "words by price": {"q": "walnut board", "sort": "price"},
    "facets": {"facets": "true"},
    "facets of a category": {"facets": "true", "category": "category 3"},
    "facets of words": {"facets": "true", "q": "walnut"},
}
OPTION_QUESTIONS: Mapping[str, Question] = {
    "a size": {"option.Size": "M"},
    "a colour": {"option.Colour": "Colour 7"},
    "a size and a colour": {"option.Size": "M", "option.Colour": "Colour 7"},
    "a size in a category": {"option.Size": "M", "category": "category 3"},
    "a size by price": {"option.Size": "M", "sort": "price"},
    "a size and a price range": {"option.Size": "M", "min_price": 100, "max_price": 200},
    "a size in stock": {"option.Size": "M", "in_stock": "true"},
    "a size and a common word": {"option.Size": "M", "q": "walnut"},
    "facets of a size": {"facets": "true", "option.Size": "M"},
}


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return a row for each question, here and at CONTROL, and here with variants; raises CannotMeasure."""
    count, commit = read_count(os.environ), os.environ.get("CONTROL")
    with ExitStack() as stack:
        others = {commit: stack.enter_context(running_commit(commit))} if commit else {}
        shops = {**others, HERE: shop}
        for name, each in shops.items():
            say(f"Writing {count} products, {name} …")
            write_products(each, count)
            wait_for_recount(each)
        plain = sum_up(_measure_rounds(shops, QUESTIONS, seconds / 4))
    say("Writing variants …")
    write_variants(shop)
    wait_for_recount(shop)
    varied = sum_up(_measure_rounds({HERE: shop}, {**QUESTIONS, **OPTION_QUESTIONS}, seconds / 4))
    return {"products": count, "commit": commit, "plain": plain, "varied": varied}


def read_count(environment: Mapping[str, str]) -> int:
    """Return the number of products to write; raises CannotMeasure."""
    text = environment.get("PRODUCTS") or "1000000"
    if not (text.isdecimal() and len(text) < 10 and int(text) >= FEWEST):
        raise CannotMeasure(f"PRODUCTS is {text!r}; it must be a whole number from {FEWEST}.")
    return int(text)


def _measure_rounds(
    shops: Mapping[str, Shop], questions: Mapping[str, Question], seconds: float
) -> list[dict[str, Any]]:
    """Return the numbers of each question in each round and shop, in milliseconds of an answer."""
    rounds = []
    for turn in range(ROUNDS):
        say(f"Asking catalog-service, round {turn + 1} of {ROUNDS} …")
        # New tokens for each round, because a token lives for a quarter of an hour.
        guests = {name: shop.enter() for name, shop in shops.items()}
        urls = {name: shop.services["catalog-service"]["url"] for name, shop in shops.items()}
        paths = {name: _find_paths(urls[name], guests[name], questions) for name in shops}
        for question in paths[HERE]:
            # The other shop begins in every second round.
            for name, shop in [*shops.items()][:: -1 if turn % 2 else 1]:
                path, found = paths[name][question]
                call = Call("GET", path, headers=guests[name])
                if turn == 0:
                    # The first calls fill the caches and prepare the statements on each connection.
                    run_flood(urls[name], call, 1, seconds)
                before = shop.measure_cpu()
                flood = run_flood(urls[name], call, 1, seconds)
                spent = subtract(shop.measure_cpu(), before)
                if not flood["good"]:
                    raise CannotMeasure(f"catalog-service ({name}) does not answer GET {path}.")
                cpu = 1000 * (spent["postgres"] + spent["catalog-service"]) / flood["good"]
                numbers = {"ms": flood["p50"], "cpu_ms": cpu, "errors": flood["errors"], "found": found}
                rounds.append({"question": question, "shop": name, **numbers})
    return rounds


def _find_paths(
    url: str, guest: Mapping[str, str], questions: Mapping[str, Question]
) -> dict[str, tuple[str, int]]:
    """Return each question's path, and the number of products in its answer; raises CannotMeasure."""

    def ask(path: str) -> Any:
        answer = requests.get(url + path, headers=guest, timeout=TIMEOUT)
        if answer.status_code != 200:
            raise CannotMeasure(f"GET {path} is answered with {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def list_products(**question: str | int) -> str:
        return f"/products?{urlencode({'limit': 30, **question})}"

    page = ask(list_products(limit=100))
    for _ in range(LATER_PAGES):
        cursor = page["next"]
        page = ask(list_products(limit=100, cursor=cursor))
    paths = {name: list_products(**question) for name, question in questions.items()}
    paths[LATER_PAGE] = list_products(cursor=cursor)
    found = {name: (path, len(ask(path)["data"])) for name, path in paths.items()}
    return {**found, ONE_PRODUCT: (f"/products/{page['data'][0]['id']}", 1)}


def sum_up(rounds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each question: the medians of each shop, and those of the rounds' ratios to `here`.

    A ratio above 1 means that `here` needs less.
    """
    answers: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for each in rounds:
        answers.setdefault(each["question"], {}).setdefault(each["shop"], []).append(each)
    rows = []
    for question, shops in answers.items():
        medians = {
            name: {unit: statistics.median(each[unit] for each in ours) for unit in ("ms", "cpu_ms")}
            for name, ours in shops.items()
        }
        found = {name: ours[-1]["found"] for name, ours in shops.items()}
        errors = sum(each["errors"] for ours in shops.values() for each in ours)
        row = {"question": question, "found": found, "errors": errors, "medians": medians, "ratios": {}}
        for name, theirs in shops.items():
            if name != HERE:
                row["ratios"] = {unit: _compare(shops[HERE], theirs, unit) for unit in ("ms", "cpu_ms")}
        rows.append(row)
    return rows


def _compare(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], unit: str
) -> float | None:
    """Return the median of the rounds' ratios; None if a round was too short for the processor clock."""
    pairs = [(other[unit], own[unit]) for other, own in zip(theirs, ours, strict=True)]
    return statistics.median(other / own for other, own in pairs) if all(map(all, pairs)) else None


def average(ratios: Iterable[float | None]) -> float | None:
    """Return the geometric mean of the known ratios; None if there are none."""
    known = [ratio for ratio in ratios if ratio is not None]
    return statistics.geometric_mean(known) if known else None


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables of the report."""
    against = f", in turn with commit {results['commit']}" if results["commit"] else ""
    return [
        f"{results['products']} products of one variant{against}. One client asks catalog-service itself: "
        "the products in the answer, the milliseconds until it is there, and those of one core that "
        f"catalog-service and PostgreSQL need for it. Medians of {ROUNDS} rounds.",
        "",
        *(
            [f"The ratios are the commit's time to the time here: 1.00 is equal, the aim is {AIM:.2f}.", ""]
            if against
            else []
        ),
        *_render_rows(results["plain"]),
        "",
        "The same products, every third with three variants:",
        "",
        *_render_rows(results["varied"]),
    ]


def _render_rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    shops = [*rows[0]["medians"]]
    names = [""] if len(shops) == 1 else [f", {name}" for name in shops]
    head = ["question", "products", *(f"{unit}{name}" for unit in ("ms", "core ms") for name in names)]
    lines = [
        [
            *(row["question"], ", ".join(map(str, dict.fromkeys(row["found"].values())))),
            *(f"{row['medians'][name][unit]:.2f}" for unit in ("ms", "cpu_ms") for name in shops),
            *map(_write, row["ratios"].values()),
            row["errors"],
        ]
        for row in rows
    ]
    if len(shops) == 1:
        return table(" | ".join([*head, "errors"]), lines)
    means = [_write(average(row["ratios"][unit] for row in rows)) for unit in ("ms", "cpu_ms")]
    lines.append(["geometric mean", *[""] * (len(head) - 1), *means, ""])
    return table(" | ".join([*head, "as fast as", "as cheap as", "errors"]), lines)


def _write(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
