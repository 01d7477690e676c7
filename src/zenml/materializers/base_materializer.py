"""What a materializer is: it writes a value into files, and reads it back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from zenml.artifacts import BaseArtifact, DataArtifact
from zenml.exceptions import MaterializerInterfaceError


class Definitions:
    """The materializers that were defined in this process, by the types that they handle; the last one for a type counts."""

    def __init__(self) -> None:
        self.materializers: dict[type[Any], type[BaseMaterializer]] = {}
        self.listeners: list[Callable[[], None]] = []

    def add(self, materializer: type[BaseMaterializer]) -> None:
        """Make a materializer known, except those of the framework: a table names them."""
        if not materializer.__module__.startswith("zenml."):
            self.materializers.update(dict.fromkeys(materializer.ASSOCIATED_TYPES, materializer))
            for listener in self.listeners:
                listener()


defined = Definitions()


class BaseMaterializer:
    """Reads and writes values of `ASSOCIATED_TYPES` as files below `self.artifact.uri`, with `zenml.io.fileio`.

    The folder exists when `handle_return` is called; it is this attempt's own, and nobody sees its files before the
    step has ended. What it writes
    must depend on the value alone: equal values, equal bytes. When `handle_input` is called, the files are verified
    to be those that were written. Defining a subclass makes it known for its types (not for built-in ones, which keep theirs:
    choose it there by `step.with_return_materializers`). The smallest one:

        class MyMaterializer(BaseMaterializer):
            ASSOCIATED_TYPES = (My,)
            def handle_input(self, data_type):
                super().handle_input(data_type)
                with fileio.open(os.path.join(self.artifact.uri, "my.txt")) as file:
                    return My(file.read())
            def handle_return(self, data):
                super().handle_return(data)
                with fileio.open(os.path.join(self.artifact.uri, "my.txt"), "w") as file:
                    file.write(data.text)
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = ()
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (DataArtifact,)
    PICKLES: ClassVar[bool] = False
    """Whether reading executes code that the files hold (pickle and its like)."""

    def __init__(self, artifact: BaseArtifact) -> None:
        self.artifact = artifact

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.ASSOCIATED_TYPES or not all(inspect.isclass(t) for t in cls.ASSOCIATED_TYPES):
            raise MaterializerInterfaceError(
                f"The materializer {cls.__name__!r} must name the classes that it handles, "
                f"ASSOCIATED_TYPES = (MyClass,); it has {cls.ASSOCIATED_TYPES!r}."
            )
        artifact_types: tuple[object, ...] = cls.ASSOCIATED_ARTIFACT_TYPES
        if not all(isinstance(t, type) and issubclass(t, BaseArtifact) for t in artifact_types):
            raise MaterializerInterfaceError(
                f"ASSOCIATED_ARTIFACT_TYPES of the materializer {cls.__name__!r} must be classes of zenml.artifacts; "
                f"they are {cls.ASSOCIATED_ARTIFACT_TYPES!r}."
            )
        defined.add(cls)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the value. `data_type` is the type that the reader asks for, or the recorded one.

        Raises:
            TypeError: this materializer does not handle that type.
        """
        if not any(issubclass(data_type, known) for known in self.ASSOCIATED_TYPES):
            raise TypeError(f"{type(self).__name__} reads {self._known()}, not {data_type.__qualname__}.")

    def handle_return(self, data: Any) -> None:
        """Write the value.

        Raises:
            TypeError: this materializer does not handle the value's type.
        """
        if not isinstance(data, self.ASSOCIATED_TYPES):
            raise TypeError(f"{type(self).__name__} writes {self._known()}, not {type(data).__qualname__}.")

    @classmethod
    def _known(cls) -> str:
        return ", ".join(t.__qualname__ for t in cls.ASSOCIATED_TYPES)
