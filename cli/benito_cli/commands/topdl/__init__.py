"""`benito topdl`: everything that is done to topology files without running them. NS2 and TopDL are treated alike."""

import typer

from benito_cli.commands.topdl import convert, edit, generate, importing, join, picture, show, validate

app = typer.Typer(
    help="Show, check, convert, edit and make topology files, NS2 and TopDL alike.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("show")(show.show)
app.command("validate")(validate.validate)
app.command("convert")(convert.convert)
app.command("set")(edit.set_)
app.command("unset")(edit.unset)
app.command("set-kind")(edit.set_kind)
app.command("set-partition")(edit.set_partition)
app.command("rename")(edit.rename)
app.command("scale")(edit.scale)
app.command("merge")(join.merge)
app.command("generate")(generate.generate)
app.command("import")(importing.import_)
app.command("picture")(picture.picture)
