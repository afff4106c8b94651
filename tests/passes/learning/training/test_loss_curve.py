import json
import xml.etree.ElementTree as ElementTree

from passes.learning.training.loss_curve import LossCurve, LossPoint


def curve(steps=500):
    points = [
        LossPoint(step, 2.0 / step, {"b<c": 1.5 / step, "a": 0.5 / step}, 1e-3, 0.1 if step > 1 else None)
        for step in range(1, steps + 1)
    ]
    return LossCurve(tuple(points))


def test_json_round_trip():
    assert LossCurve.from_json(json.loads(json.dumps(curve().to_json()))) == curve()


def test_writes_table_and_picture(tmp_path):
    curve().write(tmp_path)
    rows = (tmp_path / "loss.csv").read_text().splitlines()
    assert rows[0] == "step,loss,a,b<c,learning_rate,gradient_norm"
    assert rows[1] == "1,2,0.5,1.5,0.001,nan"
    assert len(rows) == 501
    root = ElementTree.fromstring((tmp_path / "loss.svg").read_text())  # noqa: S314 - our own file
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 3
    places = [tuple(map(float, pair.split(","))) for pair in lines[0].get("points").split()]
    assert 100 < len(places) <= 240
    assert places[0][1] < places[-1][1], "the loss falls: y grows downwards"


def test_pictures_of_one_step_and_of_none_are_valid():
    for steps in (0, 1):
        ElementTree.fromstring(curve(steps).to_svg())  # noqa: S314


def test_mean_counts_from_one():
    assert curve(4).mean(1, 2) == 1.5
