"""What a phone or a board is, from what they print."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from elat.devices.phone.identity import identity_of

PIXEL = {
    "ro.product.model": "Pixel 8\n",
    "ro.product.manufacturer": "Google\n",
    "ro.build.version.release": "14\n",
    "ro.build.version.sdk": "34\n",
    "ro.build.fingerprint": "google/shiba/shiba:14/UQ1A.240205.002/11224170:user/release-keys\n",
    "ro.soc.model": "Tensor G3\n",
    "ro.board.platform": "zuma\n",
    "ro.hardware": "shiba\n",
    "ro.product.cpu.abi": "arm64-v8a\n",
    "kernel": "5.15.110-android14-11\n",
    "machine": "aarch64\n",
    "cpus": "0 1704000\n1 1704000\n4 2367000\n8 2914000\n5 -\n",
    "memory": "MemTotal:        7692544 kB\nMemFree:          214580 kB\n",
}
PI = {
    "board": "Raspberry Pi 5 Model B Rev 1.0\0",
    "release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "kernel": "6.6.31+rpt-rpi-2712\n",
    "machine": "aarch64\n",
    "cpus": "".join(f"{cpu} 2400000\n" for cpu in range(4)),
    "memory": "MemTotal:        8248016 kB\n",
}


def test_a_phone_is_known_by_its_properties():
    assert identity_of(PIXEL) == {
        "model": "Pixel 8",
        "manufacturer": "Google",
        "android": "14",
        "sdk": "34",
        "build": "google/shiba/shiba:14/UQ1A.240205.002/11224170:user/release-keys",
        "soc": "Tensor G3",
        "abi": "arm64-v8a",
        "kernel": "5.15.110-android14-11",
        "machine": "aarch64",
        "cpus": 5,
        "clusters": [
            {"cpus": [0, 1], "max_mhz": 1704.0},
            {"cpus": [4], "max_mhz": 2367.0},
            {"cpus": [8], "max_mhz": 2914.0},
        ],
        "memory_bytes": 7692544 * 1024,
    }


def test_an_older_phone_names_its_chip_elsewhere():
    """`ro.soc.model` is of Android 12 and later."""
    assert identity_of({**PIXEL, "ro.soc.model": "\n"})["soc"] == "zuma"
    assert identity_of({"ro.board.platform": "unknown\n", "ro.hardware": "qcom\n"}) == {
        "soc": "qcom"
    }


def test_a_board_is_known_by_its_device_tree():
    assert identity_of(PI) == {
        "board": "Raspberry Pi 5 Model B Rev 1.0",
        "release": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-2712",
        "machine": "aarch64",
        "cpus": 4,
        "clusters": [{"cpus": [0, 1, 2, 3], "max_mhz": 2400.0}],
        "memory_bytes": 8248016 * 1024,
    }
    assert identity_of({}) == {}


@given(told=st.dictionaries(st.sampled_from(sorted({**PIXEL, **PI})), st.text(max_size=400)))
def test_whatever_it_prints_is_text_for_one_line(told):
    found = identity_of(told)
    json.dumps(found)
    for value in found.values():
        assert not isinstance(value, str) or (value.isprintable() and len(value) <= 200)
