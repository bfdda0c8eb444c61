"""`elat topology`: counts, closed forms, the figure, and sentences for what is wrong."""

from __future__ import annotations

import pytest

from elat.flows.topology import TopologyOrder, run_topology


@pytest.mark.parametrize(
    ("name", "links", "path", "parameters"),
    [
        ("plain", 64, 64, 149_936), ("residual", 2080, 1, 149_936), ("dense", 2080, 1, 4_859_312),
        ("sparse", 328, 6, 766_640),
    ],
)  # fmt: skip
def test_the_written_command(elat, name, links, path, parameters):
    said = elat("topology", name, "--layers", 64, "--base", 2, "--json")
    assert said.code == 0, said.err
    found = said.json
    assert (found["layers"], found["links"]) == (64, links)
    assert found["longest_shortest_path"] == path
    assert found["parameters"] == parameters
    assert found["agrees"] is True and all(form["agrees"] for form in found["closed_forms"])
    assert {form["quantity"] for form in found["closed_forms"]} >= {
        "links", "longest shortest path", "mean shortest path", "parameters", "multiply-adds",
    }  # fmt: skip
    assert len(found["aggregated"]) == 64 and sum(found["aggregated"]) == links
    assert found["macs"] > 0 and found["traffic_bytes"] > found["join_traffic_bytes"] >= 0
    assert found["unjoined_pairs"] == 0


def test_sizes_are_options(elat):
    said = elat(
        "topology", "sparse", "--layers", 12, "--base", 3, "--width", 4, "--how", "sum",
        "--resolution", 8, "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["name"] == "sparse base 3 (sum)"
    assert (said.json["links"], said.json["resolution"]) == (26, 8)
    assert said.json["parameters"] == 27 * 4 + 12 * (9 * 16 + 8)
    assert said.json["copies"] == 0


def test_tables_say_whether_the_forms_agree(elat):
    said = elat("topology", "residual", "--layers", 20)
    assert said.code == 0, said.err
    assert "against closed forms" in said.out
    assert said.out.count("yes") == 7 and " no " not in said.out
    assert "..." in said.out


def test_a_published_network(elat):
    said = elat("topology", "densenet40_12", "--json")
    assert said.code == 0, said.err
    assert (said.json["parameters"], said.json["links"]) == (1_100_428, 273)
    assert said.json["agrees"] is None and said.json["closed_forms"] == []
    small = elat("topology", "densenet40_12", "--resolution", 16)
    assert "16 pixels" in small.out and "closed forms" not in small.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), r"Name a topology: plain, residual, dense, sparse, or .* --figure"),
        (("sparce",), r"Unknown topology 'sparce'\. Did you mean 'sparse'\?.* elat zoo"),
        (("sparse", "--layers", 0), "1 to 1024 layers, found 0"),
        (("sparse", "--base", 1), "must be 2 or more, found 1"),
        (("dense", "--width", 0), "at least 1, found 0"),
        (("dense", "--how", "add"), r"Unknown way of joining 'add'.*Known: concat, sum"),
        (("residual", "--how", "concat"), "A residual network adds; .* elat topology dense"),
        (("resnet20", "--layers", 4, "--base", 2), "leave out --layers, --base, or name one of"),
        (("dense", "--figure", "x.png"), "leave out the name and --how"),
        (("--figure", "x.jpg"), r"\.png, \.svg or \.pdf, found x\.jpg"),
        (("--figure", "x.png", "--layers", 4), "8 layers at least, found 4"),
        (("--figure", "nowhere/x.png"), "make its folder"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(elat, arguments, message, tmp_path, monkeypatch):
    import re

    monkeypatch.chdir(tmp_path)
    said = elat("topology", *arguments)
    assert said.code == 2
    assert re.search(message, said.error), said.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_figure_is_drawn(elat, tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    said = elat("topology", "--figure", path, "--layers", 16, "--json")
    assert said.code == 0, said.err
    assert said.json == {"figure": str(path)}
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)


def test_a_form_that_disagrees_is_an_error(monkeypatch):
    from elat.core.errors import CheckError
    from elat.search.aggregation import closed_forms

    monkeypatch.setattr(closed_forms, "plain_links", lambda layers: layers + 1)
    with pytest.raises(CheckError, match=r"closed forms of plain .*: links\."):
        run_topology(TopologyOrder("plain", 4))
