"""ENVI headers as programs write them: any encoding, a byte order mark, lists in other brackets."""

from __future__ import annotations

import codecs
import functools
import re
import tempfile
from pathlib import Path

from finewave.errors import InputError
from finewave.io.precheck import MOST_ITEMS
from finewave.wavelengths import nanometres_per_unit

_FIELD = re.compile(r"^\s*([^={}\[\]]+?)\s*=\s*(\{[^}]*\}|\[[^\]]*\]|[^\n]*)", re.MULTILINE)


def header_of(data: Path) -> Path | None:
    """Return the header beside a data file, None if there is none."""
    names = [data.with_suffix(".hdr"), data.with_name(data.name + ".hdr")]
    names += [each.with_suffix(".HDR") for each in names]
    return next((each for each in names if each.is_file()), None)


def header_text(header: Path) -> str:
    """Return the text of a header in any encoding."""
    content = header.read_bytes()
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def header_fields(header: Path) -> dict[str, str]:
    """Return the fields of a header: names in lower case with single spaces, values without their brackets."""
    return {
        " ".join(name.lower().split()): value.strip().strip("{}[]").strip()
        for name, value in _FIELD.findall(header_text(header))
    }


def readable_by_gdal(data: Path) -> Path:
    """Return the data file, or a link to it beside a rewritten header if GDAL cannot read the original one.

    Parameters
    ----------
    data : pathlib.Path
        The file with the values.

    Returns
    -------
    pathlib.Path
        To open; links are removed when the program ends.

    Raises
    ------
    InputError
        The header has too many fields for GDAL; or it cannot read them, and no link can be created.
    """
    header = header_of(data)
    if header is None:
        return data
    content, text = header.read_bytes(), header_text(header)
    if text.count("=") > MOST_ITEMS:
        raise InputError(f"cannot read {header}: it has more than {MOST_ITEMS} fields")
    plain = re.sub(r"=\s*\[([^\]]*)\]", lambda match: f"= {{{_with_commas(match[1])}}}", text.lstrip())
    plain = plain.replace("µ", "u").replace("μ", "u")
    plain = _LISTS.sub(_plain_list, plain)
    plain = _IN_BRACES.sub(r"\1\2", plain)
    plain = re.sub(r"\A\s*envi\b", "ENVI", plain, flags=re.IGNORECASE)
    if content.isascii() and plain.encode() == content:
        return data
    try:
        if plain.encode() == content.replace("µ".encode(), b"u").replace("μ".encode(), b"u"):
            return data  # GDAL reads UTF-8
        return _linked(data.absolute(), plain)
    except OSError as error:
        raise InputError(
            f"{header} is not written as ENVI's are; save it as plain ASCII text with lists in {{}}"
        ) from error


# Lists of numbers, which other programs read between commas.
_LISTS = re.compile(r"^[ \t]*(wavelength|fwhm)[ \t]*=[ \t]*\{([^}]*)\}", re.IGNORECASE | re.MULTILINE)


# GDAL reads single numbers in braces as 0.
_IN_BRACES = re.compile(
    r"^([ \t]*(?:data[ \t]+ignore[ \t]+value|header[ \t]+offset)[ \t]*=[ \t]*)\{\s*([^{},]+?)\s*\}",
    re.IGNORECASE | re.MULTILINE,
)


def _plain_list(field: re.Match[str]) -> str:
    """Return a list with commas between plain numbers: semicolons, spaces, units and decimal commas are others' ways.

    A list with an entry that is no number gets a name under which it is still found, and said to be unusable.
    """
    name, inside = field[1], field[2]
    entries = [each.strip() for each in inside.split(",")]
    if all(_NUMBER.fullmatch(each) for each in entries):
        return field[0]
    if ";" in inside:  # the comma is then that of decimals
        entries = [each.strip().replace(",", ".") for each in inside.split(";")]
    elif len(entries) == 1:
        entries = inside.split()
    numbers = [_plain_number(each) for each in entries if each]
    if not numbers or None in numbers:
        return f"{name}s = {{{inside}}}"
    return f"{name} = {{{', '.join(each for each in numbers if each)}}}"


_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def _plain_number(entry: str) -> str | None:
    """Return the number of an entry, with or without a unit; None for a range or a word, whose beginning is wrong."""
    number = _NUMBER.match(entry)
    if number is None:
        return None
    unit = entry[number.end() :].strip()
    return number[0] if not unit or nanometres_per_unit(unit) is not None else None


def _with_commas(entries: str) -> str:
    return entries if "," in entries else ", ".join(entries.split())


@functools.cache
def _links() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="finewave-envi-")


def _linked(data: Path, header: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=_links().name))
    link = folder / f"{data.stem}.img"
    link.symlink_to(data)
    link.with_suffix(".hdr").write_text(header, encoding="utf-8")
    return link
