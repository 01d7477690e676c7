"""Features as they were known then."""

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import ConfigurationError, DoesNotExistException, StoreError, UnreadableFileError
from zenml.feature_stores import LocalFeatureStore
from zenml.stack.flavors import find_flavor, load_flavor

UTC = dt.timezone.utc


def day(number: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, number, hour, tzinfo=UTC)


DRIVERS = {
    "driver": [1, 1, 2, 1],
    "observed": [day(1), day(3), day(2), day(10)],
    "rating": [4.0, 4.5, 3.0, 5.0],
    "trips": [10, 20, 5, 30],
}
VIEW = """
source: drivers.parquet
entities: [driver]
timestamp: observed
features: [rating, trips]
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalFeatureStore:
    folder = tmp_path / "features"
    folder.mkdir()
    pl.DataFrame(DRIVERS).write_parquet(folder / "drivers.parquet")
    (folder / "drivers.yaml").write_text(VIEW)
    return LocalFeatureStore(name="features", path=str(folder))


def folder_of(store: LocalFeatureStore) -> Path:
    return Path(store.local_path)


def test_the_flavor_is_found_by_its_name(store: LocalFeatureStore) -> None:
    assert load_flavor(find_flavor(StackComponentType.FEATURE_STORE, "local")) is LocalFeatureStore
    assert store.reach is Reach.HOST


def test_each_row_gets_what_was_known_at_its_time(store: LocalFeatureStore) -> None:
    asked = pd.DataFrame(
        {
            "driver": [1, 1, 1, 2, 3, 1],
            "event_timestamp": [day(3), day(2, 23), day(9), day(1), day(9), day(20)],
            "label": list("abcdef"),
        },
        index=list("uvwxyz"),
    )
    found = store.get_historical_features(asked, ["drivers:rating", "drivers:trips"])
    assert isinstance(found, pd.DataFrame)
    assert list(found.index) == list("uvwxyz")
    assert list(found.columns) == ["driver", "event_timestamp", "label", "rating", "trips"]
    assert found["label"].tolist() == list("abcdef")
    assert found["rating"].astype(object).where(found["rating"].notna(), None).tolist() == [
        4.5,
        4.0,
        4.5,
        None,
        None,
        5.0,
    ]
    assert list(asked.columns) == ["driver", "event_timestamp", "label"]


def test_polars_in_polars_out_with_full_names(store: LocalFeatureStore) -> None:
    asked = pl.DataFrame({"driver": [2, 1], "event_timestamp": [day(5), day(1)]})
    found = store.get_historical_features(asked, ["drivers:trips"], full_feature_names=True)
    assert isinstance(found, pl.DataFrame)
    assert found.to_dict(as_series=False)["drivers__trips"] == [5, 10]


def test_a_value_is_given_until_its_ttl_has_passed(store: LocalFeatureStore) -> None:
    (folder_of(store) / "drivers.yaml").write_text(VIEW + "ttl: P2D\n")
    asked = pl.DataFrame({"driver": [1] * 3, "event_timestamp": [day(5), day(5, 1), day(9)]})
    assert store.get_historical_features(asked, ["drivers:trips"])["trips"].to_list() == [20, None, None]


def test_of_rows_of_the_same_time_the_last_is_taken(store: LocalFeatureStore) -> None:
    data = {"driver": [1, 1, 1], "observed": [day(1)] * 3, "rating": [1.0, 2.0, None], "trips": [1, 2, 3]}
    pl.DataFrame(data).write_parquet(folder_of(store) / "drivers.parquet")
    asked = pl.DataFrame({"driver": [1], "event_timestamp": [day(1)]})
    found = store.get_historical_features(asked, ["drivers:rating", "drivers:trips"])
    assert found.select("rating", "trips").row(0) == (None, 3)


def test_times_of_other_zones_and_without_one_are_compared_as_utc(store: LocalFeatureStore) -> None:
    naive = [time.replace(tzinfo=None) for time in DRIVERS["observed"]]  # type: ignore[attr-defined]
    pl.DataFrame({**DRIVERS, "observed": naive}).write_parquet(folder_of(store) / "drivers.parquet")
    asked = pd.DataFrame(
        {"driver": [1, 1], "event_timestamp": pd.to_datetime(["2024-01-03 01:30", "2024-01-03 00:30"])}
    )
    asked["event_timestamp"] = asked["event_timestamp"].dt.tz_localize("Europe/Berlin")  # an hour before UTC
    assert store.get_historical_features(asked, ["drivers:rating"])["rating"].tolist() == [4.5, 4.0]
    dates = pl.DataFrame({"driver": [1], "event_timestamp": [dt.date(2024, 1, 3)]})
    assert store.get_historical_features(dates, ["drivers:rating"])["rating"].to_list() == [4.5]


def test_entities_of_another_integer_type_are_the_same_ones(store: LocalFeatureStore) -> None:
    asked = pl.DataFrame({"driver": pl.Series([1, 2], dtype=pl.UInt8), "event_timestamp": [day(9)] * 2})
    assert store.get_historical_features(asked, ["drivers:trips"])["trips"].to_list() == [20, 5]


def test_several_views_are_joined_each_by_its_own_keys(store: LocalFeatureStore) -> None:
    weather = {"city": ["x", "x"], "zone": [1, 2], "at": [day(1), day(1)], "rain": [0.1, 0.2]}
    pl.DataFrame(weather).write_parquet(folder_of(store) / "weather.parquet")
    (folder_of(store) / "weather.yaml").write_text(
        "source: weather.parquet\nentities: [city, zone]\ntimestamp: at\nfeatures: [rain]\n"
    )
    asked = pl.DataFrame(
        {"driver": [1, 2], "city": ["x", "x"], "zone": [2, 1], "event_timestamp": [day(2)] * 2}
    )
    found = store.get_historical_features(asked, ["weather:rain", "drivers:trips"])
    assert found.select("rain", "trips").rows() == [(0.2, 10), (0.1, 5)]
    assert [view.name for view in store.feature_views()] == ["drivers", "weather"]


def test_online_gives_the_latest_of_each_entity_but_nothing_of_the_future(store: LocalFeatureStore) -> None:
    future = dt.datetime.now(UTC) + dt.timedelta(days=1)
    data = {
        "driver": [1, 1, 2],
        "observed": [day(1), future, day(1)],
        "rating": [1.0, 9.0, 2.0],
        "trips": [1, 9, 2],
    }
    pl.DataFrame(data).write_parquet(folder_of(store) / "drivers.parquet")
    rows = [{"driver": 2}, {"driver": 1}, {"driver": 7}]
    assert store.get_online_features(rows, ["drivers:rating"]) == {
        "driver": [2, 1, 7],
        "rating": [2.0, 1.0, None],
    }
    assert store.get_online_features([], ["drivers:rating"]) == {"driver": [], "rating": []}


moments = st.integers(0, 12).map(lambda hour: day(1, hour))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=st.lists(st.tuples(st.integers(1, 3), moments, st.integers()), max_size=15),
    asked=st.lists(
        st.tuples(st.one_of(st.none(), st.integers(1, 4)), st.one_of(st.none(), moments)), max_size=10
    ),
    ttl=st.one_of(st.none(), st.integers(1, 6)),
)
def test_it_agrees_with_a_search_row_by_row_and_never_looks_ahead(
    store: LocalFeatureStore, known: list[Any], asked: list[Any], ttl: int | None
) -> None:
    time = pl.Datetime("us", "UTC")
    whole = pl.Int64
    rows = pl.DataFrame(
        [(driver, at, number % 1000) for driver, at, number in known],
        schema={"driver": whole, "observed": time, "trips": whole},
        orient="row",
    )
    rows.with_columns(rating=pl.lit(0.0)).write_parquet(folder_of(store) / "drivers.parquet")
    (folder_of(store) / "drivers.yaml").write_text(VIEW + (f"ttl: PT{ttl}H\n" if ttl else ""))
    frame = pl.DataFrame(asked, schema={"driver": whole, "event_timestamp": time}, orient="row")
    found = store.get_historical_features(frame, ["drivers:trips"])

    def search(driver: int | None, at: dt.datetime | None) -> int | None:
        best = None
        for other, seen, number in rows.rows():
            if other == driver and at is not None and seen <= at and (best is None or seen >= best[0]):
                best = (seen, number)
        if best is None or at is None or (ttl and at - best[0] > dt.timedelta(hours=ttl)):
            return None
        return int(best[1])

    assert found["trips"].to_list() == [search(*row) for row in asked]
    assert found.select("driver", "event_timestamp").equals(frame)


@pytest.mark.parametrize(
    ("features", "kind", "message"),
    [
        (["drivrs:trips"], DoesNotExistException, "has no view 'drivrs'. Did you mean 'drivers'?"),
        (
            ["drivers:trip"],
            DoesNotExistException,
            "The view 'drivers' has no feature 'trip'. Did you mean 'trips'?",
        ),
        (["trips"], ConfigurationError, "'trips' names no feature: expected 'view:feature'"),
        (
            ["drivers:trips", "drivers:trips"],
            ConfigurationError,
            "would be named 'trips'. Ask with full_feature_names",
        ),
    ],
)
def test_features_that_cannot_be_given(
    store: LocalFeatureStore, features: list[str], kind: type[Exception], message: str
) -> None:
    asked = pl.DataFrame({"driver": [1], "event_timestamp": [day(1)]})
    with pytest.raises(kind) as caught:
        store.get_historical_features(asked, features)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"driver": [1]}, "has no column 'event_timestamp'"),
        ({"event_timestamp": [day(1)]}, "The view 'drivers' needs the entity 'driver'"),
        (
            {"driver": ["x"], "event_timestamp": [[day(1)]]},
            "'event_timestamp' of the entity frame holds List",
        ),
        (
            {"driver": [[1]], "event_timestamp": [day(1)]},
            "cannot be compared with those that are asked for (driver: List",
        ),
    ],
)
def test_entity_frames_that_cannot_be_used(
    store: LocalFeatureStore, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store.get_historical_features(pl.DataFrame(asked), ["drivers:trips"])
    assert message in str(caught.value)
    with pytest.raises(TypeError, match="Entities are a DataFrame of pandas or Polars, not a list"):
        store.get_historical_features([1], ["drivers:trips"])


def test_online_rows_without_a_key_are_named(store: LocalFeatureStore) -> None:
    with pytest.raises(ConfigurationError, match=r"The entity row 1 has no 'driver': it names \['rider'\]"):
        store.get_online_features([{"driver": 1}, {"rider": 2}], ["drivers:trips"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: [", "drivers.yaml, line 2: this is no valid YAML"),
        ("- a\n", "a feature view is a mapping"),
        ("source: x\nentities: []\nfeature: 1\n", "entities: Tuple should have at least 1 item"),
        ("source: x\nentities: []\nfeature: 1\n", "feature: Extra inputs are not permitted"),
        ("name: other\n" + VIEW, "the view is named 'other', but its file must be <name>.yaml"),
        (
            VIEW.replace("trips", "tips"),
            "declares columns that the file lacks: tips. It has driver, observed",
        ),
        (VIEW.replace("drivers.parquet", "gone.parquet"), "the source of the view 'drivers' cannot be read"),
    ],
)
def test_a_view_that_cannot_be_read_is_reported_with_its_path(
    store: LocalFeatureStore, text: str, message: str
) -> None:
    (folder_of(store) / "drivers.yaml").write_text(text)
    asked = pl.DataFrame({"driver": [1], "event_timestamp": [day(1)]})
    feature = "drivers:tips" if "tips" in text else "drivers:trips"
    with pytest.raises(UnreadableFileError) as caught:
        store.get_historical_features(asked, [feature])
    assert message in str(caught.value)
    assert str(folder_of(store)) in str(caught.value)


def test_a_file_that_is_no_parquet_is_reported(store: LocalFeatureStore) -> None:
    (folder_of(store) / "drivers.parquet").write_bytes(b"half a file")
    with pytest.raises(
        UnreadableFileError, match=r"drivers\.parquet: the source of the view 'drivers' cannot be read"
    ):
        store.get_online_features([{"driver": 1}], ["drivers:trips"])


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere' of the feature store 'f' does not exist"):
        LocalFeatureStore(name="f", path=str(tmp_path / "nowhere")).feature_views()
