"""Source text, as far as fingerprints need it: where definitions stand, what they use, and what is left without comments and docstrings."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import linecache
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Code = Definition | ast.Lambda
NamePath = tuple[str, ...]
"""A name with the attributes that follow it: `a.b.c` is ("a", "b", "c")."""


class Imported(NamedTuple):
    """What a name is imported from: a module (relative ones begin with dots), and the name there; None for the module itself."""

    module: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Uses:
    """What a piece of code uses from outside: names of its module, variables of the function around it, and what it imports itself."""

    globals: tuple[NamePath, ...]
    variables: tuple[NamePath, ...]
    imported: tuple[tuple[Imported, NamePath], ...]


class Source:
    """One file, or one cell of a notebook. `changed` is when it was last written, in seconds since the epoch.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """

    def __init__(self, text: str, file: str, changed: float) -> None:
        self.file = file
        self.changed = changed
        self._text = text
        self.tree = ast.parse(text)
        self._digests: dict[tuple[ast.AST, bool], str] = {}
        self._uses: dict[tuple[ast.AST, bool], Uses] = {}
        self._by_line: dict[tuple[str, int], list[Code]] = {}
        self._names: dict[ast.AST, str] = {}
        self._by_name: dict[str, list[Definition]] = {}
        self._index()

    def function(self, code: CodeType, *, is_current: bool) -> Code | None:
        """The definition that `code` was compiled from; None if there is none, or it has been edited since.

        If the text is known to be that which was loaded, `is_current` spares the comparison.
        """
        nodes = self._by_line.get((code.co_name, code.co_firstlineno), [])
        if len(nodes) != 1:
            return None
        if is_current:
            return nodes[0]
        compiled = self._compiled.get((code.co_name, code.co_firstlineno), [])
        return nodes[0] if len(compiled) == 1 and same_code(compiled[0], code) else None

    def classes(self, qualname: str) -> list[ast.ClassDef]:
        """The definitions of a class; the last one is that which is executed last."""
        return [node for node in self._by_name.get(qualname, ()) if isinstance(node, ast.ClassDef)]

    def qualname(self, node: Code) -> str:
        """The name of a definition within its module."""
        return self._names[node]

    @cached_property
    def definitions(self) -> Mapping[str, Definition]:
        """Functions and classes of the module itself, by name."""
        return {name: nodes[-1] for name, nodes in self._by_name.items() if "." not in name}

    @cached_property
    def assignments(self) -> Mapping[str, list[ast.stmt]]:
        """The statements that give a name of the module its value."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self._statements:
            for name in _targets(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def imports(self) -> Mapping[str, Imported]:
        """What names of the module are imported from."""
        return dict(pair for statement in self._statements for pair in _bindings(statement))

    @cached_property
    def stars(self) -> list[str]:
        """The modules of which everything is imported."""
        return [
            "." * statement.level + (statement.module or "")
            for statement in self._statements
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"
        ]

    @cached_property
    def packages(self) -> frozenset[str]:
        """The first parts of the names of all modules that are imported anywhere in it, relative ones left out."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
        return frozenset(found)

    def digest(self, node: ast.AST, *, decorated: bool = True) -> str:
        """The digest of what a part of this source says."""
        key = node, decorated
        if key not in self._digests:
            if not decorated and isinstance(node, Definition):
                node = type(node)(**{**_fields(node), "decorator_list": []})
            self._digests[key] = hashlib.sha256(ast.dump(node).encode("utf-8", "surrogatepass")).hexdigest()
        return self._digests[key]

    def uses(self, node: ast.AST, *, decorated: bool = True) -> Uses:
        """What a part of this source uses."""
        key = node, decorated
        if key not in self._uses:
            self._uses[key] = self._used(node, decorated=decorated)
        return self._uses[key]

    def _index(self) -> None:
        queue: list[tuple[ast.AST, str]] = [(self.tree, "")]
        while queue:
            node, prefix = queue.pop()
            if isinstance(node, Code):
                name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
                self._names[node] = prefix + name
                self._by_line.setdefault((name, first_line(node)), []).append(node)
                if isinstance(node, Definition):
                    self._by_name.setdefault(prefix + name, []).append(node)
                prefix += name + ("." if isinstance(node, ast.ClassDef) else ".<locals>.")
            if isinstance(node, Definition | ast.Module) and node.body and _is_docstring(node.body[0]):
                node.body = node.body[1:] or [ast.Pass()]
            queue.extend((child, prefix) for child in reversed(list(ast.iter_child_nodes(node))))

    @cached_property
    def _statements(self) -> list[ast.stmt]:
        """Those that are executed with the module itself, those in `if`, `try`, `with` and loops included."""
        found: list[ast.stmt] = []
        queue: list[Any] = list(reversed(self.tree.body))
        while queue:
            statement = queue.pop()
            if isinstance(statement, Definition):
                continue
            if isinstance(statement, ast.stmt):
                found.append(statement)
            inner = [
                c for c in ast.iter_child_nodes(statement) if isinstance(c, ast.stmt | ast.excepthandler)
            ]
            queue.extend(reversed(inner))
        return found

    @cached_property
    def _compiled(self) -> Mapping[tuple[str, int], list[CodeType]]:
        found: dict[tuple[str, int], list[CodeType]] = {}
        queue = [compile(self._text, self.file, "exec", dont_inherit=True)]
        while queue:
            for constant in queue.pop().co_consts:
                if isinstance(constant, CodeType):
                    found.setdefault((constant.co_name, constant.co_firstlineno), []).append(constant)
                    queue.append(constant)
        return found

    @cached_property
    def _tables(self) -> Mapping[tuple[str, int], list[symtable.SymbolTable]]:
        found: dict[tuple[str, int], list[symtable.SymbolTable]] = {}
        queue = [symtable.symtable(self._text, self.file, "exec")]
        while queue:
            table = queue.pop()
            if table.get_type() in ("function", "class"):
                found.setdefault((table.get_name(), table.get_lineno()), []).append(table)
            queue.extend(table.get_children())
        return found

    def _used(self, node: ast.AST, *, decorated: bool) -> Uses:
        outside: list[ast.AST] = [node]  # what is evaluated in the scope around it
        scope = _Scope()
        if isinstance(node, Code):
            name = "lambda" if isinstance(node, ast.Lambda) else node.name
            for table in self._tables.get((name, node.lineno), ()):
                scope.add(table)
            outside = list(_around(node, decorated=decorated))
        elif isinstance(node, ast.Module):
            scope.add(symtable.symtable(self._text, self.file, "exec"))
            outside = []
        around = {
            child.id
            for part in outside
            for child in ast.walk(part)
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)
        }
        paths = dict.fromkeys(_paths(node if decorated else _undecorated(node)))
        loaded = {path[0] for path in paths}
        imported: dict[tuple[Imported, NamePath], None] = {}
        for child in ast.walk(node) if scope.imported else ():
            for name, target in _bindings(child):
                if name in loaded:
                    imported |= dict.fromkeys((target, path[1:]) for path in paths if path[0] == name)
                elif name in scope.imported:
                    # For what importing it does, and by its whole name.
                    modules = [alias.name for alias in child.names] if isinstance(child, ast.Import) else []
                    imported |= {(Imported(module, None), ()): None for module in modules} or {
                        (target, ()): None
                    }
        return Uses(
            tuple(path for path in paths if path[0] in scope.globals or path[0] in around),
            tuple(path for path in paths if path[0] in scope.variables or path[0] in around),
            tuple(imported),
        )


def source_at(file: str) -> Source | None:
    """The source of that file or cell, if there is one that can be read."""
    try:
        stat = Path(file).stat()
    except (OSError, ValueError):
        lines = linecache.getlines(file)
        return _parsed("".join(lines), file) if lines else None
    if not file.endswith(".py"):
        return None
    # Parsed again only when it was written again.
    return _read(file, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two functions do the same, wherever they stand."""
    return code_text(one) == code_text(other)


def code_text(code: CodeType) -> str:
    """What a code object does, without names of files and numbers of lines; the same in every process of one version of Python."""
    constants = [code_text(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars} {constants}"


def first_line(node: Code) -> int:
    """The line that Python takes for the first one: that of the first decorator."""
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return decorators[0].lineno if decorators else node.lineno


class _Scope:
    """Names that a definition and those inside of it use."""

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.variables: set[str] = set()
        self.imported: set[str] = set()

    def add(self, table: symtable.SymbolTable) -> None:
        queue = [table]
        while queue:
            table = queue.pop()
            # A name that a class binds may be that of the module before: `clean = staticmethod(clean)`.
            is_open = table.get_type() in ("class", "module")
            for symbol in table.get_symbols():
                name = symbol.get_name()
                if symbol.is_imported() and table.get_type() != "module":
                    self.imported.add(name)
                elif symbol.is_referenced() and (symbol.is_global() or is_open):
                    self.globals.add(name)
                if symbol.is_free():
                    self.variables.add(name)
            queue.extend(table.get_children())


@lru_cache(maxsize=1024)
def _read(file: str, *_: int) -> Source | None:
    try:
        text = importlib.util.decode_source(Path(file).read_bytes())
        stat = Path(file).stat()
        return Source(text, file, max(stat.st_mtime, stat.st_ctime))
    except (OSError, SyntaxError, ValueError):
        return None


@lru_cache(maxsize=1024)
def _parsed(text: str, file: str) -> Source | None:
    try:
        return Source(text, file, float("inf"))
    except (SyntaxError, ValueError):
        return None


def _around(node: Code, *, decorated: bool) -> Iterator[ast.AST]:
    """The parts of a definition that are evaluated where it stands."""
    if isinstance(node, ast.ClassDef):
        yield from node.bases
        yield from node.keywords
    else:
        arguments = node.args
        yield from (default for default in (*arguments.defaults, *arguments.kw_defaults) if default)
        every = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        yield from (argument.annotation for argument in every if argument and argument.annotation)
        if not isinstance(node, ast.Lambda) and node.returns:
            yield node.returns
    if decorated and not isinstance(node, ast.Lambda):
        yield from node.decorator_list


def _undecorated(node: ast.AST) -> ast.AST:
    return type(node)(**{**_fields(node), "decorator_list": []}) if isinstance(node, Definition) else node


def _fields(node: ast.AST) -> dict[str, Any]:
    return {name: getattr(node, name) for name in node._fields if hasattr(node, name)}


def _paths(node: ast.AST) -> Iterator[NamePath]:
    queue = [node]
    while queue:
        present = queue.pop()
        if isinstance(present, ast.Attribute):
            path = [present.attr]
            value = present.value
            while isinstance(value, ast.Attribute):
                path.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name):
                yield (value.id, *reversed(path))
                continue
            queue.append(value)
        elif isinstance(present, ast.Name):
            if not isinstance(present.ctx, ast.Store):
                yield (present.id,)
        else:
            queue.extend(ast.iter_child_nodes(present))


def _bindings(statement: ast.AST) -> Iterator[tuple[str, Imported]]:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            first = alias.name.partition(".")[0]
            yield (
                (alias.asname, Imported(alias.name, None)) if alias.asname else (first, Imported(first, None))
            )
    elif isinstance(statement, ast.ImportFrom):
        module = "." * statement.level + (statement.module or "")
        for alias in statement.names:
            if alias.name != "*":
                yield alias.asname or alias.name, Imported(module, alias.name)


def _targets(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For):
        targets = [statement.target]
    elif isinstance(statement, ast.With):
        targets = [item.optional_vars for item in statement.items if item.optional_vars]
    else:
        return
    for target in targets:
        yield from (child.id for child in ast.walk(target) if isinstance(child, ast.Name))


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _constant(value: object) -> str:
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(_constant, value))})"
    return f"({', '.join(map(_constant, value))})" if isinstance(value, tuple) else repr(value)
