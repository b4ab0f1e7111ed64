"""Text in pictures: what may be shown of it, and how wide that is."""

#: No name that Benito lets in is longer.
LONGEST = 40
#: Widths of letters in thousandths of the font's size, as in DejaVu Sans, the widest of the usual fonts: whatever a
#: viewer takes in its place fits into the same room.
_WIDTHS = {
    **dict.fromkeys("ijlI'", 300),
    **dict.fromkeys(" .,:;/\\ft()[]!-|", 405),
    **dict.fromkeys("ABCDEGHKNOPQRSTUVXYZ&", 790),
    **dict.fromkeys("#+<=>^~", 840),
    **dict.fromkeys("mwMW@%", 1000),
}
_OTHER_ASCII, _OTHER = 640, 1050


def shown(text: object, longest: int = LONGEST) -> str:
    """`text` as it is to be read: what XML forbids and what has no shape of its own is written as `\\x1b`, and what is
    longer than `longest` letters ends in an ellipsis.
    """
    whole = str(text)
    cut = whole if len(whole) <= longest else whole[: longest - 1] + "…"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)


def width_of(text: str, size: float) -> float:
    """How wide a text is in a font of `size` units, a little more rather than less."""
    known = (_WIDTHS.get(letter, _OTHER_ASCII if letter.isascii() else _OTHER) for letter in text)
    return sum(known) * size / 1000


def rate(kbps: float | None) -> str:
    """A bandwidth for people; None is no limit."""
    if kbps is None:
        return "unlimited"
    for unit, size in (("Gb/s", 1_000_000), ("Mb/s", 1000)):
        if kbps >= size:
            return f"{kbps / size:.4g} {unit}"
    return f"{kbps:.4g} kb/s"
