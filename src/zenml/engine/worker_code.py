"""What a worker process needs of this one to execute the steps of a run: their code, wherever it is defined."""

from __future__ import annotations

import ast
import io
import os
import pickle
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from zenml.engine.code_archive import unpacked_code
from zenml.engine.worker_logging import Logging
from zenml.exceptions import StepInterfaceError, sentence
from zenml.jobs.tasks import packed_stack, unpacked_store
from zenml.materializers.classes import class_at
from zenml.materializers.pickling import Pickler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import Self

    from zenml.model.deployment import Deployment
    from zenml.steps import BaseStep


@dataclass(frozen=True)
class Program:
    """The main module, as far as it has come: a worker executes it again up to the statement that is being executed here.

    So whatever stands above the run is there, as it is here, and nothing runs twice that stands behind it, or under
    `if __name__ == "__main__":`. `line` is where that statement is; None where the whole file is executed.
    """

    module: str
    file: str
    source: str
    package: str | None
    imported_as: str | None
    line: int | None

    @classmethod
    def present(cls) -> Self | None:
        """That of this process; None where the main module is no file: a notebook, a console, a program from a pipe."""
        main = sys.modules["__main__"]
        path = Path(getattr(main, "__file__", None) or "")
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        spec: ModuleSpec | None = getattr(main, "__spec__", None)
        return cls(
            main.__name__,
            str(path.resolve()),
            source,
            getattr(main, "__package__", None),
            spec.name if spec else None,
            _present_line(main),
        )

    def statements(self) -> ast.Module:
        """Those that a worker executes."""
        tree = ast.parse(self.source, self.file)
        if self.line is not None:
            tree.body = [node for node in tree.body if (node.end_lineno or 0) < self.line]
        return tree

    def names(self) -> frozenset[str]:
        """What they may define."""
        return frozenset(
            node.id if isinstance(node, ast.Name) else node.name
            for node in ast.walk(self.statements())
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        )

    def execute(self, main: ModuleType) -> Exception | None:
        """Make `main` that module; gives the error that ended it, if any: what stands above may be all that is needed."""
        main.__file__, main.__package__ = self.file, self.package
        main.__spec__ = ModuleSpec(self.imported_as, None, origin=self.file) if self.imported_as else None
        sys.modules[self.module] = main
        try:
            exec(compile(self.statements(), self.file, "exec", dont_inherit=True), main.__dict__)  # noqa: S102
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a program raises
            return error if isinstance(error, Exception) else RuntimeError("it called exit()")
        return None


@dataclass(frozen=True)
class Sources:
    """Where the project's files are for a machine that does not have them: `root` is their folder here, `stack` opens the store."""

    root: str
    archive: str
    stack: str

    @classmethod
    def of(cls, deployment: Deployment) -> Self | None:
        """Those of the deployment; None where every machine has them."""
        if deployment.code_archive is None:
            return None
        return cls(deployment.source_root, deployment.code_archive, packed_stack(deployment.stack))

    def fetched(self) -> Path:
        """Their folder on this machine."""
        return unpacked_code(self.archive, unpacked_store([self.stack]))

    def path_there(self, path: Iterable[str], root: Path) -> list[str]:
        """The folders that modules are imported from, with `root` in place of the one here."""
        here = Path(self.root)
        return [
            str(root / Path(entry).relative_to(here)) if Path(entry).is_relative_to(here) else entry
            for entry in path
        ]


@dataclass(frozen=True)
class Code:
    """A run's deployment and steps, on their way to another process. `content` is a pickle; `program` is there if that needs it."""

    path: tuple[str, ...]
    arguments: tuple[str, ...]
    program: Program | None
    content: bytes
    sources: Sources | None = None

    @classmethod
    def of(cls, deployment: Deployment, steps: Mapping[str, BaseStep]) -> Self:
        """That of these steps.

        Raises:
            StepInterfaceError: one refers to something that no other process can have: an open connection, a lock.
        """
        program = Program.present()
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, program.names() if program else frozenset())
        try:
            arranged = Logging.present()
            if not pickler.takes(arranged):  # a formatter of the user's own kind
                arranged = replace(arranged, formatter=None)
            pickler.dump((deployment, dict(steps), pickler.definitions(), arranged))
        except Exception as error:
            name = next((name for name, step in steps.items() if not pickler.takes(step)), None)
            which = "the run" if name is None else f"the step '{name}'"
            raise StepInterfaceError(
                f"{which[0].upper()}{which[1:]} cannot be executed in a worker process: its code or its parameters cannot be sent there: "
                f"{sentence(error)} Make such objects inside of the step, or define the step at the top of a file."
            ) from error
        return cls(
            tuple(sys.path),
            tuple(sys.argv),
            program if pickler.needs_program else None,
            buffer.getvalue(),
            Sources.of(deployment),
        )

    def load(self) -> tuple[Deployment, dict[str, BaseStep]]:
        """The deployment and the steps, with this process made like the one that they come from.

        Raises:
            StepInterfaceError: the code cannot be imported here.
        """
        # Its own folders last: on another machine, the packages may lie elsewhere.
        root = self.sources.fetched() if self.sources else None
        path = self.path if self.sources is None or root is None else self.sources.path_there(self.path, root)
        sys.path[:] = dict.fromkeys([*path, *sys.path])
        sys.argv[:] = self.arguments
        # What is imported below may run a pipeline without `if __name__ == "__main__"`: it must not, again and again.
        os.environ["ZENML_PREVENT_PIPELINE_EXECUTION"] = "true"
        main = sys.modules["__main__"] = ModuleType(self.program.module if self.program else "__main__")
        ended = self.program.execute(main) if self.program else None
        try:
            deployment, steps, definitions, arranged = pickle.loads(self.content)  # noqa: S301  from the process that started this one
        except Exception as error:  # noqa: BLE001  whatever a module of the user's raises
            reason = (
                f"{self.program.file} ended with {ended!r}" if self.program and ended else sentence(error)
            )
            raise StepInterfaceError(
                f"The steps cannot be imported in a worker process: {sentence(reason)} Put what runs the pipeline, and what shall not run "
                "again in each worker, below `if __name__ == '__main__':`, behind all definitions."
            ) from (ended or error)
        for name, value in definitions.items():
            setattr(main, name, value)
        arranged.apply()
        return (deployment if root is None else replace(deployment, source_root=str(root))), steps


class _Pickler(Pickler):
    def __init__(self, file: io.BytesIO, names: frozenset[str]) -> None:
        super().__init__(file)
        self._names = names
        self.needs_program = False

    def reducer_override(self, obj: Any) -> Any:
        """As its class does, but functions that are defined inside of others keep the module that they are in."""
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented or not isinstance(obj, FunctionType) or reduced[0] is class_at:
            return reduced
        module = sys.modules.get(obj.__module__)
        if module is None or obj.__globals__ is not vars(module):
            return reduced
        is_main = module is sys.modules["__main__"] and bool(self._names)
        if not is_main and not _can_be_imported(module):
            return reduced
        self.needs_program = self.needs_program or is_main
        make, (code, _, *more), (attributes, slots), *setter = reduced
        own = {k: v for k, v in slots["__globals__"].items() if is_main and k not in self._names}
        names = _Names("__main__" if is_main else module.__name__)
        return make, (code, names, *more), (attributes, {**slots, "__globals__": own}), *setter

    def is_of_main(self, definition: Any) -> bool:
        """Whether a worker has it when it has executed the program."""
        found = super().is_of_main(definition) and definition.__qualname__.partition(".")[0] in self._names
        self.needs_program = self.needs_program or found
        return found

    def definitions(self) -> dict[str, Any]:
        """The classes of the main module that a worker does not get by executing the program: values may be of them."""
        main = sys.modules["__main__"]
        found = {
            name: value
            for name, value in vars(main).items()
            if isinstance(value, type) and value.__module__ == main.__name__ and name not in self._names
        }
        return {name: value for name, value in found.items() if self.takes(value)}

    def takes(self, value: Any) -> bool:
        """Whether it can be sent."""
        try:
            _Pickler(io.BytesIO(), self._names).dump(value)
        except Exception:  # noqa: BLE001  whatever an object of the user's raises
            return False
        return True


@dataclass(frozen=True)
class _Names:
    """Comes out of a pickle as the names that a module defines, there."""

    module: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _names_of, (self.module,)


def _names_of(module: str) -> dict[str, Any]:
    return vars(import_module(module))


def _can_be_imported(module: ModuleType) -> bool:
    parent, _, _ = module.__name__.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", ()) if parent else None
    found = PathFinder.find_spec(module.__name__, path)
    return (
        found is not None and found.origin is not None and found.origin == getattr(module, "__file__", None)
    )


def _present_line(main: ModuleType) -> int | None:
    """The line of the main module's own code that is being executed, in whatever thread."""
    for top in sys._current_frames().values():  # noqa: SLF001  documented, in spite of its name
        frame: FrameType | None = top
        while frame is not None:
            code = frame.f_code
            if (code.co_name, code.co_filename) == ("<module>", main.__file__) and frame.f_globals is vars(
                main
            ):
                return frame.f_lineno
            frame = frame.f_back
    return None
