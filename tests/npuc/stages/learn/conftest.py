"""A manifest of training data."""

import json

import pytest
from PIL import Image


@pytest.fixture
def manifest(tmp_path):
    for index in range(4):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(tmp_path / f"{index}.png")
    return write(
        tmp_path,
        *({"image": f"{index}.png", "text": f"what is {index}?", "answer": str(index)} for index in range(4)),
    )


def write(folder, *entries):
    path = folder / "train.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    return path
