"""Hostile words, names and bytes."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = (
    "; touch CANARY;", "$(touch CANARY)", "`touch CANARY`", "| touch CANARY", "&& touch CANARY",
    "&", "\n", "\r\n", "\r", "\t", "'", '"', "\\", "\\'", "''", "$IFS", "${PATH}", "$((1/0))", "*",
    "?", "[a-z]", "{a,b}", "~", "!!", "#", "%s%n", "<", ">CANARY", ">>", "<<EOF", "-", "--",
    "-rf", "/", "//", "..", "../", ".", "\x1b[2J", "\x7f", "\u202e", "é", "日本", "😀", "=", "A=b",
    " ", "  ", "\u2028", ",33188", ":", "@", "'\"'\"'", "'; touch CANARY; '", "\\n", "x" * 300,
)  # fmt: skip

PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
WORDS = st.lists(st.one_of(st.sampled_from(PIECES), PLAIN), max_size=6).map("".join)
"""What a program can be given, and a shell would do something else with."""

ANYTHING = st.lists(
    st.one_of(st.sampled_from((*PIECES, "\0", "\ud800")), st.text(max_size=12)), max_size=6
).map("".join)
"""Whatever a card or a caller may say."""

FOLLOWED = st.sampled_from([b"\n", b"\r\n", b"\r", b"x", b"\0", b"\xff", b" 0\n", b"\n\n"])
OUTPUT = st.lists(st.one_of(st.binary(max_size=20), FOLLOWED), max_size=6).map(b"".join)
