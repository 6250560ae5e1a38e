#!/usr/bin/env python3
"""Compares `convae apply` on images of random sizes with the exported model in onnxruntime.

    .venv/bin/python scripts/apply_onnx.py --checkpoint runs/noise/noise.pt [--images 1000] [--tile 64]

Each image goes through onnxruntime whole. Where the model does not give back an image of that size, it
goes on to the right and below as in a mirror, to the next height and width that the model gives back.
Prints how many images differ by how much at most, of 255; a difference above 1 ends in exit code 1.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

# A rounding more or less, where the output lies between two values of 8 bits.
MOST = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--convae", default="target/debug/convae")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--largest", type=int, default=400, help="longest side (default: 400)")
    parser.add_argument("--tile", type=int, help="as of convae apply")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        differences = compare(args, Path(scratch))
    for difference, images in sorted(differences.items()):
        print(f"{images:6} images differ by at most {difference} of 255")
    if max(differences) > MOST:
        sys.exit(1)


def compare(args: argparse.Namespace, scratch: Path) -> Counter:
    model, images, results = scratch / "model.onnx", scratch / "images", scratch / "results"
    run(args.convae, "export", args.checkpoint, "--out", model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # sizes that the model does not give back are asked for, too
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    _, channels, _, _ = session.get_inputs()[0].shape

    def output(pixels: np.ndarray) -> np.ndarray:
        picture = pixels.astype(np.float32).transpose(2, 0, 1)[None] / 255
        (result,) = session.run(["output"], {"input": picture})
        return (result[0].transpose(1, 2, 0).clip(0, 1) * 255).round()

    @cache
    def gives_back(axis: int, side: int) -> bool:
        shape = [OTHER_SIDE, OTHER_SIDE, channels]
        shape[axis] = side
        try:
            return output(np.zeros(shape, np.uint8)).shape[axis] == side
        except Exception:  # smaller than a window, say
            return False

    def padded(axis: int, side: int) -> int:
        return next(more for more in range(side, side + 1000) if gives_back(axis, more))

    random = np.random.default_rng(args.seed)
    images.mkdir()
    for i in range(args.images):
        height, width = random.integers(1, args.largest + 1, 2)
        pixels = random.integers(0, 256, (height, width, channels), np.uint8)
        Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(images / f"{i:06}.png")
    tile = ["--tile", args.tile] if args.tile else []
    run(args.convae, "apply", "--checkpoint", args.checkpoint, "--out", results, *tile, images)

    differences = Counter()
    for path in sorted(images.iterdir()):
        pixels, result = (np.atleast_3d(np.asarray(Image.open(p))) for p in (path, results / path.name))
        height, width, _ = pixels.shape
        more = [(0, padded(axis, side) - side) for axis, side in enumerate((height, width))]
        wanted = output(np.pad(pixels, [*more, (0, 0)], "reflect"))[:height, :width]
        differences[int(np.abs(wanted - result).max())] += 1
    return differences


# Of the images that show which sides the model gives back; any model of ours takes it.
OTHER_SIDE = 64


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
