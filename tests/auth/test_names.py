"""A new name never looks like an existing one and mixes no scripts."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from auth.commands import users as command
from auth.commands.seed import seed_users
from auth.domain.credentials import derive_skeletons
from auth.errors import UsernameTaken
from auth.repository.names import lock_unclaimed
from auth.use_cases.names import claim_older_names
from shared.database import connect
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.auth.conftest import EVE, make_settings

PASSWORD = EVE["password"]
CYRILLIC_ADMIN = "\u0430dmin"
# Names, and look-alikes that a reader confuses with them.
LOOK_ALIKES = {
    "admin": [
        *("admi\u0144", "admin\u0301", "\u00e4dm\u00efn", "\uff41\uff44\uff4d\uff49\uff4e", "ADM\u0130N"),
        *("adrnin", "adm\u0131n", "admin\ufe0f", "admin\u1160", "a\u034fdmin", "admin\u20dd"),
        *("\U0001d41adm\U0001d422n", "\u24d0dmin"),
    ],
    "scope": ["\u0455\u0441\u043e\u0440\u0435", "\u0405\u0421\u041e\u0420\u0415"],  # All of it Cyrillic.
    "paypal": ["paypaI", "paypa1", "paypa|", "PayPaI"],
    "Anna": ["\u0391\u039d\u039d\u0391"],  # Greek capitals.
    "BOB": ["\u0412\u041e\u0412", "b0b"],
    "strasse": ["stra\u00dfe", "STRA\u1e9eE"],
    "lodz": ["\u0141\u00f3d\u017a", "L\u00d3D\u0179"],
    "soren": ["S\u00f8ren", "s\u00f6ren"],
    "aether": ["\u00e6ther"],
    "dorde": ["\u0110or\u0111e"],
    "O'Neil": ["O\u2019Neil", "O`Neil"],
    "two words": ["two  words", "two\u00a0words", "tw\u00f6  words"],
    "eve.example.org": ["eve.ex\u00e4mple.org"],
    "\u0643\u062a\u0627\u0628": ["\u06a9\u062a\u0627\u0628"],  # Arabic and Persian keyboards.
}
DIFFERENT = [
    *("ann1", "anni", "annabel", "anna-2", "anna-3", "an na", "nana"),
    # The vowels of Indian scripts are marks but not accents.
    *("\u0930\u093e\u092e", "\u0930\u092e\u093e", "\u0930\u094b\u092e"),
]
MIXED = [
    CYRILLIC_ADMIN,
    "admi\u03b7",
    "\u0430\u03b1\u0430",
    "user\u0967",
    "ad\u0561m",
    "\u30ab\u30ca\uac00",
    "\u3105\u3042\u3042",
    "adm\u2800in",
]
UNMIXED = [
    "caf\u00e9 24/7 \U0001f427",
    "Tokyo\u6771\u4eac\u3068\u30ab\u30ca",
    "K\ud55c\uad6d\u97d3\u570b",
    "T\u53f0\u7063\u3105\u3106",
    "\u0418\u0432\u0430\u043d-7",
    "\u05d3\u05d5\u05d3 5",
    "\u0e2a\u0e21\u0e0a\u0e32\u0e22",
]


@pytest.fixture
def register(app):
    """Register a customer without cookies; return the response."""

    def register(name, app=app, **more):
        client = app.test_client(use_cookies=False)
        return client.post("/auth/register", json={"username": name, "password": PASSWORD}, **more)

    return register


@pytest.fixture
def add_older(run_sql, passwords):
    """Add users without skeletons, as older code does."""

    def add(*names):
        for name in names:
            run_sql(
                "INSERT INTO users (username, role, password_hash) VALUES (:name, 'customer', :hash)",
                name=name,
                hash=passwords.hash(PASSWORD),
            )

    return add


def log_in(app, name):
    return app.test_client().post("/auth", json={"username": name, "password": PASSWORD}).status_code


def test_a_name_that_looks_like_another_is_taken(register):
    answers = {}
    for name, look_alikes in LOOK_ALIKES.items():
        if name != "admin":
            assert register(name).status_code == 201
        answers |= {other: register(other) for other in look_alikes}
    taken = register("admin").json
    del taken["request_id"]
    wrong = {}
    for other, answer in answers.items():
        body = {key: value for key, value in answer.json.items() if key != "request_id"}
        if body != taken:
            wrong[other] = answer.text
    assert wrong == {}
    assert taken["code"] == "username_taken"


def test_a_name_is_taken_in_either_order_of_two_look_alikes(register):
    wrong = {}
    for name, look_alikes in LOOK_ALIKES.items():
        for number, other in enumerate(look_alikes):
            first, second = f"{number}-{other}", f"{number}-{name}"
            statuses = register(first).status_code, register(second).status_code
            if statuses[1] != 409:
                wrong[first] = statuses
    assert wrong == {}


def test_names_that_look_different_can_coexist(register):
    assert {name: register(name).status_code for name in DIFFERENT} == dict.fromkeys(DIFFERENT, 201)


def test_a_name_that_mixes_scripts_is_refused_with_its_field(register):
    answers = {name: register(name).json for name in MIXED}
    sentence = "must not mix scripts, except Latin with Chinese, Japanese or Korean"
    entry = {"location": "json", "field": "username", "detail": sentence}
    assert {name: answer.get("errors") for name, answer in answers.items()} == {
        name: [entry] for name in MIXED
    }


def test_a_name_may_have_one_script_or_latin_with_chinese_japanese_or_korean(app, register):
    assert {name: register(name).status_code for name in UNMIXED} == dict.fromkeys(UNMIXED, 201)
    assert {name: log_in(app, name) for name in UNMIXED} == dict.fromkeys(UNMIXED, 200)


def test_an_invisible_name_or_one_like_a_guests_is_refused(register):
    names = ["\u1160\u1160\u1160", "\u0301\u0301\u0301", "gu\u00e9st-1", "guest\u20101", "guest-\u0661"]
    names += ["\u3164\u3164\u3164", "\u2800\u2800\u2800"]
    answers = {name: register(name).json for name in names}
    assert {
        name: [entry["field"] for entry in answer.get("errors", [])] for name, answer in answers.items()
    } == {name: ["username"] for name in names}


@given(st.text(max_size=40), st.text(max_size=3))
def test_a_name_shares_skeletons_with_itself_in_capitals_and_with_accents(name, accents):
    plain = name.encode("utf-8", "ignore").decode()
    assert set(derive_skeletons(plain)) & set(derive_skeletons(plain + "\u0301"))
    assert set(derive_skeletons(plain)) & set(derive_skeletons(plain.casefold()))


def test_one_of_many_concurrent_look_alikes_gets_the_name(register, app, make_replica, run_sql):
    replicas = [app, make_replica()]
    names = ["zoe", "zo\u00e9", "zo\u00eb", "z\u00f4e", "Zo\u00e8", "z0e", "ZOE", "\u0396\u039f\u0395"] * 2
    ready = threading.Barrier(len(names))

    def join(number):
        client = replicas[number % 2].test_client()
        if number % 3 == 0:
            client.post("/auth/guest")
        ready.wait()
        return client.post("/auth/register", json={"username": names[number], "password": PASSWORD})

    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(join, range(len(names))))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (len(names) - 1)
    assert {answer.json["code"] for answer in answers if answer.status_code == 409} == {"username_taken"}
    assert run_sql("SELECT count(*) FROM users WHERE role = 'customer'") == [(1,)]


def test_a_guest_who_chooses_a_look_alike_stays_a_guest(app):
    client = app.test_client()
    client.post("/auth/guest")
    assert client.post("/auth/register", json={**EVE, "username": "admi\u0144"}).status_code == 409
    assert client.get("/auth/me").json["role"] == "guest"
    assert client.post("/auth/register", json=EVE).status_code == 201


def test_older_names_stay_and_their_look_alikes_are_taken(app, register, add_older):
    older = [CYRILLIC_ADMIN, "\u0430\u0501m\u0456n", "admi\u0144", "jos\u00e9", "ros\u0435", "guest\u20107"]
    add_older(*older)
    assert {name: log_in(app, name) for name in older} == dict.fromkeys(older, 200)
    wanted = ["jose", "JOS\u00c9", "rose"]
    assert {name: register(name).status_code for name in wanted} == dict.fromkeys(wanted, 409)
    assert {name: log_in(app, name) for name in older} == dict.fromkeys(older, 200)


def test_a_name_from_an_older_replica_blocks_its_look_alikes_at_once(app, register, add_older, run_sql):
    assert register("before").status_code == 201
    add_older("ren\u00e9")
    assert register("rene").status_code == 409
    # An older replica lets a guest become a customer, too.
    client = app.test_client()
    client.post("/auth/guest")
    run_sql(
        "UPDATE users SET username = 'chlo\u00e9', role = 'customer', password_hash = '' WHERE role = 'guest'"
    )
    assert register("chloe").status_code == 409
    assert run_sql("SELECT count(*) FROM users WHERE role <> 'guest' AND NOT has_skeletons") == [(0,)]


def test_concurrent_replicas_claim_older_names_in_batches(database, add_older, run_sql):
    add_older(*[f"older {number}" for number in range(7)], "\u00f6lder 3")
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(claim_older_names, database, batch=3) for _ in range(4)]:
            each.result()
    [(first,)] = run_sql("SELECT id FROM users WHERE username = 'older 3'")
    owners = "SELECT user_id FROM name_skeletons WHERE skeleton = ANY(:skeletons)"
    assert {row[0] for row in run_sql(owners, skeletons=derive_skeletons("\u00f6lder 3"))} == {first}
    assert run_sql("SELECT count(*) FROM users WHERE NOT has_skeletons") == [(0,)]


def test_a_registration_waits_for_the_replica_that_claims_an_older_name(database, register, add_older):
    add_older("ren\u00e9")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(register("rene").status_code))
    with database.transaction() as connection:
        assert list(lock_unclaimed(connection, 9).values()) == ["ren\u00e9"]
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert answers == [409]


def test_a_guest_leaves_no_skeleton(app, run_sql):
    count = "SELECT count(*) FROM name_skeletons"
    before = run_sql(count)
    assert app.test_client().post("/auth/guest").status_code == 201
    claim_older_names(app.database)
    assert run_sql(count) == before


def test_the_name_of_an_admin_by_command_has_no_look_alike(database, passwords, register, add_older):
    assert register("eve").status_code == 201
    add_older("mallory")
    for name in ("\u00e9ve", "mall\u00f3ry"):
        with pytest.raises(UsernameTaken):
            command.run(database, name, PASSWORD, passwords)
    command.run(database, "boss", PASSWORD, passwords)
    assert register("b\u00f6ss").status_code == 409


@pytest.fixture
def old_database(make_old_database):
    """A database of the release without skeletons."""
    return make_old_database("auth-service", before="0005")


def test_a_shop_whose_names_look_alike_is_upgraded_and_seeded(old_database, passwords):
    with old_database.transaction() as connection:
        connection.execute(
            text("INSERT INTO users (username, role, password_hash) VALUES (:name, :role, '')"),
            [
                {"name": "admin", "role": "admin"},
                {"name": CYRILLIC_ADMIN, "role": "customer"},
                {"name": "admi\u0144", "role": "customer"},
            ],
        )
    upgrade(old_database, migrations_of("auth-service"))
    settings = make_settings(old_database.engine.url.render_as_string(hide_password=False))
    seed_users(old_database, settings, passwords)
    with old_database.transaction() as connection:
        users = "SELECT username FROM users WHERE has_skeletons ORDER BY id"
        owners = "SELECT DISTINCT username FROM users JOIN name_skeletons ON users.id = user_id"
        assert list(connection.execute(text(users)).scalars()) == ["admin", CYRILLIC_ADMIN, "admi\u0144"]
        assert list(connection.execute(text(owners)).scalars()) == ["admin"]


def test_a_look_alike_of_the_first_user_stops_the_start(old_database, passwords, capsys):
    upgrade(old_database, migrations_of("auth-service"))
    with old_database.transaction() as connection:
        connection.execute(
            text("INSERT INTO users (username, role, password_hash) VALUES (:name, 'customer', '')"),
            {"name": CYRILLIC_ADMIN},
        )
    settings = make_settings(old_database.engine.url.render_as_string(hide_password=False))
    with closing(connect(settings)) as database, pytest.raises(SystemExit):
        seed_users(database, settings, passwords)
    assert "The user admin cannot be created" in capsys.readouterr().err
