"""What makes an NVIDIA GPU's latencies move, as NVML tells it."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.errors import UnavailableError
from ..device import Device, Gpu
from ..files import listed
from ..nvml import MISSING, NvidiaGpu, open_gpu
from .check import Check, at_most, failed, passed, unknown, warned

_IDLE = 0x1
_REASONS = {
    0x4: "the power limit",
    0x8: "a hardware slowdown",
    0x20: "heat, by the driver",
    0x40: "heat, by the hardware",
    0x80: "the power supply",
}
_LOCK_TOLERANCE = 0.02
_BUSY_PCT = 2


def gpu_checks(device: Device) -> Iterator[Check]:
    """Everything about the GPU that the card of `device` names; nothing where it names none."""
    if device.gpu is None:
        return
    try:
        with open_gpu(device.gpu) as gpu:
            yield passed("GPU", gpu.description())
            yield _persistence(gpu)
            yield _clocks(gpu, device.gpu)
            yield _throttling(gpu)
            yield at_most(
                "GPU temperature",
                gpu.temperature_c(),
                device.gates.temperature_max_c,
                " degrees Celsius",
                "Let it cool down first.",
            )
            yield _others(gpu)
            yield _utilisation(gpu)
            yield _ecc(gpu)
            yield _partitions(gpu)
    except UnavailableError as error:
        text = str(error)
        if text == MISSING:
            yield Check("GPU", "warn", text, "pip install nvidia-ml-py", known=False)
        else:
            yield failed("GPU", text, text.rpartition(": ")[2])


def _persistence(gpu: NvidiaGpu) -> Check:
    name = "GPU persistence"
    is_on = gpu.is_persistent()
    if is_on is None:
        return unknown(name)
    if is_on:
        return passed(name, "on")
    repair = f"sudo nvidia-smi -i {gpu.index} -pm 1"
    return warned(name, "off: the driver is loaded anew for every first run", repair)


def _clocks(gpu: NvidiaGpu, card: Gpu) -> Check:
    """The clock of now against the one that the card asks for, and the most there is."""
    name = "GPU clocks"
    clocks, reasons = gpu.clocks(), gpu.reasons()
    if clocks is None:
        return unknown(name)
    text = f"{clocks.now_mhz} of {clocks.most_mhz} MHz"
    if card.lock_clocks is None:
        return warned(
            name,
            f"{text}, floating: the card locks none",
            "Write a card with gpu: {lock_clocks: base}, and measure with --tune.",
        )
    if card.lock_clocks == "base":
        return passed(name, f"{text} (the card asks for the base clock, with --tune)")
    if abs(clocks.now_mhz - card.lock_clocks) <= _LOCK_TOLERANCE * card.lock_clocks:
        return passed(name, f"{text}, as the card asks")
    if reasons is not None and reasons & _IDLE:
        return unknown(name, f"{text}, idle: whether it is locked shows under load alone")
    return warned(
        name,
        f"{text}, the card asks for {card.lock_clocks} MHz",
        f"Measure with --tune, or: sudo nvidia-smi -i {gpu.index} "
        f"-lgc {card.lock_clocks},{card.lock_clocks}",
    )


def _throttling(gpu: NvidiaGpu) -> Check:
    name = "GPU throttling"
    bits = gpu.reasons()
    if bits is None:
        return unknown(name)
    found = [text for bit, text in _REASONS.items() if bits & bit]
    if not found:
        return passed(name, "none")
    return warned(
        name, f"slowed down by {', '.join(found)}", f"nvidia-smi -i {gpu.index} -q -d PERFORMANCE"
    )


def _others(gpu: NvidiaGpu) -> Check:
    name = "GPU processes"
    pids = gpu.other_pids()
    if pids is None:
        return unknown(name)
    if not pids:
        return passed(name, "no other")
    repair = f"End them: kill {' '.join(map(str, pids))}"
    return warned(name, f"others compute on it: pid {listed(pids)}", repair)


def _utilisation(gpu: NvidiaGpu) -> Check:
    """Whether something ran on it in the last moments, which this process did not."""
    name = "GPU utilisation"
    found = gpu.utilisation_pct()
    if found is None:
        return unknown(name)
    if found < _BUSY_PCT:
        return passed(name, f"{found} %")
    return warned(name, f"{found} %: something else runs on it", "Find it with: nvidia-smi pmon")


def _ecc(gpu: NvidiaGpu) -> Check:
    name = "GPU ECC"
    modes = gpu.ecc()
    if modes is None:
        return unknown(name)
    now, later = ("on" if mode else "off" for mode in modes)
    if now == later:
        return passed(name, f"{now} (recorded)")
    return warned(name, f"{now}, {later} after the next start", "sudo nvidia-smi --gpu-reset")


def _partitions(gpu: NvidiaGpu) -> Check:
    name = "GPU partitions"
    is_partitioned = gpu.is_partitioned()
    if is_partitioned is None:
        return unknown(name)
    if not is_partitioned:
        return passed(name, "none: the whole GPU")
    repair = f"sudo nvidia-smi -i {gpu.index} -mig 0"
    return warned(name, "MIG is on: a part of the GPU is measured", repair)
