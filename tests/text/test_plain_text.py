from __future__ import annotations

from finewave.text.plain_text import as_code, as_markdown, one_line

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) `a`|b\n\u202egnp.exe $\\frac{$ \x00\x1b[31m"


def test_one_line_has_no_control_and_no_change_of_direction() -> None:
    assert one_line("a\nb\tc\u2028d\u202e\u2066e\ufefff\x00g") == "a b c def g"
    assert (
        one_line("\u0645\u06cc\u200c\u062e \u4f60\u597d na\u00efve")
        == "\u0645\u06cc\u200c\u062e \u4f60\u597d na\u00efve"
    )


def test_markdown_shows_markup_as_text() -> None:
    """By a reader of Markdown: no element but the paragraph, and the words as they were given."""
    from html import unescape
    from re import findall, sub

    from markdown_it import MarkdownIt

    page = MarkdownIt("commonmark", {"html": True}).render(as_markdown(HOSTILE))
    assert findall(r"<(\w+)", page) == ["p"]
    assert unescape(sub(r"</?p>", "", page)).strip() == one_line(HOSTILE)
    definition = as_markdown("[x]: javascript:alert(1)") + "\n\n[x]"
    assert "href" not in MarkdownIt().render(definition)


def test_code_stays_between_its_backticks() -> None:
    assert as_code("a`b`|\nc") == "a'b'/ c"
