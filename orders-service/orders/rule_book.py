"""The shop's shipping methods and tax rates, kept in memory by each replica."""

from uuid import UUID

from orders.repository import rules
from orders.totals import Rules
from shared.database import Database


class RuleBook:
    """Keeps the rules, and reads them again when the database has another version of them."""

    def __init__(self, database: Database, *, prices_include_tax: bool, shop_country: str | None) -> None:
        self._database = database
        self._prices_include_tax = prices_include_tax
        self.shop_country = shop_country
        self._rules = Rules()

    def read(self, version: UUID | None = None) -> Rules:
        """Return the rules of this version, which a statement has just read, or of the current one."""
        known = self._rules
        if version is None:
            with self._database.autocommit() as connection:
                version = rules.read_version(connection)
        if known.version != version:
            with self._database.autocommit() as connection:
                known = rules.read_rules(connection, prices_include_tax=self._prices_include_tax)
            self._rules = known
        return known
