"""Pictures straight from MNIST's IDX files, read independently of convae."""

import gzip
from pathlib import Path

import numpy as np

from .failure import Failure

# Unsigned bytes in three dimensions (grey pictures) or four (channels last).
MAGIC = {0x0803: 3, 0x0804: 4}
FILES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}


def clean_bytes(folder: Path | None, split: str, samples: int | None) -> np.ndarray:
    """The first `samples` pictures of a split as bytes, `(N, H, W, C)`."""
    if folder is None:
        raise Failure("this needs pictures in MNIST's files; set data.kind to mnist or fashion-mnist")
    raw = _read(folder / FILES[split])
    dimensions = MAGIC.get(int.from_bytes(raw[:4], "big"))
    if dimensions is None:
        raise Failure(f"{folder / FILES[split]} is not an IDX file of pictures")
    header = 4 + 4 * dimensions
    shape = np.frombuffer(raw[4:header], ">u4").astype(int)
    pictures = np.frombuffer(raw, np.uint8, offset=header).reshape(shape)[:samples]
    return pictures if dimensions == 4 else pictures[..., None]


def scaled(pictures: np.ndarray) -> np.ndarray:
    """Bytes as float32 in 0..1, divided by 255 as the tutorial does."""
    return pictures.astype(np.float32) / np.float32(255)


def _read(path: Path) -> bytes:
    packed = path.with_name(path.name + ".gz")
    if path.is_file():
        return path.read_bytes()
    if packed.is_file():
        return gzip.decompress(packed.read_bytes())
    raise Failure(f"{path} is missing; get MNIST with scripts/setup.sh, or set data.dir")
