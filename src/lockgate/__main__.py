"""The command ``lockgate``, also as ``python -m lockgate``."""

import sys


def main() -> None:
    """Run the command. It needs the extra ``server``, which the library alone does not bring."""
    try:
        from lockgate.cli import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("lockgate"):
            raise
        sys.exit(f"lockgate: the command needs {error.name}: pip install 'lockgate[server]'")
    app()


if __name__ == "__main__":
    main()
