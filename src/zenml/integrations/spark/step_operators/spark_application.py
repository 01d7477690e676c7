"""What spark-submit is given to run: `spark_application.py -m MODULE ...` or `-c CODE ...` does what `python` does with these arguments.

spark-submit itself takes no modules.
"""

import runpy
import sys


def main() -> None:
    """Run what the arguments say."""
    del sys.path[0]  # the folder of this file, where nobody looks for modules
    option, what, *_ = sys.argv[1:]
    del sys.argv[:2]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = "-c"
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  as python -c


if __name__ == "__main__":
    main()
