"""What a run brings back, read as if an enemy had written it: its log, and its outputs."""

from __future__ import annotations

import io
import random
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import MeasurementError
from elat.latency.benchmark_model.results import Ended, began_s, read_log, read_outputs

TOKEN = b"0123456789abcdef" * 2
OTHER = b"f" * 32

# What a program prints that knows how the lines look, but not the token.
PIECES = (
    b"\n", b"\r\n", b"\r", b"\0", b"\xff\xfe", b" ", b"done", b"begin 1", b"end 1 0 1",
    b"\n" + OTHER + b" begin 7\n", b"\n" + OTHER + b" end 7 0 1\n", b"\n" + OTHER + b" done\n",
    TOKEN[:31], b"count=50 first=2 curr=2 min=2 max=2 avg=2 std=0", b"x" * 70_000, b"\n" * 3000,
)  # fmt: skip
OUTPUT = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=8).map(
    b"".join
)
RUNS = st.lists(st.tuples(OUTPUT, st.integers(0, 255)), max_size=6)


def said(runs, newline=b"\n"):
    """The log of invocations that printed and ended so, numbered from 100."""
    text = b"".join(
        b"\n%s begin %d\n%s\n%s end %d %d \n" % (TOKEN, n, printed, TOKEN, n, end)
        for n, (printed, end) in enumerate(runs, 100)
    )
    return (text + b"\n%s done\n" % TOKEN).replace(b"\n", newline)


def as_read(runs):
    return {n: (end, printed) for n, (printed, end) in enumerate(runs, 100)}


def plain(ended):
    return {number: (one.end, one.log) for number, one in ended.items()}


class TestLog:
    @given(st.binary(max_size=60), st.booleans())
    def test_the_time_of_its_beginning_is_in_its_token(self, data, is_log):
        began = began_s(said([]) + data if is_log else data)
        assert began == 0x01234567 if is_log else began is None or 0 <= began < 2**32

    @given(RUNS)
    def test_each_invocation_has_what_it_printed_whatever_that_is(self, runs):
        ended, begun = read_log(said(runs))
        assert plain(ended) == as_read(runs)
        assert begun is None

    @given(RUNS, st.floats(0, 1))
    def test_cut_off_anywhere_it_gives_whole_invocations_and_the_one_at_work(self, runs, where):
        whole = said(runs)
        ended, begun = read_log(whole[: int(where * len(whole))])
        wanted = as_read(runs)
        assert plain(ended) == {n: wanted[n] for n in ended}
        assert sorted(ended) == list(range(100, 100 + len(ended)))
        assert begun in (None, 100 + len(ended))

    @given(RUNS)
    def test_line_ends_of_a_terminal_in_between(self, runs):
        runs = [(printed.replace(b"\r", b""), end) for printed, end in runs]
        found = plain(read_log(said(runs, b"\r\n"))[0])
        # Of the line end before a line of the run's own, half is left.
        assert found == {
            n: (end, printed.replace(b"\n", b"\r\n") + b"\r")
            for n, (end, printed) in as_read(runs).items()
        }

    @pytest.mark.parametrize(
        ("data", "found", "begun"),
        [
            (b"", [], None),
            (b"\n" + TOKEN + b" begin 3", [], None),
            (b"\n" + TOKEN + b" begin 3\nabc", [], 3),
            (b"\n" + TOKEN + b" begin 3\nabc\n" + TOKEN + b" end 3 0 1", [], 3),
            (b"\n" + TOKEN + b" begin 3\nabc\n" + TOKEN + b" end 4 0 1\n", [], 3),
            (b"\n" + TOKEN + b" begin 3\nabc\n" + TOKEN + b" end 3 1000 1\n", [], 3),
            (b"\n" + TOKEN + b" begin 3\nabc\n" + TOKEN + b" end 3 0 1000000000\n", [], 3),
            (b"\n" + TOKEN + b" end 3 0 1\n", [], None),
            (b"\n" + OTHER[:31] + b" begin 3\n", [], None),
            (b"x\n" + TOKEN + b" begin 3\n\n" + TOKEN + b" end 3 0 1\n", [], None),
        ],
    )
    def test_a_log_that_is_none_or_breaks_off(self, data, found, begun):
        assert (list(read_log(data)[0]), read_log(data)[1]) == (found, begun)

    def test_the_time_that_it_took_is_read_where_it_is_told(self):
        text = "\n{0} begin 1\n\n{0} end 1 137 61\n\n{0} begin 2\n\n{0} end 2 0 \n"
        ended, _ = read_log(text.format(TOKEN.decode()).encode())
        assert ended == {1: Ended(137, b"", 61), 2: Ended(0, b"", None)}

    @given(st.binary(max_size=400))
    def test_any_bytes_are_read(self, data):
        read_log(data)
        read_log(b"\n" + TOKEN + b" begin 1\n" + data)

    def test_ten_thousand_hostile_logs(self):
        dice = random.Random(8)
        for _ in range(10_000):
            runs = [
                (
                    b"".join(dice.choices(PIECES[:-2], k=dice.randrange(6))) + dice.randbytes(9),
                    dice.randrange(256),
                )
                for _ in range(dice.randrange(4))
            ]
            whole, wanted = bytearray(said(runs)), as_read(runs)
            assert plain(read_log(bytes(whole))[0]) == wanted
            ended, _ = read_log(bytes(whole[: dice.randrange(len(whole))]))
            assert plain(ended).items() <= wanted.items()
            for _ in range(dice.randrange(4)):
                whole[dice.randrange(len(whole))] = dice.randrange(256)
            assert all(0 <= one.end <= 999 for one in read_log(bytes(whole))[0].values())

    @pytest.mark.parametrize(
        "piece", [b"\n", b" ", b"\n" + OTHER + b" begin ", b"\n" + TOKEN[:31]]
    )
    def test_twenty_megabytes_of_anything_are_one_invocation(self, piece):
        flood = piece * (20_000_000 // len(piece))
        ended, begun = read_log(said([(flood, 0), (b"next", 1)]))
        assert (len(ended[100].log), ended[101].log, begun) == (len(flood), b"next", None)
        assert read_log(flood) == ({}, None)


def member(name, data=b"", kind=tarfile.REGTYPE, size=None, **facts):
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = len(data) if size is None else size, kind
    for fact, value in facts.items():
        setattr(entry, fact, value)
    return entry, data


def packed(*members, layout=tarfile.GNU_FORMAT):
    """A tar file whose headers claim what they like."""
    text = [entry.tobuf(layout) + data + b"\0" * (-len(data) % 512) for entry, data in members]
    return b"".join(text) + b"\0" * 1024


@pytest.fixture
def reading(tmp_path):
    """Reads bytes as the tar file of outputs; nothing may be written beside it."""
    folder = tmp_path / "only"
    folder.mkdir()
    file = folder / "outputs.tar"

    def read(data, wanted):
        file.write_bytes(data)
        try:
            return read_outputs(file, wanted)
        finally:
            assert list(folder.iterdir()) == [file]
            assert list(tmp_path.iterdir()) == [folder]

    return read


class TestOutputs:
    def test_members_by_their_numbers(self, reading):
        data = packed(
            member("./", kind=tarfile.DIRTYPE), member("./0", b"zero"), member("./end", b"0\n"),
            member("./12", b"twelve"), member("./3", b"three"),
        )  # fmt: skip
        assert reading(data, {0: 9, 12: 9, 5: 9}) == {0: b"zero", 12: b"twelve"}

    @pytest.mark.parametrize(
        "name",
        ["/0", "../0", "./../0", "././0", "00", "a/0", "0/", "+0", "0 ", "٠", "²", "-0", "0\n"],
    )
    def test_names_that_are_no_plain_numbers_are_passed_over(self, reading, name):
        assert reading(packed(member(name, b"bad")), {0: 9}) == {}

    @pytest.mark.parametrize(
        "kind",
        [
            tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
            tarfile.DIRTYPE, tarfile.CONTTYPE, b"?",
        ],
    )  # fmt: skip
    def test_what_is_no_file_is_passed_over(self, reading, kind):
        links = {"linkname": "/etc/passwd", "devmajor": 1, "devminor": 1}
        assert reading(packed(member("0", kind=kind, **links)), {0: 9}) == {}

    def test_the_first_of_two_counts(self, reading):
        data = packed(member("0", b"first"), member("./0", b"second"))
        assert reading(data, {0: 9}) == {0: b"first"}

    def test_what_is_longer_than_the_model_gives_is_not_read(self, reading):
        data = packed(member("0", b"1234"), member("1", b"12345"))
        assert reading(data, {0: 4, 1: 4}) == {0: b"1234"}

    @pytest.mark.parametrize("size", [10**6, 8**11 - 1, 2**40, 2**62, 2**63, 2**80, -1, -(2**40)])
    def test_a_length_that_is_a_lie_is_damage_or_nothing(self, reading, size):
        try:
            assert reading(packed(member("0", b"1234", size=size)), {0: 2**70}) == {}
        except MeasurementError as error:
            assert "damaged" in str(error)

    def test_holes_are_not_filled(self, reading):
        """A file of a terabyte that takes no room: memory would have to hold its zeros."""
        entry, _ = member("0", size=0, kind=tarfile.GNUTYPE_SPARSE)
        head = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
        head[483:495] = b"%011o\0" % 10**9
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        assert reading(bytes(head) + b"\0" * 1024, {0: 2**50}) == {}
        pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "0",
               "GNU.sparse.realsize": str(10**12)}  # fmt: skip
        entry, data = member("x", b"1\n0\n0\n".ljust(512, b"\0"), pax_headers=pax)
        buffer = entry.tobuf(tarfile.PAX_FORMAT) + data + b"\0" * 1024
        assert reading(buffer, {0: 2**50}) == {}

    @pytest.mark.parametrize(
        "head",
        [
            member("x" * 100, b"A" * 100_000, tarfile.GNUTYPE_LONGNAME),
            member("x", b"9" * 6000 + b" a=b\n", tarfile.XHDTYPE),
            member("x", b"30 mtime=1e999999999999999999\n", tarfile.XHDTYPE),
            member("x", b"0 a=b\n" * 100, tarfile.XGLTYPE),
            member("x", b"14 size=" + b"9" * 5 + b"\n", tarfile.XHDTYPE),
        ],
    )
    def test_headers_of_headers(self, reading, head):
        try:
            assert set(reading(packed(head, member("0", b"1")), {0: 9})) <= {0}
        except MeasurementError as error:
            assert "damaged" in str(error)

    @pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
    def test_headers_without_end(self, reading, kind):
        heads = [member("x", b"6 a=b\n", kind)] * 20_000
        with pytest.raises(MeasurementError):
            reading(packed(*heads, member("0", b"1")), {0: 9})

    def test_files_without_end(self, reading):
        with pytest.raises(MeasurementError, match="too many files"):
            reading(packed(*[member("x")] * 20_000), {0: 9})

    @pytest.mark.parametrize(
        "data", [b"", b"\0" * 10_240, b"no tar at all " * 100, b"\x1f\x8b\x08"]
    )
    def test_what_is_no_archive(self, reading, data):
        if data.strip(b"\0"):
            with pytest.raises(MeasurementError, match="damaged"):
                reading(data, {0: 9})
        else:
            try:
                assert reading(data, {0: 9}) == {}
            except MeasurementError as error:
                assert "damaged" in str(error)

    def test_an_archive_that_breaks_off_gives_what_is_whole_or_is_damaged(self, reading):
        whole = packed(member("0", b"a" * 600), member("1", b"b" * 600))
        for end in range(0, len(whole), 97):
            try:
                found = reading(whole[:end], {0: 600, 1: 600})
            except MeasurementError:
                continue
            assert found.items() <= {0: b"a" * 600, 1: b"b" * 600}.items()

    @settings(deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(1, 30))
    def test_any_damage_is_a_measurement_error_or_outputs(self, tmp_path_factory, dice, count):
        data = bytearray(
            packed(member("0", b"a" * 700), member("y" * 150, b"z"), member("1", b"b"))
        )
        for _ in range(count):
            data[dice.randrange(len(data))] = dice.choice((0, 255, 128, 48, 55, 32, 120, 103, 76))
        file = tmp_path_factory.getbasetemp() / "fuzzed.tar"
        file.write_bytes(data)
        try:
            found = read_outputs(file, {0: 700, 1: 700})
        except MeasurementError:
            return
        assert all(len(output) <= 700 for output in found.values())


def test_what_this_machine_packs_is_read(tmp_path):
    """As the script on the device has it: `tar -cf FILE .`."""
    import subprocess

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "7").write_bytes(b"\1\2")
    subprocess.run(["tar", "-cf", "../collected.tar", "."], cwd=tmp_path / "out", check=True)
    assert read_outputs(tmp_path / "collected.tar", {7: 2}) == {7: b"\1\2"}


def test_reading_takes_no_more_than_the_file(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(50):
            archive.addfile(*(member(str(number), b"q" * 1000)[0], io.BytesIO(b"q" * 1000)))
    (tmp_path / "outputs.tar").write_bytes(buffer.getvalue())
    found = read_outputs(tmp_path / "outputs.tar", dict.fromkeys(range(50), 1000))
    assert {number: len(output) for number, output in found.items()} == dict.fromkeys(
        range(50), 1000
    )
