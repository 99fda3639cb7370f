"""The page per state that `deltamu check --preview` writes."""

from PIL import Image

from deltamu.recon.study.preview import preview


def test_a_page_for_every_scan(tiny_study, tmp_path):
    found = preview(tiny_study, tmp_path)
    assert [file.name for file in found] == [
        "preview_pristine.png", "preview_discharged.png", "preview_charged.png",
    ]  # fmt: skip
    for file in found:
        with Image.open(file) as picture:
            assert picture.width > 800
            # panels with something in them, not a blank sheet
            assert len(set(picture.convert("L").resize((60, 60)).tobytes())) > 50
    # nothing of a run is begun
    assert not (tiny_study.parent / "result").exists()
