"""What is kept of an exception."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.exceptions import ZenMLBaseException
from zenml.model.runs import ErrorRecord
from zenml.secret.known import redact

if TYPE_CHECKING:
    from types import TracebackType

_OURS = (str(Path(__file__).resolve().parent.parent), contextlib.__file__)


def error_record(error: BaseException) -> ErrorRecord:
    """What is kept of an exception, without the values of known secrets: its traceback begins with the user's code.

    A refusal of the framework's own has no frames.
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    frames = _users_part(error.__traceback__)
    if frames is None and not isinstance(error, ZenMLBaseException):
        frames = error.__traceback__
    try:
        message = str(error)
    except Exception as failure:  # noqa: BLE001  a class of the user's own
        message = f"(its text cannot be had: {type(failure).__name__})"
    text = "".join(traceback.format_exception(kind, error, frames))
    return ErrorRecord(name, redact(message), redact(text))


def _users_part(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OURS):
        frames = frames.tb_next
    return frames
