"""The command line: `main()` maps what happened to an exit status; commands are imported when they are called.

0 everything as expected; 1 a claim not as expected; 2 wrong usage or bad input, nothing was run; 3 a plugin or the run itself
broke; 4 with --strict, a claim inconclusive or vacuous; 130 after Ctrl-C, 143 after SIGTERM, with what was finished shown.
"""

from __future__ import annotations

import difflib
import gc
import os
import signal
import sys
from importlib import import_module
from types import FrameType

import click

from theorylab import __version__
from theorylab.errors import Terminated, TheorylabError, stop_status

COMMANDS = {
    "check": ("theorylab.cli.check", "Check what a plugin's theorems say, with sound statistics."),
    "hunt": ("theorylab.cli.hunt", "Search for the tightest instance of each claim, and for counterexamples."),
    "list": ("theorylab.cli.inspect", "List the plugins that are installed."),
    "show": ("theorylab.cli.inspect", "Show a plugin's theorems, assumptions, sources and mutants."),
    "audit": ("theorylab.cli.audit", "Print the kill matrix: which claim refutes which broken variant."),
    "prove": ("theorylab.cli.prove", "Check the steps of a plugin's proofs by machine."),
    "new": ("theorylab.cli.new", "Write a plugin to start from."),
    "runs": ("theorylab.cli.runs", "List the runs that the ledger holds."),
    "report": ("theorylab.cli.runs", "Show the report of a run again."),
    "diff": ("theorylab.cli.runs", "Compare two runs: verdicts, tightness, sources, time."),
    "export": ("theorylab.cli.runs", "Write a run's trials as CSV, JSON or Parquet."),
    "doctor": ("theorylab.cli.inspect", "Say what is installed, what is missing, and what to do about it."),
}

EPILOG = """\b
Examples:
  theorylab check nash-md --seeds 100
  theorylab check nash-md --instance my_win_rates.csv
  theorylab hunt nash-md --budget 60s
  theorylab show nash-md
  theorylab audit nash-md
  theorylab prove nash-md
  theorylab check nash-md --resume
  theorylab report last
"""


def plugins_option() -> click.Option:
    """`--plugins`, which every command takes: handed on through the environment, so that worker processes know it too."""

    def remember(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
        if value:
            from theorylab.config import VARIABLE

            given = os.environ.get(VARIABLE, "").split(os.pathsep)
            os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(p for p in (*given, *value) if p))

    return click.Option(
        ["--plugins", "plugin_folders"], multiple=True, metavar="DIR|FILE", expose_value=False, is_eager=True, callback=remember,
        help="Plugins that are not installed are there; may be repeated.",
    )  # fmt: skip


class LazyGroup(click.Group):
    """Commands by name; the module of a command is imported when it is called, not for --help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name][0]), f"{name}_command")
        if not any(parameter.name == "plugin_folders" for parameter in command.params):
            command.params.append(plugins_option())
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="theorylab")
def theorylab() -> None:
    """theorylab does for theorems what pytest does for code.

    A plugin holds an algorithm from a paper and the claims of its theorems, constants included. `check` runs it on many
    problems and says of each claim: SUPPORTED, CONSISTENT, REFUTED (with a counterexample), INCONCLUSIVE or VACUOUS.
    """


def _on_sigterm(signum: int, frame: FrameType | None) -> None:
    raise Terminated


def main(arguments: list[str] | None = None) -> None:
    """The entry point of the `theorylab` command."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    gc.set_threshold(100_000, 20, 50)  # what is imported stays: to look through it time and again takes a tenth of a short check
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit status; messages go to stderr, without a traceback unless the fault is ours."""
    try:
        status = theorylab.main(arguments, prog_name="theorylab", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except TheorylabError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    except (KeyboardInterrupt, click.Abort) as stop:
        print("Stopped.", file=sys.stderr)
        return stop_status(stop)
    except BrokenPipeError:  # `theorylab ... | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        print(
            "This is a defect of theorylab, not of your input. Please report it with the text below.",
            file=sys.stderr,
        )
        import traceback

        traceback.print_exc()
        return 3
