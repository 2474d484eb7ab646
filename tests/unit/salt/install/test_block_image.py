"""Copying images piece by piece."""

import os
from pathlib import Path

import pytest
from domus_block_image import PIECE_BYTES, Damaged, copy_image, map_image

SIZE = 64 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Offer an image with data at its start, in its middle, over several pieces, and a hole at its end."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.write(os.urandom(8192))
        file.seek(16 << 20)
        file.write(os.urandom(2 * PIECE_BYTES + 4096))
        file.truncate(SIZE)
    return path


def test_a_copy_is_the_same_where_there_is_data(image: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.write_bytes(b"\xff" * SIZE)
    fractions: list[float] = []
    pieces = map_image(image)
    copy_image(image, pieces, str(device), fractions.append)
    source, target = image.read_bytes(), device.read_bytes()
    for piece in pieces:
        part = slice(piece.offset, piece.offset + piece.length)
        assert source[part] == target[part]
    assert sum(piece.length for piece in pieces) < SIZE // 2
    assert fractions == sorted(fractions)


def test_damage_is_found_before_the_device_looks_complete(image: Path, tmp_path: Path) -> None:
    pieces = map_image(image)
    with image.open("r+b") as file:
        file.seek(17 << 20)
        file.write(b"damage")
    device = tmp_path / "device"
    device.write_bytes(b"\xff" * SIZE)
    with pytest.raises(Damaged):
        copy_image(image, pieces, str(device), lambda part: None)
    assert device.read_bytes()[:4096] == bytes(4096)


def test_an_image_that_became_shorter_is_damaged(image: Path, tmp_path: Path) -> None:
    pieces = map_image(image)
    os.truncate(image, 17 << 20)
    with pytest.raises(Damaged):
        copy_image(image, pieces, os.devnull, lambda part: None)
