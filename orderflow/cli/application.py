"""Puts the commands together without importing them, and turns what went wrong into an exit code and one line."""
from __future__ import annotations

from importlib import import_module, util
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer
from typer.core import TyperGroup

from orderflow.cli import BAD_USAGE, CHECK_FAILED, output

#: In the order of the help text. `orderflow/cli/NAME.py` holds a function `command`, or several by name in `commands`.
COMMANDS = ("demo", "run", "status", "kill", "rearm", "simulate", "books", "record", "watch", "journal", "replay",
            "consolidated", "estimate", "tca", "explain", "doctor")
#: Its own tracebacks are never wanted: they show the values of local variables, and those may be anybody's keys.
SETTINGS: Any = {"add_completion": False, "context_settings": {"help_option_names": ["-h", "--help"]},
                 "pretty_exceptions_enable": False, "pretty_exceptions_show_locals": False}
#: What a callback raises that wants nothing more to be done.
EXIT: Any = next(base for base in typer.Exit.__mro__ if base.__name__ == "Exit")
#: What typer puts before every complaint about a value.
COMPLAINT = "Value error, "
#: Base of every usage error; some versions of typer bring a click of their own, so it is not imported by name.
USAGE_ERROR = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class BadUsage(Exception):
    """The command cannot do what was asked; one line that names the argument or the key."""


class CheckFailed(Exception):
    """The command did what was asked and found something wrong; one line that says what."""


class Commands(TyperGroup):
    """Finds a command by its name and imports it then."""

    def list_commands(self, ctx) -> list[str]:
        """Names, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name: str):
        """The command, or None."""
        module = f"{__package__}.{cmd_name}"
        if cmd_name not in COMMANDS or util.find_spec(module) is None:
            return None
        found = import_module(module)
        made = typer.Typer(**SETTINGS, help=found.__doc__.partition(": ")[2] if hasattr(found, "commands") else None)
        for name, function in getattr(found, "commands", {cmd_name: getattr(found, "command", None)}).items():
            made.command(name)(function)
        return typer.main.get_command(made)


def _version(wanted: bool) -> None:
    if wanted:
        output.text(f"orderflow {installed_version()}")
        raise typer.Exit()


def installed_version() -> str:
    """Of the installed distribution; a source tree has none."""
    try:
        return version("orderflow")
    except PackageNotFoundError:
        return "(source tree, not installed)"


def command_line():
    """The whole command line, to be called with arguments."""
    application = typer.Typer(cls=Commands, **SETTINGS)

    @application.callback()
    def root(show_version: bool = typer.Option(False, "--version", callback=_version, is_eager=True,
                                               help="Print the version and leave.")) -> None:
        """Algorithmic order router for many exchanges."""

    return typer.main.get_command(application)


def run(arguments: list[str]) -> int | None:
    """Run the command that the arguments name; its exit code.

    Not through the command's own `main`, which takes a broken pipe and Ctrl-C for itself.
    """
    try:
        with command_line().make_context("orderflow", arguments) as context:
            return context.command.invoke(context)
    except EXIT as left:
        return left.exit_code


def refusal(error: Exception) -> tuple[int | None, str]:
    """(exit code, one line) of what a user did or met; code None = a defect of ours, to be shown with its traceback."""
    from orderflow.config import ConfigError
    from orderflow.credentials import CredentialsError
    from orderflow.exchanges.session import SessionError
    from orderflow.simulator.recording import CaptureError

    if isinstance(error, USAGE_ERROR):
        context = getattr(error, "ctx", None)
        where = context.command_path.partition(" ")[2] if context is not None else ""
        message = error.format_message().replace(COMPLAINT, "")
        return BAD_USAGE, _one_line(f"{where}: {message}" if where else message)
    if isinstance(error, (BadUsage, ConfigError, CredentialsError, CaptureError, SessionError)):
        return BAD_USAGE, _one_line(str(error))
    if isinstance(error, (CheckFailed, ConnectionError, TimeoutError)):
        return CHECK_FAILED, _one_line(str(error) or type(error).__name__)
    return None, ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
