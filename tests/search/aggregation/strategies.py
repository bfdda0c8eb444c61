"""Random topologies."""

from hypothesis import strategies as st

from elat.search.aggregation import Topology


@st.composite
def topologies(draw, least=1, most=12):
    """Every layer reads one earlier output or more."""
    layers = draw(st.integers(least, most))
    rows = (draw(st.sets(st.integers(0, layer - 1), min_size=1)) for layer in range(1, layers + 1))
    return Topology(tuple(tuple(sorted(row)) for row in rows))
