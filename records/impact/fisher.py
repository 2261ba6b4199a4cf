"""Fisher's exact test of two groups.

It is written here because it is a few lines. SciPy, which has it, takes some 100 MB with NumPy; the
small packages that have it work with logarithms in floating point, where tables of equal
probability may seem to differ, and are hardly looked after. Whole numbers leave no doubt.
"""

from math import comb


def two_sided(favoured: int, count: int, other_favoured: int, other_count: int) -> float:
    """Return how probable a difference as great as that between two groups is by chance alone.

    Of all tables with the same sums, those count that are no more probable than the one given.

    Args:
        favoured: Those of the first group who were favoured.
        count: The first group.
        other_favoured: Those of the other group who were favoured.
        other_count: The other group.

    """
    total = favoured + other_favoured
    lowest, highest = max(0, total - other_count), min(total, count)
    # The number of ways to each table. From one to the next it is a quotient of whole numbers.
    ways = comb(count, lowest) * comb(other_count, total - lowest)
    tables = [ways]
    for place in range(lowest, highest):
        ways = ways * (count - place) * (total - place)
        ways //= (place + 1) * (other_count - total + place + 1)
        tables.append(ways)
    given = tables[favoured - lowest]
    return sum(ways for ways in tables if ways <= given) / sum(tables)
