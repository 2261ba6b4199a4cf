"""Where the board's charts have their lines."""

from datetime import date

from pages.charts import growth

MONDAY, TUESDAY = date(2025, 11, 24), date(2025, 11, 25)


def test_numbers_rise_with_their_day_and_last_to_the_end_of_the_latest() -> None:
    lines = growth({"Invited": [TUESDAY, MONDAY, TUESDAY], "Started": [TUESDAY]}, TUESDAY)
    assert lines is not None
    # Seven days at least, of which Monday is the sixth.
    assert lines.lines["Invited"].split() == (
        ["0.0,200.0", "428.6,200.0", "428.6,133.3", "514.3,133.3", "514.3,0.0", "600.0,0.0"]
    )
    assert lines.ends["Started"] == (600.0, 133.3, 1)
    assert [day.day for _, day in lines.days] == [19, 22, 25]


def test_nothing_is_drawn_of_a_single_day_or_of_none() -> None:
    assert growth({"Invited": [MONDAY, MONDAY], "Started": [MONDAY]}, TUESDAY) is None
    assert growth({"Invited": []}, MONDAY) is None
