"""A DNS server for tests, which can fail in every way a real one does."""

import socket
import threading
from collections import Counter
from collections.abc import Mapping
from enum import Enum, auto

import dns.message
import dns.rcode
import dns.rrset

TTL = 600  # As in Docker's DNS. The gateway ignores it.


class Failure(Enum):
    """The ways in which a look-up can fail."""

    SILENCE = auto()
    SERVFAIL = auto()
    REFUSED = auto()
    NXDOMAIN = auto()  # The name does not exist.
    NODATA = auto()  # The name exists, but has no address.


class NameServer:
    """A DNS server; `answers` has the addresses of each name, or how its look-up fails."""

    def __init__(self, answers: Mapping[str, tuple[str, ...] | Failure]) -> None:
        self.answers = dict(answers)
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            packet, client = self._socket.recvfrom(2048)
            if packet == b"stop":
                return
            query = dns.message.from_wire(packet)
            name = query.question[0].name.to_text(omit_final_dot=True)
            answer = self._answer(query, self.answers[name])
            self.asked[name] += 1
            if answer:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(
        self, query: dns.message.Message, known: tuple[str, ...] | Failure
    ) -> dns.message.Message | None:
        answer = dns.message.make_response(query, recursion_available=True)
        question = query.question[0].name
        if known is Failure.SILENCE:
            return None
        if isinstance(known, Failure):
            if known is not Failure.NODATA:
                answer.set_rcode(dns.rcode.from_text(known.name))
            if known in {Failure.NXDOMAIN, Failure.NODATA}:
                # The SOA record defines how long a negative answer is cached (RFC 2308).
                soa = f"a.root. b.root. 1 {TTL} {TTL} {TTL} {TTL}"
                answer.authority.append(dns.rrset.from_text(".", TTL, "IN", "SOA", soa))
        else:
            answer.answer.append(dns.rrset.from_text(question, TTL, "IN", "A", *known))
        return answer

    def close(self) -> None:
        """Stop answering."""
        self._socket.sendto(b"stop", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
