"""How large the images are: what our services' have on top of the image that they are made from.

They are built by `docker compose build`, which takes a while the first time. Where that cannot be done the
report says so, since there is much to measure without Docker.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.report import table
from bench.shop import CannotMeasure, say
from local.settings import ROOT, SERVICES

BUILD_SECONDS = 1200
MIB = 2**20


def measure(_folder: Path, _seconds: float) -> dict[str, Any]:
    """Return MiB of each image, or why there are none."""
    say("Building the images …")
    try:
        _run("docker", "info")
        _run("docker", "compose", "build", *SERVICES)
        base = _inspect(_read_base())
        images = [_measure(f"shopfleet/{service}", base) for service in SERVICES]
    except CannotMeasure as error:
        return {"images": [], "reason": str(error)}
    return {"base": _read_base(), "images": images}


def _measure(name: str, base: Mapping[str, Any]) -> dict[str, Any]:
    image = _inspect(name)
    shared = len(base["RootFS"]["Layers"])
    if image["RootFS"]["Layers"][:shared] != base["RootFS"]["Layers"]:
        raise CannotMeasure(f"{name} is not made from the image that its recipe names.")
    return {
        "image": name,
        "layers": len(image["RootFS"]["Layers"]) - shared,
        "all_mib": round(image["Size"] / MIB, 1),
        "own_mib": round((image["Size"] - base["Size"]) / MIB, 1),
    }


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    if not results["images"]:
        return [f"Images were not measured: {results['reason']}"]
    return [
        f"Images in MiB as they lie on the disk, and what of that is on top of `{results['base']}`, which "
        "all of them share:",
        "",
        *table(
            ["image", "all", "on top", "layers on top"],
            [
                [each["image"], f"{each['all_mib']:.1f}", f"{each['own_mib']:.1f}", str(each["layers"])]
                for each in results["images"]
            ],
        ),
    ]


def _read_base() -> str:
    """Return the image that the last stage of the recipe begins with."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return next(line.split()[1] for line in reversed(lines) if line.startswith("FROM "))


def _inspect(name: str) -> dict[str, Any]:
    image: dict[str, Any] = json.loads(_run("docker", "image", "inspect", name))[0]
    return image


def _run(*command: str) -> str:
    """Return what a command writes; raise CannotMeasure with its last word if it fails."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(str(error)) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CannotMeasure(f"`{' '.join(command[:3])}` says {said[-1] if said else 'nothing'}")
    return done.stdout
