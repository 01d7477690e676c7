"""Database URLs as they may be shown."""

from __future__ import annotations

import re

_AUTHORITY = re.compile(r"(://[^:/@]*:)(?!\{\{).*@")
_QUERY = re.compile(r"([?&](?:\w*password|passwd)=)(?!\{\{)[^&]*")


def masked(url: str) -> str:
    """The URL with *** in the place of passwords; references such as {{env.PASSWORD}} stay."""
    return _QUERY.sub(r"\1***", _AUTHORITY.sub(r"\1***@", url))
