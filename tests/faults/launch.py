"""Run the stack of `make run` with services that have fault points: `python -m tests.faults.launch`."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from local import stack, supervisor
from local.services import Replica, Service
from local.supervisor import Program
from tests.faults.points import FOLDER

LONGEST_DELAY = 0.4  # Seconds until a part restarts; these tests kill dozens in a row.


class StoppingService(Service):
    """A service whose processes stop at fault points."""

    def _program(self, replica: Replica, given: Mapping[str, str]) -> Program:
        program = super()._program(replica, given)
        command = [
            word.replace("shared.gunicorn_conf", "tests.faults.gunicorn_conf") for word in program.command
        ]
        return replace(
            program, command=command, environment={**program.environment, FOLDER: os.environ[FOLDER]}
        )


if __name__ == "__main__":
    supervisor.LONGEST_DELAY = LONGEST_DELAY
    stack.Service = StoppingService  # type: ignore[misc]
    sys.exit(stack.run())
