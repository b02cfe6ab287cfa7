"""The command ``lockgate``, also as ``python -m lockgate``."""

import sys


def main() -> None:
    """Run the command. It needs the extra ``server``, which the library alone does not bring."""
    try:
        from lockgate.cli import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("lockgate"):
            raise
        print(
            f"lockgate: the command needs {error.name}: pip install 'lockgate[server]', or '.[server]' in a clone",
            file=sys.stderr,
        )
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
