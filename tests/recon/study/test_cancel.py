"""A run that is asked to stop does not wait for the end of a slab."""

import json

import pytest

from deltamu.recon.errors import Cancelled
from deltamu.recon.study.pipeline import run
from deltamu.recon.study.settings import read_study


def test_a_stop_is_asked_for_within_a_slab(study):
    """The scan has one slab: what is asked before it is no stop within it."""
    asked = []

    def cancel():
        log = (study.parent / "result" / "log.jsonl").read_text().splitlines()
        stages = [event["name"] for event in map(json.loads, log) if event["event"] == "stage"]
        if stages[-1:] == ["reconstruct"]:
            asked.append(len(asked))
        return len(asked) > 1

    with pytest.raises(Cancelled):
        run(read_study(study), cancel=cancel)
    pieces = (study.parent / "result" / "journal.jsonl").read_text()
    assert '"reconstruct"' not in pieces
    assert '"preprocess"' in pieces
    # what was finished is kept, and the same call goes on from there
    run(read_study(study))
