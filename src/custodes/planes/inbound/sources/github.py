"""GitHub: ``X-Hub-Signature-256: sha256=…``, hex HMAC-SHA256 of the body.

Type and delivery id come in headers that are not signed, and there is no timestamp. GitHub does not deliver again by
itself. The SHA-1 header that is still sent beside it is not looked at. A webhook whose content type is a form is signed
over the form as it is; :meth:`custodes.planes.inbound.model.WebhookEvent.json` reads the event out of it.
Source: docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
"""

from __future__ import annotations

from custodes.kernel.signing import hmac_hex
from custodes.planes.inbound.sources.body_signed import BodySigned

#: Events of docs.github.com/webhooks/webhook-events-and-payloads, read 2026-11.
_EVENTS = """
    branch_protection_configuration branch_protection_rule check_run check_suite code_scanning_alert commit_comment
    create custom_property custom_property_values delete dependabot_alert deploy_key deployment
    deployment_protection_rule deployment_review deployment_status discussion discussion_comment fork
    github_app_authorization gollum installation installation_repositories installation_target issue_comment
    issue_dependencies issues label marketplace_purchase member membership merge_group meta milestone org_block
    organization package page_build personal_access_token_request ping project project_card project_column projects_v2
    projects_v2_item projects_v2_status_update public pull_request pull_request_review pull_request_review_comment
    pull_request_review_thread push registry_package release repository repository_advisory repository_dispatch
    repository_import repository_ruleset repository_vulnerability_alert secret_scanning_alert
    secret_scanning_alert_location secret_scanning_scan security_advisory security_and_analysis sponsorship star status
    sub_issues team team_add watch workflow_dispatch workflow_job workflow_run
"""


class GitHub(BodySigned):
    """Webhooks of GitHub; the type is the value of ``X-GitHub-Event``."""

    name = "github"
    scheme = "HMAC-SHA256 of the body, hex"
    #: GitHub sends no larger payload (docs.github.com: 25 MB).
    max_body = 25 * 1024 * 1024
    retries = False
    known_types = tuple(_EVENTS.split())
    signature_header = "x-hub-signature-256"
    prefix = "sha256="
    delivery_header = "x-github-delivery"
    type_header = "x-github-event"

    def signature(self, key: bytes, body: bytes) -> str:
        """Sign a body as GitHub does."""
        return hmac_hex(key, body)
