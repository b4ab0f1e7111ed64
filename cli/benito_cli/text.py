"""Data on a terminal: never taken for markup, its control characters shown instead of sent."""

from rich.text import Text


def plain(text: object, style: str = "") -> Text:
    """`text` as it is to be read; what a terminal would obey is written as `\\x1b`."""
    shown = "".join(letter if letter in "\n\t" or letter.isprintable() else repr(letter)[1:-1] for letter in str(text))
    return Text(shown, style=style)
