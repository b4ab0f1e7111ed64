"""`benito topdl convert`: from one language to the other."""

from pathlib import Path

from benito_cli.commands.topdl import options


def convert(file: options.File, out: options.Output = None, to: options.To = None) -> None:
    """Write FILE in the other language, or in the one that OUT ends in. What it cannot say is said on stderr."""
    from benito.topology import read_topology
    from benito.topology.formats import Format, format_of
    from benito_cli.commands.topdl import output

    asked = options.parse_format(to)
    topology = read_topology(file)
    output.warn(topology.warnings)
    if out is None or out == Path("-"):
        other = Format.NS if format_of(file) is Format.TOPDL else Format.TOPDL
        output.write(topology, asked or other, None)
    else:
        output.write(topology, asked or format_of(out), out)
