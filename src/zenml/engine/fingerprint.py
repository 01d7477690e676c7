"""Fingerprints of code: of a step's own source, and of all of the user's project that it reaches.

From the syntax tree of a function or class, every name that it uses is looked up where Python would look, and what is found there is
followed: functions with what wraps them, their defaults and the variables that they close over; classes with their bases; constants;
modules. "The project" is every module outside of the standard library, the installed packages and this framework. Comments, formatting
and docstrings do not count, nor do the decorators of the step itself. A constant counts by its value where it is plain data, else by the
source of its assignment.

What is loaded counts as it is loaded, functions that were replaced included: where the text of a file does not belong to a function (it
was generated, or the file has been edited since), its bytecode counts. What is not loaded yet, because a function imports it in its body,
is read without importing it.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import hashlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import resolve_name
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import psutil

from zenml.engine.sources import Imported, NamePath, Source, Uses, code_text, source_at
from zenml.materializers.classes import main_name

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_SLACK = 2.0
_DEPTH = 100
_root: ContextVar[Path | None] = ContextVar("zenml_source_root", default=None)


def code_of(*objects: Any) -> dict[str, str]:
    """The digests of the code of a step's function or class, of further ones that belong to it, and of all that they reach.

    By names that say what each is: "step main.train", "function features.clean", "class models.Model", "constant features.RATE",
    "module plugins", "bytecode features.generated".
    """
    return Fingerprints().code_of(*objects)


class Fingerprints:
    """Fingerprints of many steps at one moment: what several reach is looked at once."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` is the source root: the main module is named relative to it."""
        self._root = root
        self._known: dict[Any, tuple[_Piece, ...]] = {}
        self._kept: list[Any] = []  # so that no other object gets the identity of one that is known
        self._sources: dict[str, Source | None] = {}

    def code_of(self, step: Any, *others: Any) -> dict[str, str]:
        """The same as the function `code_of`."""
        token = _root.set(self._root)
        try:
            return self._code_of(step, others)
        finally:
            _root.reset(token)

    def _code_of(self, step: Any, others: Iterable[Any]) -> dict[str, str]:
        queue = self._roots(step, is_step=True)
        own = inspect.unwrap(step)
        for other in others:
            queue += self._roots(other)
        found: dict[str, set[str]] = {}
        seen: set[_Piece] = set()
        while queue:
            piece = queue.pop()
            if piece in seen:
                continue
            seen.add(piece)
            found.setdefault(piece.name, set()).add(piece.digest)
            for target in piece.reaches:
                if not isinstance(target, _Found) or target.thing is not own:
                    queue += self._at(target)
        # Two functions may have one name: those that one function makes, for instance.
        return {
            name: min(digests) if len(digests) == 1 else _digest(" ".join(sorted(digests)))
            for name, digests in sorted(found.items())
        }

    @property
    def imported(self) -> set[str]:
        """The packages that the sources which were read import, those of the project included, by the first part of their names."""
        return {name for source in self._sources.values() if source is not None for name in source.packages}

    def _source(self, file: str | None) -> Source | None:
        if file is None:
            return None
        if file not in self._sources:
            self._sources[file] = source_at(file)
        return self._sources[file]

    def _roots(self, thing: Any, *, is_step: bool = False) -> list[_Piece]:
        if not isinstance(thing, FunctionType):
            return list(self._class(thing, "step" if is_step else "class", decorated=not is_step))
        pieces = []
        while isinstance(inner := getattr(thing, "__wrapped__", None), FunctionType):
            if is_project(thing.__globals__.get("__name__", "")):
                pieces.append(self._function(thing))
            thing = inner
        return [*pieces, self._function(thing, "step" if is_step else "function", decorated=not is_step)]

    def _at(self, target: _Target) -> tuple[_Piece, ...]:
        key = (id(target.thing), target.module, target.name) if isinstance(target, _Found) else target
        if key not in self._known:
            self._kept.append(target)
            self._known[key] = ()  # while it is looked at
            self._known[key] = tuple(
                self._loaded(target) if isinstance(target, _Found) else self._unloaded(target)
            )
        return self._known[key]

    # What is loaded

    def _loaded(self, target: _Found) -> Iterator[_Piece]:
        thing, module, name = target
        if isinstance(thing, ModuleType):
            yield from self._unloaded(_Named(thing.__name__, ()))
        elif isinstance(thing, type):
            if is_project(thing.__module__):
                yield from self._class(thing)
        elif isinstance(thing, FunctionType):
            yield from self._callable(target)
        elif isinstance(thing, MethodType):
            yield from self._at(_Found(thing.__func__, module, name))
            yield from self._at(_Found(type(thing.__self__), module, name))
        elif isinstance(thing, BuiltinFunctionType):
            if thing.__module__ and is_project(thing.__module__):
                yield from self._unloaded(_Named(thing.__module__, ()))
        elif (inner := _inner(thing)) is not None:
            yield from self._at(_Found(inner, module, name))
            yield from self._at(_Found(type(thing), "", ""))
        elif module and is_project(module):
            yield from self._constant(target)

    def _callable(self, target: _Found) -> Iterator[_Piece]:
        thing = target.thing
        inner = _inner(thing)
        if inner is not None:
            yield from self._at(_Found(inner, target.module, target.name))
        for one in getattr(thing, "registry", {}).values() if _is_dispatching(thing) else ():
            yield from self._at(_Found(one, target.module, target.name))
        if is_project(thing.__globals__.get("__name__", "")):
            yield self._function(thing)
        elif inner is None and target.module and is_project(target.module):
            # A decorator of a package has put something of its own in the function's place.
            yield from self._written(target.module, target.name)

    def _function(self, function: FunctionType, kind: str = "function", *, decorated: bool = True) -> _Piece:
        code = function.__code__
        module = function.__globals__.get("__name__", "")
        source = self._source(code.co_filename)
        node = source.function(code, is_current=source.changed < _started() - _SLACK) if source else None
        where = _Place(module, function.__globals__, _cells(function))
        reaches = [
            _Found(value, module, f"{function.__qualname__}.{name}")
            for name, value in _defaults(function, node)
        ]
        if source is None or node is None:
            name = f"{_module_name(module)}.{function.__qualname__}"
            # The text of a docstring stands first.
            documented = isinstance(function.__doc__, str) and code.co_consts[:1] == (function.__doc__,)
            code = code.replace(co_consts=(None, *code.co_consts[1:])) if documented else code
            kind = kind if kind == "step" else "bytecode"
            return _Piece(
                f"{kind} {name}",
                _digest(code_text(code)),
                (*reaches, *self._follow(_uses_of(code), where, name)),
            )
        name = f"{_module_name(module)}.{source.qualname(node)}"
        uses = source.uses(node, decorated=decorated)
        digest = source.digest(node, decorated=decorated)
        return _Piece(f"{kind} {name}", digest, (*reaches, *self._follow(uses, where, name)))

    def _class(self, class_: type[Any], kind: str = "class", *, decorated: bool = True) -> Iterator[_Piece]:
        module = class_.__module__
        functions = [f for value in vars(class_).values() for f in _functions(value)]
        name = f"{_module_name(module)}.{class_.__qualname__}"
        bases = tuple(_Found(base, base.__module__, base.__qualname__) for base in class_.__bases__)
        source, node = self._class_node(class_, functions)
        if source is None or node is None:
            # Made by a call, as steps are by their decorator: it is what was put into it.
            values = {k: _text(v) for k, v in vars(class_).items() if not k.startswith("__")}
            digest = _digest(repr(sorted((k, v) for k, v in values.items() if v is not None)))
            found = tuple(_Found(f, module, f.__name__) for f in functions)
            yield _Piece(f"{kind} {name}", digest, (*bases, *found))
            return
        written = [f for f in functions if _stands_in(f, source, node)]
        put_in = tuple(
            _Found(f, module, f.__name__)
            for f in functions
            if f not in written
            and is_project(f.__globals__.get("__name__", ""))
            and Path(f.__code__.co_filename).is_absolute()
        )
        is_current = source.changed < _started() - _SLACK
        space = vars(sys.modules[module]) if module in sys.modules else {}
        cells = {k: v for f in functions for k, v in _cells(f).items()}
        if all(source.function(f.__code__, is_current=is_current) for f in written):
            digest = source.digest(node, decorated=decorated)
            if replaced := _replaced(class_, node):
                digest = _digest(f"{digest} {replaced}")
            reaches = self._follow(source.uses(node, decorated=decorated), _Place(module, space, cells), name)
            yield _Piece(f"{kind} {name}", digest, (*bases, *put_in, *reaches))
        else:  # the file has been edited since
            digest = _digest("".join(f"{f.__qualname__} {code_text(f.__code__)}" for f in written))
            found = tuple(_Found(f, module, f.__name__) for f in written)
            yield _Piece(f"{kind} {name}", digest, (*bases, *put_in, *found))

    def _constant(self, target: _Found) -> Iterator[_Piece]:
        thing, module, name = target
        module, name = self._origin(thing, module, name)
        reaches: list[Any] = []
        text = _text(thing, reaches)
        found = tuple(_Found(one, module, "") for one in reaches)
        if text is not None:
            yield _Piece(f"constant {_module_name(module)}.{name}", _digest(text), found)
        else:
            for one in found:
                yield from self._at(one)
            yield from self._at(_Found(type(thing), "", ""))
            yield from self._written(module, name)

    def _class_node(
        self, class_: type[Any], functions: Iterable[FunctionType]
    ) -> tuple[Source | None, ast.ClassDef | None]:
        # By its functions where there is no module's file: in a notebook, the class stands in a cell.
        files = [_file(class_.__module__), *(f.__code__.co_filename for f in functions)]
        for file in dict.fromkeys(files):
            source = self._source(file)
            nodes = source.classes(class_.__qualname__) if source else []
            fitting = [node for node in nodes if any(_stands_in(f, source, node) for f in functions)]
            if nodes:
                return source, (fitting or nodes)[-1]
        return None, None

    def _origin(self, thing: Any, module: str, name: str) -> tuple[str, str]:
        """Where a constant was defined, before it was imported from there."""
        seen = set()
        while (module, name) not in seen:
            seen.add((module, name))
            source = self._source(_file(module))
            imported = source.imports.get(name) if source else None
            if imported is None or imported.name is None:
                break
            try:
                origin = sys.modules.get(resolve_name(imported.module, _package(module)))
            except ImportError:
                break
            if origin is None or vars(origin).get(imported.name, seen) is not thing:
                break
            module, name = origin.__name__, imported.name
        return module, name

    def _follow(self, uses: Uses, where: _Place, owner: str) -> Iterator[_Target]:
        """What these names lead to, each as far as modules and classes go."""
        for path in uses.variables:
            if path[0] in where.cells:
                value = where.cells[path[0]]
                if isinstance(value, (ModuleType, type, FunctionType)):
                    yield from _walk(value, path[1:], where.module, path[0])
                else:
                    yield _Found(
                        value,
                        where.module,
                        f"{owner.removeprefix(_module_name(where.module) + '.')}.{path[0]}",
                    )
        for path in uses.globals:
            if path[0] in where.names and not (path in uses.variables and path[0] in where.cells):
                yield from _walk(where.names[path[0]], path[1:], where.module, path[0])
        for imported, rest in uses.imported:
            yield from _imported(imported, rest, where.names.get("__package__") or "")

    # What is written in a file, whether it is loaded or not

    def _unloaded(self, target: _Named) -> Iterator[_Piece]:
        """What `names` lead to in a module. Of no names: all of it."""
        module, names = target
        if not is_project(module):
            return
        if names and module in sys.modules and names[0] in vars(sys.modules[module]):
            for found in _walk(vars(sys.modules[module])[names[0]], names[1:], module, names[0]):
                yield from self._at(found)
        elif names:
            yield from self._written(module, *names)
        else:
            yield from self._whole(module)

    def _whole(self, module: str) -> Iterator[_Piece]:
        file = _file(module)
        if file is None:
            return
        source = self._source(file)
        name = f"module {_module_name(module)}"
        if source is not None:
            yield _Piece(
                name,
                source.digest(source.tree),
                tuple(self._static(source, source.uses(source.tree), module)),
            )
        elif Path(file).is_file():  # compiled, by another language
            yield _Piece(name, hashlib.sha256(Path(file).read_bytes()).hexdigest())

    def _written(self, module: str, name: str, *rest: str) -> Iterator[_Piece]:
        """What the module's text says of a name."""
        source = self._source(_file(module))
        label = f"{_module_name(module)}.{name}"
        if source is not None and (node := source.definitions.get(name)) is not None:
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield _Piece(
                f"{kind} {label}", source.digest(node), tuple(self._static(source, source.uses(node), module))
            )
        elif source is not None and (statements := source.assignments.get(name)):
            digest = _literal(statements) or _digest(" ".join(source.digest(one) for one in statements))
            found = [t for one in statements for t in self._static(source, source.uses(one), module)]
            yield _Piece(f"constant {label}", digest, tuple(found))
        elif source is not None and name in source.imports:
            for target in _imported(source.imports[name], rest, _package(module)):
                yield from self._at(target)
        elif _file(f"{module}.{name}") is not None:
            yield from self._at(_Named(f"{module}.{name}", rest))
        elif source is not None:
            for star in source.stars:
                for target in _imported(Imported(star, name), rest, _package(module)):
                    yield from self._at(target)

    def _static(self, source: Source, uses: Uses, module: str) -> Iterator[_Target]:
        known = {*source.definitions, *source.assignments, *source.imports}
        for path in uses.globals:
            if path[0] in known or source.stars:
                yield _Named(module, path)
        for imported, rest in uses.imported:
            yield from _imported(imported, rest, _package(module))


class _Found(NamedTuple):
    """An object, and the name of the module where it was found."""

    thing: Any
    module: str
    name: str


class _Named(NamedTuple):
    """A name, with attributes, of a module that need not be loaded."""

    module: str
    names: NamePath


_Target = _Found | _Named


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Piece:
    """A piece of code, and what it reaches from there."""

    name: str
    digest: str
    reaches: Sequence[_Target] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a piece of code stands: the names of its module, and the variables of the function around it."""

    module: str
    names: Mapping[str, Any]
    cells: Mapping[str, Any]


def _walk(thing: Any, rest: NamePath, module: str, name: str) -> Iterator[_Target]:
    """Along the attributes of modules; what is no module ends the way."""
    for position, attribute in enumerate(rest):
        if not isinstance(thing, ModuleType):
            break
        module, name = thing.__name__, attribute
        if attribute in vars(thing):
            thing = vars(thing)[attribute]
        else:
            if "__getattr__" in vars(thing):
                yield _Found(vars(thing)["__getattr__"], module, "__getattr__")
            yield _Named(module, rest[position:])
            return
    yield _Found(thing, module, name)


def _imported(imported: Imported, rest: NamePath, package: str) -> Iterator[_Target]:
    try:
        module = resolve_name(imported.module, package)
    except ImportError:  # beyond the top: importing it will fail, too
        return
    yield _Named(module, rest if imported.name is None else (imported.name, *rest))


# Objects


def _inner(thing: Any) -> Any:
    """What a decorator has wrapped."""
    for attribute in ("__wrapped__", "py_func"):
        inner = inspect.getattr_static(thing, attribute, None)
        if isinstance(inner, FunctionType):
            return inner
        if callable(inner) and not isinstance(inner, type) and callable(thing):
            return inner
    return None


def _is_dispatching(function: FunctionType) -> bool:
    return isinstance(getattr(function, "registry", None), Mapping) and hasattr(function, "dispatch")


def _functions(value: Any) -> Iterator[FunctionType]:
    """The functions of a class's attribute."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    parts = (value.fget, value.fset, value.fdel) if isinstance(value, property) else (value,)
    for part in parts:
        inner = part.func if isinstance(part, functools.cached_property) else part
        inner = inspect.unwrap(inner) if callable(inner) and not isinstance(inner, type) else inner
        if isinstance(inner, FunctionType):
            yield inner


def _cells(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return found


def _defaults(function: FunctionType, node: ast.AST | None) -> Iterator[tuple[str, Any]]:
    """The defaults of arguments that its text alone does not tell."""
    said: dict[str, ast.expr | None] = {}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        every = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        said.update(zip(reversed(every), reversed(node.args.defaults), strict=False))
        said.update(zip((a.arg for a in node.args.kwonlyargs), node.args.kw_defaults, strict=True))
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    values = dict(zip(reversed(positional), reversed(function.__defaults__ or ()), strict=False))
    for name, value in (values | (function.__kwdefaults__ or {})).items():
        text = said.get(name)
        if not isinstance(text, ast.Constant) or repr(text.value) != repr(value):
            yield name, value


def _stands_in(function: FunctionType, source: Source | None, node: ast.ClassDef) -> bool:
    code = function.__code__
    return (
        source is not None
        and code.co_filename == source.file
        and node.lineno <= code.co_firstlineno <= (node.end_lineno or 0)
    )


def _replaced(class_: type[Any], node: ast.ClassDef) -> dict[str, str]:
    """Plain attributes that are not what the text of the class says."""
    said: dict[str, Any] = {}
    for statement in node.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Constant):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            said |= {t.id: statement.value.value for t in targets if isinstance(t, ast.Name)}
    return {
        name: repr(value)
        for name, value in vars(class_).items()
        if name in said
        and isinstance(value, (bool, int, float, str, bytes))
        and repr(said[name]) != repr(value)
    }


def _uses_of(code: CodeType) -> Uses:
    """What a function without source may use: every name in it, with every other as its attribute."""
    names: dict[str, None] = {}
    queue = [code]
    while queue:
        present = queue.pop()
        names |= dict.fromkeys((*present.co_names, *present.co_freevars))
        queue += [constant for constant in present.co_consts if isinstance(constant, CodeType)]
    paths = tuple((one,) for one in names)
    return Uses(tuple((one, other) for one in names for other in names) or paths, paths, ())


# Values


_WRITTEN_IN_FULL = frozenset({bool, int, float, complex, str, bytes, range, type(None), type(...)})
_VALUE_MODULES = ("datetime", "decimal", "fractions", "uuid", "ipaddress")


def _text(value: Any, reaches: list[Any] | None = None, depth: int = 0) -> str | None:
    """The text of a value that is plain data, the same in every process; None for anything else.

    Functions and classes in it are named, and added to `reaches`.
    """
    kind = type(value)
    if kind in _WRITTEN_IN_FULL or kind.__module__ in _VALUE_MODULES:
        return repr(value)
    if isinstance(value, (FunctionType, BuiltinFunctionType, type)):
        if reaches is not None:
            reaches.append(value)
        return f"{_module_name(value.__module__ or '')}.{value.__qualname__}"
    parts = _parts(value) if depth < _DEPTH else None
    if parts is None:
        return None
    texts = [_text(part, reaches, depth + 1) for part in parts]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        return None
    if kind in (set, frozenset):
        known.sort()
    return f"{kind.__module__}.{kind.__qualname__}({', '.join(known)})"


def _parts(value: Any) -> Iterable[Any] | None:
    """What a value consists of, if that is all of it."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return tuple(value)
    if kind is dict:
        return [part for item in value.items() for part in item]
    if kind is functools.partial:
        return value.func, value.args, value.keywords
    if isinstance(value, enum.Enum):
        return kind, value.name
    if dataclasses.is_dataclass(value):
        return kind, *(getattr(value, field.name, None) for field in dataclasses.fields(value))
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return kind, *value
    return None


def _literal(statements: Sequence[ast.stmt]) -> str | None:
    """The digest of the value of a literal, as it is when it is loaded."""
    statement = statements[0]
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    if (
        value is None
        or len(statements) > 1
        or (isinstance(statement, ast.Assign) and not isinstance(statement.targets[0], ast.Name))
    ):
        return None
    try:
        text = _text(ast.literal_eval(value))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return None if text is None else _digest(text)


# Modules


def is_project(module: str) -> bool:
    """Whether a module is of the user's project, loaded or not."""
    if not module or module == "zenml" or module.startswith("zenml."):
        return False
    loaded = sys.modules.get(module)
    if loaded is not None and getattr(loaded, "__file__", None) is None and not hasattr(loaded, "__path__"):
        return getattr(loaded, "__spec__", None) is None  # a notebook, a console; not what is built in
    file = _file(module)
    return file is not None and _is_project_file(file)


@lru_cache(maxsize=4096)
def _is_project_file(file: str) -> bool:
    path = os.path.realpath(file)
    return not path.startswith(_installed())


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return tuple(f"{os.path.realpath(folder)}{os.sep}" for folder in (*sorted(folders), _PACKAGE) if folder)


def _file(module: str) -> str | None:
    """The file of a module, or the folder of a package without one; found without importing anything."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        return file or next(iter(getattr(loaded, "__path__", ())), None)
    spec = _spec(module)
    if spec is None:
        return None
    return spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), None)


def _spec(module: str) -> ModuleSpec | None:
    parent = module.rpartition(".")[0]
    path: Any = None
    if parent in sys.modules:
        path = getattr(sys.modules[parent], "__path__", None)
    elif parent:
        found = _spec(parent)
        path = found.submodule_search_locations if found else None
    if parent and path is None:
        return None
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(module, path)
        except (AttributeError, ImportError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


def _package(module: str) -> str:
    """The package that relative imports in a module begin at."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return getattr(loaded, "__package__", None) or ""
    spec = _spec(module)
    return spec.parent or "" if spec else ""


def _module_name(module: str) -> str:
    """The main module counts as what it would be imported as from the source root, however the program was started."""
    is_main = module == "__main__" or sys.modules.get(module) is sys.modules["__main__"]
    return main_name(_root.get()) if is_main else module


@lru_cache(maxsize=1)
def _started() -> float:
    """When this process started: a file that was written before is what was loaded."""
    return psutil.Process().create_time()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
