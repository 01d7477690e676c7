"""What every materializer does: the same value, of the same type, from files that nobody can change unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.exceptions import ArtifactCorruptedError, ArtifactGoneError
from zenml.materializers.classes import class_at
from zenml.materializers.values import check_present, read_value, write_value
from zenml.testing.conformance.suite import Suite, needs

if TYPE_CHECKING:
    from zenml.materializers import BaseMaterializer
    from zenml.model.runs import ArtifactRecord


class MaterializerConformance(Suite):
    """The duties of `BaseMaterializer`, for each of the author's values.

        class TestSpectrum(MaterializerConformance):
            values = {"empty": lambda: Spectrum([]), "some": lambda: Spectrum([1, 2])}

    A flavor may leave out, by `cannot`: "containers", where the type is a built-in one, so that a list of such values is written
    without the materializer.
    """

    values: ClassVar[Mapping[str, Callable[[], Any]]] = {}
    """What makes each value, by a name for the value."""
    materializer: ClassVar[type[BaseMaterializer] | None] = None
    """The materializer; by default the one that is known for the value's type."""
    unsteady: ClassVar[Collection[str]] = ()
    """The names of those values that are not written alike each time, which keeps steps behind them from the cache."""

    def make(self, name: str) -> Any:
        """The value of that name."""
        return self.values[name]()

    def is_same(self, name: str, again: Any, value: Any) -> bool:
        """Whether what was read is what was written."""
        return bool(again == value)

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalArtifactStore:
        """Where the values are written."""
        return LocalArtifactStore(name="store", path=str(tmp_path / "store"))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each value."""
        if "value_name" in metafunc.fixturenames:
            values = metafunc.cls.values if metafunc.cls else {}
            metafunc.parametrize("value_name", list(values))

    def _written(self, name: str, store: LocalArtifactStore, output: str = "output") -> ArtifactRecord:
        return self._write(self.make(name), store, output)

    def _write(self, value: Any, store: LocalArtifactStore, output: str = "output") -> ArtifactRecord:
        chosen = (self.materializer,) if self.materializer else ()
        return write_value(output, value, f"{store.path}/runs/1/{output}", store, materializers=chosen)

    def test_there_are_values(self) -> None:
        assert self.values, f"{type(self).__name__} must set `values`: what makes each value, by name"

    def test_a_value_comes_back_as_it_was(self, store: LocalArtifactStore, value_name: str) -> None:
        value = self.make(value_name)
        record = self._write(value, store)

        again = read_value(record, store)

        assert type(again) is type(value)
        assert self.is_same(value_name, again, value)
        assert self.is_same(value_name, read_value(record, store, type(value)), value)
        assert check_present(record, store) is None
        assert record.size == sum(entry.size for entry in record.manifest)

    @needs("containers")
    def test_a_value_inside_of_a_container_comes_back_as_it_was(
        self, store: LocalArtifactStore, value_name: str
    ) -> None:
        value = self.make(value_name)

        again = read_value(write_value("output", [value, (value,)], f"{store.path}/o", store), store)

        assert type(again[0]) is type(again[1][0]) is type(value)
        assert self.is_same(value_name, again[0], value)
        assert self.is_same(value_name, again[1][0], value)

    def test_every_changed_bit_is_found(self, store: LocalArtifactStore, value_name: str) -> None:
        record = self._written(value_name, store)

        for entry in record.manifest:
            path = Path(record.uri, entry.path)
            content = path.read_bytes()
            for position in {0, len(content) // 2, len(content) - 1} if content else ():
                path.write_bytes(
                    content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
                )
                with pytest.raises(
                    ArtifactCorruptedError, match=rf"'output' is corrupted.*{entry.sha256}"
                ) as caught:
                    read_value(record, store)
                assert repr(entry.path) in str(caught.value)
            path.write_bytes(content)

        read_value(record, store)

    def test_every_missing_or_shortened_file_is_named(
        self, store: LocalArtifactStore, value_name: str
    ) -> None:
        record = self._written(value_name, store)

        for entry in record.manifest:
            path = Path(record.uri, entry.path)
            content = path.read_bytes()
            path.write_bytes(content + b"x")
            with pytest.raises(
                ArtifactCorruptedError, match=f"{entry.size} bytes were written, more are there"
            ):
                read_value(record, store)
            if content:
                path.write_bytes(content[:-1])
                with pytest.raises(
                    ArtifactCorruptedError,
                    match=f"{entry.size} bytes were written, {entry.size - 1} are there",
                ):
                    read_value(record, store)
                assert f"has {entry.size - 1} bytes instead of {entry.size}" in (
                    check_present(record, store) or ""
                )
            path.unlink()
            with pytest.raises(ArtifactGoneError, match="'output' is gone") as caught:
                read_value(record, store)
            assert repr(entry.path) in str(caught.value)
            assert f"'output' is gone: its file {entry.path!r} is missing" in (
                check_present(record, store) or ""
            )
            path.write_bytes(content)

    def test_a_pickle_is_named_as_such(self, store: LocalArtifactStore, value_name: str) -> None:
        record = self._written(value_name, store)

        pickles = [
            entry.path
            for entry in record.manifest
            if b"\x80\x05\x95" in Path(record.uri, entry.path).read_bytes()[:8]
        ]

        assert all("pickle" in path for path in pickles)
        assert class_at(record.materializer).PICKLES or not pickles

    def test_equal_values_give_equal_bytes(self, store: LocalArtifactStore, value_name: str) -> None:
        if value_name in self.unsteady:
            return
        first = self._written(value_name, store)
        second = self._written(value_name, store, "second")

        assert first.manifest == second.manifest
        assert first.digest == second.digest
