"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.completion import complete_batches, complete_settings

Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be given several times.", autocompletion=complete_settings),
]
AsOf = Annotated[str | None, typer.Option(metavar="TIME", help="Tell it as of this time (ISO 8601), not as of now.")]
BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="Name of the batch.", autocompletion=complete_batches)]
BatchNames = Annotated[
    list[str] | None, typer.Argument(metavar="BATCH", help="Names of batches; none given means all.", autocompletion=complete_batches)
]
