"""What a study of wirings found of a network, read from where its stages left it."""

from __future__ import annotations

from ..core.artefact import read_json
from ..reports.wirings import Wiring, WiringRow
from ..search.expected_latency import ExpectedLatency
from ..search.result import read_run
from .cell import Stage, efforts_of
from .measured_latency import measured_latency
from .measuring import Campaign
from .wiring_cells import TRAINED
from .wiring_folder import StudyFolder
from .wiring_networks import Network, Rules


def row_of(
    network: Network, rules: Rules, folder: StudyFolder, campaign: Campaign, bound_ms: float
) -> WiringRow:
    """The row of `network`, which was trained.

    Args:
        network: One of the study.
        rules: Of the study.
        folder: Of the study.
        campaign: That measured all networks in the same rounds.
        bound_ms: Of the networks of its scale.

    Raises:
        MeasurementError: The campaign did not measure it.
    """
    space, operator = rules.space(network.growth), rules.operator(network)
    trained = read_json(folder.training(network.name) / TRAINED)
    before, cpu_s = _searched(network, folder)
    return WiringRow(
        wiring=network.wiring,
        scale=network.scale,
        growth=network.growth,
        seed=network.seed,
        space=space.describe(),
        architecture=network.architecture,
        links=int(ExpectedLatency.from_links(space).of(network.architecture)),
        params=operator.params,
        macs=operator.macs,
        measured=measured_latency(campaign, space, network.architecture),
        bound_ms=bound_ms,
        bound_params=rules.sparse_params(network.scale),
        test_accuracy=trained["test_accuracy"],
        before_training=before,
        cpu_s=cpu_s,
    )


def _searched(network: Network, folder: StudyFolder) -> tuple[float | None, float | None]:
    """Accuracy with the search's weights, and CPU seconds of the search; None where unknown."""
    if network.wiring is not Wiring.LEARNED:
        return None, None
    run = read_run(folder.run(network.scale, network.seed))
    known = {c.architecture: c.accuracy for c in run.result.candidates}
    effort = dict(efforts_of(run.folder)).get(Stage.SEARCH.value)
    return known.get(network.architecture), None if effort is None else effort.cpu_s
