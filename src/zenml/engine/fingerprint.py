"""Fingerprints of code: of an object's own source, and of all of the user's project that it reaches.

From the object's syntax tree, every name that it loads is looked up in its module (and in the cells that it closes over), and what
is found there is followed: functions, classes with their bases, modules, constants. "The project" is every loaded module outside of the
standard library, the installed packages and this framework. Comments, formatting and docstrings do not count, nor do
the decorators of the object itself. A
constant counts by its value where it is plain data, else by the source of its assignment.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import symtable
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_PACKAGE = str(Path(__file__).resolve().parent.parent)


def code_of(*objects: Any) -> dict[str, str]:
    """The digests of the code of these functions and classes, and of what they reach, by "module.name"."""
    found: dict[str, str] = {}
    queue: list[_Piece] = [_piece_of(thing, own=True) for thing in objects]
    while queue:
        piece = queue.pop()
        if piece.name not in found:
            found[piece.name] = piece.digest
            queue.extend(_reached(piece))
    return dict(sorted(found.items()))


@dataclass(frozen=True, eq=False)
class _Piece:
    """A piece of code: a definition, an assignment or a value. `node` is what may reach more, by names of `namespace`."""

    name: str
    digest: str
    node: ast.AST | None = None
    namespace: Mapping[str, Any] | None = None
    module: str = ""


def _piece_of(thing: Any, *, own: bool = False) -> _Piece:
    thing = inspect.unwrap(thing) if callable(thing) and not inspect.isclass(thing) else thing
    module, qualname = thing.__module__, thing.__qualname__
    namespace = _namespace(thing, module)
    node = _find(module, thing)
    name = f"{_module_name(module)}.{qualname}"
    if node is None:  # defined where no file is: in a notebook's cell that is gone, by exec
        return _Piece(name, _digest(_code_text(thing)), None, namespace, module)
    plain = _plain(node, decorators=not own)
    return _Piece(name, _digest(ast.dump(plain)), plain, namespace, module)


def _reached(piece: _Piece) -> Iterator[_Piece]:
    if piece.node is None or piece.namespace is None:
        return
    for path in _loaded_names(piece.node):
        first, *rest = path
        if first not in piece.namespace:
            continue
        owner, thing, name = piece.module, piece.namespace[first], first
        for attribute in rest:
            if not isinstance(thing, ModuleType) or not hasattr(thing, attribute):
                break
            owner, thing, name = thing.__name__, getattr(thing, attribute), attribute
        yield from _pieces(thing, owner, name)
    for module in _imported_inside(piece.node, piece.module):
        yield from _whole_module(module)


def _pieces(thing: Any, owner: str, name: str) -> Iterator[_Piece]:
    thing = getattr(thing, "__wrapped__", thing)
    if isinstance(thing, ModuleType):
        return  # used as a whole: its parts count where they are named
    if inspect.isclass(thing) or isinstance(thing, FunctionType):
        if _is_project(thing.__module__):
            yield _piece_of(thing)
            if inspect.isclass(thing):
                for base in thing.__bases__:
                    yield from _pieces(base, base.__module__, base.__qualname__)
        return
    if not _is_project(owner):
        return
    label = f"{_module_name(owner)}.{name}"
    if (text := _plain_data(thing)) is not None:
        yield _Piece(label, _digest(text))
    elif (assignment := _assignments(owner).get(name)) is not None:
        yield _Piece(label, _digest(ast.dump(assignment)), assignment, vars(sys.modules[owner]), owner)


def _whole_module(module: str) -> Iterator[_Piece]:
    if not _is_project(module):
        return
    tree = _tree(module)
    if tree is not None:
        plain = _plain(tree, decorators=True)
        yield _Piece(_module_name(module), _digest(ast.dump(plain)))


def _loaded_names(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Names from outside that are loaded, each with the attributes that follow it: `a.b.c` gives ("a", "b", "c")."""
    outer = _outer_names(node)
    return (path for path in _paths(node) if path[0] in outer)


def _outer_names(node: ast.AST) -> set[str]:
    """The names that a definition uses but does not bind itself, as an argument, a variable or in a comprehension."""
    names: set[str] = set()
    tables = [symtable.symtable(ast.unparse(node), "<code>", "exec")]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        everything = (
            table.get_type() == "module"
        )  # where the definition itself stands: all names are of its module
        names.update(
            s.get_name() for s in table.get_symbols() if s.is_referenced() and (everything or s.is_global())
        )
    return names


def _paths(node: ast.AST) -> Iterator[tuple[str, ...]]:
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            yield (child.id,)
        elif isinstance(child, ast.Attribute):
            path = [child.attr]
            value = child.value
            while isinstance(value, ast.Attribute):
                path.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name):
                yield (value.id, *reversed(path))


def _imported_inside(node: ast.AST, module: str) -> Iterator[str]:
    """Modules that a function imports in its body."""
    package = module.rpartition(".")[0]
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            name = "." * child.level + (child.module or "")
            try:
                source = importlib.util.resolve_name(name, package) if child.level else name
            except ImportError:  # it goes beyond the top: importing it will fail, too
                continue
            yield source
            yield from (f"{source}.{alias.name}" for alias in child.names)


def _namespace(thing: Any, module: str) -> dict[str, Any]:
    names = dict(vars(sys.modules[module])) if module in sys.modules else {}
    if inspect.isclass(thing):
        functions = [f for f in vars(thing).values() if isinstance(f, FunctionType)]
    else:
        functions = [thing]
        names.update(thing.__globals__)
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                names[name] = cell.cell_contents
            except ValueError:  # not bound yet
                continue
    return names


def _find(module: str, thing: Any) -> _Definition | None:
    """The definition of a function or class in its module's source."""
    tree = _tree(module)
    if tree is None:
        return None
    named = [n for n in ast.walk(tree) if isinstance(n, _Definition) and n.name == thing.__name__]
    if isinstance(thing, FunctionType):
        line = thing.__code__.co_firstlineno
        named = [n for n in named if line in {n.lineno, *(d.lineno for d in n.decorator_list)}]
        return named[0] if named else _lambda_less(thing)
    by_path = [n for n in named if _qualnames(tree).get(n) == thing.__qualname__]
    # The last definition of a name is the one that the module holds.
    return by_path[-1] if by_path else None


def _lambda_less(thing: FunctionType) -> _Definition | None:
    try:
        tree = ast.parse(inspect.cleandoc(inspect.getsource(thing)))
    except (OSError, SyntaxError, TypeError):
        return None
    first = tree.body[0]
    return first if isinstance(first, _Definition) else None


@lru_cache(maxsize=256)
def _qualnames(tree: ast.Module) -> dict[ast.AST, str]:
    names: dict[ast.AST, str] = {}
    queue: list[tuple[ast.AST, str]] = [(tree, "")]
    while queue:
        node, prefix = queue.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Definition):
                names[child] = prefix + child.name
                inner = "." if isinstance(child, ast.ClassDef) else ".<locals>."
                queue.append((child, names[child] + inner))
            else:
                queue.append((child, prefix))
    return names


def _assignments(module: str) -> dict[str, ast.AST]:
    tree = _tree(module)
    found: dict[str, ast.AST] = {}
    for node in tree.body if tree else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for name in ast.walk(target) if target is not None else ():
                if isinstance(name, ast.Name):
                    found[name.id] = node
    return found


def _tree(module: str) -> ast.Module | None:
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if loaded is None:
        spec = _spec(module)
        path = spec.origin if spec else None
    if not path or not path.endswith(".py"):
        return None
    try:
        stat = Path(path).stat()
        return _parsed(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, SyntaxError, ValueError):
        return None


@lru_cache(maxsize=256)
def _parsed(path: str, mtime: int, size: int) -> ast.Module:  # noqa: ARG001 - what tells one version from the next
    return ast.parse(Path(path).read_bytes())


def _spec(module: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _is_project(module: str) -> bool:
    if module == "zenml" or module.startswith("zenml."):
        return False
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if loaded is None:
        top = module.partition(".")[0]
        if top != module and not _is_project(top):
            return False  # before its parent is imported to look for it
        spec = _spec(module)
        path = spec.origin if spec and spec.has_location else None
    if path is None:
        return loaded is not None and module == "__main__"  # a notebook, a console
    path = str(Path(path).resolve())
    return not any(path.startswith(folder) for folder in _installed())


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return (*(str(Path(folder).resolve()) for folder in folders if folder), _PACKAGE)


def _module_name(module: str) -> str:
    """`__main__` counts as the module that its file would be imported as."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    if spec := getattr(main, "__spec__", None):
        return str(spec.name)
    path = getattr(main, "__file__", None)
    return Path(path).stem if path else module


class _Plain(ast.NodeTransformer):
    """Takes docstrings away."""

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        if isinstance(node, _Definition | ast.Module) and node.body and _is_docstring(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
        return node


def _plain(node: Any, *, decorators: bool) -> Any:
    # A deep copy by text: trees are cached, and transforming one changes it.
    copy = ast.parse(ast.unparse(node))
    plain = _Plain().visit(copy)
    if isinstance(node, ast.Module):
        return plain
    definition = plain.body[0]
    if not decorators and isinstance(definition, _Definition):
        definition.decorator_list = []
    return definition


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _plain_data(value: Any) -> str | None:
    """The text of a value that is plain data, the same in every process; None for anything else."""
    if value is None or (
        isinstance(value, (bool, int, float, complex, str, bytes)) and type(value).__module__ == "builtins"
    ):
        return repr(value)
    kind = type(value)
    if kind in (list, tuple):
        parts = [_plain_data(item) for item in value]
    elif kind in (set, frozenset):
        parts = [_plain_data(item) for item in value]
        parts = sorted(parts) if all(part is not None for part in parts) else parts  # type: ignore[type-var]  # no None left
    elif kind is dict:
        parts = [_plain_data(part) for item in value.items() for part in item]
    else:
        return None
    return None if any(part is None for part in parts) else f"{kind.__name__}({', '.join(map(str, parts))})"


def _code_text(thing: Any) -> str:
    if inspect.isclass(thing):
        return "\n".join(
            f"{k}={_code_text(v)}" for k, v in sorted(vars(thing).items()) if isinstance(v, FunctionType)
        )
    return _code_object_text(thing.__code__)


def _code_object_text(code: CodeType) -> str:
    constants = [_code_object_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts[1:]]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
