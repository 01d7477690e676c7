"""Which names the things that a user registers may have."""

from __future__ import annotations

import re

from zenml.exceptions import InvalidNameError

_LONGEST = 190  # a key "type/name" fits an indexed utf8mb4 column of every supported database
_ALLOWED = re.compile(r"[\w][\w .:@+=-]*\Z")


def check_name(name: object, what: str) -> str:
    """Give `name` back if it can be one, so that it can be a file's name, a column's value and a word of a command.

    Raises:
        InvalidNameError: it is no text, empty, longer than 190 characters, begins with something other than a letter, digit or
            underscore, ends with a blank or a dot, or holds anything but letters, digits, blanks and `_.:@+=-`.
    """
    if not isinstance(name, str):
        reason = f"it is a {type(name).__name__}, not a text"
    elif not name:
        reason = "it is empty"
    elif len(name) > _LONGEST:
        reason = f"it has {len(name)} characters, {_LONGEST} is the most"
    elif not _ALLOWED.match(name):
        reason = "it must begin with a letter, a digit or an underscore and go on with letters, digits, blanks and any of _ . : @ + = -"
    elif name[-1] in " .":
        reason = "it ends with a blank or a dot"
    else:
        return name
    raise InvalidNameError(f"{name!r} cannot be the name of a {what}: {reason}.")
