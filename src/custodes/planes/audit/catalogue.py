"""The catalogue of actions: names everybody can agree on, each with its category and base risk.

An application may use names of its own; they get the risk of :func:`action_named`'s defaults. The vocabulary covers the
events of the OWASP Logging Vocabulary, PCI DSS 10.2.1 and the usual SaaS back office. Base risk says how much a single,
successful, expected event of this kind deserves a look: 0–10 routine, 11–29 worth noting, 30–49 sensitive, 50 and more
serious by itself. Bands after Splunk's risk-based alerting (hunting, weak, anomaly, …).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of event."""

    #: ``noun.verb`` in lower case.
    name: str
    #: ``authentication``, ``access``, ``privilege``, ``data``, ``configuration``, ``audit``, ``fraud``, …
    category: str
    #: Points of a single successful event, 0–100.
    risk: int
    #: What happened, in one sentence.
    description: str
    #: Changes who may do what, or switches a protection off.
    privileged: bool = False
    #: Takes data away or out: many of them in a row are suspicious.
    bulk: bool = False
    #: A sign-in: a success after many failures is suspicious.
    sign_in: bool = False


def _actions(category: str, *rows: tuple[str, int, str, str]) -> list[Action]:
    """Rows of (name, risk, marks, description); marks: ``p`` privileged, ``b`` bulk, ``s`` sign-in."""
    return [
        Action(name, category, risk, text, privileged="p" in marks, bulk="b" in marks, sign_in="s" in marks)
        for name, risk, marks, text in rows
    ]


_TABLE: list[Action] = [
    *_actions(
        "authentication",
        ("auth.login", 5, "s", "Somebody signed in, or tried to."),
        ("login.succeeded", 5, "s", "Somebody signed in: for systems that use two names."),
        ("login.failed", 10, "s", "Somebody tried to sign in: for systems that use two names."),
        ("auth.logout", 0, "", "Somebody signed out."),
        ("auth.session_revoked", 10, "", "A session was ended by somebody else or by a rule."),
        ("auth.token_refreshed", 0, "", "A session was prolonged."),
        ("auth.token_reused", 60, "", "A token that had been used up was presented again."),
        ("auth.locked", 30, "", "An account was locked after failed attempts."),
        ("auth.unlocked", 15, "", "A locked account was opened again."),
        ("auth.password_changed", 15, "", "A password was changed by its owner."),
        ("auth.password_reset_requested", 10, "", "A password reset was asked for."),
        ("auth.password_reset", 20, "", "A password was set by way of a reset."),
        ("auth.mfa_enabled", 5, "", "A second factor was added."),
        ("auth.mfa_disabled", 40, "p", "A second factor was removed."),
        ("auth.mfa_challenge", 5, "", "A second factor was asked for and answered, or not."),
        ("auth.impersonation_started", 55, "p", "Somebody began to act as somebody else."),
        ("auth.impersonation_ended", 5, "", "Somebody stopped acting as somebody else."),
        ("auth.impossible_travel", 65, "", "One account was used from two places too far apart."),
    ),
    *_actions(
        "access",
        ("auth.refused", 20, "", "Credentials for the admin API or the dashboard were refused."),
        ("auth.session_used_after_end", 20, "", "A session that somebody had ended was used on; told once a minute."),
        ("access.denied", 20, "", "Something was asked for that the actor may not have."),
        ("admin.denied", 30, "", "An administrative action was refused."),
        ("access.granted", 15, "p", "Access to a resource was given."),
        ("access.revoked", 10, "", "Access to a resource was taken away."),
        ("access.requested", 5, "", "Access was asked for."),
    ),
    *_actions(
        "privilege",
        ("role.granted", 30, "p", "A role was given to somebody."),
        ("role.revoked", 15, "", "A role was taken from somebody."),
        ("role.changed", 30, "p", "Somebody's role was changed."),
        ("permission.changed", 30, "p", "What a role may do was changed."),
        ("owner.transferred", 55, "p", "Ownership of the account went to somebody else."),
        ("api_key.created", 30, "p", "A key for programs was made."),
        ("api_key.rotated", 10, "", "A key for programs was replaced."),
        ("api_key.revoked", 10, "", "A key for programs was withdrawn."),
        ("secret.read", 35, "", "A stored secret was shown."),
        ("secret.rotated", 15, "", "A stored secret was replaced."),
        ("sso.provider_added", 40, "p", "A new issuer of identities is trusted."),
        ("sso.provider_removed", 30, "p", "An issuer of identities is trusted no more."),
    ),
    *_actions(
        "account",
        ("user.created", 10, "", "An account was made."),
        ("user.updated", 5, "", "An account's details were changed."),
        ("user.email_changed", 20, "", "The address that an account is recovered by was changed."),
        ("user.disabled", 15, "", "An account was switched off."),
        ("user.enabled", 15, "", "An account was switched on again."),
        ("user.deleted", 25, "b", "An account was deleted."),
        ("user_profile.created", 20, "p", "Somebody became an administrator of this system."),
        ("user_profile.updated", 15, "", "An administrator's details were changed."),
        ("user_profile.deleted", 20, "", "Somebody is an administrator no more."),
        ("member.invited", 5, "", "Somebody was invited."),
        ("member.added", 10, "", "Somebody joined."),
        ("member.removed", 15, "b", "Somebody was removed."),
        ("tenant.created", 10, "", "A tenant was made."),
        ("tenant.deleted", 60, "p", "A tenant was deleted."),
    ),
    *_actions(
        "data",
        ("data.read", 0, "b", "A record was looked at."),
        ("data.searched", 0, "", "Records were searched."),
        ("data.created", 0, "", "A record was made."),
        ("data.updated", 5, "", "A record was changed."),
        ("data.deleted", 15, "b", "A record was deleted."),
        ("data.exported", 30, "b", "Records were taken out."),
        ("api_calls.exported", 30, "b", "Recorded API calls were taken out."),
        ("data.imported", 15, "", "Records were brought in."),
        ("data.shared", 20, "", "A record was made visible to others."),
        ("data.erased", 25, "", "Personal data was erased for good."),
        ("data.restored", 15, "", "A deleted record was brought back."),
        ("file.downloaded", 5, "b", "A file was downloaded."),
        ("file.uploaded", 5, "", "A file was uploaded."),
        ("backup.created", 10, "", "A backup was made."),
        ("backup.restored", 40, "p", "A backup was put in place of the data."),
    ),
    *_actions(
        "configuration",
        ("settings.changed", 20, "", "A setting was changed."),
        ("security.policy_changed", 40, "p", "A security policy was changed."),
        ("security.protection_disabled", 55, "p", "A protection was switched off."),
        ("feature.toggled", 5, "", "A feature was switched on or off."),
        ("integration.added", 20, "", "Another system was connected."),
        ("integration.removed", 10, "", "Another system was disconnected."),
        ("deployment.released", 10, "", "A version was put into service."),
        ("retention.run", 10, "", "Old data was cleaned up on demand."),
        ("alert_rule.created", 20, "p", "A rule for alerts was made."),
        ("alert_rule.updated", 20, "p", "What raises an alert was changed, or raises none any more."),
        ("alert_rule.deleted", 20, "p", "A rule for alerts was deleted."),
        ("alert.acknowledged", 0, "", "An alert was taken note of."),
        ("alert.silenced", 20, "p", "Nobody is told of an alert for a while."),
        ("alert.unsilenced", 5, "", "An alert that was silenced is told of again."),
        ("alert_sink.enabled", 5, "", "A place that alerts go to was switched on again."),
        ("alert_sink.tested", 5, "", "A test message was sent to where alerts go."),
        ("api_error.resolved", 0, "", "A kind of error of the API was marked as mended."),
        ("api_error.reopened", 0, "", "A kind of error of the API was marked as not mended."),
        ("saved_view.created", 0, "", "A view of the dashboard was kept under a name."),
        ("saved_view.changed", 0, "", "A saved view was changed, shared, or shared no more."),
        ("saved_view.deleted", 0, "", "A saved view was deleted."),
        ("saved_view.default_set", 0, "", "A tab of the dashboard opens with a saved view."),
        ("saved_view.default_cleared", 0, "", "A tab of the dashboard opens with a saved view no more."),
    ),
    *_actions(
        "webhook",
        ("webhook.signature_verified", 0, "", "A webhook's signature holds."),
        ("webhook.signature_refused", 25, "", "A webhook's signature does not hold."),
        ("webhook.reconciled", 5, "", "A source was compared with what its sender has sent."),
        ("webhook.replayed", 10, "", "A stored webhook was handled again on demand."),
        ("webhook.tried", 15, "", "A stored webhook was sent to a URL of somebody's choosing."),
        ("webhook.payload_read", 0, "", "Somebody looked at what a webhook carries."),
        ("webhook.suspicious", 45, "", "Incoming webhooks follow a suspicious pattern."),
        ("webhook_configuration.created", 15, "", "An endpoint for outgoing webhooks was added."),
        ("webhook_configuration.updated", 15, "", "An endpoint for outgoing webhooks was changed."),
        ("webhook_configuration.paused", 5, "", "An endpoint gets no webhooks for now."),
        ("webhook_configuration.resumed", 5, "", "An endpoint gets webhooks again."),
        ("webhook_configuration.deleted", 15, "", "An endpoint for outgoing webhooks was removed."),
        ("webhook_configuration.secret_rotated", 15, "", "An endpoint's signing secret was replaced."),
        ("webhook_configuration.tested", 0, "", "A test was sent to an endpoint."),
        ("webhook_configuration.recovery_begun", 10, "", "What an endpoint did not take began to be sent again."),
        ("webhook_configuration.recovered", 0, "", "What an endpoint did not take was sent again."),
        ("webhook_delivery.resent", 5, "", "A delivery was sent again on demand."),
        ("webhook_deliveries.resend_begun", 10, "", "A selection of deliveries began to be sent again."),
        ("webhook_deliveries.resent", 0, "", "A selection of deliveries was sent again."),
        ("webhook_message.read", 5, "b", "The payload of an outgoing webhook was shown."),
        ("webhook_event_type.put", 10, "", "A type of outgoing webhooks was described, or its schema changed."),
        ("webhook_delivery.tried", 15, "", "What a delivery carries was sent to a URL of somebody's choosing."),
        ("portal_link.created", 20, "p", "A link to the customer portal was made."),
        ("portal_link.opened", 5, "", "A link to the customer portal was opened."),
        ("portal_link.left", 0, "", "A visitor of the customer portal signed out."),
        ("portal_link.revoked", 5, "", "A link to the customer portal was withdrawn."),
    ),
    *_actions(
        "rate_limit",
        ("rate_limit.exceeded", 15, "", "Somebody was refused by a limit again and again."),
        ("rate_limit.blocked", 20, "", "Somebody was blocked."),
        ("rate_limit.unblocked", 15, "", "A block was lifted."),
        ("rate_limit.rule_changed", 20, "p", "A limit was changed."),
        ("rate_limit.rule_deleted", 20, "p", "A limit was deleted."),
        ("rate_limit.what_if", 0, "", "A limit was tried on recorded calls."),
        ("rate_limit.listed", 20, "p", "Somebody was put on the allow list or the deny list."),
        ("rate_limit.unlisted", 20, "p", "Somebody was taken off the allow list or the deny list."),
        ("rate_limit.warned", 15, "", "Somebody ran into limits again and again."),
        ("rate_limit.banned", 30, "", "Somebody who ran into limits again and again was shut out."),
        ("rate_limit.block_hit", 10, "", "Somebody who is blocked tried again."),
        ("rate_limit.ban_hit", 10, "", "Somebody who is shut out tried again."),
        ("rate_limit.deny_list_hit", 15, "", "Somebody on the deny list tried."),
    ),
    *_actions(
        "fraud",
        ("fraud.early_warning", 70, "", "The payment provider warns of a fraudulent payment."),
        ("fraud.dispute", 50, "", "A payment was disputed."),
        ("fraud.review", 40, "", "The payment provider holds a payment for review."),
        ("payment.failed", 10, "", "A payment did not go through."),
        ("payment.refunded", 15, "b", "A payment was given back."),
        ("payout.destination_changed", 50, "p", "Payouts go to another account."),
    ),
    *_actions(
        "audit",
        ("audit.reviewed", 5, "", "A flagged entry was reviewed."),
        ("audit.exported", 20, "", "Entries of this trail were taken out."),
        ("audit.logging_stopped", 60, "p", "Recording was switched off."),
        ("audit.logging_started", 10, "", "Recording was switched on."),
        ("audit.purged", 10, "", "Entries past their retention time were deleted."),
    ),
]

#: The catalogue by name.
ACTIONS: dict[str, Action] = {action.name: action for action in _TABLE}

#: Base risk of actions that are not in the catalogue, by their last word; 5 for any other.
RISK_BY_VERB: dict[str, int] = {
    "deleted": 15, "removed": 15, "exported": 25, "disabled": 20, "revoked": 10, "granted": 20, "denied": 20,
    "refused": 20, "failed": 10, "blocked": 20, "rotated": 10, "viewed": 0, "read": 0, "listed": 0,
}  # fmt: skip

#: Verbs outside the catalogue that take data away or out.
_BULK_VERBS = frozenset({"deleted", "removed", "exported", "downloaded"})

#: Category of actions that are not in the catalogue.
OTHER = "other"


def action_named(name: str) -> Action:
    """Find an action; a name outside the catalogue gets the base risk of its last word."""
    known = ACTIONS.get(name)
    if known is not None:
        return known
    verb = name.rsplit(".", 1)[-1].rsplit("_", 1)[-1]
    return Action(name, OTHER, RISK_BY_VERB.get(verb, 5), "", bulk=verb in _BULK_VERBS)
