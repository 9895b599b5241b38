"""A channel that prints messages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block

from anomflow.errors import RetryableDeliveryError
from anomflow.sparkline import to_ascii

if TYPE_CHECKING:
    from anomflow.messages import Message


class ConsoleNotifier(Block):
    """Print each message to standard output: a rule with its subject, then its text; styled in a terminal only."""

    kind: ClassVar[str] = "console"
    _block_type_name: ClassVar[str] = "Anomflow messages on the console"
    _block_type_slug: ClassVar[str] = "console"
    _description: ClassVar[str] = "Prints Anomflow's messages to standard output."

    @property
    def send_seconds(self) -> float:
        return 10.0

    def check_access(self) -> str:
        return "prints to standard output"

    def send(self, message: Message) -> None:
        """Print the message; raise RetryableDeliveryError where standard output is closed."""
        from rich.console import Console  # noqa: PLC0415 - importing blocks stays light
        from rich.text import Text  # noqa: PLC0415 - the same

        console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        try:
            console.print()
            console.print(Text(_fit(message.subject), style="bold"), soft_wrap=True)
            console.print(Text(_fit(message.text)), soft_wrap=True)
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise RetryableDeliveryError(f"console: message {message.message_id} could not be printed: {error}") from error


def _fit(text: str) -> str:
    """Leave out what standard output cannot encode; a terminal of ASCII gets ASCII sparklines."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return to_ascii(text).encode(encoding, "replace").decode(encoding)
    return text
