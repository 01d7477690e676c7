"""Putting a pipeline together: which steps are called, with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from zenml.exceptions import PipelineInterfaceError, StepInterfaceError, nearest
from zenml.model.names import check_name
from zenml.steps.annotations import describe, is_assignable

if TYPE_CHECKING:
    from zenml.steps.base_step import BaseStep


@dataclass(eq=False)
class Invocation:
    """One use of a step in a pipeline.

    `inputs` are fed by outputs of other invocations, `parameters` are plain values; `upstream` are those that must end before, besides
    the ones that the inputs come from.
    """

    name: str
    step: BaseStep
    inputs: dict[str, StepOutput] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    upstream: list[Invocation] = field(default_factory=list)

    def after(self, *others: Before) -> Invocation:
        """Let this one start only when `others` (steps, their outputs, or what calling them gave) have ended."""
        present("after").order(self, others)
        return self

    def __repr__(self) -> str:
        return f"<step '{self.name}'>"


@dataclass(frozen=True, eq=False)
class StepOutput:
    """An output of a step that has not run yet: what calling a step in a pipeline gives."""

    invocation: Invocation
    name: str
    annotation: Any

    def __repr__(self) -> str:
        return f"<output '{self.name}' of the step '{self.invocation.name}'>"

    def __bool__(self) -> bool:
        raise self._unknown("its truth")

    def __iter__(self) -> Iterator[Any]:
        raise self._unknown("its items")

    def __len__(self) -> int:
        raise self._unknown("its length")

    def _unknown(self, what: str) -> PipelineInterfaceError:
        return PipelineInterfaceError(
            f"{self!r} is a value that only the run will know: {what} cannot be used while the pipeline is put together. Do that in a step."
        )


Before: TypeAlias = "Invocation | StepOutput | BaseStep | type[BaseStep] | str | tuple[StepOutput, ...]"


class Composition:
    """A pipeline in the making."""

    def __init__(self, pipeline: str, names: Mapping[int, str] | None = None) -> None:
        self.pipeline = pipeline
        self.invocations: list[Invocation] = []
        self._names = dict(names or {})  # of the steps that were passed in, by identity
        self._by_name: dict[str, Invocation] = {}
        self._numbers: dict[str, int] = {}
        self._order: list[tuple[Invocation | BaseStep, Before]] = []

    def add(self, step: BaseStep, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Record that a step is called; gives what the call gives.

        Raises:
            StepInterfaceError: the arguments do not fit the step; the message names both.
        """
        before = kwargs.pop("after", ()) if "after" not in step.signature.arguments else ()
        name = kwargs.pop("id", None) if "id" not in step.signature.arguments else None
        invocation = Invocation(self._name(step, name), step)
        for argument, value in self._bind(invocation, args, kwargs).items():
            self._give(invocation, argument, value)
        self.invocations.append(invocation)
        self._by_name[invocation.name] = invocation
        self.order(
            invocation,
            before if isinstance(before, (list, tuple)) else (before,) if before is not None else (),
        )
        outputs = tuple(
            StepOutput(invocation, output, type_) for output, type_ in step.signature.outputs.items()
        )
        if not outputs:
            return invocation
        return outputs[0] if len(outputs) == 1 else outputs

    def order(self, later: Invocation | BaseStep, earlier: Any) -> None:
        """Remember that `later` waits for each of `earlier`."""
        for one in earlier:
            self._order += [(later, part) for part in (one if isinstance(one, tuple) else (one,))]

    def finish(self) -> list[Invocation]:
        """All invocations, in the order of the calls, with what they wait for.

        Raises:
            PipelineInterfaceError: `after` names a step that the pipeline does not call.
        """
        by_step: dict[int, list[Invocation]] = {}
        for invocation in self.invocations:
            by_step.setdefault(id(invocation.step), []).append(invocation)
            by_step.setdefault(id(type(invocation.step)), []).append(invocation)
        for later, earlier in self._order:
            for invocation in self._find(later, by_step):
                invocation.upstream += self._find(earlier, by_step)
        self._order = []
        return self.invocations

    def _name(self, step: BaseStep, given: str | None) -> str:
        if given is not None:
            check_name(given, "step")
            if given in self._by_name:
                raise PipelineInterfaceError(
                    f"Two steps of the pipeline '{self.pipeline}' have the id {given!r}: each needs its own."
                )
            return given
        name = base = self._names.get(id(step), step.name)
        reserved = () if id(step) in self._names else self._names.values()
        while name in self._by_name or name in reserved:
            # Counted for each name: a step that is used a thousand times is not looked for a million times.
            self._numbers[base] = self._numbers.get(base, 1) + 1
            name = f"{base}_{self._numbers[base]}"
        return name

    def _bind(self, invocation: Invocation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        step, names = invocation.step, list(invocation.step.signature.arguments)
        if len(args) > len(names):
            raise StepInterfaceError(
                f"The step '{invocation.name}' takes {len(names)} inputs ({', '.join(names) or 'none'}), but {len(args)} are given."
            )
        bound = dict(zip(names, args, strict=False))
        known = {*names, *step.parameter_types}
        for name, value in kwargs.items():
            if name in bound:
                raise StepInterfaceError(f"The step '{invocation.name}' is given {name!r} twice.")
            if name not in known:
                raise StepInterfaceError(
                    f"The step '{invocation.name}' takes no {name!r}.{nearest(name, known)}"
                )
            bound[name] = value
        return bound

    def _give(self, invocation: Invocation, argument: str, value: Any) -> None:
        from zenml.steps.base_step import BaseStep  # which is made of this module

        step = invocation.step
        if isinstance(value, tuple) and value and all(isinstance(item, StepOutput) for item in value):
            outputs = ", ".join(item.name for item in value)
            raise StepInterfaceError(
                f"The step '{invocation.name}' is given all outputs of the step '{value[0].invocation.name}' ({outputs}) for {argument!r}: "
                "unpack them, and give one."
            )
        if isinstance(value, Invocation):
            raise StepInterfaceError(
                f"The step '{invocation.name}' takes {argument!r} from the step '{value.name}', which has no output: it returns None."
            )
        if isinstance(value, BaseStep) or (isinstance(value, type) and issubclass(value, BaseStep)):
            raise StepInterfaceError(
                f"The step '{invocation.name}' is given a step itself for {argument!r}: call it in the pipeline's function, and give what "
                "the call gives."
            )
        if isinstance(value, (list, tuple, dict)) and any(
            isinstance(part, StepOutput) for part in (value.values() if isinstance(value, dict) else value)
        ):
            raise StepInterfaceError(
                f"The step '{invocation.name}' is given outputs of steps inside of a {type(value).__name__} for {argument!r}: an input "
                "takes one output. Give each its own argument, or collect them in a step."
            )
        if not isinstance(value, StepOutput):
            invocation.parameters[argument] = value
            return
        source = self._by_name.get(value.invocation.name)
        if source is not value.invocation:
            raise PipelineInterfaceError(
                f"{value!r} belongs to another pipeline than '{self.pipeline}': steps cannot be joined across pipelines."
            )
        if argument not in step.signature.arguments:
            raise StepInterfaceError(
                f"{argument!r} of the step '{invocation.name}' is a field of its configuration: it takes a plain value, no output."
            )
        expected = step.signature.arguments[argument].annotation
        if argument not in step.signature.raw_inputs and not is_assignable(value.annotation, expected):
            raise StepInterfaceError(
                f"The step '{invocation.name}' takes {argument!r} as {describe(expected)}, but the output '{value.name}' of the step "
                f"'{source.name}' is {describe(value.annotation)}."
            )
        invocation.inputs[argument] = value

    def _find(self, what: Any, by_step: Mapping[int, list[Invocation]]) -> list[Invocation]:
        if isinstance(what, StepOutput):
            what = what.invocation
        if isinstance(what, (Invocation, str)):
            named = self._by_name.get(what if isinstance(what, str) else what.name)
            found = [named] if named is not None and (isinstance(what, str) or named is what) else []
        else:
            found = by_step.get(id(what), [])
        if not found:
            name = (
                what
                if isinstance(what, str)
                else getattr(what, "name", None) or getattr(what, "__name__", repr(what))
            )
            raise PipelineInterfaceError(
                f"`after` names {name!r}, which the pipeline '{self.pipeline}' does not call.{nearest(str(name), self._by_name)}"
            )
        return found


_present: ContextVar[Composition | None] = ContextVar("zenml_composition", default=None)


@contextmanager
def composing(composition: Composition) -> Iterator[None]:
    """Let calls of steps in this context be added to `composition`."""
    token = _present.set(composition)
    try:
        yield
    finally:
        _present.reset(token)


def composition() -> Composition | None:
    """The pipeline that is being put together in this context."""
    return _present.get()


def present(what: str) -> Composition:
    """The pipeline that is being put together. Raises PipelineInterfaceError if there is none."""
    found = _present.get()
    if found is None:
        raise PipelineInterfaceError(f"`{what}` is used inside of a pipeline's function only.")
    return found
