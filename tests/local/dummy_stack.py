"""Run a supervisor over dummy programs: `dummy_stack.py STATE PLAN`, where PLAN is JSON.

PLAN is {"layers": [[program, …], …], "jobs": [program, …]} and perhaps "first_delay".
A program is {"name", "shell" or "python"} and perhaps "stop_seconds"; "ready": a file that exists once it is
ready; "socket": true for a listening socket, whose number is $FD and whose port is printed.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from local.errors import CannotStart, StopRequested
from local.sockets import listen, port_of
from local.supervisor import FIRST_DELAY, Program, Supervisor

sockets: list[socket.socket] = []


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def describe(plan: dict[str, Any]) -> Program:
    inherits: list[int] = []
    if plan.get("socket"):
        sockets.append(listen())
        inherits.append(sockets[-1].fileno())
        say(f"port {port_of(sockets[-1])}")
    return Program(
        name=plan["name"],
        command=[sys.executable, "-c", plan["python"]] if "python" in plan else ["sh", "-c", plan["shell"]],
        environment={"PATH": "/usr/bin:/bin", "FD": str(inherits[0] if inherits else "")},
        ready=lambda _pid: "ready" not in plan or Path(plan["ready"]).exists(),
        ready_seconds=plan.get("ready_seconds", 60),
        stop_seconds=plan.get("stop_seconds", 10),
        inherits=inherits,
    )


def main() -> int:
    state, plan = Path(sys.argv[1]), json.loads(sys.argv[2])
    with Supervisor(state, say, first_delay=plan.get("first_delay", FIRST_DELAY)) as supervisor:
        try:
            supervisor.run(*(describe(job) for job in plan.get("jobs", [])))
            for layer in plan["layers"]:
                supervisor.start(*(describe(program) for program in layer))
            say("up")
            supervisor.watch()
        except StopRequested:
            say("stopping")
        except CannotStart as error:
            say(f"cannot start: {error}")
            return 1
    return 0


sys.exit(main())
