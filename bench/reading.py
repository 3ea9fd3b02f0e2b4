"""How long one process takes to answer readers, with a hundred products, ten thousand, and a million."""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from bench.catalog import Call, Catalog
from bench.report import table_of
from bench.shop import CannotMeasure, say
from local.processes import wait_until

SIZES = (100, 10_000, 1_000_000)
CLIENTS = (1, 8)
SEED = 1
COUNT_SECONDS = 300.0

COLOURS = "walnut oak steel glass linen copper brass cotton wool leather cork clay paper birch cedar"
THINGS = (
    "board pot pan grinder crock jar knife towel oven scale pen notebook desk tray planner envelope trowel "
    "spike fork feeder gauge pannier pump light saddle helmet bicycle bell lock cape speaker turntable radio "
    "microphone recorder lamp pendant candle suitcase pillow wallet daypack mug mask apron swing cushion tent"
)
CATEGORIES, BRANDS = 40, 500

# Words, prices and all the rest are spread by a hash, the same in every run.
FILL = """
INSERT INTO products (id, sku, title, brand, category, unit_amount, description, rating, on_hand)
SELECT id, 'B-' || id,
    initcap(colours[1 + mix %% 15] || ' ' || things[1 + mix / 16 %% 48]) || ' with '
        || initcap(things[1 + other %% 48]) || ', No. ' || other / 48 %% 97,
    'Brand ' || mix / 768 %% 500, 'category ' || other / 4656 %% 40, 100 + mix %% 99901,
    'A ' || colours[1 + other %% 15] || ' ' || things[1 + other / 16 %% 48] || ' for people who like '
        || things[1 + mix / 31 %% 48] || '. It measures ' || mix %% 300 || ' by ' || other %% 200
        || ' cm. Wash by hand, dry in the shade, and keep it away from the '
        || things[1 + mix / 977 %% 48] || '.',
    CASE WHEN mix %% 7 > 0 THEN other %% 51 / 10.0 END, mix %% 12
FROM (
    SELECT id, abs(hashint8(id)::bigint) AS mix, abs(hashint8(id + 1000000000)::bigint) AS other,
        string_to_array(%(colours)s, ' ') AS colours, string_to_array(%(things)s, ' ') AS things
    FROM generate_series(1, %(size)s) AS id
) AS numbered
"""

INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'products' AND indexname <> 'products_pkey'"
)

Ask = Callable[[random.Random, int], str]


def query(path: str = "/products", **parameters: Any) -> str:
    """Return a path with its query."""
    return f"{path}?{urlencode(parameters, doseq=True)}" if parameters else path


SCENARIOS: dict[str, Ask] = {
    "list": lambda _choice, _size: query(limit=30),
    "detail": lambda choice, size: f"/products/{choice.randint(1, size)}",
    "category by price": lambda choice, _size: query(
        category=f"category {choice.randrange(CATEGORIES)}", sort="price"
    ),
    "category, brand, in stock, by rating": lambda choice, _size: query(
        category=[f"category {choice.randrange(CATEGORIES)}" for _ in range(2)],
        brand=f"Brand {choice.randrange(BRANDS)}",
        in_stock="true",
        sort="rating",
    ),
    "price range by newest": lambda choice, _size: query(
        min_price=(lowest := choice.randint(1, 900)), max_price=lowest + 100, sort="newest"
    ),
    "one word": lambda choice, _size: query(q=_pick(choice, THINGS)),
    "two words": lambda choice, _size: query(q=f"{_pick(choice, COLOURS)} {_pick(choice, THINGS)}"),
    "two words by price": lambda choice, _size: query(
        q=f"{_pick(choice, COLOURS)} {_pick(choice, THINGS)}", sort="price"
    ),
    "a number": lambda choice, size: query(q=f"B-{choice.randint(1, size)}"),
    "a misspelt word": lambda choice, _size: query(q=_misspell(choice, _pick(choice, THINGS))),
    "categories": lambda _choice, _size: "/categories",
    "facets": lambda _choice, _size: query(limit=30, facets="true"),
    "facets of a word": lambda choice, _size: query(q=_pick(choice, THINGS), facets="true"),
}


def measure(catalog: Catalog, seconds: float) -> dict[str, Any]:
    """Return a row for each size, scenario and number of clients; raises CannotMeasure."""
    rows = []
    for size in SIZES:
        say(f"Putting in {size} products …")
        fill(catalog, size)
        rows += [
            {"products": size, "scenario": name, **measure_one(catalog, name, size, clients, seconds)}
            for name in SCENARIOS
            for clients in CLIENTS
        ]
    return {"rows": rows}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    return [
        "Reading from one process of catalog-service, by the number of products:",
        "",
        *table_of(results["rows"]),
    ]


def fill(catalog: Catalog, size: int) -> None:
    """Put so many products in the place of those that are there, and wait until they are counted."""
    words = {"colours": COLOURS, "things": THINGS, "size": size}
    with psycopg.connect(catalog.database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE products, reservation_lines, facet_counts")
        # A million rows are sooner put into indexes all at once.
        indexes = connection.execute(INDEXES).fetchall()
        for name, _definition in indexes:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        connection.execute(FILL, words)
        for _name, definition in indexes:
            connection.execute(sql.SQL(definition))
        connection.execute("VACUUM ANALYZE")

        def is_counted() -> bool:
            row = connection.execute("SELECT sum(products) FROM facet_counts WHERE category || brand = ''")
            return row.fetchone() == (size,)

        wait_until(is_counted, COUNT_SECONDS)
        if not is_counted():
            raise CannotMeasure("The products were not counted in time.")


def measure_one(catalog: Catalog, name: str, size: int, clients: int, seconds: float) -> dict[str, Any]:
    """Return the numbers of one scenario."""
    # What is new to the planner and the caches is not measured.
    catalog.measure([ask(name, size, -1)], min(1.0, seconds / 4), frozenset({200}))
    return catalog.measure([ask(name, size, client) for client in range(clients)], seconds, frozenset({200}))


def ask(name: str, size: int, client: int) -> Iterator[Call]:
    """Yield the calls of a client without end."""
    choice = random.Random(SEED + client)  # noqa: S311
    for _ in count():
        yield "GET", SCENARIOS[name](choice, size), None


def _pick(choice: random.Random, words: str) -> str:
    return choice.choice(words.split())


def _misspell(choice: random.Random, word: str) -> str:
    place = choice.randrange(1, len(word) - 1)
    return f"{word[:place]}{word[place + 1 :]}" if len(word) > 4 else f"{word}s"
