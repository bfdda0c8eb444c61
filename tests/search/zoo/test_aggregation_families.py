"""DenseNet, SparseNet, MixNet, dual path and ResNets: published figures, rules and links."""

import pytest
import torch

from elat.latency.export import seeded_module
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.search.aggregation import Topology
from elat.search.aggregation.reading import aggregated_layers
from elat.search.zoo import find_network
from elat.search.zoo.densenet import densenet_cifar
from elat.search.zoo.dual_path import DualPath
from elat.search.zoo.mixnet import mixnet_cifar
from elat.search.zoo.resnet_cifar import resnet_cifar
from elat.search.zoo.resnet_preact import preactivation
from elat.search.zoo.sparsenet import sparsenet

# Parameters in millions as they stand in the papers and in SparseNet's README.
PUBLISHED = {
    "densenet40_12": "1.1", "densenet100_12": "7.2", "densenet100_24": "28.28",
    "densenet_bc100_12": "0.8", "densenet_bc250_24": "15.3", "densenet_bc190_40": "25.6",
    "sparsenet40_24": "0.76", "sparsenet100_36": "5.65", "sparsenet100_16_32_64": "7.22",
    "sparsenet_bc100_24": "1.46", "sparsenet_bc100_16_32_64": "4.38",
    "mixnet100_12_12": "1.5", "mixnet250_24_24": "29.0", "mixnet190_40_40": "48.5",
    "mixnet105": "11.16", "mixnet121": "21.86", "mixnet141": "41.07",
    "preresnet110": "1.7", "preresnet164": "1.7",
    "resnet20": "0.27", "resnet32": "0.46", "resnet44": "0.66", "resnet56": "0.85",
    "resnet110": "1.7",
}  # fmt: skip
# Multiply-adds in millions, recounted from the papers' rules.
MACS = {"densenet40_12": 283, "densenet100_12": 1817, "densenet_bc100_12": 288}
# Size of the released file in MiB and multiply-adds in billions, of cypw/DPNs.
DPN = {"dpn68": (49, 2.5), "dpn92": (145, 6.5)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_to_their_digits(name):
    digits = len(PUBLISHED[name].partition(".")[2])
    assert f"{find_network(name).operator().params / 1e6:.{digits}f}" == PUBLISHED[name]


@pytest.mark.parametrize("name", MACS)
def test_published_macs_to_their_digits(name):
    assert round(find_network(name).operator().macs / 1e6) == MACS[name]


@pytest.mark.parametrize("name", DPN)
def test_dual_paths_are_of_the_released_size(name):
    """The files hold the statistics of batch norms as well: a percent or two."""
    megabytes, billions = DPN[name]
    network = find_network(name).operator()
    assert 0.97 * megabytes < 4 * network.params / 2**20 < megabytes
    # 2.33 G of DPN-68 are published as 2.5 G.
    assert network.macs / 1e9 == pytest.approx(billions, rel=0.08)


@pytest.mark.parametrize(
    ("depth", "growths", "is_bottleneck", "parameters", "macs"),
    [
        (40, (24, 24, 24), False, 0.736, 290), (100, (36, 36, 36), False, 5.575, 2289),
        (100, (24, 24, 24), True, 1.449, 629),
    ],
)  # fmt: skip
def test_sparsenets_with_the_stem_of_the_released_code(
    depth, growths, is_bottleneck, parameters, macs
):
    made = sparsenet(depth, growths, is_bottleneck=is_bottleneck, stem=growths[0])
    network = made.network(100, 32)
    assert round(network.params / 1e6, 3) == parameters
    assert round(network.macs / 1e6) == macs


@pytest.mark.parametrize("stem", [16, 32, 64])
def test_one_published_figure_is_not_reproduced(stem):
    made = sparsenet(100, (32, 64, 128), is_bottleneck=True, stem=stem)
    assert 17.28e6 < made.network(100, 32).params < 17.35e6  # README: 16.72 M


def test_with_100_classes_two_densenets_have_more_than_was_published():
    assert find_network("densenet_bc250_24").operator(classes=100).params == 15_480_556
    assert find_network("densenet_bc190_40").operator(classes=100).params == 25_821_620


@pytest.mark.parametrize(
    ("made", "links"),
    [
        (densenet_cifar(40, 12), 273), (densenet_cifar(100, 12), 1683),
        (densenet_cifar(100, 12, is_bottleneck=True), 459),
        (sparsenet(40, (24, 24, 24)), 123), (sparsenet(100, (36, 36, 36)), 423),
        (sparsenet(100, (24, 24, 24), is_bottleneck=True), 177),
    ],
)  # fmt: skip
def test_links_of_layers_and_stage_outputs(made, links):
    """273 = 3 (78 + 13), 123 = 3 (37 + 4): layers and what leaves the stage."""
    assert made.links == links
    dag = made.network(10, 32)
    joined = sum(len(op.channels) for op in dag.operators if isinstance(op, Concat))
    single = sum(read == 1 for stage in made.stages for read in stage.topology.aggregated)
    assert joined + single == links


def test_sparsenet_reads_by_the_released_rule():
    """Written out anew: the last output, the one 2 before the end, 4, 8, ..."""
    outputs, expected = [0], []
    for layer in range(1, 14):
        steps = [2**k for k in range(5) if 2**k <= len(outputs)]
        expected.append(tuple(sorted(outputs[-step] for step in steps)))
        outputs.append(layer)
    found = aggregated_layers(find_network("sparsenet40_24").operator())
    assert found.sources[:13] == tuple(expected)


def test_sums_cost_what_the_residual_network_costs():
    sparse, residual = (find_network(n).operator() for n in ("sparsenet_sum110", "preresnet110"))
    assert (sparse.params, sparse.macs) == (residual.params, residual.macs)
    assert sparse.traffic_elements > residual.traffic_elements
    assert aggregated_layers(sparse).links < aggregated_layers(residual).links


def test_mixnet_has_densenet_and_resnet_as_its_ends():
    """Wang et al. 2018: no inner links is DenseNet-BC, no outer ones a ResNet."""
    mixed, dense = mixnet_cifar(100, 0, 12), densenet_cifar(100, 12, is_bottleneck=True)
    assert mixed.network(10, 32).params == dense.network(10, 32).params
    added = mixnet_cifar(40, 16, 0)
    assert all(not isinstance(op, Concat) for op in added.network(10, 32).operators)
    assert aggregated_layers(added.network(10, 32)).aggregated[-1] == 7


def test_resnet_1202():
    network = resnet_cifar(200, 10, 32)
    assert network.params == 19_421_274
    assert sum(isinstance(op, Conv) for op in network.operators) == 1201


def test_preactivation_resnet_1001():
    """The paper says 10.2 M; its rule gives 10.3 M, as pytorchcv's network has."""
    made = preactivation(Topology.residual(112), is_bottleneck=True)
    assert made.network(10, 32).params == 10_327_706


def test_dual_path_98():
    """As pytorchcv's, by the same rule."""
    from elat.search.aggregation.network import Stem

    stem = Stem(96, 7, halves=True)
    made = DualPath(stem, 4, 160, 40, (3, 6, 20, 3), (16, 32, 32, 128)).aggregation()
    network = made.network(1000, 224)
    assert (network.params, network.macs) == (61_570_728, 11_671_217_152)


def test_densenet_computes_its_equation():
    """Layer by layer with torch.cat: x_l = H_l([x_0, ..., x_(l-1)])."""
    made = densenet_cifar(10, 4)  # two layers a stage
    module = seeded_module(made.network(5, 8), 0)
    nodes = module.get_submodule("nodes").children()
    image = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        x = next(nodes)(image)
        for stage in range(3):
            outputs = [x]
            for layer in range(2):
                if layer > 0:
                    x = next(nodes)(*outputs)
                x = next(nodes)(x)
                outputs.append(next(nodes)(x))
            x = next(nodes)(*outputs)
            for _ in range(3):  # norm, then convolution and pool, or pool and classifier
                x = next(nodes)(x)
            assert stage < 2 or x.shape == (2, 5)
        torch.testing.assert_close(module(image), x)
