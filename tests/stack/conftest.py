"""Stacks that tests may break or attack, and products that only one test uses."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import COMPOSE
from tests.groups import until_group_ends
from tests.stacks import ProcessStack, Shopper, Stack, stop_and_leave_no_process

MakeProduct = Callable[..., int]


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A process stack with default limits for the group `attacked`, whose tests send hostile calls."""
    stack = ProcessStack(tmp_path_factory.mktemp("attacked") / "state")
    stack.start()
    with until_group_ends(lambda: stop_and_leave_no_process(stack)):
        yield stack


BREAKABLE = pytest.param("breakable", marks=pytest.mark.xdist_group("breakable"))
# Runs a test on a process stack and a Compose stack that no other test uses at the same time.
on_breakable_stacks = pytest.mark.parametrize("stack", [BREAKABLE, COMPOSE], indirect=True)


@pytest.fixture
def make_product(stack: Stack) -> Iterator[MakeProduct]:
    """Add a product that only this test uses; return its id."""
    made: list[int] = []
    with Shopper(stack.url) as admin:
        admin.log_in()

        def make(on_hand: int = 10, price: float = 12.5) -> int:
            sku = uuid.uuid4().hex
            body = {"sku": sku, "title": f"Thing {sku}", "price": price, "on_hand": on_hand}
            answer = admin.post("/products", json=body)
            assert answer.status_code == 201, answer.text
            made.append(answer.json()["id"])
            return made[-1]

        yield make
        for product in made:
            assert admin.delete(f"/products/{product}").status_code == 204


@pytest.fixture
def product(make_product: MakeProduct) -> int:
    """A product with ten units in stock."""
    return make_product()
