"""The commands of docs/guide/slurm.md work."""

import pytest

from tests.guides import run_guide


@pytest.mark.usefixtures("slurm")
def test_the_guide() -> None:
    printed = run_guide("slurm")
    assert any(text.endswith("14\n") for text in printed)
