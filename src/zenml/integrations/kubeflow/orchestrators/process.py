"""Functions whose text becomes part of a package: they import what they need, and KFP reads their annotations as they are."""


def run_process(arguments: list) -> None:  # type: ignore[type-arg]
    """Start Python with these arguments, and fail as it does."""
    import subprocess
    import sys

    code = subprocess.call([sys.executable, *arguments])
    if code:
        sys.exit(f"The process has ended with {code}; what it said stands above.")


def run_process_and_go_on(arguments: list) -> None:  # type: ignore[type-arg]
    """Start Python with these arguments."""
    import subprocess
    import sys

    subprocess.call([sys.executable, *arguments])
