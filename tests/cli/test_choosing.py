"""`elat measure --for --search` as it is typed."""

from __future__ import annotations


def test_a_search_says_which_operators_matter(elat, flow):
    # The flow measured its space whole; a millisecond is over before anything is measured again.
    where = ("--device", "local-ort", "--space", flow.space, "--for", "0.001s")
    known = []
    for search in (("--search", flow.run), ()):
        said = elat("measure", *where, *search, "--json")
        assert said.code == 0, said.err
        assert said.json["chosen"]["operators"] == said.json["chosen"]["of"]
        assert said.json["chosen"]["launches"] == said.json["new_launches"] == 0
        known.append(said.json["chosen"]["network_error"])
    # Networks of the search hold other operators than any networks do.
    assert 0 < known[0] != known[1]
    said = elat("measure", *where, "--search", flow.run)
    assert said.code == 0, said.err
    assert f"networks drawn by {flow.run}" in " ".join(said.err.split())


def test_searches_that_fit_nothing_are_refused(elat, flow, tmp_path):
    where = ("--device", "local-ort", "--store", tmp_path / "m.db")
    run = ("--search", flow.run)
    for arguments, code, words in (
        (("--space", flow.space, *run), 2, "give --for DURATION"),
        (
            ("--space", "proxyless-tiny", "--for", "1s", *run),
            2,
            "proxyless-tiny is to be measured",
        ),
        (("--space", flow.space, "--for", "1s", "--search", tmp_path), 7, str(tmp_path)),
    ):
        said = elat("measure", *where, *arguments)
        assert said.code == code
        assert words in " ".join(said.error.split())
