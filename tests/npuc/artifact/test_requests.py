import numpy as np
import pytest
from PIL import Image

from npuc.artifact.requests import make_request
from program.errors import DiagnosticError


def test_reads_picture_and_tensor(tmp_path):
    Image.new("RGB", (8, 4), "red").save(tmp_path / "a.png")
    np.save(tmp_path / "x.npy", np.arange(3))
    request = make_request(prompt="hi", image=tmp_path / "a.png", tensors={"x": tmp_path / "x.npy"})
    assert request.image.size == (8, 4)
    assert request.tensors["x"].tolist() == [0, 1, 2]


def _truncated_png(path):
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:200])


def _pickle(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def _lying_header(path):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
        )


def _unfinished_header(path):
    np.save(path, np.zeros(3, np.float32))
    path.write_bytes(path.read_bytes().replace(b"(3,)", b"(3, "))


def _unfinished_chunk(path):
    path.write_bytes(b"RIFF\x40\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(32))


@pytest.mark.parametrize(
    ("option", "name", "write", "message"),
    [
        ("image", "a.png", lambda path: path.write_bytes(b"not a picture"), "cannot read the picture"),
        ("image", "a.png", _truncated_png, "cannot read the picture"),
        ("image", "a.png", lambda path: None, "cannot read the picture"),
        ("image", "a.png", lambda path: path.mkdir(), "cannot read the picture"),
        ("audio", "a.wav", lambda path: path.write_bytes(b"RIFFxxxx"), "sound"),
        ("audio", "a.wav", lambda path: None, "sound"),
        ("tensor", "a.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "cannot read the tensor"),
        ("audio", "a.wav", _unfinished_chunk, "sound"),
        ("tensor", "a.npy", _unfinished_header, "cannot read the tensor"),
        ("tensor", "a.npy", _pickle, "cannot read the tensor"),
        ("tensor", "a.npy", _lying_header, "cannot read the tensor"),
    ],
)
def test_bad_file_is_named(tmp_path, option, name, write, message):
    path = tmp_path / name
    write(path)
    arguments = {"tensors": {"x": path}} if option == "tensor" else {option: path}
    with pytest.raises(DiagnosticError, match=message) as caught:
        make_request(**arguments)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
