"""`python -m commands`: the group of all commands."""

import click

from access.api_keys import hash_of, new_key
from commands.backup import backup
from commands.calibrate import calibrate
from commands.impact import impact
from commands.import_sqlite import import_sqlite
from commands.migrate import migrate
from commands.rescore import rescore
from commands.verify_audit import verify_audit
from commands.worker import worker


@click.group(help="Look after the service's database and its keys.")
def commands() -> None:
    """Group the commands."""


@commands.command()
def key() -> None:
    """Make an API key, and its hash for API_KEYS."""
    made = new_key()
    click.echo(f"key:  {made}")
    click.echo(f"hash: sha256:{hash_of(made).hex()}")


commands.add_command(backup)
commands.add_command(calibrate)
commands.add_command(impact)
commands.add_command(import_sqlite, "import")
commands.add_command(migrate)
commands.add_command(rescore)
commands.add_command(verify_audit)
commands.add_command(worker)

if __name__ == "__main__":
    commands(prog_name="python -m commands")
