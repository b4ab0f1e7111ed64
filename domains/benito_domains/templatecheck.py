"""Whether a text is a skeleton of domain XML: well-formed, with all that is filled, and nothing that it may not have.

All problems are found at once, each with its line. What passes is handed on as it was understood, not as it was
written.
"""

import re
from collections.abc import Iterator

from lxml import etree

from benito.errors import Problem
from benito_domains.render import CONTAINER_PLACES, FILLED, METADATA_URI
from benito_domains.templateallowed import Rule, rule_of

MOST_BYTES = 1 << 20
_MOST_ELEMENTS = 2000
#: Whatever declares something, also where it would do no harm: what a DTD may do is not worth knowing.
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
_PLACE = re.compile(r", line [0-9]+, column [0-9]+$")
_TYPES = {"qemu": (None, "qemu", "kvm"), "lxc": ("lxc",), "openvz": ("openvz",)}
#: What has no text before it is filled.
_EMPTY = frozenset({"name", "uuid", "title", "description", "memory", "vcpu", "os/kernel", "os/initrd"})
_WITHIN = {
    "qemu": (
        "devices/disk/source",
        "devices/serial/log",
        "devices/channel/target[@name='org.benito.status']/../source",
    ),
    "lxc": tuple(f"devices/filesystem/target[@dir='{place}']/../source" for place in CONTAINER_PLACES),
}
_BEGIN = "begin with what `benito template show {name}` prints"
_SITE_ONLY = "leave it out; the pnode's site may have it in its own template"


def parse(text: bytes, file: str) -> tuple[etree._Element | None, list[Problem]]:
    """The root of a skeleton, or what is wrong with its XML. Comments and blank text are gone."""
    if len(text) > MOST_BYTES:
        return None, [Problem(message=f"it has {len(text)} bytes, more than {MOST_BYTES}", file=file)]
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        return None, [Problem(message="it is not UTF-8", file=file, line=line, hint="save it as UTF-8")]
    declared = _DECLARATION.search(decoded)
    if declared is not None:
        line = decoded.count("\n", 0, declared.start()) + 1
        message = "it may have no DTD and declare no entities"
        return None, [Problem(message=message, file=file, line=line, hint="remove what begins with <!")]
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever it says of itself
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_blank_text=True,
    )
    try:
        root = etree.fromstring(decoded.encode(), parser)
    except etree.XMLSyntaxError as error:
        message = f"the XML is not well-formed: {_PLACE.sub('', str(error.msg))[:300]}"
        return None, [Problem(message=message, file=file, line=error.lineno or None)]
    return root, list(_foreign(root, file))


def _foreign(root: etree._Element, file: str) -> Iterator[Problem]:
    if root.tag != "domain":
        hint = "<domain> without a namespace is expected"
        yield Problem(message=f"its root is {_tag(root)}", file=file, line=root.sourceline, hint=hint)
    elements = 0
    for one in [*root.itersiblings(preceding=True), *root.itersiblings(), *root.iter()]:
        elements += 1
        if not isinstance(one.tag, str):
            message = "a processing instruction means nothing to libvirt"
            yield Problem(message=message, file=file, line=one.sourceline, hint="remove what begins with <?")
    if elements > _MOST_ELEMENTS:
        yield Problem(message=f"it has {elements} elements, more than {_MOST_ELEMENTS}", file=file)


def structure_problems(name: str, root: etree._Element, file: str) -> list[Problem]:
    """What keeps it from being filled as the skeleton of that name."""
    return [*_root_problems(name, root, file), *_filled_problems(name, root, file), *_mark_problems(root, file)]


def _root_problems(name: str, root: etree._Element, file: str) -> Iterator[Problem]:
    given = root.get("type")
    if given not in _TYPES[name]:
        expected = " or ".join(f'"{one}"' for one in _TYPES[name] if one)
        yield Problem(
            message=f"its type is {_quoted(given)}, {expected} is expected",
            file=file,
            line=root.sourceline,
            element="domain",
            hint=_BEGIN.format(name=name),
        )


def _filled_problems(name: str, root: etree._Element, file: str) -> Iterator[Problem]:
    missing: list[str] = []
    for path in FILLED[name] + _WITHIN.get(name, ()):
        found = root.findall(path)
        if not found and not any(path.startswith(f"{one}/") for one in missing):
            missing.append(path)
            message = "it is missing, and Benito fills it: it has to be there once"
            hint = _BEGIN.format(name=name)
            yield Problem(message=message, file=file, line=root.sourceline, element=path, hint=hint)
        for one in found[1:]:
            message = (
                f"it is there again; Benito fills the one in line {found[0].sourceline}, and it has to be the only one"
            )
            yield Problem(message=message, file=file, line=one.sourceline, element=path, hint="remove one of them")
        if path in _EMPTY and found and (len(found[0]) or (found[0].text or "").strip()):
            message = "Benito fills it, so it has to be empty"
            yield Problem(message=message, file=file, line=found[0].sourceline, element=path, hint="empty it")
    memory = root.find("memory")
    if memory is not None and memory.get("unit") != "MiB":
        message = f'its unit is {_quoted(memory.get("unit"))}, but "MiB" is what Benito fills in'
        yield Problem(message=message, file=file, line=memory.sourceline, element="memory", hint='write unit="MiB"')


def _mark_problems(root: etree._Element, file: str) -> Iterator[Problem]:
    for one in root.iter(f"{{{METADATA_URI}}}*"):
        message = "that is Benito's own mark, by which domains are known"
        yield Problem(message=message, file=file, line=one.sourceline, element="metadata", hint="remove it")


def refused_problems(name: str, root: etree._Element, base: etree._Element, file: str) -> list[Problem]:
    """What an experiment's template has, or leaves out of `base`, the skeleton in force without it, and may not."""
    return list(_Comparison(name, file).problems(root, base))


class _Comparison:
    """What `templateallowed` lets in may differ; everything else has to be the same elements, each as often."""

    def __init__(self, name: str, file: str) -> None:
        self._name = name
        self._file = file

    def problems(self, root: etree._Element, base: etree._Element) -> Iterator[Problem]:
        rule = rule_of(self._name, "domain")
        if rule is not None:
            yield from self._judge(root, "domain", rule)
        yield from self._children(root, base, "")

    def _children(self, element: etree._Element, base: etree._Element | None, above: str) -> Iterator[Problem]:
        others = [] if base is None else list(base)
        left = [(_canonical(one), one) for one in others if rule_of(self._name, f"{above}{_name(one)}") is None]
        same = {_canonical(one) for one in others} - {known for known, _ in left}
        for one in element:
            if not isinstance(one.tag, str):
                continue  # a processing instruction, refused already
            path, known = f"{above}{_name(one)}", _canonical(one)
            if known in same:
                continue
            if (rule := rule_of(self._name, path)) is not None:
                yield from self._judge(one, path, rule)
                yield from self._children(one, None if base is None else base.find(_name(one)), f"{path}/")
            elif (at := next((at for at, (text, _) in enumerate(left) if text == known), None)) is not None:
                del left[at]
            else:
                yield self._stranger(one, path, known=any(other.tag == one.tag for other in others))
        for text, lost in left:
            message = f"the skeleton's {text.decode()[:200]} is missing or was changed"
            yield self._problem(element, f"{above}{_name(lost)}", message, _BEGIN)
        for one in others:
            if rule_of(self._name, f"{above}{_name(one)}") is not None and element.find(_name(one)) is None:
                yield from self._children(etree.Element(_name(one)), one, f"{above}{_name(one)}/")

    def _judge(self, element: etree._Element, path: str, rule: Rule) -> Iterator[Problem]:
        for key, value in element.attrib.items():
            pattern = rule.attributes.get(str(key))
            if pattern is None:
                yield self._problem(element, path, f"it may not have the attribute {str(key)[:80]}", _SITE_ONLY)
            elif re.fullmatch(pattern, str(value)) is None:
                yield self._problem(element, path, f"{key} may not be {_quoted(str(value))}", _expected(pattern))
        texts = [element.text, *(child.tail for child in element)]
        text = "".join(one or "" for one in texts).strip()
        if not rule.allows_text(text):
            hint = "it has no text" if rule.text is None else _expected(rule.text)
            yield self._problem(element, path, f"its text may not be {_quoted(text)}", hint)

    def _stranger(self, element: etree._Element, path: str, *, known: bool) -> Problem:
        if known:
            message = f"this {_tag(element)} is none of the skeleton's, which an experiment's template may not change"
            return self._problem(element, path, message, _BEGIN)
        message = f"an experiment's template may not have {_tag(element)} here"
        return self._problem(element, path, message, _SITE_ONLY)

    def _problem(self, element: etree._Element, path: str, message: str, hint: str) -> Problem:
        hint = hint.format(name=self._name) if hint is _BEGIN else hint
        return Problem(message=message, file=self._file, line=element.sourceline, element=path, hint=hint)


def canonical_text(root: etree._Element) -> bytes:
    """The skeleton as it was understood."""
    return etree.tostring(root, encoding="utf-8")


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True)


def _name(element: etree._Element) -> str:
    return str(element.tag)


def _expected(pattern: str) -> str:
    return (
        f"expected: {pattern.replace('|', ' or ')}" if re.fullmatch(r"[\w|-]+", pattern) else f"expected: /{pattern}/"
    )


def _tag(element: etree._Element) -> str:
    return f"<{str(element.tag)[:80]}>"


def _quoted(text: str | None) -> str:
    return "not given" if text is None else f'"{text[:80]}"'
