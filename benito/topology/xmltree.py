"""Parses XML from strangers: no DTD, no entities, no network, bounded depth and width."""

import re
from pathlib import Path

from lxml import etree

from benito.topology.limits import ReadLimits
from benito.topology.source import read_text, syntax_error

_PLACE = re.compile(r", line [0-9]+, column [0-9]+$")
_HTML = re.compile(r"<!doctype\s+html", re.IGNORECASE)
_FORBIDDEN = re.compile(r"<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_ENCODING = re.compile(r"""\s*<\?xml[^>]*?encoding\s*=\s*["']([-A-Za-z0-9._]+)["']""")


def read_tree(path: Path, limits: ReadLimits) -> etree._Element:
    """The root element. Raises TopologySyntaxError."""
    text = read_text(path, most_bytes=limits.topdl_bytes)
    prolog = _prolog(text)
    if found := _FORBIDDEN.search(prolog):
        if _HTML.search(prolog):
            raise syntax_error(
                path, "this is an HTML page, not TopDL", hint="download the file itself, not the page that shows it"
            )
        line = text.count("\n", 0, text.find(found[0])) + 1
        raise syntax_error(path, f"TopDL may not have a DTD: {found[0]}", line=line, hint="remove the declaration")
    declared = _ENCODING.match(text)
    if declared and declared[1].lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise syntax_error(path, f"the file calls itself {declared[1]}; only UTF-8 is read", line=1)
    if not text.lstrip().startswith("<"):
        raise syntax_error(path, "this is not XML", line=1, hint="NS files end in .ns or .tcl, TopDL files in .xml")
    root = _parse(path, text)
    _check_shape(path, root, limits)
    return root


def _prolog(text: str) -> str:
    """What stands before the root element, without comments and instructions: where a DTD would be.

    A loop and not a regular expression, which millions of unclosed comments would keep busy for hours.
    """
    kept: list[str] = []
    at = 0
    while True:
        opened = text.find("<", at)
        if opened < 0:
            return "".join(kept) + text[at:]
        if text.startswith("<!--", opened):
            closed, size = text.find("-->", opened + 4), 3
        elif text.startswith("<?", opened):
            closed, size = text.find("?>", opened + 2), 2
        elif text.startswith("<!", opened):
            return "".join(kept) + text[at : opened + 200]
        else:
            return "".join(kept) + text[at:opened]
        kept.append(text[at:opened])
        if closed < 0:
            return "".join(kept)
        at = closed + size


def _parse(path: Path, text: str) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        attribute_defaults=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.lstrip().encode(), parser)
    except etree.XMLSyntaxError as error:
        skipped = text[: len(text) - len(text.lstrip())].count("\n")
        line = error.lineno + skipped if error.lineno else None
        raise syntax_error(
            path, f"the XML is not well-formed: {_PLACE.sub('', str(error.msg))[:300]}", line=line
        ) from error
    document = root.getroottree().docinfo
    if document.doctype or document.internalDTD is not None:
        raise syntax_error(path, "TopDL may not have a DTD", hint="remove the declaration")
    return root


def _check_shape(path: Path, root: etree._Element, limits: ReadLimits) -> None:
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > limits.xml_depth:
            raise syntax_error(path, f"elements are nested deeper than {limits.xml_depth}", line=element.sourceline)
        if len(element.attrib) > limits.xml_attributes:
            raise syntax_error(
                path, f"an element has more than {limits.xml_attributes} attributes", line=element.sourceline
            )
