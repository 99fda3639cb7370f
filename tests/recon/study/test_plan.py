"""The plan of a run, said before it starts."""

import re
from pathlib import Path

import pytest

import deltamu.recon.study.pipeline
from deltamu.recon.errors import ResourceError
from deltamu.recon.study.plan import make_plan, plan_line
from deltamu.recon.study.settings import read_study
from deltamu.recon.study.state_plan import StatePlan

LAYERS = """[layers]
order = ["anode", "separator", "cathode", "collector"]
thickness_mm = [0.4, 0.5, 0.4, 0.9]
radius_mm = 3.0
"""


def state(name, rows=128, columns=512, views=625, references=60):
    return StatePlan(name, (views, rows, columns), (rows, columns, columns), 0.027, references)


@pytest.fixture
def scan_study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'reference = "a"\nchanges = ["b-a"]\n[alignment]\nviews = true\n[states.a]\nscan = "a"\n[states.b]\nscan = "b"\n'
        + LAYERS
    )
    return read_study(path)


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
    assert [stage.name for stage in plan.stages] == ["import", "report"]
    assert plan.memory_bytes <= plan.memory_limit


def plan_of(study, memory, **sizes):
    states = (state("a", **sizes), state("b", **sizes))
    return make_plan(study, states, memory=memory, threads=2, device="cpu")


def test_every_stage_that_a_run_marks_has_a_statement(scan_study):
    folder = Path(deltamu.recon.study.pipeline.__file__).parent
    marked = {
        name
        for file in folder.glob("*.py")
        for name in re.findall(r'context\.stage\("(\w+)"\)', file.read_text())
    }
    stated = {stage.name for stage in plan_of(scan_study, None).stages}
    # no state of this study is a volume or has a prior; test_prior_states looks at the latter
    assert marked - {"import", "prior"} == stated
    assert len(stated) > 12


def test_a_plan_stays_within_the_memory_and_says_so(scan_study):
    """Larger scans are worked on fewer rows at a time, down to where something else needs the memory."""
    sizes = {"rows": 1024, "columns": 1024, "views": 1500, "references": 10}
    scan_study = scan_study.model_copy(update={"changes": ()})
    roomy = plan_of(scan_study, 64 * 2**30, **sizes)
    reconstruct = next(s.memory_bytes for s in roomy.stages if s.name == "reconstruct")
    others = max(s.memory_bytes for s in roomy.stages if s.name != "reconstruct")
    assert others < reconstruct
    tight = plan_of(scan_study, (others + reconstruct) // 2, **sizes)
    assert tight.compute_rows < roomy.compute_rows
    assert tight.memory_bytes <= (others + reconstruct) // 2
    assert f"{tight.compute_rows} rows at a time" in plan_line(tight)
    # a resumed run keeps the rows that an earlier start chose, and must have room for them
    states = (state("a", **sizes), state("b", **sizes))
    with pytest.raises(ResourceError, match="the stage reconstruct needs"):
        make_plan(
            scan_study, states, memory=(others + reconstruct) // 2, threads=2, device="cpu", compute_rows=64
        )


def test_too_little_memory_names_the_stage_the_need_and_a_way_out(scan_study):
    with pytest.raises(ResourceError) as refused:
        plan_of(scan_study, 300 * 2**20)
    needed = max(stage.memory_bytes for stage in plan_of(scan_study, None).stages)
    worst = next(s.name for s in plan_of(scan_study, None).stages if s.memory_bytes == needed)
    text = str(refused.value)
    assert f"the stage {worst} needs {needed / 2**20:.1f} MiB, 300.0 MiB were given" in text
    allowed = int(re.search(r"--memory (\d+)M", text)[1]) * 2**20
    assert plan_of(scan_study, allowed).memory_bytes <= allowed
    assert "bin" in text
