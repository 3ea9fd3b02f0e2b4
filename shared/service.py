"""Find a service's package and migrations by its name."""

import importlib.util
from pathlib import Path


def package_of(service: str) -> str:
    """Return the name of a service's package: `catalog` for `catalog-service`."""
    return service.removesuffix("-service")


def migrations_of(service: str) -> Path:
    """Return the folder of a service's migrations, which is next to its package."""
    spec = importlib.util.find_spec(package_of(service))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The package of {service} is not on the Python path.")
    return Path(spec.origin).parent.parent / "migrations"
