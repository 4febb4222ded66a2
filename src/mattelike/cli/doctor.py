"""``mattelike doctor``: what is installed, what is used, what is wrong."""

from __future__ import annotations

from typing import Any

import click


@click.command(short_help="Say what is installed, which device is used, what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> int:
    """Look at this installation. Exit code 0 if all is well, 1 if something is wrong."""
    import json

    from mattelike.cli.checkup import checkup

    found = checkup()
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        for title, rows in found.items():
            _section(title, rows)
    return 1 if found["wrong"] else 0


def _section(title: str, rows: Any) -> None:
    if isinstance(rows, dict):
        click.secho(title, bold=True)
        width = max((len(key) for key in rows), default=0)
        for key, value in rows.items():
            click.echo(f"  {key:<{width}}  {value}")
    elif rows:
        click.secho(title, bold=True, fg="red" if title == "wrong" else None)
        for row in rows:
            click.echo(f"  {row}")
    else:
        click.echo("nothing is wrong" if title == "wrong" else f"{title}: none")
