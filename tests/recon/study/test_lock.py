"""Two runs into one output refuse each other; a killed one leaves nothing locked."""

import os
import signal
import subprocess
import sys

import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.study.lock import RunLock

HOLD = """
import sys, time
from deltamu.recon.study.lock import RunLock
with RunLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_and_told_by_whom(tmp_path, holder):
    leftover = tmp_path / "summary.json.partial"
    leftover.write_text("the other run is writing this")
    for _ in range(2):
        with (
            pytest.raises(InputError, match=f"another run is using this output .process {holder.pid}"),
            RunLock(tmp_path),
        ):
            pass
    assert leftover.exists()


def test_a_killed_run_gives_the_lock_back(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    (tmp_path / "study.zarr").mkdir()
    leftovers = [tmp_path / ".plan.json.1.partial", tmp_path / "study.zarr" / "0.abc.partial"]
    mine = tmp_path / "my download" / "film.partial"
    mine.parent.mkdir()
    for file in (*leftovers, mine):
        file.write_text("half")
    with RunLock(tmp_path):
        assert not any(file.exists() for file in leftovers)
        assert mine.exists()


def test_one_process_cannot_hold_it_twice(tmp_path):
    with RunLock(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()}"), RunLock(tmp_path):
        pass
    with RunLock(tmp_path):
        pass
