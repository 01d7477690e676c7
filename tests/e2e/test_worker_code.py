"""Code reaches worker processes wherever it is defined, and is the same there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DEFINITIONS = '''
import json, os
from dataclasses import dataclass, field, fields
from pydantic import BaseModel
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import BaseStep, BaseStepConfig, Output, clone_step, step

FACTOR = 2

def times(value):
    return value * FACTOR

@dataclass
class Size:
    value: int
    names: list = field(default_factory=list)

class Model(BaseModel):
    x: int = 1

class Kept:
    def __init__(self, text):
        self.text = text

class Texts(BaseMaterializer):
    """The text of a value, in a file."""

    ASSOCIATED_TYPES = (Kept,)

    def handle_input(self, data_type):
        super().handle_input(data_type)
        with fileio.open(os.path.join(self.artifact.uri, "text")) as file:
            return self.ASSOCIATED_TYPES[0](file.read())

    def handle_return(self, data):
        super().handle_return(data)
        with fileio.open(os.path.join(self.artifact.uri, "text"), "w") as file:
            file.write(self.text(data))

    def text(self, data):
        return data.text

class Numbers(Texts):
    ASSOCIATED_TYPES = (int,)

    def text(self, data):
        return str(data)

class Plain:
    def __init__(self, value):
        self.value = value

class Config(BaseStepConfig):
    by: int = 3

class OddError(Exception):
    def __init__(self, values):
        super().__init__(values)
        self.values = values

@step
def make(config: Config, size: Size) -> Output(a=Size, b=Plain, c=Kept, d=Model, e=int):
    return Size(times(config.by) + size.value), Plain(os.getpid()), Kept("hello"), Model(x=4), 7

@step
def take(size: Size, plain: Plain, kept: Kept, model: Model, number: int) -> Plain:
    assert [type(each) for each in (size, plain, kept, model)] == [Size, Plain, Kept, Model]
    assert [each.name for each in fields(size)] == ["value", "names"]
    return Plain([size.value, kept.text, model.x, number])

again = clone_step(take, "again")

class Compare(BaseStep):
    def entrypoint(self, one: Plain, other: Plain) -> None:
        assert type(one) is type(other) is Plain
        assert one.value == other.value
        raise OddError(one.value)

@pipeline
def shapes():
    values = make(size=Size(10))
    Compare(take(*values), again(*values))
'''

STACK = """
repository = Repository()
active = repository.active_stack
repository.register_stack(Stack(
    "two", orchestrator=LocalOrchestrator(name="two", max_workers=2),
    metadata_store=active.metadata_store, artifact_store=active.artifact_store,
))
repository.activate_stack("two")
"""

RUN = """
try:
    shapes().run()
except OddError as error:
    run = Repository().get_pipeline("shapes").runs[-1]
    read = run.get_step("take").output.read()
    was_here = run.get_step("make").outputs["b"].read().value == os.getpid()
    print(json.dumps([error.values, "OddError" in str(error.__cause__), type(read) is Plain, was_here]))
"""

EXPECTED = [[16, "hello", 4, 7], True, True, False]


def guarded(*parts: str) -> str:
    lines = "".join(parts).splitlines()
    return "\nif __name__ == '__main__':\n" + "\n".join(f"    {line}" for line in lines)


def inside(*parts: str) -> str:
    lines = "".join(parts).splitlines()
    body = "\n".join(f"    {line}" for line in lines)
    return f"def main():\n{body}\n\nif __name__ == '__main__':\n    main()\n"


def execute(*arguments: str, program: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], input=program, capture_output=True, text=True, check=False
    )


def answer(done: subprocess.CompletedProcess[str]) -> object:
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout + done.stderr
    return json.loads(lines[0])


TOP, _, REST = DEFINITIONS.partition("class Plain:")
REST = f"class Plain:{REST}"
FORMS = {
    "guarded": DEFINITIONS + guarded(STACK, RUN),
    "unguarded": DEFINITIONS + STACK + RUN,
    "future": "from __future__ import annotations\n" + DEFINITIONS + STACK + RUN,
    "inside of a function": TOP + inside(REST, STACK, RUN),
    "below the guard": guarded(DEFINITIONS, STACK, RUN),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_program(form: str) -> None:
    Path("program.py").write_text(FORMS[form])
    assert answer(execute("program.py")) == EXPECTED


def test_a_module_of_a_package() -> None:
    Path("project").mkdir()
    Path("project/__init__.py").touch()
    Path("project/shapes.py").write_text(DEFINITIONS.replace("FACTOR = 2", "from .numbers import FACTOR"))
    Path("project/numbers.py").write_text("FACTOR = 2\n")
    Path("project/program.py").write_text("from .shapes import *\n" + guarded(STACK, RUN))
    assert answer(execute("-m", "project.program")) == EXPECTED


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["plain", "future"])
def test_a_notebook(future: str) -> None:
    cells = [future + DEFINITIONS, STACK, RUN]
    assert answer(execute("-", program="\n".join(f"exec({cell!r}, globals())" for cell in cells))) == EXPECTED


def test_a_file_that_the_command_line_runs() -> None:
    done = execute("-", program=DEFINITIONS.partition("@step")[0] + STACK)
    assert done.returncode == 0, done.stderr
    Path("program.py").write_text(DEFINITIONS)
    done = execute("-c", "from zenml.cli import main; main()", "pipeline", "run", "program.py")
    assert "OddError: [16, 'hello', 4, 7]" in done.stderr
    assert done.returncode == 1


def test_what_stands_before_a_second_run_need_not_work_again() -> None:
    program = """
import os
from pathlib import Path
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import step

with open("log", "a") as log:
    log.write("above\\n")

@step(enable_cache=False)
def one() -> int:
    return 1

@pipeline
def ones():
    one()
"""
    runs = """
print(ones().run().get_step("one").output.read())
with open("log", "a") as log:
    log.write("between\\n")
print(ones().run().get_step("one").output.read())
with open("log", "a") as log:
    log.write("behind\\n")
"""
    Path("program.py").write_text(program + STACK + runs)
    done = execute("program.py")
    assert done.stdout.splitlines() == ["1", "1"], done.stderr
    assert Path("log").read_text().splitlines() == ["above", "above", "between", "above", "behind"]


def test_a_program_that_cannot_be_executed_again_says_so() -> None:
    program = """
import sys
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import step
from pathlib import Path

Path("once").mkdir()

@step
def one() -> int:
    return 1

@pipeline
def ones():
    one()
"""
    Path("program.py").write_text(program + STACK + "ones().run()\n")
    done = execute("program.py")
    assert done.returncode == 1
    refusals = [line for line in done.stderr.splitlines() if "StepInterfaceError: " in line]
    message = refusals[-1]
    assert "The steps cannot be imported in a worker process:" in message
    assert f"{Path.cwd()}/program.py ended with FileExistsError" in message
    assert "below `if __name__ == '__main__':`" in message


def test_values_of_a_programs_own_classes_are_that_in_every_later_process() -> None:
    program = """
import sys
from zenml.pipelines import pipeline
from zenml.steps import step

class Plain:
    def __init__(self, value):
        self.value = value

@step
def make() -> Plain:
    return Plain(3)

@step
def use(plain: Plain) -> bool:
    return type(plain) is Plain and plain.value == {value}

@pipeline
def using():
    use(make())

if __name__ == "__main__":
    run = using().run()
    print([str(each.status) for each in run.steps], run.get_step("use").output.read())
"""
    for value, status in ((4, "completed"), (3, "cached")):
        Path("program.py").write_text(program.format(value=value))
        done = execute("program.py")
        assert done.stdout == f"['{status}', 'completed'] {value == 3}\n", done.stderr


def test_logging_is_arranged_as_in_the_program() -> None:
    Path("steps.py").write_text("""
import logging
from zenml.steps import step

@step
def speaking() -> None:
    logging.getLogger("project").info("heard")
    logging.getLogger("project.details").debug("also heard")
    logging.getLogger("other").info("not heard")
""")
    program = """
import logging
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from steps import speaking

@pipeline
def meeting():
    speaking()
"""
    arrange = """
logging.basicConfig(format="<%(name)s %(message)s>")
logging.getLogger("project").setLevel(logging.INFO)
logging.getLogger("project.details").setLevel(logging.DEBUG)
"""
    Path("program.py").write_text(program + guarded(arrange, STACK, "meeting().run()"))
    done = execute("program.py")
    spoken = [line for line in done.stderr.splitlines() if "heard" in line]
    assert spoken == ["[speaking] <project heard>", "[speaking] <project.details also heard>"], done.stderr
