"""Where a service's parts lie, from its name alone."""

import importlib.util
from pathlib import Path


def package_of(service: str) -> str:
    """Return the package of a service: `catalog` of `catalog-service`."""
    return service.removesuffix("-service")


def migrations_of(service: str) -> Path:
    """Return the folder of a service's migrations, which stands beside its package."""
    spec = importlib.util.find_spec(package_of(service))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The package of {service} is not on the Python path.")
    return Path(spec.origin).parent.parent / "migrations"
