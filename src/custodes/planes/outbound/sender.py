"""Delivering: one attempt at one delivery, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from custodes.kernel.clock import HOUR, SECOND, Clock
from custodes.kernel.ids import RandomBits
from custodes.kernel.redact import redact_text
from custodes.kernel.signing import PrivateKey
from custodes.kernel.trace import is_trace_id, reopen_trace
from custodes.planes.outbound.breaker import GONE, THROTTLING, Answered, Judgement, judge, retry_after
from custodes.planes.outbound.credentials import NOTHING, Authenticator, Credentials
from custodes.planes.outbound.emitter import TEST, Emission, Emitter
from custodes.planes.outbound.headers import answered_headers, shown_headers, signed_headers
from custodes.planes.outbound.keys import Keys, private_key
from custodes.planes.outbound.model import (
    HEALTHY,
    Attempt,
    AuthKind,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointHealth,
    EndpointState,
    SealedSecret,
    SecretKind,
    Signature,
)
from custodes.planes.outbound.notices import Notices
from custodes.planes.outbound.ports import DeliveryStore, EndpointStore, Load, Result
from custodes.planes.outbound.tally import Tally
from custodes.runtime.fairness import Windows
from custodes.runtime.jobs import Lease
from custodes.runtime.outgoing.client import Answer, Limits, OutgoingClient
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed
from custodes.runtime.transactions import Store, Transaction, Work, nothing
from custodes.runtime.worker import Again, Done
from custodes.version import __version__

#: Bytes of an answer that are read, and characters of it that are kept.
ANSWER_BYTES = 16_384
EXCERPT = 2_000

#: Longest that connecting may take, seconds.
CONNECT_SECONDS = 10.0

#: What is forwarded goes where the operator says, who may have an app without TLS beside us.
FORWARD_SCHEMES = frozenset({"https", "http"})

#: A job waits no longer than this by intention: the longest wait of a schedule with its jitter, microseconds.
HORIZON = 30 * HOUR


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: a record, and what else follows from it."""

    #: Which delivery.
    delivery: Delivery
    #: What was tried; None when nothing was.
    attempt: Attempt | None = None
    #: What the attempt changes.
    result: Result | None = None
    #: What becomes of how the endpoint is doing; None: nothing.
    judged: Callable[[EndpointHealth], EndpointHealth] | None = None
    #: The endpoint; None when nothing was tried.
    endpoint: Endpoint | None = None
    #: What follows from it, once that has been judged.
    also: Work = nothing


@dataclass(frozen=True, slots=True)
class _Ready:
    """What one attempt takes, as it stood when the job was leased."""

    load: Load
    endpoint: Endpoint
    secrets: Sequence[SealedSecret]


class Sender:
    """Does jobs of kind ``delivery``: the :class:`custodes.runtime.worker.Doer` of this plane.

    Everything that jobs need is read with their claim, in one statement a table; what an attempt changes is written
    with the settling of its job.
    """

    def __init__(
        self,
        *,
        store: Store,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        client: OutgoingClient,
        authenticator: Authenticator,
        keys: Keys,
        emitter: Emitter,
        notices: Notices,
        windows: Windows,
        tally: Tally,
        clock: Clock,
        by_store: Callable[[], int],
        random_bits: RandomBits,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._client = client
        self._authenticator = authenticator
        self._keys = keys
        self._emitter = emitter
        self._notices = notices
        self._windows = windows
        self._tally = tally
        self._clock = clock
        #: The time that breakers go by: the same in all processes.
        self._by_store = by_store
        self._random_bits = random_bits
        self._ready: dict[tuple[str, int], _Ready] = {}

    def begin(self, tx: Transaction, leases: Sequence[Lease]) -> None:
        """Read what the jobs need."""
        if leases:
            # Those of the claim before have begun by now: what is left of it is of a commit that failed.
            self._ready = self._read(tx, leases)

    def write(self, tx: Transaction, results: Sequence[Outcome]) -> None:
        """Write the attempts and how their endpoints are doing, one statement a table, then what follows from each."""
        records = [(one.delivery, one.attempt, one.result) for one in results if one.attempt and one.result]
        self._deliveries.record(tx, records)
        self._judge(tx, results)
        # In one order in every process, as endpoints may be locked by it.
        for one in sorted(results, key=lambda one: one.delivery.endpoint_id):
            one.also(tx)
        # Last, as others may be waited for who look at these lines.
        ended = [one for one in records if one[2].status is not DeliveryStatus.PENDING and one[0].order_key]
        self._deliveries.begin(tx, [delivery.line for delivery, _, _ in ended], self._clock.now())

    def _judge(self, tx: Transaction, results: Sequence[Outcome]) -> None:
        """Judge endpoints by attempt after attempt, and write what has become of each.

        What another process has come to is waited for: of failures that end together each counts, and each notice is
        given once. How endpoints are doing is locked before any endpoint is, here and by whoever resumes or deletes one
        (:meth:`~custodes.planes.outbound.endpoints.Endpoints._take`), or two would wait for each other.
        """
        judged = [(one.endpoint, one.judged) for one in results if one.endpoint and one.judged]
        endpoints = {endpoint.id: endpoint for endpoint, _ in judged}
        failed = {one.delivery.endpoint_id for one in results if one.attempt and not one.attempt.succeeded}
        # That a delivery went well changes nothing, most of the time.
        others = sorted(endpoints.keys() - failed)
        failing = self._endpoints.health(tx, others) if others else {}
        failed |= {endpoint_id for endpoint_id, health in failing.items() if health.failures}
        before = self._endpoints.take_health(tx, [one for one in endpoints.values() if one.id in failed])
        after = dict(before)
        for endpoint, judge_by in judged:
            if endpoint.id in after:
                after[endpoint.id] = judge_by(after[endpoint.id])
        changed = [one for one, health in after.items() if health == HEALTHY or health != before[one]]
        if changed:
            self._endpoints.put_healths(tx, [(endpoints[one], after[one]) for one in changed])

    def plain(self, result: Outcome, error: Exception) -> Outcome:
        """Leave out what the other side said: the attempt counts all the same."""
        if result.attempt is None:
            return result
        why = "" if result.attempt.succeeded else f"What came of it could not be written: {type(error).__name__}"
        return replace(result, attempt=replace(result.attempt, error=why, excerpt="", headers=()))

    async def do(self, lease: Lease) -> Done[Outcome] | Again[Outcome]:
        """Make one attempt."""
        ready = self._ready.pop((lease.ref, lease.token), None)
        if ready is None:
            found = await self._store.read(lambda tx: self._read(tx, [lease]))
            ready = found.get((lease.ref, lease.token))
        if ready is None:  # purged
            return Done()
        if ready.endpoint.state is not EndpointState.ENABLED and not _is_test(ready.load):
            delivery = ready.load.delivery
            return Done(Outcome(delivery, also=lambda tx: self._hold(tx, delivery)), self._emitter.wake)
        return await self._attempt(lease, ready)

    def _read(self, tx: Transaction, leases: Sequence[Lease]) -> dict[tuple[str, int], _Ready]:
        loads = self._deliveries.load(tx, [lease.ref for lease in leases])
        ids = sorted({load.delivery.endpoint_id for load in loads.values()})
        endpoints = self._endpoints.several(tx, ids) if ids else {}
        secrets: dict[str, list[SealedSecret]] = {}
        for secret in self._endpoints.secrets_of(tx, ids) if ids else ():
            secrets.setdefault(secret.endpoint_id, []).append(secret)
        ready: dict[tuple[str, int], _Ready] = {}
        for lease in leases:
            load = loads.get(lease.ref)
            endpoint = endpoints.get(load.delivery.endpoint_id) if load else None
            if load and endpoint:
                ready[lease.ref, lease.token] = _Ready(load, endpoint, secrets.get(endpoint.id, ()))
        return ready

    # ── Sending ──────────────────────────────────────────────────────────────

    async def _attempt(self, lease: Lease, ready: _Ready) -> Done[Outcome] | Again[Outcome]:
        delivery, endpoint = ready.load.delivery, ready.endpoint
        started_at = self._clock.now()
        headers: Mapping[str, str] = {}
        came: Mapping[str, str] = {}
        try:
            credentials = await self._credentials(ready)
            headers = self._headers(ready, credentials, started_at)
            answer = await self._send(ready, headers, credentials)
        except OutgoingFailed as failure:
            answered, error, excerpt, timing = Answered(None), failure.message, "", failure.timing
            text = f"{failure.kind}: {error}"
        else:
            answered = Answered(answer.status, answer.headers.get("retry-after", ""))
            text = "" if answered.good else f"It answered {answer.status}"
            excerpt, timing, came = excerpt_of(answer), answer.timing, answer.headers
        attempt = Attempt(
            tenant=delivery.tenant,
            delivery_id=delivery.id,
            number=delivery.attempts + 1,
            endpoint_id=endpoint.id,
            started_at=started_at,
            url=endpoint.url,
            succeeded=answered.good,
            status=answered.status,
            error=text,
            excerpt=excerpt,
            timing=timing,
            headers=shown_headers(headers, endpoint.options.headers),
            answer_headers=answered_headers(came),
        )
        if answered.good:
            return self._succeeded(ready, attempt)
        return self._failed(lease, ready, attempt, answered)

    def _headers(self, ready: _Ready, credentials: Credentials, now: int) -> dict[str, str]:
        load = ready.load
        original = dict(load.message.headers) or {"content-type": load.message.content_type}
        headers = {
            "user-agent": f"Custodes/{__version__}",
            **original,
            **self._own_headers(ready),
            **credentials.headers,
            **self._signature(ready, now),
        }
        if is_trace_id(load.message.trace_id):  # an id of another kind joins things here, and is no header there
            trace = reopen_trace(load.message.trace_id, load.message.trace_context, self._random_bits)
            headers = {**trace.headers(), **headers}  # a tracestate that the endpoint asked for stays
        if load.delivery.version:
            headers["webhook-version"] = load.delivery.version
        return headers

    async def _send(self, ready: _Ready, headers: Mapping[str, str], credentials: Credentials) -> Answer:
        endpoint = ready.endpoint
        limits = Limits(endpoint.retry.timeout / SECOND, CONNECT_SECONDS, answer_bytes=ANSWER_BYTES)
        answer = await self._client.request(
            "POST",
            endpoint.url,
            headers=headers,
            body=ready.load.body,
            limits=limits,
            schemes=FORWARD_SCHEMES if endpoint.source else None,
            trust=credentials.trust,
        )
        if answer.status == 401 and endpoint.options.auth is AuthKind.OAUTH2:
            self._authenticator.forget(_auth_secret(ready.secrets).id)  # the next attempt comes with a new token
        return answer

    async def _credentials(self, ready: _Ready) -> Credentials:
        kind = ready.endpoint.options.auth
        if kind is AuthKind.NONE:
            return NOTHING
        secret = _auth_secret(ready.secrets)
        return await self._authenticator.credentials(kind, secret.id, self._keys.open(secret))

    def _own_headers(self, ready: _Ready) -> Mapping[str, str]:
        names = ready.endpoint.options.headers
        if not names:
            return {}
        values = self._keys.values(ready.secrets, SecretKind.HEADERS)
        if not values:
            raise OutgoingFailed("the values of its headers are missing", FailureKind.CREDENTIALS)
        return {name: values[name] for name in names if name in values}

    def _signature(self, ready: _Ready, now: int) -> Mapping[str, str]:
        wanted = ready.endpoint.options.signature
        hmac_secrets, keys = list[bytes](), list[PrivateKey]()
        for secret in ready.secrets:
            if secret.expires_at and secret.expires_at <= now:
                continue
            if secret.kind is SecretKind.V1 and wanted is not Signature.V1A:
                hmac_secrets.append(self._keys.open(secret))
            elif secret.kind is SecretKind.V1A and wanted is not Signature.V1:
                keys.append(private_key(self._keys.open(secret)))
        return signed_headers(ready.load.message.id, now, ready.load.body, hmac_secrets, keys)

    # ── What follows ─────────────────────────────────────────────────────────

    def _succeeded(self, ready: _Ready, attempt: Attempt) -> Done[Outcome]:
        delivery, endpoint = ready.load.delivery, ready.endpoint
        now = self._clock.now()
        result = Result(DeliveryStatus.SUCCEEDED, now, None)

        def written() -> None:
            self._windows.succeeded(endpoint.lane, endpoint.options.concurrency)
            self._tally.succeeded(attempt, delivery.event_type, now)
            if delivery.order_key:
                self._emitter.wake()

        # Whether there are failures to forget, only the store can tell: one that ends beside this may be written first,
        # and others were seen by other processes.
        return Done(Outcome(delivery, attempt, result, _recovered, endpoint), written)

    def _failed(
        self, lease: Lease, ready: _Ready, attempt: Attempt, answered: Answered
    ) -> Done[Outcome] | Again[Outcome]:
        delivery, endpoint = ready.load.delivery, ready.endpoint
        now = self._clock.now()
        wait = None if answered.status == GONE else endpoint.retry.delay(lease.attempts + 1, self._random_bits)
        if wait is not None and not _is_test(ready.load):
            if answered.status in THROTTLING or answered.retry_after:
                wait = min(max(wait, retry_after(answered.retry_after, now)), HORIZON - HOUR)
            due_at: int | None = now + wait
            result = Result(DeliveryStatus.PENDING, None, due_at)
        else:
            due_at = None
            result = Result(DeliveryStatus.FAILED, now, None)
        test, told = _is_test(ready.load), list[int]()
        exhausted = due_at is None and not test  # a test is tried once: nothing is given up
        judgement = Judgement(HEALTHY)

        def judged(health: EndpointHealth) -> EndpointHealth:
            nonlocal judgement
            judgement = judge(endpoint, health, answered, self._by_store())
            return judgement.health

        def write(tx: Transaction) -> None:
            if test:
                return
            news: list[Emission] = []
            if judgement.disable:
                self._disable(tx, endpoint, judgement.disable, now)
            if judgement.notice:
                news += self._notices.of_endpoint(endpoint, attempt, judgement.notice)
            if due_at is None:
                news += self._notices.of_message(endpoint, delivery, attempt)
            if news:
                self._emitter.insert(tx, news)
            told[:] = [judgement.notice] if judgement.notice else []

        def written() -> None:
            self._windows.failed(endpoint.lane)
            self._tally.failed(attempt, delivery.event_type, now, exhausted=exhausted)
            self._tell(ready, attempt, told, exhausted=exhausted)

        outcome = Outcome(delivery, attempt, result, None if test else judged, endpoint, write)
        return Done(outcome, written) if due_at is None else Again(due_at, outcome, written)

    def _tell(self, ready: _Ready, attempt: Attempt, percents: Sequence[int], *, exhausted: bool) -> None:
        """Say what a failed attempt has led to, and have what was put in with it looked for."""
        now = self._clock.now()
        for percent in percents:
            self._notices.tell_endpoint(ready.endpoint, attempt, percent, now)
        if exhausted:
            self._notices.tell_message(ready.endpoint, ready.load.delivery, attempt, now)
        if percents or exhausted:
            self._emitter.wake()

    def _disable(self, tx: Transaction, endpoint: Endpoint, why: str, now: int) -> None:
        current = self._endpoints.find(tx, endpoint.tenant, endpoint.id, locked=True)
        if current is not None and current.state is EndpointState.ENABLED:
            disabled = replace(current, state=EndpointState.DISABLED, state_reason=why, updated_at=now)
            self._endpoints.put(tx, disabled)
            self._deliveries.hold(tx, disabled)

    def _hold(self, tx: Transaction, delivery: Delivery) -> None:
        """Hold what was leased for an endpoint that is stopped, unless it was resumed since it was looked at."""
        endpoint = self._endpoints.find(tx, delivery.tenant, delivery.endpoint_id, locked=True)
        if endpoint is not None and endpoint.state is EndpointState.ENABLED:
            self._deliveries.put_jobs(tx, [delivery.id], self._clock.now())
        else:
            self._deliveries.move(tx, delivery, DeliveryStatus.HELD)


def _recovered(health: EndpointHealth) -> EndpointHealth:
    """Forget failures; how it is paced is another matter."""
    return EndpointHealth(paced_until=health.paced_until) if health.failures else health


def _auth_secret(secrets: Sequence[SealedSecret]) -> SealedSecret:
    for secret in secrets:
        if secret.kind is SecretKind.AUTH:
            return secret
    raise OutgoingFailed("its credentials are missing", FailureKind.CREDENTIALS)


def _is_test(load: Load) -> bool:
    return load.message.event_type == TEST


def excerpt_of(answer: Answer) -> str:
    """Return the beginning of an answer as it may be kept and shown: secrets masked."""
    text = answer.body[: EXCERPT * 4].decode("utf-8", "replace")[:EXCERPT]
    return redact_text(text.replace("\x00", "\ufffd"))[:EXCERPT]
