"""How webhooks look in answers of the admin API."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field

from custodes.admin.fields import FacetCountModel, Moment
from custodes.kernel.health import Health, SystemHealth
from custodes.planes.inbound.analytics import Summary, WebhookAnalytics
from custodes.planes.inbound.model import Attempt, EventRecord, FacetCount, Facets, Outcome, Refusal, Status, Verdict
from custodes.planes.inbound.receiver import Registration
from custodes.planes.inbound.replay import Replayed
from custodes.planes.inbound.rotation_model import SecretInUse, Standing


class WebhookEventModel(BaseModel):
    """A webhook, without its payload."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose it is")
    received_at: Moment = Field(description="When it came")
    source: str = Field(description="Name of the source")
    event_id: str = Field(description="The sender's id; empty when it gives none")
    event_type: str = Field(description="The sender's name of what happened")
    verdict: Verdict = Field(description="Whether the signature held; `unverified`: logged by the host's own code")
    status: Status = Field(description="Where it is on its way")
    attempts: int = Field(description="Attempts begun so far, replays included")
    processing_us: int | None = Field(description="Time that the handlers of the last attempt took, microseconds")
    finished_at: Moment | None = Field(description="When it reached its last state; null while it is open")
    next_retry_at: Moment | None = Field(description="When it is tried again; null when it is not waiting")
    error: str | None = Field(description="Last error")
    handlers_done: dict[str, Outcome] = Field(description="Handlers that are done with it, each with how it ended")
    unhandled: bool = Field(description="Whether it is done because no process had a handler for it")
    trace_id: str = Field(description="Joins it with the request, its handlers and the audit trail")
    client_ip: str = Field(description="Where it came from; empty when unknown")
    body_bytes: int = Field(description="Bytes of the body")

    @classmethod
    def of(cls, record: EventRecord) -> WebhookEventModel:
        """Tell an event."""
        return cls.model_validate(record, from_attributes=True)


class AttemptModel(BaseModel):
    """One handler's try at one event."""

    number: int = Field(description="Which attempt at the event, from 1")
    handler: str = Field(description="Name of the handler")
    outcome: Outcome = Field(description="How it ended")
    started_at: Moment = Field(description="When it began")
    duration_us: int = Field(description="How long it took, microseconds")
    error_type: str = Field(description="Class of the error; empty when there was none")
    error: str = Field(description="Its message, secrets masked")

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptModel:
        """Tell an attempt."""
        return cls.model_validate(attempt, from_attributes=True)


class AttemptsModel(BaseModel):
    """The attempts at one event."""

    items: list[AttemptModel] = Field(description="The attempts, newest first")


class HeaderModel(BaseModel):
    """A header as it was received."""

    name: str = Field(description="Name in lower case")
    value: str = Field(description="Value; credentials are masked")


class HeadersModel(BaseModel):
    """The headers of one event."""

    items: list[HeaderModel] = Field(description="In the order received")


class FacetsModel(BaseModel):
    """What could be chosen next; each count has all the other filters in force."""

    source: list[FacetCountModel] = Field(description="Sources, most frequent first")
    event_type: list[FacetCountModel] = Field(description="Types")
    status: list[FacetCountModel] = Field(description="States")
    verdict: list[FacetCountModel] = Field(description="Verdicts")
    total: int = Field(description="Events that all filters together mean, counted up to 20,000")
    complete: bool = Field(description="Whether all were counted; false: the newest 20,000 only")

    @classmethod
    def of(cls, facets: Facets) -> FacetsModel:
        """Tell counts."""
        return cls(
            source=_facet(facets.source),
            event_type=_facet(facets.event_type),
            status=_facet(facets.status),
            verdict=_facet(facets.verdict),
            total=facets.total,
            complete=facets.complete,
        )


def _facet(counts: Sequence[FacetCount]) -> list[FacetCountModel]:
    return [FacetCountModel(value=each.value, count=each.count) for each in counts]


class ListedRefusalModel(BaseModel):
    """A refused delivery that was kept as a sample, without what it carries."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose source it was sent to")
    received_at: Moment = Field(description="When it came")
    source: str = Field(description="Name of the source")
    reason: str = Field(description="Why: `no-match`, `missing-signature`, `timestamp-too-old`, …")
    client_ip: str = Field(description="Where it came from; empty when unknown")
    trace_id: str = Field(description="Joins it with the audit trail")
    body_bytes: int = Field(description="Bytes of the body")

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """Tell a refused delivery."""
        told = {name: getattr(refusal, name) for name in ListedRefusalModel.model_fields}
        return cls.model_validate({**told, **cls.carried(refusal)})

    @classmethod
    def carried(cls, refusal: Refusal) -> dict[str, object]:
        """Return the fields of a subclass."""
        del refusal
        return {}


class RefusalModel(ListedRefusalModel):
    """A refused delivery that was kept as a sample."""

    headers: list[HeaderModel] = Field(description="The headers, up to a total size")
    body_head: str = Field(description="The first bytes of the body, in base64")

    @classmethod
    def carried(cls, refusal: Refusal) -> dict[str, object]:
        """Return what it carries."""
        return {
            "headers": [{"name": name, "value": value} for name, value in refusal.headers],
            "body_head": base64.b64encode(refusal.body_head).decode("ascii"),
        }


class SecretModel(BaseModel):
    """A signing secret of a source: when it last signed, and never what it is."""

    place: int = Field(description="Place among the secrets of the source, from 1: the newest")
    fingerprint: str = Field(description="What it is told apart by, 8 hex digits; says nothing of the secret")
    since: Moment | None = Field(description="When it was first seen here; null: nothing is known of it yet")
    last_used: Moment | None = Field(description="Last delivery that it signed; null: none since then")
    standing: Standing = Field(
        description="`signs`; `removable`: older, and signed nothing for 7 days while a newer one did; `awaited`: the "
        "newest, and only an older one still signs; `quiet`: has signed nothing for a while, from which nothing follows"
    )
    summary: str = Field(description="All of it in one sentence")

    @classmethod
    def of(cls, secret: SecretInUse, now: int) -> SecretModel:
        """Tell a secret by its fingerprint."""
        use = secret.use
        return cls.model_validate(
            {
                "place": use.place + 1,
                "fingerprint": use.fingerprint,
                "since": use.since,
                "last_used": use.last_at,
                "standing": secret.standing,
                "summary": secret.summary(now),
            }
        )


class SourceModel(BaseModel):
    """A source that deliveries are accepted from."""

    name: str = Field(description="Name in the URL")
    path: str = Field(description="Where deliveries are posted")
    tenant: str = Field(description="Whose webhooks these are")
    kind: str = Field(description="Kind of sender: `stripe`, `github`, …; empty for a source of the host's own")
    scheme: str = Field(description="How the sender signs")
    max_body: int = Field(description="Largest body taken, bytes")
    retries: bool = Field(description="Whether the sender delivers again after a 5xx")
    secrets: list[SecretModel] = Field(description="When each signing secret last signed, the newest first")

    @classmethod
    def of(cls, registration: Registration, secrets: Sequence[SecretInUse], now: int) -> SourceModel:
        """Tell a source; never its secrets."""
        source = registration.source
        return cls(
            name=source.name,
            path=f"/hooks/{source.name}",
            tenant=registration.tenant,
            kind=type(source).name,
            scheme=source.scheme,
            max_body=source.max_body,
            retries=source.retries,
            secrets=[SecretModel.of(secret, now) for secret in secrets],
        )


class SourcesModel(BaseModel):
    """The sources."""

    items: list[SourceModel] = Field(description="In order of registration")


class SummaryModel(BaseModel):
    """Figures of some webhooks."""

    received: int = Field(description="Events accepted for the first time")
    duplicates: int = Field(description="Repeats of events that were accepted before")
    succeeded: int = Field(description="Events that all handlers are done with")
    retried: int = Field(description="Attempts that failed and were to be tried again")
    dead: int = Field(description="Events given up")
    refused: int = Field(description="Deliveries refused; 0 for a type, since a refused delivery has none")
    success_rate: float | None = Field(
        description="Share of the finished events that succeeded, 0 to 1; null when none finished"
    )
    failure_rate: float | None = Field(
        description="Share of the attempts that failed, 0 to 1; null when there was none"
    )
    p50_us: float | None = Field(description="Median of the processing times, microseconds")
    p95_us: float | None = Field(description="95th percentile")
    p99_us: float | None = Field(description="99th percentile")

    @classmethod
    def of(cls, summary: Summary) -> SummaryModel:
        """Tell figures."""
        return cls.model_validate(summary, from_attributes=True)


class PointModel(BaseModel):
    """Figures of one stretch of time."""

    at: Moment = Field(description="Its begin")
    summary: SummaryModel = Field(description="The figures")


class SourceSummaryModel(BaseModel):
    """Figures of one source."""

    source: str = Field(description="Name of the source")
    summary: SummaryModel = Field(description="The figures")


class SourcePointModel(BaseModel):
    """Counts of one source in one stretch of time."""

    at: Moment = Field(description="Its begin")
    source: str = Field(description="Name of the source")
    received: int = Field(description="Events accepted for the first time")
    succeeded: int = Field(description="Events that all handlers are done with")
    retried: int = Field(description="Attempts that failed and were to be tried again")
    dead: int = Field(description="Events given up")
    refused: int = Field(description="Deliveries refused")


class TypeSummaryModel(BaseModel):
    """Figures of one type of events."""

    source: str = Field(description="Name of the source")
    event_type: str = Field(description="The type; `(other)` holds those beyond the bound on types")
    summary: SummaryModel = Field(description="The figures")


class ReasonModel(BaseModel):
    """Why deliveries were refused."""

    source: str = Field(description="Name of the source")
    reason: str = Field(description="The verifier's stable reason")
    count: int = Field(description="How many")


class ErrorGroupModel(BaseModel):
    """Failed attempts that are alike."""

    source: str = Field(description="Name of the source")
    handler: str = Field(description="Name of the handler")
    error_type: str = Field(description="Class of the error")
    count: int = Field(description="How many attempts")
    last_at: Moment = Field(description="When it was last seen")
    example: str = Field(description="One of the messages")


class WebhookAnalyticsModel(BaseModel):
    """Volume, success, processing times, errors and refusals."""

    since: Moment = Field(description="Begin of the range")
    until: Moment = Field(description="End of the range")
    step_seconds: int = Field(description="Length of a stretch")
    total: SummaryModel = Field(description="Everything together")
    points: list[PointModel] = Field(description="Over time, oldest first; stretches without any webhook are left out")
    source_points: list[SourcePointModel] = Field(description="Over time by source, oldest first")
    by_source: list[SourceSummaryModel] = Field(description="By source, the most received first")
    by_type: list[TypeSummaryModel] = Field(description="By source and type, the most received first")
    refused: list[ReasonModel] = Field(description="Why deliveries were refused, most frequent first")
    errors: list[ErrorGroupModel] = Field(description="Failed attempts grouped, most frequent first")

    @classmethod
    def of(cls, analytics: WebhookAnalytics) -> WebhookAnalyticsModel:
        """Tell an analysis."""
        return cls.model_validate(analytics, from_attributes=True)


class WebhookHealthModel(BaseModel):
    """Health of the webhooks, and the analysis behind it."""

    state: Health = Field(description="Their state")
    reasons: list[str] = Field(description="One sentence for each thing that is not as it should be")
    figures: dict[str, float] = Field(description="Figures of the last 15 minutes, and what waits")
    analytics: WebhookAnalyticsModel = Field(description="Volume, success, times, errors and refusals of the range")

    @classmethod
    def of(cls, health: SystemHealth, analytics: WebhookAnalytics) -> WebhookHealthModel:
        """Tell the health."""
        return cls(
            state=health.state,
            reasons=list(health.reasons),
            figures=dict(health.figures),
            analytics=WebhookAnalyticsModel.of(analytics),
        )


class ReplayedModel(BaseModel):
    """What a replay of a selection did, or would do."""

    event_ids: list[str] = Field(description="Ids of the events, newest first")
    skipped: list[str] = Field(description="Events that were left alone: a worker is at them")
    next_cursor: str | None = Field(description="Pass as `cursor` to go on; null when the selection is done")
    dry_run: bool = Field(description="Whether nothing was done")
    total: int | None = Field(
        default=None, description="Events of the whole selection, counted up to 20,000; only of a dry run"
    )

    @classmethod
    def of(cls, replayed: Replayed) -> ReplayedModel:
        """Tell a replay."""
        return cls.model_validate(replayed, from_attributes=True)
