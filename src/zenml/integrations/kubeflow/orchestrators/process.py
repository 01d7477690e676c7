"""A function whose text becomes part of a package: it imports what it needs, and KFP reads its annotations as they are."""


def run_process_and_go_on(arguments: list) -> None:  # type: ignore[type-arg]
    """Start Python with these arguments."""
    import subprocess
    import sys

    subprocess.call([sys.executable, *arguments])
