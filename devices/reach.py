"""The transport to a device, whatever its card says of the way there."""

from __future__ import annotations

from ..core.artefact import elat_home
from .device import Device, DeviceKind, Ssh
from .transports import Transport
from .transports.adb import AdbLink
from .transports.link import Link
from .transports.local import LocalLink
from .transports.ssh import SshLink


def transport_to(device: Device) -> Transport:
    """What runs programs on `device`; for this machine in a folder of `ELAT_HOME`."""
    return Transport(_link(device))


def way_to(device: Device) -> str:
    """What tells the machine of `device` from others, for its lock: two cards may name one."""
    if device.kind is DeviceKind.ANDROID_ADB:
        return f"adb {device.serial}"
    return "this machine" if device.ssh is None else _ssh_link(device.ssh).machine


def _link(device: Device) -> Link:
    if device.serial is not None and device.folder is not None:
        return AdbLink(device.serial, device.folder)
    if device.ssh is not None:
        return _ssh_link(device.ssh)
    return LocalLink(str(elat_home().resolve() / "programs" / "work"))


def _ssh_link(ssh: Ssh) -> SshLink:
    return SshLink(ssh.address, ssh.folder, ssh.config, identity=ssh.identity)
