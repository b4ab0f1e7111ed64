"""The command `benito`: its verbs, and the one place where an error becomes a message and an exit code."""

import gc
import os
import signal
import sys
import traceback
from pathlib import Path

import typer
from rich.console import Console

from benito.errors import BenitoError, SiteError, TemplateError, TopologyError
from benito_cli.commands import (
    capture,
    console,
    cp,
    doctor,
    down,
    exec_,
    images,
    link,
    linktest,
    listing,
    logs,
    node,
    plan,
    repair,
    resume,
    serve,
    ssh,
    status,
    template,
    topdl,
    up,
)
from benito_cli.text import plain

app = typer.Typer(
    name="benito",
    help="Makes the topology of an Emulab or DETER experiment real on this machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_WORDS = {"ignore_unknown_options": True, "allow_interspersed_args": False}

app.command("plan")(plan.plan)
app.command("up")(up.up)
app.command("status")(status.status)
app.command("list")(listing.list_experiments)
app.command("ssh", context_settings=_WORDS)(ssh.ssh)
app.command("exec", context_settings=_WORDS)(exec_.exec_)
app.command("cp")(cp.cp)
app.command("logs")(logs.logs)
app.command("console")(console.console)
app.command("repair")(repair.repair)
app.command("capture")(capture.capture)
app.command("linktest")(linktest.linktest)
app.command("down")(down.down)
app.command("resume")(resume.resume)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(node.app, name="node")
app.add_typer(link.app, name="link")
app.add_typer(images.app, name="image")
app.add_typer(template.app, name="template")
app.add_typer(topdl.app, name="topdl")


def run() -> None:
    """Runs the command line; exits with the error branch's code (see `benito.errors`)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    # A command makes many small objects and ends: to look for garbage among them costs a fifth of a large one's time.
    gc.set_threshold(200_000, 20, 20)
    try:
        app()
    except BenitoError as error:
        report(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; `benito status` shows what there is, `benito repair` finishes what was begun\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us is gone: nothing is left to say, nor anybody to say it to
        sys.exit(141)
    except Exception as error:
        if os.environ.get("BENITO_DEBUG"):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        fault = (
            f"this is a fault in benito: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        )
        report(BenitoError(fault, hint="run it again with BENITO_DEBUG=1 in the environment and report what it prints"))
        sys.exit(70)


def _leave(number: int, _frame: object) -> None:
    """A command that is told to end undoes what it began, as with Ctrl-C."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def report(error: BenitoError) -> None:
    """Prints an error and what to do about it on standard error; control characters are shown, not sent."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    lines = (
        [str(problem) for problem in error.problems]
        if isinstance(error, TopologyError | SiteError | TemplateError)
        else [error.message]
    )
    for line in lines:
        console.print(plain(f"error: {line}"))
    if error.hint:
        console.print(plain(f"hint: {error.hint}"))


if __name__ == "__main__":
    run()
