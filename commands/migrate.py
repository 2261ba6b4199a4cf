"""The command that migrates the database."""

import click

from config import StartError, load
from db import open_database


@click.command(help="Bring the database of DATABASE_URL up to date, as every start does.")
def migrate() -> None:
    """Migrate the database."""
    try:
        open_database(load(asks_model=False))
    except StartError as error:
        raise click.ClickException(str(error)) from error
    click.echo("The database is up to date.")
