"""What Slack's answers mean: accepted, worth another attempt, refused, or refused in this layout only.

Codes of ``chat.postMessage`` and of incoming webhooks, as Slack documents them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from blocks.notifiers.http import Answer, check_status, parse_object

if TYPE_CHECKING:
    from blocks.notifiers.http import HttpLink

# What Slack says about the form of a message, not about its sender or channel: plain text may pass.
LAYOUT_CODES: Final = {
    "attachment_payload_limit_exceeded", "block_mismatch", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "invalid_metadata_format", "invalid_metadata_schema", "invalid_payload", "metadata_must_be_sent_from_app", "metadata_too_large",
    "msg_blocks_too_long", "msg_too_long", "too_many_attachments", "user_specified_payload_too_large",
}  # fmt: skip

_TOKEN = "Check the bot token: it starts with xoxb- and belongs to an app that is installed in the workspace."  # noqa: S105 - advice
_CHANNEL = "Check the channel (its id, such as C0123456789, is surest) and invite the app to it."
_RULES = "The workspace's rules forbid it; ask its administrators."
_WEBHOOK = "Check the webhook, or make a new one."

ADVICE: Final = {
    **dict.fromkeys(("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"), _TOKEN),
    "missing_scope": "Give the app the scopes chat:write and files:write and install it again.",
    "no_permission": "Give the app the scopes chat:write and files:write and install it again.",
    **dict.fromkeys(("channel_not_found", "not_in_channel", "cannot_reply_to_message"), _CHANNEL),
    "is_archived": "Name a channel that is not archived.",
    "channel_is_archived": "Name a channel that is not archived.",
    **dict.fromkeys(
        (
            "action_prohibited", "access_denied", "ekm_access_denied", "enterprise_is_restricted", "org_login_required",
            "posting_to_general_channel_denied", "restricted_action", "team_access_not_granted",
        ),
        _RULES,
    ),
    **dict.fromkeys(("no_service", "no_service_id", "no_team", "team_disabled", "user_not_found", "invalid_token"), _WEBHOOK),
}  # fmt: skip


class LayoutRefusedError(Exception):
    """Tell that Slack does not take the blocks of a message; it may take plain text."""


def read_api_answer(link: HttpLink, method: str, answer: Answer) -> dict[str, Any]:
    """Return the content of an answer that says ``ok``.

    Raises RefusedDeliveryError for the codes of ``ADVICE``, RetryableDeliveryError for every other one (a code that is
    unknown here among them: a message too many attempts is better than a message lost) and for an answer that is no
    JSON; LayoutRefusedError for ``LAYOUT_CODES``.
    """
    check_status(link, answer, "Check base_url.")
    content = parse_object(answer)
    if content is None:
        raise link.build_retryable(f"{method} did not answer in JSON: {answer.text}. Check base_url, and what stands between.")
    if content.get("ok") is True:
        return content
    code = str(content.get("error", "no error code"))
    if code in LAYOUT_CODES:
        raise LayoutRefusedError(code)
    if code in ADVICE:
        raise link.build_refused(f"{method} answers {code}. {ADVICE[code]}")
    raise link.build_retryable(f"{method} answers {code}", answer.retry_after)


def read_webhook_answer(link: HttpLink, answer: Answer) -> None:
    """Return where an incoming webhook accepted a message; raise as ``read_api_answer`` does (its codes come as text)."""
    if answer.status in range(400, 500) and answer.text in LAYOUT_CODES:
        raise LayoutRefusedError(answer.text)
    check_status(link, answer, ADVICE.get(answer.text, _WEBHOOK))
