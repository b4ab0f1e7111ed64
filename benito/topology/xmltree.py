"""Parses XML from strangers: no DTD, no entities, no network, bounded size, depth and width.

A document is handed out piece by piece and forgotten, so that the memory it takes is that of what was read from it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from benito.topology.limits import ReadLimits
from benito.topology.source import read_text, syntax_error

_PLACE = re.compile(r", line [0-9]+, column [0-9]+$")
_HTML = re.compile(r"<!doctype\s+html", re.IGNORECASE)
_FORBIDDEN = re.compile(r"<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_ENCODING = re.compile(r"""\s*<\?xml[^>]*?encoding\s*=\s*["']([-A-Za-z0-9._]+)["']""")
_CHUNK_BYTES = 1 << 20
#: So many names of attributes are remembered.
_MOST_NAMES = 20
_HAS_ATTRIBUTES = etree.XPath("boolean(descendant-or-self::*/@*)")


class XmlDocument:
    """An XML file that has passed all checks that need no parser; `pieces` parses it, once.

    `attributed` has the names of the XML attributes that its pieces have, with the line of the first of each.
    """

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        """Raises TopologySyntaxError."""
        self.path = path
        self._limits = limits
        text = read_text(path, most_bytes=limits.topdl_bytes)
        _check_text(path, text)
        bare = text.lstrip()
        self._skipped_lines = text.count("\n", 0, len(text) - len(bare))
        self._data = bare.encode()
        tags = self._data.count(b"<")
        if tags > limits.xml_tags:
            raise syntax_error(path, f"the file has {tags} tags, more than {limits.xml_tags}")
        self.root: etree._Element | None = None
        self.attributed: dict[str, int | None] = {}

    def pieces(self, names: frozenset[str]) -> Iterator[etree._Element]:
        """The root's children of these names, each complete and good until the next is asked for.

        What else the root has is left in `root`, which is there at the end. Raises TopologySyntaxError.
        """
        parser = etree.XMLPullParser(
            events=("end",),
            tag=[f"{{*}}{name}" for name in names],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            attribute_defaults=False,
            recover=False,
            remove_comments=True,
            remove_pis=True,
            remove_blank_text=True,
        )
        try:
            for start in range(0, len(self._data), _CHUNK_BYTES):
                parser.feed(self._data[start : start + _CHUNK_BYTES])
                yield from self._ended(parser)
            self.root = parser.close()
            yield from self._ended(parser)
        except etree.XMLSyntaxError as error:
            line = error.lineno + self._skipped_lines if error.lineno else None
            message = f"the XML is not well-formed: {_PLACE.sub('', str(error.msg))[:300]}"
            raise syntax_error(self.path, message, line=line) from error
        self._check_root(self.root)

    def line(self, element: etree._Element) -> int | None:
        """The element's line in the file."""
        return None if element.sourceline is None else element.sourceline + self._skipped_lines

    def _ended(self, parser: "etree.XMLPullParser[etree._Element]") -> Iterator[etree._Element]:
        for _event, element in parser.read_events():
            parent = element.getparent()
            if parent is None or parent.getparent() is not None:
                continue
            if _HAS_ATTRIBUTES(element):
                self._check_attributes(element)
            yield element
            parent.remove(element)

    def _check_attributes(self, element: etree._Element) -> None:
        most = self._limits.xml_attributes
        for one in (element, *element.iterdescendants()):
            if len(one.attrib) > most:
                raise syntax_error(self.path, f"an element has more than {most} attributes", line=self.line(one))
            if one.attrib and one is not self.root and len(self.attributed) < _MOST_NAMES:
                for name in one.attrib:
                    self.attributed.setdefault(str(name), self.line(one))

    def _check_root(self, root: etree._Element) -> None:
        document = root.getroottree().docinfo
        if document.doctype or document.internalDTD is not None:
            raise syntax_error(self.path, "the file may not have a DTD", hint="remove the declaration")
        self._check_attributes(root)
        most = self._limits.xml_depth
        deep = etree.XPath(f"({'/'.join('*' * most)})[1]")(root)
        if isinstance(deep, list) and deep and etree.iselement(deep[0]):
            line = self.line(deep[0])
            raise syntax_error(self.path, f"elements are nested deeper than {most}", line=line)


def _check_text(path: Path, text: str) -> None:
    prolog = _prolog(text)
    if found := _FORBIDDEN.search(prolog):
        if _HTML.search(prolog):
            raise syntax_error(
                path, "this is an HTML page, not TopDL", hint="download the file itself, not the page that shows it"
            )
        line = text.count("\n", 0, text.find(found[0])) + 1
        raise syntax_error(path, f"the file may not have a DTD: {found[0]}", line=line, hint="remove the declaration")
    declared = _ENCODING.match(text)
    if declared and declared[1].lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise syntax_error(path, f"the file calls itself {declared[1]}; only UTF-8 is read", line=1)
    if not text.lstrip().startswith("<"):
        raise syntax_error(path, "this is not XML", line=1, hint="NS files end in .ns or .tcl, TopDL files in .xml")


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
