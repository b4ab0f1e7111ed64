"""`benito template`: the skeletons of domain XML that nodes' domains are made of."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options

if TYPE_CHECKING:
    from benito_cli.wiring import Template

app = typer.Typer(
    help="The skeletons of domain XML that nodes' domains are made of.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("show")
def show(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="qemu or lxc.  [default: say whose each is]")
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", metavar="NODE", help="A running node's domain instead, as libvirt has it.")
    ] = None,
    builtin: Annotated[bool, typer.Option("--builtin", help="Benito's own, also where the site has another.")] = False,
    json: options.Json = False,
) -> None:
    """Print the skeleton in force: the site's, or Benito's own. On standard error it says which."""
    from benito.errors import UsageError
    from benito_cli import wiring
    from benito_cli.text import plain

    if node is not None:
        if kind is not None or builtin or json:
            raise UsageError("--node prints one running domain: it goes with no other word")
        typer.echo(plain(wiring.node_xml(node)).plain, nl=False)
        return
    if kind is None:
        _list([wiring.template(one.name, builtin=builtin) for one in wiring.templates_in_force()], json=json)
        return
    found = wiring.template(kind, builtin=builtin)
    if json:
        from benito_cli import documents

        typer.echo(documents.to_text({**_document(found), "xml": found.text.decode()}))
        return
    Console(stderr=True, highlight=False, soft_wrap=True).print(plain(f"<!-- {_whose(found)} -->"))
    typer.echo(plain(found.text.decode()).plain, nl=False)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A skeleton.")],
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="qemu|lxc", help="Of what.  [default: by its root's type]")
    ] = None,
    experiment: Annotated[
        bool, typer.Option("--experiment", help="As one for `--template`, which may hold less than a site's.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Check a skeleton, and as root have libvirt define a sample domain of it. Exit code 5 where it cannot be used."""
    from benito.errors import TemplateError
    from benito_cli import documents, wiring
    from benito_cli.text import plain

    text = _read(file)
    try:
        name, passed = wiring.check_template(text, str(file), kind, experiment=experiment)
    except TemplateError as error:
        if not json:
            raise
        fields = ("line", "element", "message", "hint")
        problems = [{field: getattr(problem, field) for field in fields} for problem in error.problems]
        typer.echo(documents.to_text({"file": str(file), "ok": False, "problems": problems}))
        raise typer.Exit(error.exit_code) from error
    if json:
        document = {"file": str(file), "ok": True, "kind": name, "passed": passed, "problems": []}
        typer.echo(documents.to_text(document))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(plain(f"{file}: a template for {name}"))
    for line in passed:
        console.print(plain(f"  {line}"))


def _list(templates: "list[Template]", *, json: bool) -> None:
    from benito_cli import documents
    from benito_cli.text import plain

    if json:
        typer.echo(documents.to_text([_document(template) for template in templates]))
        return
    console = Console(highlight=False, soft_wrap=True)
    for template in templates:
        console.print(plain(f"{template.name:7} {_whose(template)}"))


def _document(template: "Template") -> dict[str, object]:
    return {"kind": template.name, "origin": template.origin, "file": template.file}


def _whose(template: "Template") -> str:
    return "Benito's own" if template.origin == "benito" else f"the site's: {template.file}"


def _read(file: Path) -> bytes:
    from benito.errors import UsageError

    try:
        if not file.is_file():
            raise UsageError(f"{file} is not a file", hint="`benito template show qemu` prints one to begin with")
        with file.open("rb") as opened:
            return opened.read((1 << 20) + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
