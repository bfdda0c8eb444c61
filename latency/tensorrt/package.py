"""The Python packages of TensorRT, and everything in which they differ.

`tensorrt` (10 and 11) measures kernels while it builds, for the GPU that is there. `tensorrt_rtx`
compiles kernels when an engine is loaded, builds without a GPU for the compute capabilities that
it knows, and has nothing to time while it builds. The rest of elat uses what both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from ...core.errors import ConfigError, UnavailableError

CLASSIC, RTX = "tensorrt", "tensorrt_rtx"
AUTO = "auto"
PACKAGES = (CLASSIC, RTX)
KNOWN_MAJORS = {CLASSIC: (10, 11), RTX: (1,)}
MISSING = (
    "Neither tensorrt nor tensorrt-rtx is installed; install one with: pip install "
    "'elat[tensorrt]' (GPUs of data centres and desktops) or pip install 'elat[tensorrt-rtx]' "
    "(GeForce and RTX; builds without a GPU)"
)


@dataclass(frozen=True)
class Package:
    """One of the packages, not loaded yet.

    Attributes:
        name: Of the module.
        version: As installed.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def is_classic(self) -> bool:
        """Whether it measures kernels while it builds, and so has a timing cache."""
        return self.name == CLASSIC

    def load(self) -> Any:
        """The module.

        Raises:
            UnavailableError: It cannot be loaded: a library is missing, or the version is unknown.
        """
        major = self.version.partition(".")[0]
        if major not in map(str, KNOWN_MAJORS[self.name]):
            known = " and ".join(map(str, KNOWN_MAJORS[self.name]))
            raise UnavailableError(
                f"{self} is installed; elat knows {self.name} {known}. Install one of these."
            )
        try:
            return import_module(self.name)
        except (ImportError, OSError) as error:
            raise UnavailableError(
                f"{self} is installed but cannot be loaded ({error}); reinstall it with: pip "
                f"install --force-reinstall {self.name.replace('_', '-')}"
            ) from error


def find_package(wanted: str = AUTO) -> Package:
    """The package called `wanted`, or for `auto` the first one that is installed.

    Raises:
        UnavailableError: It is not installed.
    """
    names = PACKAGES if wanted == AUTO else (wanted,)
    for name in names:
        if find_spec(name) is not None:
            return Package(name, _version(name))
    if wanted == AUTO:
        raise UnavailableError(MISSING)
    install = wanted.replace("_", "-")
    raise UnavailableError(f"{wanted} is not installed; install it with: pip install {install}")


def _version(name: str) -> str:
    """The installed version; asked of the module where the system's packages keep no metadata."""
    try:
        return version(name)
    except PackageNotFoundError:
        try:
            return str(import_module(name).__version__)
        except (ImportError, OSError, AttributeError) as error:
            raise UnavailableError(f"{name} cannot be loaded ({error}).") from error


def aim_at(
    package: Package, module: Any, config: Any, capabilities: Sequence[str], wanted: str | None
) -> None:
    """Let `config` build for the compute capability `wanted`, such as `sm86`; None is this GPU's.

    Raises:
        ConfigError: The package builds for this GPU alone, or does not know the capability.
    """
    if package.is_classic:
        if wanted is not None:
            raise ConfigError(
                f"{package} builds for the GPU of this machine alone, not for {wanted}. To build "
                "ahead of time: pip install 'elat[tensorrt-rtx]', and options: {package: "
                "tensorrt_rtx} in the device card."
            )
        return
    name = "CURRENT" if wanted is None else wanted.upper()
    if wanted is not None and wanted not in capabilities:
        raise ConfigError(
            f"{package} does not know the compute capability {wanted!r}; it knows "
            f"{', '.join(capabilities)}."
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(module.ComputeCapability, name), 0)


def capabilities_of(package: Package, module: Any) -> tuple[str, ...]:
    """The compute capabilities that it builds for without such a GPU, such as `sm86`."""
    if package.is_classic:
        return ()
    names = map(str.lower, module.ComputeCapability.__members__)
    return tuple(name for name in names if name.startswith("sm"))
