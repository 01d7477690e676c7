"""Pipelines with other code in the place of some of their steps."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from zenml.context import running_step
from zenml.exceptions import PipelineInterfaceError, StepInterfaceError, nearest
from zenml.pipelines import BasePipeline
from zenml.steps import BaseStep
from zenml.steps.signature import Signature

if TYPE_CHECKING:
    from zenml.steps.composition import Invocation

P = TypeVar("P", bound=BasePipeline)


def replacing(
    pipeline: P,
    /,
    *,
    outputs: Mapping[str, Any] | None = None,
    **steps: Callable[..., Any] | type[BaseStep] | BaseStep,
) -> P:
    """A pipeline with other code in the place of some of its steps; `pipeline` itself stays as it is.

    What stands in for a step has its inputs, outputs and settings: what it returns is checked and kept as the step's own result
    would be. It is never taken from the cache.

    Args:
        pipeline: an instance, as it would be run.
        outputs: values instead of steps, by the steps' names: what the step would return, or, for one with several outputs,
            a dictionary of them by name.
        steps: functions or steps instead of steps, by the steps' names; they are called with the same arguments, by name.

    Raises:
        PipelineInterfaceError: (when the pipeline is put together) it has no step of such a name.
        StepInterfaceError: (when the pipeline is put together) what stands in for a step cannot be called with its arguments, or the
            dictionary does not have its outputs.
    """
    makers = {name: _calling(function) for name, function in steps.items()}
    makers |= {name: _giving(value) for name, value in (outputs or {}).items()}
    return _changed(pipeline, makers)


def failing(
    pipeline: P,
    step: str,
    /,
    error: BaseException | None = None,
    *,
    attempts: Collection[int] = (1,),
) -> P:
    """A pipeline, one step of which raises `error` in the attempts of these numbers (from 1 on) instead of being executed.

    In its other attempts, the step does what it always does. A cached result is no attempt.

    Args:
        pipeline: an instance, as it would be run.
        step: the step's name; "train[3]" is one instance of a mapped one.
        error: what is raised, by default a RuntimeError.
        attempts: numbers of attempts.

    Raises:
        PipelineInterfaceError: (when the pipeline is put together) it has no step of such a name.
    """
    label, numbers = step, frozenset(attempts)
    raised = error if error is not None else RuntimeError(f"The step '{step}' was made to fail.")

    def make(_name: str, original: BaseStep) -> BaseStep:
        function = original.entrypoint

        def entrypoint(**arguments: Any) -> Any:
            __tracebackhide__ = True
            running = running_step()
            assert running is not None
            if label in (running.task.step, running.task.label):
                number = running.stack.metadata_store.step(running.task.step_run_id).attempts
                if number in numbers:
                    raise raised.with_traceback(None)
            return function(**arguments)

        twin = original.copy()
        # Of this instance alone: code and key stay those of the step.
        vars(twin)["entrypoint"] = entrypoint
        return twin

    return _changed(pipeline, {step.partition("[")[0]: make})


def given(name: str, value: Any) -> type[BaseStep]:
    """A step called `name`, the only output of which is `value`."""
    return _stand_in(name, BaseStep, lambda: value, Signature(outputs={"output": Any}))


_Maker = Callable[[str, BaseStep], BaseStep]


def _changed(pipeline: P, makers: Mapping[str, _Maker]) -> P:
    original: Any = type(pipeline)

    class Changed(original):  # type: ignore[misc]  # whatever pipeline it is
        __doc__ = original.__doc__

        def compose(self) -> list[Invocation]:
            invocations: list[Invocation] = super().compose()
            by_name = {invocation.name: invocation for invocation in invocations}
            for name, make in makers.items():
                if name not in by_name:
                    raise PipelineInterfaceError(
                        f"The pipeline '{self.name}' has no step '{name}' to replace.{nearest(name, by_name)}"
                    )
                by_name[name].step = make(name, by_name[name].step)
            return invocations

    for attribute in ("__module__", "__name__", "__qualname__"):
        setattr(Changed, attribute, getattr(original, attribute))
    changed: Any = copy.copy(pipeline)
    changed.__class__ = Changed
    result: P = changed
    return result


def _calling(code: Callable[..., Any] | type[BaseStep] | BaseStep) -> _Maker:
    is_step = isinstance(code, BaseStep) or (isinstance(code, type) and issubclass(code, BaseStep))
    function: Callable[..., Any] = code.entrypoint if is_step else code  # type: ignore[union-attr]

    def make(name: str, original: BaseStep) -> BaseStep:
        signature = original.signature
        special = (signature.config and signature.config[0], signature.context)
        takes = [*signature.arguments, *(argument for argument in special if argument)]
        try:
            inspect.signature(function).bind(**dict.fromkeys(takes))
        except TypeError as error:
            raise StepInterfaceError(
                f"{function!r} cannot stand in for the step '{name}', which takes ({', '.join(takes)}): {error}."
            ) from None
        except ValueError:  # written in C, without a signature
            pass
        return _replaced(original, function)

    return make


def _giving(value: Any) -> _Maker:
    def make(name: str, original: BaseStep) -> BaseStep:
        declared = original.signature.outputs
        result = value
        if len(declared) > 1 and isinstance(value, Mapping):
            if set(value) != set(declared):
                raise StepInterfaceError(
                    f"The step '{name}' has the outputs {', '.join(declared)}, but {', '.join(map(str, value)) or 'none'} are given."
                )
            result = tuple(value[output] for output in declared)
        return _replaced(original, lambda **_: result)

    return make


def _replaced(original: BaseStep, function: Callable[..., Any]) -> BaseStep:
    twin = original.copy()
    twin.__class__ = _stand_in(original.NAME, type(original), function, original.signature)
    twin.enable_cache = False
    return twin


class _StandIn(BaseStep):
    """A step made of any function, whose signature is another step's."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the signature as it is given."""

    @classmethod
    def code_object(cls) -> Any:
        """Not the function, which may be an object of any kind: the result is never taken from the cache."""
        return _StandIn


def _stand_in(
    name: str, original: type[BaseStep], function: Callable[..., Any], signature: Signature
) -> type[BaseStep]:
    namespace = {
        "entrypoint": staticmethod(function),
        "signature": signature,
        "NAME": name,
        "ENABLE_CACHE": False,
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
    }
    metaclass: Any = type(BaseStep)
    made: type[BaseStep] = metaclass(name, (_StandIn, original), namespace)
    return made
