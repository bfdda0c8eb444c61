import os
import shutil
import time
from pathlib import Path

import pytest
from elat.reports.inputs import read_inputs
from elat.reports.page import write_report


@pytest.mark.skipif("LOOK" not in os.environ, reason="look")
def test_look(write_everything):
    out = Path("/tmp/look/" + os.environ["LOOK"])
    shutil.rmtree(out, ignore_errors=True)
    src = write_everything(out / "in", os.environ["LOOK"])
    t = time.time()
    write_report(read_inputs([src]), out / "report")
    print(time.time() - t)
