"""What a row says of an entry is canonical JSON, to the letter."""

from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.kernel.canonical import canonical
from custodes.planes.audit.model import AuditEntry, Change, Context, Kind, Outcome, Reference, RiskReason
from custodes.storage.sql.audit_rows import COLUMNS, row_of

#: With quotes, controls and characters whose order and escapes differ, and without halves of surrogate pairs.
texts = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, max_size=2))
members = st.dictionaries(texts, values, max_size=3)
references = st.builds(Reference, texts, texts, texts)
entries = st.builds(
    AuditEntry,
    id=st.just("0"), tenant=st.just("acme"), recorded_at=st.just(1), time=st.just(1), kind=st.just(Kind.EVENT),
    action=st.just("invoice.sent"), category=st.just("data"), outcome=st.just(Outcome.SUCCESS),
    actor=references, impersonator=st.none() | references, effective=st.none() | references,
    targets=st.lists(references, max_size=3).map(tuple),
    changes=st.lists(st.builds(Change, texts, values, values), max_size=2).map(tuple),
    context=st.builds(Context, session=texts, request_id=texts, auth_method=texts, extra=members),
    labels=st.dictionaries(texts, texts, max_size=3),
    risk_reasons=st.lists(st.builds(RiskReason, texts, st.integers(0, 100), texts), max_size=2).map(tuple),
)  # fmt: skip


def of_reference(reference: Reference) -> dict[str, str]:
    named = {"name": reference.name} if reference.name else {}
    return {"type": reference.type, "id": reference.id, **named}


@settings(max_examples=60)
@given(entries)
def test_sections_are_the_canonical_form_of_what_they_hold(entry: AuditEntry):
    row = dict(zip(COLUMNS, row_of(entry)[0], strict=True))

    people = {"actor": entry.actor, "impersonator": entry.impersonator, "effective": entry.effective}
    context = {name: getattr(entry.context, name) for name in ("session", "request_id", "auth_method", "extra")}
    assert {name: row[name] for name in ("people", "targets", "changes", "context", "labels", "risk_reasons")} == {
        "people": canonical({name: of_reference(one) for name, one in people.items() if one}),
        "targets": canonical([of_reference(target) for target in entry.targets]),
        "changes": canonical([{"path": one.path, "old": one.old, "new": one.new} for one in entry.changes]),
        "context": canonical({name: value for name, value in context.items() if value}),
        "labels": canonical(entry.labels),
        "risk_reasons": canonical(
            [{"rule": one.rule, "points": one.points, "sentence": one.sentence} for one in entry.risk_reasons]
        ),
    }
