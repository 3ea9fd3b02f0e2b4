"""Severities from 1 to 24 and the names of their levels (OpenTelemetry, logs data model)."""

import re

LEVELS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
LEVELS_ASCENDING = tuple(LEVELS)
WARNING = LEVELS["WARNING"]
# Names from syslog, Java, .NET, Go and JavaScript, and short forms (OpenTelemetry, logs data model, appendix
# B).
SYNONYMS = {
    **dict.fromkeys(["VERBOSE", "FINEST", "SILLY", "TRC"], "TRACE"),
    **dict.fromkeys(["DBG", "FINER", "FINE", "CONFIG"], "DEBUG"),
    **dict.fromkeys(["INFORMATION", "INFORMATIONAL", "NOTICE", "LOG", "INF"], "INFO"),
    **dict.fromkeys(["WARN", "WRN"], "WARNING"),
    **dict.fromkeys(["ERR", "SEVERE"], "ERROR"),
    **dict.fromkeys(["FATAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "FTL"], "CRITICAL"),
}
# Also matches OpenTelemetry's names, such as WARN2, with or without the prefix of its enum.
LEVEL_NAME = re.compile(r"(?:SEVERITY_NUMBER_)?([A-Z]+)([1-4]?)")


def name_level(number: int) -> str:
    """Return the level of a severity from 1 to 24."""
    return LEVELS_ASCENDING[(number - 1) // 4]


def read_level(name: str) -> int:
    """Return the severity that a common level name stands for, in any case; 0 if the name is unknown."""
    found = LEVEL_NAME.fullmatch(name.strip().upper())
    lowest = LEVELS.get(SYNONYMS.get(found[1], found[1])) if found else None
    return lowest + int(found[2] or 1) - 1 if found and lowest else 0


def choose_severity(number: int, text: str) -> int:
    """Return a severity from 1 to 24. The number wins over the text, and INFO is the default."""
    return min(number, 24) if number > 0 else read_level(text) or LEVELS["INFO"]
