"""The plan of a run, said before it starts."""

import pytest

from deltamu.recon.study.plan import StatePlan, make_plan
from deltamu.recon.study.settings import read_study


@pytest.fixture
def volume_study(tmp_path):
    (tmp_path / "v").mkdir()
    path = tmp_path / "study.toml"
    path.write_text('reference = "only"\n[states.only]\nvolume = "v"\nvoxel_size_mm = 0.1\nunit = "cm^-1"\n')
    return read_study(path)


@pytest.mark.parametrize("rows", [1, 8, 64, 200])
def test_a_volume_made_elsewhere_without_changes_is_planned(volume_study, rows):
    states = (StatePlan("only", None, (rows, 64, 64), 0.1),)
    plan = make_plan(volume_study, states, memory=None, threads=2, device="cpu")
    assert [stage.name for stage in plan.stages] == ["import"]
    assert plan.memory_bytes <= plan.memory_limit
