"""The pictures of everything: claims with their intervals, sets with what they cost and bring."""

import json
import math

import pandas as pd
import pytest

from srdistill.study.overviews.forest import forest_figure, write_forest
from srdistill.study.overviews.fronts import TRAINING, cost_axis, costs_of, front
from srdistill.study.overviews.pareto import kind_of, pareto_figure, set_gains, write_pareto
from srdistill.study.overviews.pareto_classes import class_sets, pareto_classes_figure, write_pareto_classes
from srdistill.study.overviews.pareto_perceptual import pareto_perceptual_figure, perceptual_sets, write_pareto_perceptual
from srdistill.study.pages.drawing import CONTROL, PAPER, one_axis
from srdistill.study.paper import tables
from srdistill.study.paths import TABLES
from srdistill.study.verdicts.board import once, read_claims


def claim(**changes) -> dict:
    return {
        "table": "dietz_t1", "statement": "A beats B", "values": [0.2, 0.4], "interval": [0.1, 0.5], "line": 0.1, "margin": 0.1,
        "verdict": "yes", "identity": "a",
    } | changes  # fmt: skip


def drawn(figure):
    """(x, y) of every mark, and the names beside them."""
    axis = figure.axes[0]
    marked = [line for line in axis.lines if line.get_marker() != "None"]
    marks = [(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in marked]
    return marks, [label.get_text() for label in axis.get_yticklabels()]


def test_a_claim_lies_at_its_distance_from_its_line_in_units_of_what_matters():
    far = claim(statement="C beats D", values=[-3.0], interval=[-4.0, -2.0], verdict="no")
    marks, names = drawn(forest_figure([claim(), far]))
    assert names == ["dietz table 1", "A beats B", "C beats D"]
    (x, y, marker), beyond = marks
    assert (round(x, 6), y, marker) == (2.0, 1, "o") and beyond == (-8.0, 2, "<")
    with pytest.raises(ValueError, match="no claim with a measured difference"):
        forest_figure([claim(values=[], interval=None)])


def test_every_measured_claim_of_the_committed_tables_is_drawn():
    claims = once(read_claims(TABLES, "desktop"))
    figure = forest_figure(claims)
    names = [label.get_text() for axis in figure.axes for label in axis.get_yticklabels()]
    measured = [one["statement"] for one in claims if one["values"] and one["interval"]]
    assert sorted(name for name in names if name in measured) == sorted(measured) and len(measured) > 100


def test_kinds_of_sets():
    assert kind_of("Baseline (downscaled)") == kind_of("Downscaled, undistilled") == kind_of("Herded, smaller") == "shrunk"
    assert kind_of("Syn. IPC=1 (downscaled)") == kind_of("Distilled in pixels") == "distilled in pixels"
    assert kind_of("Syn. IPC=1 (latent)") == kind_of("Inversion, high-pass loss") == "distilled in a latent space"
    assert kind_of("Noise, IPC=1, undistilled") == "noise" and kind_of("Distilled, 140") == "made by a diffusion model"
    assert kind_of("Downscaled, smaller, taught") == "taught by a larger network"
    assert kind_of("Distilled in codes") == kind_of("Inverted") == "distilled in a latent space"
    assert kind_of("Real crops, 48 px") == kind_of("Pyramid coverage") == "chosen"


def test_gains_and_shares_by_hand(tmp_path):
    folder = tmp_path / "desktop"
    folder.mkdir()
    cells = {
        ("Bicubic", "bicubic"): (30.0, 28.0), ("Baseline (original)", "EDSR"): (32.0, 29.0), ("Real", "EDSR"): (31.0, 28.8),
        ("Real", "SRCNN"): (40.0, 40.0), ("Real, 4 x steps", "EDSR"): (35.0, 35.0),
    }  # fmt: skip
    lines = [
        (row, network, testset, "psnr", value, "", 3, "", "", "")
        for (row, network), values in cells.items() for testset, value in zip(("set5", "set14"), values, strict=True)
    ]  # fmt: skip
    names = ["row", "network", "testset", "metric", "mean", "std", "n", "published", "status", "note"]
    pd.DataFrame(lines, columns=names).to_csv(folder / "dietz_t2.csv", index=False)
    (folder / "dietz_t2.sizes.csv").write_text(
        "training set,images,HR pixels,bytes as PNG,bytes with labels and decoder\ntraining pictures,10,1000,2000,2000\n"
        "Real,5,10,30,50\n\"Real, 4 x steps\",5,10,30,50\n"
    )
    # A table of the same student without full data takes it from this one.
    other = [line for line in lines if line[0] != "Baseline (original)"]
    pd.DataFrame(other, columns=names).replace({"row": {"Real": "Chosen"}}).to_csv(folder / "dietz_t3.csv", index=False)
    (folder / "dietz_t3.sizes.csv").write_text((folder / "dietz_t2.sizes.csv").read_text().replace("Real,", "Chosen,"))
    line, chosen = set_gains(tmp_path, "desktop").itertuples(index=False)
    assert (chosen.table, chosen.row, chosen.gain) == ("dietz_t3", "Chosen", line.gain)
    assert (line.row, line.kind, line.scale, line.pixels, line.bytes) == ("Real", "chosen", 2, 1.0, 2.5)
    assert line.gain == pytest.approx((50 + 80) / 2)
    assert len(pareto_figure(set_gains(tmp_path, "desktop")).axes) == 2


HEAD = "row,network,testset,metric,mean,std,n,published,status,note\n"
SIZES = "training set,images,HR pixels,bytes as PNG,bytes with labels and decoder\n"


@pytest.fixture
def sets(tmp_path):
    """A table of classifiers with all pictures, one across architectures, and one of students with perceptual losses."""
    folder = tmp_path / "desktop"
    folder.mkdir()
    (folder / "coreset_t1.csv").write_text(
        HEAD + "\"All pictures, own labels\",ConvNet,imagenette,accuracy,60,1,3,,,\n"
        "\"MTT, IPC 1\",ConvNet,imagenette,accuracy,20,1,3,40,printed,\n"
        "\"G-VBSM, IPC 1\",ConvNet,imagenette,accuracy,12,1,3,,,\n"
        "\"G-VBSM, IPC 1\",ResNet-18,imagenette,accuracy,,,0,,empty,\n"
        "\"Whole pictures, IPC 1\",ConvNet,imagenette,accuracy,25,1,3,,,\n"
        "\"MTT, IPC 10\",ConvNet,imagewoof,accuracy,,,0,55,printed,\nText,ConvNet,imagenette,accuracy,11,1,3,9,doubtful,\n"
    )
    (folder / "coreset_t1.sizes.csv").write_text(
        SIZES + f"{TRAINING},100,409600,1000,1000\n\"MTT, IPC 1\",5,20480,10,2000\n\"G-VBSM, IPC 1\",5,20480,10,30\n"
        "\"Whole pictures, IPC 1\",5,20480,10,20\nText,0,0,0,400\n"
    )
    (folder / "coreset_t5.csv").write_text(
        HEAD + "MTT,AlexNet,imagenette,accuracy,30,1,3,,,\nMTT,ViT,imagenette,accuracy,50,1,3,,,\n"
        "MTT,average,imagenette,accuracy,40,1,3,24,printed,\n"
    )
    (folder / "coreset_t5.sizes.csv").write_text(SIZES + f"{TRAINING},100,409600,1000,1000\nMTT,5,20480,10,500\n")
    (folder / "labelfree_t1.csv").write_text(
        HEAD + "Bicubic,bicubic,set5,lpips_alex,0.5,,1,,,\nBaseline (original),RealSR,set5,lpips_alex,0.2,,3,0.1,printed,\n"
        "\"GSDD, 7\",RealSR,set5,lpips_alex,0.3,,3,,,\n\"GSDD, 7\",RealSR,set14,lpips_alex,0.4,,3,,,\n"
        "\"GSDD, 7\",RealSR,ost300,lpips,,,0,0.1,printed,\nRandom,RealSR,set5,lpips_alex,0.36,,3,,,\n"
    )
    (folder / "labelfree_t1.sizes.csv").write_text(
        SIZES + f"{TRAINING},10,1000,2000,2000\n\"GSDD, 7\",7,10,30,50\nRandom,7,20,30,40\n"
    )
    return tmp_path


def test_the_front_is_what_no_smaller_set_beats():
    found = pd.DataFrame({"cost": [3, 1, 2, 2, 4, 5], "gain": [5.0, 1.0, 3.0, 0.0, 5.0, 6.0]})
    assert list(front(found, "cost", "gain").index) == [1, 2, 0, 5]


@pytest.mark.parametrize(("ends", "named"), [((1.5, 40), ["10", "3", "30"]), ((0.05, 40), ["0.1", "1", "10"])])
def test_a_short_axis_of_costs_has_its_threes_named(ends, named):
    figure, axis = one_axis(5, 3, "")
    cost_axis(axis, "bytes")
    axis.set_xlim(ends)
    figure.draw_without_rendering()
    ticks = [*axis.xaxis.get_major_ticks(), *axis.xaxis.get_minor_ticks()]
    shown = [tick.label1.get_text() for tick in ticks if ends[0] <= tick.get_loc() <= ends[1]]
    assert [words for words in shown if words] == named


def test_sets_of_classifiers_by_hand(sets):
    own, across = class_sets(sets, "desktop")
    # Data sets that sizes are not of, and students whose mean there is, are left out; a doubtful number is not drawn.
    assert own[["row", "of_paper", "pixels", "bytes", "accuracy"]].values.tolist() == [
        ["MTT, IPC 1", True, 5.0, 200.0, 20.0], ["G-VBSM, IPC 1", True, 5.0, 3.0, 12.0],
        ["Whole pictures, IPC 1", False, 5.0, 2.0, 25.0], ["Text", True, 0.0, 40.0, 11.0],
    ]  # fmt: skip
    assert [value for value in own.printed if not math.isnan(value)] == [40.0]
    assert own.attrs == {"title": "ImageNette, 64 px: ConvNet (table 1)", "chance": 20.0, "full": {"ConvNet": 60.0},
                         "network": "ConvNet"}  # fmt: skip
    assert across[["table", "row", "accuracy", "printed"]].values.tolist() == [["coreset_t5", "MTT", 40.0, 24.0]]
    assert across.attrs["title"] == "ImageNette, 64 px: mean of AlexNet and ViT (table 5)"
    assert across.attrs["full"] == {"ConvNet": 60.0}


def test_the_figure_of_classifiers_has_a_panel_for_pixels_and_one_for_bytes(sets):
    figure = pareto_classes_figure(class_sets(sets, "desktop"))
    words = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert len(words) == 4 and all("chance" in found for found in words)
    # Lines of all pictures where the student is that student; else a number above.
    assert ["all pictures" in found for found in words] == [True, True, False, False]
    assert ["↑ all pictures, ConvNet: 60.0" in found for found in words] == [False, False, True, True]
    # Over pixels the front begins with what has none; over bytes one set is larger than all pictures.
    assert {"Text", "Whole pictures, IPC\N{NO-BREAK SPACE}1"} <= set(words[0]) and "Text" not in words[1]
    assert [line.get_xdata()[0] for line in figure.axes[1].lines if list(line.get_ydata()) == [0, 1]] == [100]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["rows of the paper", "rows of ours", "what no smaller set beats", "printed"]
    assert "Printed numbers stand over the size of our set." in figure.caption and "without pixels" in figure.caption
    plain = pareto_classes_figure([frame.assign(printed=math.nan)[frame.pixels > 0] for frame in class_sets(sets, "desktop")])
    assert "rinted" not in plain.caption and "without pixels" not in plain.caption


def test_no_set_of_classifiers_is_lost_in_its_figure():
    groups = class_sets(TABLES, "desktop")
    figure = pareto_classes_figure(groups)
    for frame, axes in zip(groups, zip(figure.axes[::2], figure.axes[1::2], strict=True), strict=True):
        for axis in axes:
            drawn = [value for marks in axis.collections for value in marks.get_offsets()[:, 1]]
            assert sorted(drawn) == pytest.approx(sorted(frame.accuracy))
            assert sum(len(marks.get_offsets()) for marks in axis.collections[:2]) == frame.of_paper.sum()
            low, high = axis.get_xlim()
            assert all(low < place < high for marks in axis.collections for place in marks.get_offsets()[:, 0])


def test_sets_of_students_with_perceptual_losses_by_hand(sets):
    found = perceptual_sets(sets, "desktop")
    assert found[["metric", "row", "of_paper", "value"]].values.tolist() == [
        ["lpips", "Bicubic", False, 0.5], ["lpips", "Baseline (original)", True, 0.2], ["lpips", "GSDD, 7", True, 0.35],
        ["lpips", "Random", False, 0.36],
    ]  # fmt: skip
    assert found.pixels[2:].tolist() == [1.0, 2.0] and found.bytes[2:].tolist() == [2.5, 2.0] and found.pixels[:2].isna().all()
    figure = pareto_perceptual_figure(found)
    pixels, file_sizes = figure.axes
    # Less is better: up. Over pixels one set beats the other, over bytes the smaller stays on the front.
    assert pixels.yaxis_inverted() and pixels.get_ylabel() == "LPIPS (lower is better)"
    colors = [{text.get_text(): text.get_color() for text in axis.texts if text.get_text()} for axis in figure.axes]
    assert colors[0] == {"GSDD, 7": PAPER}
    assert colors[1].items() >= {"GSDD, 7": PAPER, "Random": CONTROL}.items()
    assert {"bicubic", "all pictures,\nRealSR"} <= set(colors[1]) and file_sizes.get_xlabel().startswith("bytes")


def test_no_set_of_the_study_is_lost():
    """Sets that students were trained on for longer are drawn once."""
    gains, perceptual = set_gains(TABLES, "desktop"), perceptual_sets(TABLES, "desktop")
    known = {*gains.row, *perceptual[perceptual.pixels.notna()].row}
    classes = {(frame.table[k], frame.row[k]) for frame in class_sets(TABLES, "desktop") for k in frame.index}
    lost = [
        (name, row)
        for name in tables() if (path := TABLES / "desktop" / f"{name}.sizes.csv").exists()
        for row in costs_of(pd.read_csv(path, index_col=0)).index
        if "x steps" not in row and (name, row) not in classes and (name.startswith("coreset") or row not in known)
    ]  # fmt: skip
    assert not lost and len(classes) > 50


def test_files_beside_each_other_and_none_where_there_is_nothing(tmp_path):
    writers = (write_forest, write_pareto, write_pareto_classes, write_pareto_perceptual)
    assert [write(tmp_path, "desktop") for write in writers] == [None] * 4
    (tmp_path / "desktop").mkdir()
    (tmp_path / "desktop" / "dietz_t1.claims.jsonl").write_text(json.dumps(claim()) + "\n")
    path = write_forest(tmp_path, "desktop")
    assert path.exists() and path.with_suffix(".svg").exists()


def test_figures_of_other_sets_are_written_the_same_twice(sets):
    for write in (write_pareto_classes, write_pareto_perceptual):
        path = write(sets, "desktop")
        first = path.read_bytes(), path.with_suffix(".svg").read_bytes()
        write(sets, "desktop")
        assert (path.read_bytes(), path.with_suffix(".svg").read_bytes()) == first
