"""A table of an import: its name, and the statements that merge its rows."""

from typing import NamedTuple


class Table(NamedTuple):
    """A table, and the statements that merge it."""

    name: str
    noun: str
    """Its rows, in the summary; empty if that does not count them."""
    order: str
    """The column by which its rows are stored."""
    remove_known: str
    """Removes the rows that need not be stored from the temporary table `incoming_<name>`."""
    clashes: str = ""
    """Selects what differs, by the keys that `whose` takes."""
    clash: str = ""
    """The end of the error's sentence: the rows that differ, and how."""
    whose: str = ""
    """Selects from the file what an error calls it by."""
    settle: str = ""
    """Changes rows that the database has to what has become of them in the file."""
    replaced_by: str = ""
    """The key by which a row replaces the one that the database has."""
