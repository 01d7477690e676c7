"""The feature store that is a folder: views declared in YAML over Parquet files, joined by Polars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    MissingPackageError,
    StoreError,
    UnreadableFileError,
    nearest,
)
from zenml.feature_stores.base_feature_store import BaseFeatureStore
from zenml.model.names import check_name
from zenml.storage import yaml

if TYPE_CHECKING:
    from polars import DataFrame

EVENT_TIME = "event_timestamp"
"""The column of an entity frame that says when."""

_ROW = "__row"
_TIME = "__time"


class FeatureView(BaseModel):
    """Features of an entity in a Parquet file, as a view's YAML file declares them.

    `source` is relative to the store's folder, and may be a pattern of several files. `entities` are the columns that together name an
    entity, `timestamp` the one that says from when on the features of a row are known. A value older than `ttl` is not given: seconds,
    or text in ISO 8601 ("P30D").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    entities: tuple[str, ...] = Field(min_length=1)
    timestamp: str
    features: tuple[str, ...] = Field(min_length=1)
    ttl: timedelta | None = Field(default=None, gt=timedelta(0))
    description: str = ""


class LocalFeatureStore(BaseFeatureStore):
    """Feature views over Parquet files in a folder of this machine.

    Each file `<view>.yaml` in `path` declares a `FeatureView`:

        source: drivers.parquet
        entities: [driver]
        timestamp: observed
        features: [rating, trips]
        ttl: P30D

    Times without a zone are UTC. Times count to the microsecond: of finer ones, an asked one is rounded down and a known one up. Of
    several rows of an entity with the same time, the last in the file is taken. A value at exactly the asked time is known, one exactly
    `ttl` old is still given. A feature of an entity that nothing is known of is null.
    """

    FLAVOR: ClassVar[str] = "local"

    path: str

    @property
    def local_path(self) -> str:
        """The folder."""
        return str(Path(self.path).expanduser().absolute())

    def get_historical_features(
        self, entity_df: Any, features: list[str], full_feature_names: bool = False
    ) -> Any:
        """The rows of `entity_df`, in their order, with the features as they were known at its column `event_timestamp`.

        `entity_df` is a DataFrame of pandas or Polars, and so is the result; further columns and pandas' index are kept.

        Raises:
            TypeError: `entity_df` is no such frame.
            DoesNotExistException: a view or a feature is not known.
            ConfigurationError: two columns would have the same name; a column is missing, or of a type that cannot be compared.
            UnreadableFileError: a view's file or its source cannot be read.
        """
        pl = _polars()
        of_polars = isinstance(entity_df, pl.DataFrame)
        given = list((entity_df if of_polars else _checked_pandas(entity_df)).columns)
        selected = self._select(features, full_feature_names, taken=given)
        if EVENT_TIME not in given:
            raise ConfigurationError(
                f"The entity frame has no column '{EVENT_TIME}', which says at what time the features are wanted."
            )
        frame = entity_df
        if not of_polars:
            keys = {key for view, _ in selected for key in view.entities if key in given}
            frame = pl.from_pandas(entity_df[[EVENT_TIME, *sorted(keys)]])
        asked = frame.with_columns(
            _utc(pl, frame, EVENT_TIME, "the entity frame").alias(_TIME)
        ).with_row_index(_ROW)
        joined = asked
        for view, columns in selected:
            known = self._known(view, columns)
            joined = joined.join(self._as_of(view, asked, known, list(columns.values())), on=_ROW, how="left")
        result = joined.sort(_ROW).drop(_ROW, _TIME)
        if of_polars:
            return result
        names = [name for _, columns in selected for name in columns.values()]
        found = result.select(names).to_pandas()
        found.index = entity_df.index
        return entity_df.assign(**{name: found[name] for name in names})

    def get_online_features(
        self, entity_rows: list[dict[str, Any]], features: list[str], full_feature_names: bool = False
    ) -> dict[str, list[Any]]:
        """The latest values of each entity, by column; what is dated in the future or older than its ttl is left out.

        Raises:
            DoesNotExistException: a view or a feature is not known.
            ConfigurationError: two columns would have the same name, or a row lacks a key.
            UnreadableFileError: a view's file or its source cannot be read.
        """
        pl = _polars()
        views = [view for view, _ in self._select(features, full_feature_names, taken=())]
        keys = list(dict.fromkeys(key for view in views for key in view.entities))
        for number, row in enumerate(entity_rows):
            if missing := [key for key in keys if key not in row]:
                raise ConfigurationError(
                    f"The entity row {number} has no {' and no '.join(repr(key) for key in missing)}: it names {sorted(row)}."
                )
        now = datetime.now(_utc_zone())
        rows = pl.DataFrame(
            {
                **{key: [row[key] for row in entity_rows] for key in keys},
                EVENT_TIME: pl.Series([now] * len(entity_rows), dtype=pl.Datetime("us", "UTC")),
            }
        )
        found = self.get_historical_features(rows, features, full_feature_names).drop(EVENT_TIME)
        return cast("dict[str, list[Any]]", found.to_dict(as_series=False))

    def feature_views(self) -> list[FeatureView]:
        """All views, by name. Raises UnreadableFileError, which names the file and all that is wrong with it."""
        folder = Path(self.local_path)
        if not folder.is_dir():
            raise StoreError(
                f"The folder {str(folder)!r} of the feature store '{self.name}' does not exist: make it, and declare views in it."
            )
        return [_read_view(file) for file in sorted(folder.glob("*.yaml"))]

    def feature_view(self, name: str) -> FeatureView:
        """The view of that name. Raises DoesNotExistException, which names the nearest one."""
        views = {view.name: view for view in self.feature_views()}
        if name not in views:
            raise DoesNotExistException(
                f"The feature store '{self.name}' has no view '{name}'.{nearest(name, views)} "
                f"Views are declared in {self.local_path}/<view>.yaml."
            )
        return views[name]

    def _select(
        self, features: list[str], full: bool, taken: Iterable[str]
    ) -> list[tuple[FeatureView, dict[str, str]]]:
        """The views that are asked for, each with the columns of its features: in the source, in the result."""
        selected: dict[str, tuple[FeatureView, dict[str, str]]] = {}
        names = set(taken)
        for feature in features:
            view_name, separator, column = feature.partition(":")
            if not separator:
                raise ConfigurationError(f"{feature!r} names no feature: expected 'view:feature'.")
            if view_name not in selected:
                selected[view_name] = (self.feature_view(view_name), {})
                names.update(selected[view_name][0].entities)
            view, columns = selected[view_name]
            if column not in view.features:
                raise DoesNotExistException(
                    f"The view '{view_name}' has no feature '{column}'.{nearest(column, view.features)}"
                )
            name = f"{view_name}__{column}" if full else column
            if name in names:
                hint = "" if full else " Ask with full_feature_names=True, which names them 'view__feature'."
                raise ConfigurationError(f"Two columns of the result would be named '{name}'.{hint}")
            names.add(name)
            columns[column] = name
        return list(selected.values())

    def _known(self, view: FeatureView, columns: dict[str, str]) -> DataFrame:
        """What a view knows: entities, time, features under the names of the result; sorted by time, the last of equal rows alone."""
        pl = _polars()
        source = Path(self.local_path) / view.source
        wanted = [*view.entities, view.timestamp, *columns]
        try:
            frame = pl.scan_parquet(source)
            present = frame.collect_schema().names()
            if missing := [name for name in wanted if name not in present]:
                raise UnreadableFileError(
                    f"{source}: the view '{view.name}' declares columns that the file lacks: {', '.join(missing)}. "
                    f"It has {', '.join(present)}."
                )
            found = frame.select(list(dict.fromkeys(wanted))).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableFileError(
                f"{source}: the source of the view '{view.name}' cannot be read: {reason}"
            ) from None
        where = f"the view '{view.name}'"
        known: DataFrame = (
            found.select(
                *view.entities,
                _utc(pl, found, view.timestamp, where).alias(_TIME),
                *(pl.col(column).alias(name) for column, name in columns.items()),
            )
            .drop_nulls([*view.entities, _TIME])
            .unique([*view.entities, _TIME], keep="last", maintain_order=True)
            .sort(_TIME, maintain_order=True)
        )
        return known

    def _as_of(self, view: FeatureView, asked: DataFrame, known: DataFrame, names: list[str]) -> DataFrame:
        pl = _polars()
        keys = list(view.entities)
        if missing := [key for key in keys if key not in asked.columns]:
            raise ConfigurationError(
                f"The view '{view.name}' needs the entity {', '.join(map(repr, missing))}, which the entity frame has no column for."
            )
        wanted = asked.select(_ROW, _TIME, *keys).drop_nulls([_TIME, *keys]).sort(_TIME)
        try:
            # Keys of different types are compared as the type that holds both.
            empty = [frame.select(keys).clear() for frame in (wanted, known)]
            common = pl.concat(empty, how="vertical_relaxed").schema
            joined = wanted.cast(common).join_asof(
                known.cast(common),
                on=_TIME,
                by=keys,
                strategy="backward",
                tolerance=view.ttl,
                check_sortedness=False,
            )
        except pl.exceptions.PolarsError as error:
            types = ", ".join(f"{key}: {wanted[key].dtype} and {known[key].dtype}" for key in keys)
            raise ConfigurationError(
                f"The entities of the view '{view.name}' cannot be compared with those that are asked for ({types}): {error}"
            ) from None
        found: DataFrame = joined.select(_ROW, *names)
        return found


def _read_view(file: Path) -> FeatureView:
    try:
        data = yaml.load(file.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{file}: the feature view cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise UnreadableFileError(
            f"{file}: a feature view is a mapping with source, entities, timestamp and features."
        )
    try:
        view = FeatureView(**{"name": file.stem, **data})
    except ValidationError as error:
        mistakes = "".join(
            f"\n  {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise UnreadableFileError(f"{file}: this is no feature view:{mistakes}") from None
    if check_name(view.name, "feature view") != file.stem or ":" in view.name:
        raise UnreadableFileError(
            f"{file}: the view is named '{view.name}', but its file must be <name>.yaml, without a colon."
        )
    return view


def _utc(pl: Any, frame: Any, column: str, where: str) -> Any:
    """The expression of a time column in UTC, in microseconds."""
    dtype = frame.schema[column]
    expression = pl.col(column)
    if isinstance(dtype, pl.Date):
        return expression.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if not isinstance(dtype, pl.Datetime):
        raise ConfigurationError(f"The column '{column}' of {where} holds {dtype}; expected dates or times.")
    if dtype.time_zone is None:
        expression = expression.dt.replace_time_zone("UTC")
    if dtype.time_unit == "ns" and where.startswith("the view"):
        # Rounded up, for nothing may be known before its time.
        expression = expression + pl.duration(nanoseconds=999)
    return expression.dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def _utc_zone() -> Any:
    from datetime import timezone

    return timezone.utc


def _checked_pandas(frame: Any) -> Any:
    if not any(c.__name__ == "DataFrame" and c.__module__.startswith("pandas.") for c in type(frame).__mro__):
        raise TypeError(f"Entities are a DataFrame of pandas or Polars, not a {type(frame).__qualname__}.")
    return frame


def _polars() -> Any:
    try:
        import polars as pl  # optional, and slow to import
    except ImportError as error:
        raise MissingPackageError(
            "The feature store of flavor 'local' needs Polars: `pip install 'polars>=1.30' 'pyarrow>=17'`."
        ) from error
    return pl
