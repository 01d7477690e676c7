"""How thorough the reliability tests are: `make reliability` sets ZENML_RELIABILITY=full."""

import os

FULL = os.environ.get("ZENML_RELIABILITY") == "full"
