"""Putting a pipeline together: which steps are called, with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from zenml.exceptions import PipelineInterfaceError, StepInterfaceError, nearest
from zenml.model.names import check_name
from zenml.steps.annotations import describe, is_assignable, item_of
from zenml.steps.conditions import Condition

if TYPE_CHECKING:
    from zenml.steps.base_step import BaseStep


@dataclass(eq=False)
class Invocation:
    """One use of a step in a pipeline.

    `inputs` are fed by outputs of other invocations, `parameters` are plain values; `upstream` are those that must end before, besides
    the ones that the inputs come from. One that `is_mapped` has an instance for each item of a list: `modes` says which inputs are spread
    over the instances or collect what instances gave (`InputSpec.mode`), `each` holds the parameters that are.
    """

    name: str
    step: BaseStep
    inputs: dict[str, StepOutput] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    upstream: list[Invocation] = field(default_factory=list)
    modes: dict[str, str] = field(default_factory=dict)
    each: dict[str, Sequence[Any]] = field(default_factory=dict)
    when: Condition | None = None
    is_mapped: bool = False

    def after(self, *others: Before) -> Invocation:
        """Let this one start only when `others` (steps, their outputs, or what calling them gave) have ended."""
        present("after").order(self, others)
        return self

    def __repr__(self) -> str:
        return f"<step '{self.name}'>"


@dataclass(frozen=True, eq=False)
class StepOutput:
    """An output of a step that has not run yet: what calling a step in a pipeline gives.

    Comparing it gives a condition for `when=`; `~output` is the condition that it is false.
    """

    invocation: Invocation
    name: str
    annotation: Any

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]  # a condition, not yet a truth
        return Condition(self, "==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return Condition(self, "!=", other)

    def __lt__(self, other: Any) -> Condition:
        return Condition(self, "<", other)

    def __le__(self, other: Any) -> Condition:
        return Condition(self, "<=", other)

    def __gt__(self, other: Any) -> Condition:
        return Condition(self, ">", other)

    def __ge__(self, other: Any) -> Condition:
        return Condition(self, ">=", other)

    def __invert__(self) -> Condition:
        return Condition(self, "false")

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


@dataclass(frozen=True)
class unmapped:  # noqa: N801 - read as a verb: `train.map(settings, data=unmapped(data))`
    """In `step.map(...)`: give this to every instance as it is."""

    value: Any


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

    def add(
        self, step: BaseStep, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_mapped: bool = False
    ) -> Any:
        """Record that a step is called, or mapped; gives what the call gives.

        Raises:
            StepInterfaceError: the arguments do not fit the step; the message names both.
        """
        before = kwargs.pop("after", ()) if "after" not in step.signature.arguments else ()
        name = kwargs.pop("id", None) if "id" not in step.signature.arguments else None
        when = kwargs.pop("when", None) if "when" not in step.signature.arguments else None
        invocation = Invocation(self._name(step, name), step, is_mapped=is_mapped)
        for argument, value in self._bind(invocation, args, kwargs).items():
            self._give(invocation, argument, value)
        if is_mapped:
            _check_width(invocation)
        if when is not None:
            invocation.when = self._condition(invocation, when)
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
        is_spread = invocation.is_mapped and not isinstance(value, unmapped)
        if isinstance(value, unmapped):
            value = value.value
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
        if isinstance(value, Condition):
            raise StepInterfaceError(
                f"The step '{invocation.name}' is given the condition {value!r} for {argument!r}: a condition is for `when=` only. "
                "Compute it in a step."
            )
        if not isinstance(value, StepOutput):
            spread = is_spread and isinstance(value, (list, tuple))
            (invocation.each if spread else invocation.parameters)[argument] = value
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
        mode, produced = _mode(invocation, argument, value, is_spread=is_spread)
        if argument not in step.signature.raw_inputs and not is_assignable(produced, expected):
            of = {"items": "an item of ", "all": "all of "}.get(mode, "")
            raise StepInterfaceError(
                f"The step '{invocation.name}' takes {argument!r} as {describe(expected)}, but {of}the output '{value.name}' of the step "
                f"'{source.name}' is {describe(produced)}."
            )
        invocation.inputs[argument] = value
        if mode != "value":
            invocation.modes[argument] = mode

    def _condition(self, invocation: Invocation, when: Any) -> Condition:
        condition = Condition(when, "true") if isinstance(when, StepOutput) else when
        if not isinstance(condition, Condition):
            raise StepInterfaceError(
                f"`when` of the step '{invocation.name}' is {when!r}, expected the output of a step, or a comparison of one. What is known "
                "while the pipeline is put together is decided with Python's own `if`."
            )
        source = condition.output.invocation
        if self._by_name.get(source.name) is not source:
            raise PipelineInterfaceError(
                f"{condition!r} belongs to another pipeline than '{self.pipeline}': steps cannot be joined across pipelines."
            )
        if source.is_mapped:
            raise StepInterfaceError(
                f"`when` of the step '{invocation.name}' asks for an output of the mapped step '{source.name}', which gives one for each "
                "instance: collect them in a step that returns one value."
            )
        return condition

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


def _mode(invocation: Invocation, argument: str, output: StepOutput, *, is_spread: bool) -> tuple[str, Any]:
    """How an input takes an output, and the type that one instance gets so."""
    if output.invocation.is_mapped:
        return ("same", output.annotation) if is_spread else ("all", list[output.annotation])  # type: ignore[name-defined]
    if not is_spread:
        return "value", output.annotation
    item = item_of(output.annotation)
    if item is None:
        raise StepInterfaceError(
            f"The step '{invocation.name}' cannot be mapped over the output '{output.name}' of the step '{output.invocation.name}', which "
            f"is {describe(output.annotation)}: expected a list. Give what every instance shall get as {argument}=unmapped(...)."
        )
    return "items", item


def _check_width(invocation: Invocation) -> None:
    lengths = {name: len(values) for name, values in invocation.each.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise StepInterfaceError(
            f"The step '{invocation.name}' is mapped over lists of different lengths: {shown}."
        )
    if not lengths and not any(mode in ("items", "same") for mode in invocation.modes.values()):
        raise StepInterfaceError(
            f"The step '{invocation.name}' is mapped over nothing: `map` needs a list, or the output of a step that is one."
        )


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
