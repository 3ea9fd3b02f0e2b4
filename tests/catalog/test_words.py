"""Search finds words regardless of surrounding punctuation and of accents."""
# ruff: noqa: RUF001  # These tests need ambiguous characters.

import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from catalog.domain import Filter
from catalog.repository.category_words import find_named
from catalog.use_cases import products as use_cases
from shared.database import Database
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.catalog.rows import SOURCE, begin_catalogue, list_ids, put_products

# Titles, and queries that find each.
FOUND = [
    # Symbols, quotation marks and dashes.
    ("Quillow® Pan", ["quillow", "quillow pan", "Quillow®", '"quillow pan"', "quillow®pan"]),
    ("Frobnik™ Kettle", ["frobnik", "Frobnik™", "frobnik kettle"]),
    ("Frobnik™️Kettle", ["frobnik", "kettle"]),
    ("Vaseline—Tallow Jar", ["tallow", "vaseline", "vaseline tallow", "Vaseline–Tallow"]),
    ("„Wolkig“ Kissen", ["wolkig", "kissen", "„Wolkig“", "»Wolkig« Kissen"]),
    ("Ebonwhite/Ivorwhite Mug", ["ebonwhite", "ivorwhite", "ebonwhite/ivorwhite", "ivorwhite mug"]),
    ("20×30 Frame", ["30", "20", "20×30", "20 30"]),
    ("Foo.Barbaz", ["foo", "barbaz", "Foo.Barbaz", "foo barbaz"]),
    ("shop.example.com Mug", ["shop", "example", "shop.example.com"]),
    ("Cable /dev/null", ["dev", "null", "cable", "/dev/null"]),
    ("nib@ink:blue_black+red~grey", ["nib", "ink", "blue", "black", "red", "grey", "blue_black"]),
    ("<b>Bold</b> &amp; Brave &co", ["bold", "brave", "co", "Bold & Brave"]),
    ("Walnut Board", ["walnut…", "“walnut board”", "«walnut board»", "walnut\u00a0board", "walnut/board"]),
    ("Walnut\u00a0Board", ["walnut board", "board"]),
    ("Kettle🫖Copper", ["kettle", "copper", "🫖 kettle", "copper kettle🫖"]),
    ("🅰🅱Lamp ⓇPen", ["lamp", "pen"]),
    ("（大）Teapot、Cup・Set", ["teapot", "cup", "set", "（teapot）"]),
    ("急須「萬古焼」大号", ["萬古焼", "「萬古焼」", "急須", "大号"]),
    ("Copper Kettle - Blue", ["Copper Kettle - Blue", "kettle – blue", "kettle-blue"]),
    ("Chop\u00adping Board", ["chopping"]),
    ('10" Frying Pan', ['10" frying pan', 'pan 10"', "10” pan"]),
    # Apostrophes.
    ("Women's Boots", ["women’s boots", "women's boots", "womenʼs boots", "womens boots", "women boots"]),
    ("Women’s Boots", ["women's boots", "women’s boots", "womens boot"]),
    ("L'Oréal", ["l’oreal", "L'Oréal", "oreal"]),
    # Numbers.
    ("5-10 Players", ["5-10", "5", "10", "5–10", "players 5-10"]),
    ("Bank 10,000 mAh", ["10000", "10,000", "10.000", "10’000", "10\u202f000", "10 000", "10000 mah"]),
    (
        "10,000-Lumen Torch",
        ["10,000-Lumen", "10000-lumen", '"10,000 lumen torch"', '"10000 lumen"', "lumens"],
    ),
    ("1,234,567 Beads", ["1234567", "1.234.567", "234"]),
    ("Bank 10000 mAh", ["10,000", "10000", "10.000 mAh"]),
    ("Screw 3.5 mm", ["3.5", "3,5", "3.5 mm"]),
    # Accents, composed and decomposed.
    ("Crème brûlée", ["creme brulee", "crème brûlée", "CRÈME BRÛLÉE", "cre\u0300me bru\u0302le\u0301e"]),
    ("Cre\u0300me bru\u0302le\u0301e", ["creme brulee", "crème brûlée", '"crème brûlée"']),
    ("Kölner Dom aus Köln", ["koln", "köln", "ko\u0308ln", "KÖLN"]),
    ("El Niño", ["nino", "niño", "NIN\u0303O"]),
    ("Łódź", ["lodz", "łódź", "ŁÓDŹ", "Lódz"]),
    ("LODZ", ["łódź"]),
    ("Straße", ["strasse", "straße", "STRASSE", "STRAẞE"]),
    ("Strasse", ["straße"]),
    ("Smørrebrød", ["smorrebrod", "SMØRREBRØD"]),
    ("Ægir Œuvre Þór Seyðisfjörður Đorđe", ["aegir", "oeuvre", "thor", "seydisfjordur", "dorde", "ÆGIR"]),
    ("ISPARTA ışık İzmir", ["isparta", "isik", "ışık", "izmir", "İZMİR", "ısparta"]),
    ("Ένας Κόσμος", ["ενας", "ΚΌΣΜΟΣ", "κοσμος"]),
    ("Ёлка", ["елка", "ёлка", "ЕЛКА"]),
    ("ﬁne ＡＢＣ１５", ["fine", "abc15", "ＡＢＣ１５"]),
    ("がぎ", ["がぎ", "か\u3099き\u3099"]),
    ("한국어 사전", ["한국어", unicodedata.normalize("NFD", "사전")]),
    ("कुर्सी नीला", ["कुर्सी", "नीला"]),
    ("বাড়ি", ["বাড়ি", unicodedata.normalize("NFD", "বাড়ি")]),
    ("தமிழ் நூல்", ["தமிழ்", "நூல்"]),
    ("ไม้ไผ่", ["ไม้ไผ่"]),
    ("ភាសាខ្មែរ", ["ភាសាខ្មែរ"]),
    ("קָפֶה", ["קפה"]),
    ("٣ أكواب", ["٣", "أكواب"]),
]
SKUS = [
    ("ABX-4477", ["ABX-4477", "abx-4477", "abx 4477", "4477", "abx", "ABX4477", "abx_4477", "ABX–4477"]),
    ("LAMPS-01.RED", ["LAMPS-01.RED", "lamps 01", "red", "lamps01red"]),
    ("12.345.678", ["12.345.678", "12345678", "345"]),
    ("AB 1,234", ["AB 1,234", "ab1234", "1234"]),
    ("IT-THE", ["it-the", "it"]),
]
# Titles, and queries that do not find each.
NOT_FOUND = [
    ("Frobnik™ Kettle", ["tm", "frobniktm", "frobnik -kettle", 'frobnik -"kettle"', "kettle -frobnik™"]),
    ("Copper Kettle Blue", ['"kettle copper"', "“kettle copper”", "copper -blue", "pan or -copper", "pan"]),
    ("Screw 3.5 mm", ["35", "3-mm", "5.3"]),
    ("1/2 Pipe", ["12", "2/1"]),
    ("ABX 99 und 4477", ["ABX-4477"]),
    ("がぎ", ["かき"]),
    ("Lamp", ["ör pen", "-lamp", "–", "🫖", "™", '"', "“”"]),
]


@pytest.fixture
def empty_catalog(database: Database) -> Database:
    """An empty catalogue."""
    begin_catalogue(database)
    return database


def find(empty_catalog: Database, words: str) -> list[int]:
    return list_ids(empty_catalog, Filter(words=words), None)


def put_numbered(empty_catalog: Database, rows: list[tuple[str, list[str]]], name: str) -> None:
    """Put one product per row, with the row's number as its id and the row's text in the column `name`."""
    put_products(
        empty_catalog,
        *[
            {"id": number, "title": "x", "sku": f"sku{number}", name: value}
            for number, (value, _) in enumerate(rows)
        ],
    )


def find_misses(
    empty_catalog: Database, rows: list[tuple[str, list[str]]], name: str
) -> list[tuple[str, str]]:
    """Return the queries that do not find their row."""
    put_numbered(empty_catalog, rows, name)
    return [
        (value, query)
        for number, (value, queries) in enumerate(rows)
        for query in queries
        if number not in find(empty_catalog, query)
    ]


def match_misses(
    empty_catalog: Database, rows: list[tuple[str, list[str]]], name: str
) -> list[tuple[str, str]]:
    """Return the queries that do not match the indexed text of their row, in one statement."""
    put_numbered(empty_catalog, rows, name)
    asked = [(number, query) for number, (_, queries) in enumerate(rows) for query in queries]
    missed = text("""
        SELECT asked.id, asked.query
        FROM unnest(CAST(:ids AS bigint[]), CAST(:queries AS text[])) AS asked (id, query)
            LEFT JOIN products USING (id)
        WHERE (search @@ search_query(asked.query)) IS NOT TRUE
    """)
    values = {"ids": [number for number, _ in asked], "queries": [query for _, query in asked]}
    with empty_catalog.transaction() as connection:
        return [(rows[number][0], query) for number, query in connection.execute(missed, values)]


def test_a_title_is_found_by_its_words_despite_punctuation_and_accents(empty_catalog):
    assert find_misses(empty_catalog, FOUND, "title") == []


def test_a_brand_a_category_and_a_description_are_found_like_a_title(empty_catalog):
    wrong = {}
    for name in ("brand", "category", "description"):
        rows = [
            (value, [query for query in queries if name == "description" or "000" not in query])
            for value, queries in FOUND
            if not value[0].isdigit() and "1," not in value and "10" not in value
        ]
        wrong[name] = match_misses(empty_catalog, rows, name)
    assert wrong == {"brand": [], "category": [], "description": []}


def test_a_sku_is_found_as_a_whole_and_by_its_parts(empty_catalog):
    assert find_misses(empty_catalog, SKUS, "sku") == []


def test_a_query_with_another_meaning_finds_nothing(empty_catalog):
    wrong = []
    for title, queries in NOT_FOUND:
        put_products(empty_catalog, {"id": 1, "title": title})
        wrong += [(title, query) for query in queries if find(empty_catalog, query)]
    assert wrong == []


def test_minus_quotes_and_or_work_with_accents_and_punctuation(empty_catalog):
    put_products(
        empty_catalog,
        {"id": 1, "title": "Crème—Lamp, süß"},
        {"id": 2, "title": "Creme-Kettle®"},
        {"id": 3, "title": "Pan ör lid"},
    )
    found = {
        query: sorted(find(empty_catalog, query))
        for query in (
            "creme -lamp",
            "crème -süß",
            "“creme kettle” or pan",
            "kettle OR pan",
            "-“crème lamp” creme",
            "pan ör lid",
            "creme -ABX-1",
        )
    }
    assert found == {
        "creme -lamp": [2],
        "crème -süß": [2],
        "“creme kettle” or pan": [2, 3],
        "kettle OR pan": [2, 3],
        "-“crème lamp” creme": [2],
        "pan ör lid": [3],
        "creme -ABX-1": [1, 2],
    }


def correct(empty_catalog: Database, words: str) -> tuple[str | None, list[int]]:
    found = use_cases.list_products(empty_catalog, SOURCE, Filter(words=words), None, limit=5)
    return found.corrected, [product.id for product in found.products]


def test_corrections_use_the_spelling_of_the_catalogue(empty_catalog):
    put_products(
        empty_catalog,
        {"id": 1, "title": "Crème Bru\u0302le\u0301e Brush"},
        {"id": 2, "title": "Crème-Brûlée™ dish, Smørrebrød"},
        {"id": 3, "title": "Straßenkarte"},
    )
    use_cases.recount(empty_catalog)
    wrong = {}
    for asked, corrected in {
        "brulleé": "brûlée",
        "bru\u0302lle\u0301e": "brûlée",
        "„brulleee“ -karte": "„brûlée“ -karte",
        "smorebrod": "smørrebrød",
        "strasenkarte": "straßenkarte",
        # Known words in any spelling.
        "brulee": None,
        "bru\u0302le\u0301e": None,
        "BRÛLÉE xx": None,
        "strassenkarte": None,
        # Words with digits are not corrected.
        "brulle4": None,
        "dissh_7 dissh7": "dish_7 dissh7",
    }.items():
        if (found := correct(empty_catalog, asked))[0] != corrected:
            wrong[asked] = found
    assert wrong == {}


def test_a_corrected_word_finds_its_product(empty_catalog):
    put_products(empty_catalog, {"id": 1, "title": "Smørrebrød"})
    use_cases.recount(empty_catalog)
    assert correct(empty_catalog, "smorebrod") == ("smørrebrød", [1])


WRITTEN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
PIECES = st.lists(
    st.sampled_from(
        [*'-"“„«or ', "or", "lamp", "é", "e\u0301", "™", "10,000", "ß", "\\", "'", ":*", "&", "!"]
    )
    | WRITTEN,
    max_size=12,
).map("".join)


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(title=PIECES, query=PIECES)
# A mark and a fraction that PostgreSQL takes for punctuation, before a large number.
@example(title="Kettles\U0001da0010,000", query="")
@example(title="Kettles½10,000", query="")
def test_every_word_of_any_title_finds_it_and_no_query_breaks_the_search(empty_catalog, title, query):
    with empty_catalog.transaction() as connection:

        def send(expression: str, query: str = query) -> Any:
            values = {"title": title, "query": query, "apart": unicodedata.normalize("NFD", title)}
            return connection.execute(text(f"SELECT {expression}"), values).scalar()

        send("search_text(:title, 'A', NULL, '', :title) @@ search_query(:query)")
        words = "to_tsvector('simple', fold_words(:{}))"
        assert send(f"{words.format('title')} = {words.format('apart')}")
        # Next to a word, a large number is indexed as a whole, so the phrase "kettles 10" does not find it. A
        # character that is punctuation for PostgreSQL, but not for Python, makes such a phrase of one word.
        separated = send("CASE WHEN join_numbers(:title) = :title THEN :title ELSE split_words(:title) END")
        for word in read_words(separated):
            assert send(
                "numnode(search_query(:query)) = 0"
                " OR search_text(:title, 'A', NULL, '', '') @@ search_query(:query)",
                word,
            ), word


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=PIECES, query=PIECES)
def test_every_word_of_any_category_finds_it_and_no_query_breaks_the_search(empty_catalog, name, query):
    with empty_catalog.transaction() as connection:
        statement = (
            "INSERT INTO category_keys VALUES ('first', :name)"
            " ON CONFLICT (key) DO UPDATE SET path = excluded.path"
        )
        connection.execute(text(statement), {"name": name})
        find_named(connection, query, name)
        for word in read_words(name):
            found = find_named(connection, word, query)
            is_found = any(each.keys == ("first",) for each in found)
            empty = text("SELECT numnode(search_query(:word)) = 0")
            assert is_found or connection.execute(empty, {"word": word}).scalar(), word


def read_words(title: str) -> list[str]:
    """Return the words of a title; a character that this Python version does not know may be a letter."""
    categories = [(character, unicodedata.category(character)) for character in title]
    return "".join(
        character if kind[0] in "LNM" or kind in {"Cf", "Cn"} else " " for character, kind in categories
    ).split()


@pytest.fixture
def old_database(make_old_database):
    """A database at the revision before words were folded."""
    return make_old_database("catalog-service", before="0005")


def test_products_of_the_previous_release_are_found_and_its_queries_still_work(old_database):
    put_products(old_database, {"id": 1, "title": "Crème—Lamp", "sku": "ABX-4477"})
    begin_catalogue(old_database)
    upgrade(old_database, migrations_of("catalog-service"))
    assert find(old_database, "creme") == [1]
    with old_database.transaction() as connection:
        query = text("SELECT id FROM products WHERE search @@ websearch_to_tsquery('english', 'lamps 4477')")
        assert list(connection.execute(query).scalars()) == [1]
    use_cases.recount(old_database)
    assert correct(old_database, "cremme")[0] == "crème"


def test_a_dump_can_be_restored_without_a_search_path(empty_catalog):
    with empty_catalog.transaction() as connection:
        connection.execute(text("SET LOCAL search_path = ''"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        added = "INSERT INTO public.products (id, sku, title, category, unit_amount, description, on_hand)"
        connection.execute(text(f"{added} VALUES (1, 'A-1', 'Crème 10,000', '', 1, '', 1)"))
    assert find(empty_catalog, "creme") == [1]
