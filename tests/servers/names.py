"""A DNS server on loopback whose answers the test decides, and a lookup that asks it: real packets, a made-up world."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence

from dnslib import AAAA, CNAME, QTYPE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from custodes.kernel.address import Address

#: What a name leads to: addresses, or another name; a function is asked anew for each question.
Answers = Sequence[str] | Callable[[], Sequence[str]]


class NameServer(BaseResolver):
    """Answers from :attr:`names`; time to live is 0, as an attacker's would be."""

    def __init__(self) -> None:
        self.names: dict[str, Answers] = {}
        #: Questions asked, per name and type.
        self.asked: list[tuple[str, str]] = []
        self._server = DNSServer(self, address="127.0.0.1", port=0, logger=DNSLogger("-request,-reply"))
        self.port: int = self._server.server.server_address[1]

    def start(self) -> None:
        self._server.start_thread()

    def stop(self) -> None:
        self._server.stop()
        self._server.server.server_close()

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        del handler
        reply, kind = request.reply(), QTYPE[request.q.qtype]
        name = str(request.q.qname).rstrip(".").lower()
        self.asked.append((name, kind))
        self._add(reply, name, kind, 0)
        return reply

    def _add(self, reply: DNSRecord, name: str, kind: str, depth: int) -> None:
        found = self.names.get(name, ())
        for answer in found() if callable(found) else found:
            try:
                address = ipaddress.ip_address(answer)
            except ValueError:
                reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(answer), ttl=0))
                if depth < 5:
                    self._add(reply, answer, kind, depth + 1)
                continue
            if address.version == 4 and kind == "A":
                reply.add_answer(RR(name, QTYPE.A, rdata=A(answer), ttl=0))
            if address.version == 6 and kind == "AAAA":
                reply.add_answer(RR(name, QTYPE.AAAA, rdata=AAAA(tuple(address.packed)), ttl=0))

    async def lookup(self, name: str, port: int) -> Sequence[Address]:
        """Ask for both families, as ``getaddrinfo`` does."""
        del port
        return await asyncio.to_thread(self._ask, name)

    def _ask(self, name: str) -> Sequence[Address]:
        found: list[Address] = []
        for kind in ("A", "AAAA"):
            packet = DNSRecord.question(name, kind).send("127.0.0.1", self.port, timeout=5)
            answers = DNSRecord.parse(packet).rr
            found += [ipaddress.ip_address(str(rr.rdata)) for rr in answers if QTYPE[rr.rtype] == kind]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return found
