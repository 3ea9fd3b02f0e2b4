"""The limits for password guessing."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Allowance:
    """How many tries in a row are free, and how long it takes to forgive one.

    After the free tries the first wait is one second, and each wait is twice the one before. Waiting also
    forgives tries, so the waits stop growing at about the time that forgives one try.
    """

    free: int
    forgiven_after: timedelta


PER_ACCOUNT = Allowance(free=5, forgiven_after=timedelta(minutes=15))
# Only callers at the owner's own address can use these up, including the owner's other devices.
PER_KNOWN_PLACE = Allowance(free=10, forgiven_after=timedelta(minutes=15))
# Requests for mails from one address.
PER_MAIL_REQUEST = Allowance(free=10, forgiven_after=timedelta(minutes=1))
# Of a million codes three are right at a time. An attacker who knows the password gets 21 tries on the first
# day, and then one a day. With the 386 tries of the first year, one attacker in 860 finds a right code
# (386 * 3 / 10**6). More addresses do not get more tries, and a log-in of the owner gives back one at most.
PER_CODE = Allowance(free=5, forgiven_after=timedelta(days=1))
# More generous, because many people can share an address.
PER_ADDRESS = Allowance(free=20, forgiven_after=timedelta(seconds=6))
