import itertools
import sys
import time as clocks
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.schedules.records import NEW_YEAR, UTC, a_schedule
from zenml.enums import ExecutionStatus
from zenml.exceptions import ConfigurationError, MissingPackageError
from zenml.liveness import this_process
from zenml.model.schedules import Firing, ScheduleRecord
from zenml.schedules.times import due_time, next_time, time_after

DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(schedule: ScheduleRecord, after: datetime = NEW_YEAR) -> Iterator[datetime]:
    time = time_after(schedule, after)
    while time is not None:
        yield time
        time = time_after(schedule, time)


def fired(schedule: ScheduleRecord, time: datetime, status: str = "completed") -> ScheduleRecord:
    return replace(
        schedule, last=Firing(time, "a run", ExecutionStatus(status), "a token", this_process(), time)
    )


def the_first(number: int, schedule: ScheduleRecord, after: datetime = NEW_YEAR) -> list[str]:
    return [f"{time:%Y-%m-%d %H:%M:%S}" for time in itertools.islice(times(schedule, after), number)]


def test_an_interval_counts_from_its_start() -> None:
    schedule = a_schedule(start=at("2026-03-01T06:00"), interval=timedelta(hours=8))
    assert the_first(3, schedule) == ["2026-03-01 06:00:00", "2026-03-01 14:00:00", "2026-03-01 22:00:00"]
    assert next_time(schedule) == at("2026-03-01T06:00")
    assert due_time(schedule, at("2026-03-01T05:59:59")) is None
    assert due_time(schedule, at("2026-03-01T06:00")) == at("2026-03-01T06:00")


def test_a_cron_expression_counts_from_the_registration_on() -> None:
    schedule = a_schedule(cron_expression="30 2 * * 1-5", timezone="UTC")
    assert the_first(3, schedule) == ["2026-01-01 02:30:00", "2026-01-02 02:30:00", "2026-01-05 02:30:00"]


def test_a_cron_expression_counts_from_its_start_on() -> None:
    schedule = a_schedule(cron_expression="0 * * * *", timezone="UTC", start=at("2026-03-01T06:00"))
    assert the_first(2, schedule) == ["2026-03-01 06:00:00", "2026-03-01 07:00:00"]


@pytest.mark.parametrize(
    ("nickname", "second"),
    [
        ("@hourly", "2026-01-01 02:00:00"),
        ("@Daily", "2026-01-03 00:00:00"),
        ("@weekly", "2026-01-11 00:00:00"),
        ("@monthly", "2026-03-01 00:00:00"),
        ("@yearly", "2028-01-01 00:00:00"),
    ],
)
def test_nicknames(nickname: str, second: str) -> None:
    assert the_first(2, a_schedule(cron_expression=nickname, timezone="UTC"))[1] == second


def test_the_end_is_the_last_moment_of_a_schedule() -> None:
    schedule = a_schedule(cron_expression="0 12 * * *", timezone="UTC", end=at("2026-01-02T12:00"))
    assert the_first(9, schedule) == ["2026-01-01 12:00:00", "2026-01-02 12:00:00"]
    assert next_time(fired(schedule, at("2026-01-02T12:00"))) is None


def test_what_was_missed_is_run_once_or_with_catchup_in_its_order() -> None:
    schedule = fired(a_schedule(cron_expression="0 12 * * *", timezone="UTC"), at("2026-01-03T12:00"))
    back = at("2026-01-07T15:00")
    assert due_time(schedule, back) == at("2026-01-07T12:00")
    assert due_time(replace(schedule, catchup=True), back) == at("2026-01-04T12:00")


def test_what_was_missed_before_the_end_is_run_after_it() -> None:
    schedule = a_schedule(start=NEW_YEAR, interval=DAY, end=at("2026-01-03T12:00"))
    assert due_time(schedule, at("2026-02-01T00:00")) == at("2026-01-03T00:00")
    assert due_time(fired(schedule, at("2026-01-03T00:00")), at("2026-02-01T00:00")) is None


def test_a_claim_that_nobody_has_begun_is_still_due() -> None:
    schedule = a_schedule(start=NEW_YEAR, interval=DAY, catchup=True)
    assert due_time(fired(schedule, NEW_YEAR, "pending"), NEW_YEAR) == NEW_YEAR
    assert due_time(fired(schedule, NEW_YEAR, "running"), NEW_YEAR) is None


# Clocks that are changed: in Berlin from 2:00 to 3:00 on 29 March, from 3:00 to 2:00 on 25 October 2026.


def test_a_time_that_does_not_exist_is_run_at_the_first_one_that_does() -> None:
    schedule = a_schedule(cron_expression="30 2 * * *", timezone="Europe/Berlin")
    assert the_first(3, schedule, at("2026-03-28T00:00")) == [
        "2026-03-28 01:30:00",
        "2026-03-29 01:00:00",  # 3:00 in summer time
        "2026-03-30 00:30:00",
    ]


def test_a_time_that_exists_twice_is_run_once() -> None:
    schedule = a_schedule(cron_expression="30 2 * * *", timezone="Europe/Berlin")
    expected = ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]
    assert the_first(2, schedule, at("2026-10-25T00:00")) == expected
    # Also where a scheduler was started in the second of these hours, at 2:10 in winter time.
    assert the_first(1, schedule, at("2026-10-25T01:10")) == expected[1:]


def test_what_runs_each_half_hour_runs_each_half_hour() -> None:
    schedule = a_schedule(cron_expression="*/30 * * * *", timezone="Europe/Berlin")
    for day in ("2026-03-29T00:00", "2026-10-25T00:00"):
        found = list(itertools.islice(times(schedule, at(day)), 12))
        assert {later - earlier for earlier, later in itertools.pairwise(found)} == {timedelta(minutes=30)}


def test_an_interval_knows_no_clocks() -> None:
    schedule = a_schedule(start=at("2026-03-28T12:00"), interval=DAY)
    assert the_first(2, schedule) == ["2026-03-28 12:00:00", "2026-03-29 12:00:00"]


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        clocks.tzset()
        yield
    clocks.tzset()


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize(
    "expression", ["30 1 * * *", "30 2 * * *", "*/20 * * * *", "0 */3 * * *", "15 0 * * 0"]
)
@pytest.mark.parametrize("day", ["2026-03-07T00:00", "2026-10-31T00:00"])
def test_without_a_time_zone_it_is_that_of_the_machine(expression: str, day: str) -> None:
    local = a_schedule(cron_expression=expression)
    named = a_schedule(cron_expression=expression, timezone="America/New_York")
    assert the_first(100, local, at(day)) == the_first(100, named, at(day))


# Properties

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Santiago",
]
moments = st.datetimes(
    at("2026-01-01T00:00").replace(tzinfo=None), at("2027-12-31T00:00").replace(tzinfo=None)
).map(lambda time: time.replace(tzinfo=UTC))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(2, max(2, high // 2)).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=2, max_size=3).map(lambda numbers: ",".join(map(str, numbers))),
    )


expressions = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
cron_schedules = st.builds(
    lambda expression, zone, start, end, catchup: a_schedule(
        cron_expression=expression, timezone=zone, start=start, end=end, catchup=catchup
    ),
    expressions,
    st.sampled_from(ZONES),
    st.none() | moments,
    st.none() | moments,
    st.booleans(),
)
interval_schedules = st.builds(
    lambda start, interval, end, catchup: a_schedule(
        start=start, interval=interval, end=end, catchup=catchup
    ),
    moments,
    st.timedeltas(timedelta(seconds=1), timedelta(days=40)),
    st.none() | moments,
    st.booleans(),
)
schedules = cron_schedules | interval_schedules


@given(schedules)
def test_times_grow_within_start_and_end(schedule: ScheduleRecord) -> None:
    found = list(itertools.islice(times(schedule), 60))
    assert all(earlier < later for earlier, later in itertools.pairwise(found))
    assert all(schedule.start is None or time >= schedule.start for time in found)
    assert all(schedule.end is None or time <= schedule.end for time in found)
    assert all(time > NEW_YEAR for time in found) or schedule.start == NEW_YEAR


@given(schedules, st.data())
def test_times_are_the_same_wherever_one_begins_to_look(
    schedule: ScheduleRecord, data: st.DataObject
) -> None:
    found = list(itertools.islice(times(schedule), 60))
    assume(len(found) > 1)
    number = data.draw(st.integers(1, len(found) - 1))
    before, after = found[number - 1], found[number]
    moment = before + data.draw(st.timedeltas(timedelta(0), after - before - timedelta(microseconds=1)))
    assert time_after(schedule, moment) == after


@given(schedules, st.integers(1, 50), st.floats(0, 0.99))
def test_what_is_due_is_the_first_or_the_last_missed(
    schedule: ScheduleRecord, number: int, beyond: float
) -> None:
    first = next_time(schedule)
    assume(first is not None)
    missed = list(itertools.islice(times(schedule, first - timedelta(microseconds=1)), number))
    following = time_after(schedule, missed[-1]) or missed[-1] + DAY
    now = missed[-1] + (following - missed[-1]) * beyond
    assert due_time(schedule, now) == (first if schedule.catchup else missed[-1])
    assert due_time(fired(schedule, missed[-1]), now) is None
    # With catchup they are run one by one, and none of them twice.
    caught_up = []
    catching_up = replace(schedule, catchup=True)
    while (time := due_time(catching_up, now)) is not None:
        caught_up.append(time)
        catching_up = fired(catching_up, time)
    assert caught_up == missed


@given(st.integers(0, 59), st.integers(0, 23), st.sampled_from(ZONES))
def test_a_daily_time_is_run_once_a_day(minute: int, hour: int, zone: str) -> None:
    schedule = a_schedule(cron_expression=f"{minute} {hour} * * *", timezone=zone)
    found = itertools.islice(times(schedule, at("2026-02-01T00:00")), 120)
    days = [time.astimezone(ZoneInfo(zone)).date() for time in found]
    assert all(later - earlier == DAY for earlier, later in itertools.pairwise(days))


@given(schedules, st.none() | moments, st.sampled_from(["pending", "running", "failed"]))
def test_records_become_documents_and_back(
    schedule: ScheduleRecord, time: datetime | None, status: str
) -> None:
    if time is not None:
        schedule = fired(schedule, time, status)
    schedule = replace(schedule, unknown={"of_tomorrow": 1})
    assert ScheduleRecord.from_document(schedule.name, schedule.to_document()) == schedule


# Bad input


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("61 * * * *", "it has a bad minute"),
        ("* * 30 2 *", "it has a bad day-of-month"),
        ("* * * MAI *", "it has a bad month"),
        ("* * *", "wrong number of fields"),
        ("", "wrong number of fields"),
    ],
)
def test_an_expression_that_is_none(expression: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        next_time(a_schedule(cron_expression=expression))
    assert str(error.value) == (
        f"The schedule 'nightly' has {expression!r}, which is no cron expression: {reason}. Expected minute, hour, day of the month, "
        "month and day of the week, as in '30 2 * * 1-5'."
    )


@pytest.mark.parametrize("zone", ["Europe/Berln", "/etc/passwd", "../x", ""])
def test_a_time_zone_that_is_none(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="which this machine does not know"):
        next_time(a_schedule(cron_expression="@daily", timezone=zone))


def test_without_the_package_that_evaluates_cron(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(MissingPackageError, match="run `pip install 'cronsim>=2.6'`, or give an interval"):
        next_time(a_schedule(cron_expression="@daily"))
    assert next_time(a_schedule(start=NEW_YEAR, interval=DAY)) == NEW_YEAR
