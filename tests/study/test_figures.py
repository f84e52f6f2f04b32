"""Figures: words that can be read and do not lie on each other, captions, files; what they show, and what they say if there is
nothing to show."""

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.text import Text
from PIL import Image

from srdistill.images.subimages import extract_sub_images
from srdistill.papers.beyond.figures import spectra
from srdistill.papers.coreset.figures import class_columns, factor_figure
from srdistill.study.metrics import GAIN
from srdistill.study.overviews.pareto_classes import class_sets, pareto_classes_figure
from srdistill.study.overviews.pareto_perceptual import pareto_perceptual_figure, perceptual_sets
from srdistill.study.overviews.set_size import set_size_figure, sized_rows
from srdistill.study.pages import figures
from srdistill.study.pages.costs import STAGES, cost_figure
from srdistill.study.pages.diagrams import diagram
from srdistill.study.pages.drawing import CONTROL, PAPER, PRINTED, WORDS, fitting, listed
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.presentation import Presentation
from srdistill.study.pages.score_plot import score_plot
from srdistill.study.pages.zoom import Zoom, zoom_figure
from srdistill.study.paths import TABLES

ROWS = ["Baseline (original)", "Syn. IPC=1", "Random real crops, IPC=1", "Noise, IPC=1, undistilled",
        "Downscaled", "Full data, several scales"]  # fmt: skip


def scores(**means) -> pd.DataFrame:
    """Three seeds of each row and two students, PSNR on Set5; bicubic at 32 dB."""
    found = [("Bicubic", "bicubic", None, "set5", "psnr", 32.0)]
    for place, row in enumerate(ROWS):
        for network in ("SRCNN", "EDSR"):
            mean = means.get(row.split()[0].lower().strip(","), 33.0 + place / 10)
            found += [(row, network, seed, "set5", "psnr", mean + seed / 10) for seed in range(3)]
    return pd.DataFrame(found, columns=["row", "network", "seed", "testset", "metric", "value"])


def printed(value: float = 33.3, rows: int = 2) -> pd.DataFrame:
    lines = [(row, "EDSR", "set5", "psnr", value, "") for row in ROWS[:rows]]
    return pd.DataFrame(lines, columns=["row", "network", "testset", "metric", "published", "status"])


def zooms(height: int = 60, width: int = 90) -> list[Zoom]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(100, 140, (3, height, width), generator=generator).to(torch.uint8)
    first = truth + torch.randint(0, 20, (3, height, width), generator=generator).to(torch.uint8)
    other = first.clone()
    other[:, 5:20, 60:80] += 20
    return [Zoom(truth, {f"the row of number {k}": other if k % 2 else first for k in range(8)}, "EDSR, a picture")]


@pytest.fixture
def drawn(pictures, test_photos):
    """Every kind of figure, on small inputs."""
    squares = torch.stack([image[:, :24, :24] for image in pictures.images])
    classes = pd.DataFrame([("r = 2", "ConvNet", seed, "x", metric, 3.0 + seed) for seed in range(3)
                            for metric in ("accuracy", "seconds_per_epoch")],
                           columns=["row", "network", "seed", "testset", "metric", "value"])  # fmt: skip
    curves = pd.DataFrame([(name, steps, steps / 100) for name in ("SRCNN", "EDSR") for steps in (25, 50, 100, 200)],
                          columns=["network", "steps", "PSNR over bicubic, dB"])  # fmt: skip
    names = [f"a picture called {k}" for k in range(len(squares))]
    return {
        "pair": figures.pair_figure(pictures.images[0], window=(0.1, 0.1, 0.3)),
        "weights": figures.weights_figure(),
        "sub_images": figures.sub_image_figure(extract_sub_images(pictures, 24, 24), label=0),
        "rows": figures.image_rows({"noise": squares, "distilled from it, with a long name": squares}, names),
        "evolution": figures.evolution({"from noise": {k: squares for k in (0, 10, 100, 1000)}}),
        "distances": figures.distance_curves({"one row": [np.arange(30) ** 0.5] * 2, "another, with words": [np.ones(30)]}),
        "learning": figures.learning_figure(curves),
        "selection": figures.selection_figure(torch.linspace(10, 60, 400), limit=23.0),
        "spectrum": figures.spectrum_figure(squares, {f"copy {k}, of the real crops": squares // (k + 1) for k in range(4)}),
        "scores": score_plot(scores(), "psnr", "set5", ROWS, "PSNR, dB", printed()),
        "far scores": score_plot(scores(noise=12.0), "psnr", "set5", ROWS, "PSNR, dB", printed(15.0, rows=1)),
        "zoom": zoom_figure(zooms(), shave=2),
        "diagram": diagram([["pictures", "crops"], ["codes", "generator"]], "distance", "moves the codes"),
        "factor": factor_figure(classes, [2], {"ours": "r = {}"}, "ConvNet", 64),
        "costs": cost_figure(pd.DataFrame(3.0, index=["a row", "another"], columns=list(STAGES))),
        "spectra": spectra({f"set {k}": pictures.images for k in range(5)}, test_photos.images, side=32),
        "set size": set_size_figure(sized_rows(TABLES, "desktop")),
        "sets of classifiers": pareto_classes_figure(class_sets(TABLES, "desktop")),
        "sets for perceptual losses": pareto_perceptual_figure(perceptual_sets(TABLES, "desktop")),
    }  # fmt: skip


def words_of(figure) -> list[Text]:
    """All words that are drawn: titles, labels, legends, notes, and the ticks within the ends of their axes."""
    figure.draw_without_rendering()
    found = [text for legend in figure.legends for text in legend.get_texts()]
    for axis in figure.axes:
        found += [axis.title, *axis.texts]
        found += axis.get_legend().get_texts() if axis.get_legend() else []
        if axis.axison:
            found += [axis.xaxis.label, axis.yaxis.label]
            for side in (axis.xaxis, axis.yaxis):
                low, high = sorted(side.get_view_interval())
                ticks = [*side.get_major_ticks(), *side.get_minor_ticks()]
                found += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_visible()]
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def test_no_word_is_smaller_than_nine_points(drawn):
    small = [
        (name, text.get_text())
        for name, figure in drawn.items() for text in words_of(figure) if text.get_fontsize() < WORDS
    ]  # fmt: skip
    assert not small


def test_no_words_lie_on_each_other(drawn):
    found = []
    for name, figure in drawn.items():
        boxes = [(text.get_text(), text.get_window_extent()) for text in words_of(figure)]
        found += [
            (name, one, other)
            for k, (one, a) in enumerate(boxes) for other, b in boxes[k + 1 :]
            if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
        ]  # fmt: skip
    assert not found


def test_every_figure_has_a_caption_that_is_a_sentence(drawn):
    for name, figure in drawn.items():
        assert figure.caption.endswith(".") and len(figure.caption) > 30 and figure.caption[0].isupper(), name


def test_a_notebook_gets_picture_and_caption_whatever_backend_it_has(drawn):
    """A kernel draws figures of its own accord only after pyplot made one."""
    figure = drawn["weights"]
    data, about = DisplayFormatter().format(figure)
    assert Image.open(BytesIO(data["image/png"])).width > 500
    assert data["text/plain"] == figure.caption and about["image/png"] == {"alt": figure.caption}


def test_lines_are_written_as_svg_too_and_photographs_are_not(drawn, tmp_path):
    for name in ("weights", "rows"):
        path = write_figure(drawn[name], tmp_path / f"{name}.png")
        assert Image.open(path).text["Description"] == drawn[name].caption
    assert (tmp_path / "weights.svg").exists() and not (tmp_path / "rows.svg").exists()
    first = (tmp_path / "weights.svg").read_bytes()
    write_figure(drawn["weights"], tmp_path / "weights.png")
    assert (tmp_path / "weights.svg").read_bytes() == first
    assert [path.name for path in sorted(Path(tmp_path).iterdir())] == ["rows.png", "weights.png", "weights.svg"]


def test_panels_of_a_score_plot_share_their_axis_and_kinds_of_rows_have_colours(drawn):
    figure = drawn["scores"]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    kinds = [text.get_text() for text in figure.legends[0].get_texts()]
    assert kinds == ["full data", "rows of the paper", "rows of ours", "printed"]
    edsr = next(axis for axis in figure.axes if axis.get_title() == "EDSR")
    diamonds = [line for line in edsr.lines if line.get_marker() == "D"]
    assert [line.get_xdata()[0] for line in diamonds] == [33.3, 33.3] and {line.get_color() for line in diamonds} == {PRINTED}
    used = {line.get_color() for line in edsr.lines}
    assert {PAPER, CONTROL} <= used


def test_printed_numbers_of_students_that_are_not_drawn_neither_stand_in_the_legend_nor_widen_the_axis():
    others = printed(90.0).assign(network="ResNet-18")
    figure = score_plot(scores(), "psnr", "set5", ROWS, "PSNR, dB", others)
    assert "printed" not in [text.get_text() for text in figure.legends[0].get_texts()]
    plain = score_plot(scores(), "psnr", "set5", ROWS, "PSNR, dB", printed(90.0, rows=0))
    assert figure.axes[0].get_xlim() == plain.axes[0].get_xlim() and "diamond" not in figure.caption


def test_the_interval_of_a_row_is_students(drawn):
    axis = drawn["scores"].axes[0]
    (bar,) = [line for line in axis.lines if line.get_color() == PAPER and len(set(line.get_ydata())) == 1]
    low, high = bar.get_xdata()
    # Seeds 0.1 dB apart: 4.303 x 0.1 / sqrt(3).
    assert (high - low) / 2 == pytest.approx(0.2484, abs=1e-3) and (high + low) / 2 == pytest.approx(33.2)


def test_what_lies_far_away_is_a_number_at_the_edge_and_does_not_flatten_the_rest(drawn):
    axis = drawn["far scores"].axes[1]
    words = {text.get_text(): text.get_color() for text in axis.texts}
    assert words == {"← 12.10": CONTROL, "← 15.00": PRINTED}
    assert axis.get_xlim()[0] > 30


def cut_ends(axis) -> list[tuple[str, int]]:
    """Arrows at the ends of bars, and their rows."""
    return [(line.get_marker(), line.get_ydata()[0]) for line in axis.lines if line.get_marker() in ("<", ">")]


def test_what_goes_on_beyond_the_axis_ends_in_an_arrow_and_the_caption_says_so(drawn):
    assert not any(cut_ends(axis) for axis in drawn["scores"].axes) and "arrows" not in drawn["scores"].caption
    values = scores()
    far = (values.row == ROWS[2]) & (values.network == "EDSR") & (values.seed == 0)
    values.loc[far, "value"] = 31.5
    figure = score_plot(values, "psnr", "set5", ROWS, "PSNR, dB", printed())
    found = {axis.get_title(): cut_ends(axis) for axis in figure.axes}
    assert found == {"SRCNN": [], "EDSR": [("<", 2), (">", 2)]} and "arrows lead to what lies beyond" in figure.caption
    assert figure.caption.startswith("PSNR, dB on Set5: ") and "arrows" in drawn["far scores"].caption


def test_more_panels_than_the_page_is_wide_stand_in_rows():
    assert {axis.get_subplotspec().rowspan.start for axis in score_plot(
        pd.concat([scores(), scores().assign(network="VDSR")]), "psnr", "set5", ROWS, "PSNR, dB").axes} == {0}  # fmt: skip
    values = pd.concat([scores().assign(network=name) for name in ("A", "B", "C", "D")])
    figure = score_plot(values[values.row != "Bicubic"], "psnr", "set5", ROWS, "PSNR, dB")
    places = [axis.get_subplotspec() for axis in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert figure.get_figwidth() < 10.3 and len({axis.get_xlim() for axis in figure.axes}) == 1


def test_gain_has_its_lines_at_bicubic_and_full_data():
    values = scores(noise=0.0).assign(metric=GAIN)
    figure = score_plot(values[values.row != "Bicubic"], GAIN, "set5", ROWS, "recovered gain, %")
    for axis in figure.axes:
        assert [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"] == [0.0, 100.0]
        assert axis.get_xlim()[0] < 0 and axis.get_xlim()[1] > 100


def test_what_fails_does_not_decide_where_a_zoom_is():
    zoom = zooms()[0]
    noise = torch.randint(0, 256, zoom.truth.shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    truth = zoom.truth // 8 + 100
    faint = truth.clone()
    faint[:, 40:55, 5:20] += 3
    found = Zoom(truth, {"a": truth + 1, "b": faint + 1, "failed": noise})
    top, left, side = found.window
    assert len(found.close) == 2 and top + side > 50 and top <= 40 and left <= 5


def test_a_zoom_is_where_outputs_differ_most():
    top, left, side = zooms()[0].window
    assert side == 18 and top <= 5 and 60 <= left + 3 and left + side <= 80 + 3
    figure = zoom_figure(zooms(), shave=2)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles.count("truth") == 1 and sum("dB" in title for title in titles) == 8


def test_the_picture_shown_is_the_one_that_rows_differ_most_on():
    lines = [("A", "EDSR", 0, "set5", name, psnr) for name, psnr in (("cat", 30.0), ("bird", 28.0))]
    lines += [("B", "EDSR", 0, "set5", name, psnr) for name, psnr in (("cat", 30.1), ("bird", 29.0))]
    # Neither another student nor a row that is not shown has a say.
    lines += [("B", "SRCNN", 0, "set5", "cat", 10.0), ("C", "EDSR", 0, "set5", "cat", 10.0)]
    scores = pd.DataFrame(lines, columns=["row", "network", "seed", "testset", "image", "psnr"])
    tests = {"set5": SimpleNamespace(names=("cat", "bird"))}
    shown = SimpleNamespace(results=SimpleNamespace(scores=scores), testset="set5", study=SimpleNamespace(tests=tests))
    assert Presentation.telling(shown, ["A", "B"], "EDSR") == 1
    assert Presentation.telling(shown, ["A"], "EDSR") == 0  # one row differs from nothing


@pytest.mark.parametrize(
    ("metric", "words"),
    [(GAIN, "no recovered gain here: full data is not above bicubic"),
     ("lpips_alex", "no LPIPS (lower is better) here: this profile does not measure it")],
)  # fmt: skip
def test_a_plot_without_values_says_why(metric, words):
    nothing = pd.DataFrame(columns=["row", "network", "seed", "testset", "metric", "value"])
    figure = score_plot(nothing, metric, "photos", ["Baseline (original)"], "x")
    assert [text.get_text() for text in figure.axes[0].texts] == [words]


def test_sizes_of_sets_come_from_names_and_budgets(tmp_path):
    folder = tmp_path / "desktop"
    folder.mkdir()
    head = "row,network,testset,metric,mean,std,n,published,status,note\n"
    (folder / "labelfree_t2.csv").write_text(
        head + "Bicubic,bicubic,set5,psnr,28,,1,,,\nBaseline (original),EDSR,set5,psnr,30,0.1,3,,,\n"
        "\"Distilled, 7\",EDSR,set5,psnr,28.5,0.1,3,,,\n\"Distilled, 140\",EDSR,set5,psnr,29,0.2,3,,,\n"
        "\"Random patches, 140\",EDSR,set5,psnr,29.5,0.2,3,,,\n"
    )
    (found,) = sized_rows(tmp_path, "desktop")
    assert found.values.tolist() == [
        ["Baseline (original)", 0.0, 2.0, 0.1], ["Distilled", 7.0, 0.5, 0.1], ["Distilled", 140.0, 1.0, 0.2],
        ["Random patches", 140.0, 1.5, 0.2],
    ]  # fmt: skip
    line, mark = set_size_figure([found]).axes[0].containers
    assert (line.get_label(), line[0].get_linestyle()) == ("Distilled", "-")
    # One size is no line, but a mark of its own.
    assert (mark.get_label(), mark[0].get_linestyle(), mark[0].get_markerfacecolor()) == ("Random patches", "None", "none")
    with pytest.raises(ValueError, match="no table with rows of several sizes"):
        set_size_figure([])


def test_pixels_of_sets_are_measured_and_more_of_a_set_is_the_same_method(tmp_path):
    folder = tmp_path / "desktop"
    folder.mkdir()
    for name, row, pixels in (("beyond_t1", "Herded", 10), ("beyond_t2", "\"Herded, 3 %\"", 31),
                              ("beyond_t7", "\"Herded, more of them\"", 90)):  # fmt: skip
        (folder / f"{name}.csv").write_text(
            "row,network,testset,metric,mean,std,n,published,status,note\nBicubic,bicubic,set5,psnr_y,28,,1,,,\n"
            f"{row},EDSR,set5,psnr_y,{29 + pixels / 100},0.1,3,,,\n\"Herded, 4 x steps\",EDSR,set5,psnr_y,40,0.1,3,,,\n"
            f"Hardest,EDSR,set5,psnr_y,20,0.1,3,,,\n"
        )
        (folder / f"{name}.sizes.csv").write_text(
            f"training set,images,HR pixels,bytes as PNG,bytes\ntraining pictures,9,1000,9,9\n{row},1,{pixels},1,1\n"
            "\"Herded, 4 x steps\",1,10,1,1\nHardest,1,12,1,1\n"
        )
    (found,) = sized_rows(tmp_path, "desktop")
    assert list(zip(found.method, found["size"], strict=True)) == [
        ("Herded", pytest.approx(1.0)), ("Hardest", pytest.approx(1.2)), ("Herded", pytest.approx(3.1)),
        ("Herded", pytest.approx(9.0)),
    ]  # fmt: skip
    axis = set_size_figure([found]).axes[0]
    assert axis.get_title(loc="left").startswith("Beyond, tables 1, 2 and 7: the best set of a budget of pixels")
    # What lies far below does not flatten the lines; its number is in the legend.
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["Herded", "Hardest, at -8.00"]
    assert axis.get_ylim()[0] > 0 and [label.get_text() for label in axis.get_xticklabels()] == ["1", "3", "9"]


def test_no_set_of_several_sizes_is_lost():
    groups = {frame.attrs["tables"]: frame for frame in sized_rows(TABLES, "desktop")}
    assert list(groups) == [("beyond_t1", "beyond_t2", "beyond_t7"), ("labelfree_t1", "labelfree_t3"), ("labelfree_t2",),
                            ("coreset_t1",), ("coreset_t2",)]  # fmt: skip
    for names, frame in groups.items():
        sizes = pd.concat([pd.read_csv(TABLES / "desktop" / f"{name}.sizes.csv") for name in names])
        rows = {row for row in sizes["training set"] if row != "training pictures" and "x steps" not in row}
        assert (frame["size"] > 0).sum() == len(rows), names
    figure = set_size_figure(list(groups.values()))
    for axis, frame in zip(figure.axes, groups.values(), strict=True):
        assert len(axis.containers) == frame[frame["size"] > 0].method.nunique()
        assert axis.get_title(loc="left").startswith(frame.attrs["tables"][0].partition("_")[0].capitalize())
    # A method looks the same in both tables of a paper.
    looks = [{found.get_label(): (found[0].get_color(), found[0].get_marker()) for found in axis.containers}
             for axis in figure.axes[3:]]  # fmt: skip
    assert looks[0].items() <= looks[1].items() and len(set(looks[1].values())) == len(looks[1])


def test_captions_say_what_is_shown(drawn):
    assert drawn["rows"].caption == (
        "The first images of sets, one set a row: noise; distilled from it, with a long name."
    )
    columns = class_columns(["a dog", "a cat"], {"first": torch.zeros(2, 3, 8, 8, dtype=torch.uint8)})
    assert columns.caption == "A column for each class, in rows: first."
    assert "arrow" not in drawn["spectrum"].caption


def test_words_are_listed_and_lines_are_as_long_as_fits():
    assert listed(["a", "b\nc", "d"]) == "a, b c and d" and listed(["a"]) == "a" and listed([]) == ""
    assert listed(["a, 1", "b, 2", "c"]) == "a, 1; b, 2; c"
    assert fitting(1.0) == 14 and fitting(0.1) == 8
