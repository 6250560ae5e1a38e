#!/usr/bin/env python3
"""Measures `convae apply` on many small images beside PyTorch scripts that do the same.

    .venv/bin/python scripts/bench_apply.py --checkpoint runs/noise/noise.pt [--images 10000]

The checkpoint is one of denoise.toml. Each contestant reads every PNG of a folder, runs the model on
two or more threads, and writes a PNG for each. All run in turn, `--rounds` times; what is printed is
the best of each, in images per second of wall time (start-up included), and the peak of its memory.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BATCH = 64


def make_images(folder: Path, count: int, side: int) -> None:
    """Smooth shapes under noise: PNGs that compress about as little as noisy photographs."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[0:side, 0:side] / side
    for i in range(count):
        picture = 0.5 + 0.4 * np.sin(6 * random.random() * rows + 6 * random.random() * columns)
        picture += 0.2 * random.standard_normal((side, side))
        Image.fromarray((picture.clip(0, 1) * 255).astype("uint8")).save(folder / f"{i:06}.png")


def torch_model(checkpoint: str):
    import torch
    from torch import nn

    weights = torch.load(checkpoint, weights_only=True)
    convolutions = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    layers = []
    for i, name in enumerate(convolutions):
        outputs, inputs, *kernel = weights[f"{name}.weight"].shape
        layer = nn.Conv2d(inputs, outputs, tuple(kernel), padding="same")
        layer.load_state_dict({key: weights[f"{name}.{key}"] for key in ("weight", "bias")})
        last = i == len(convolutions) - 1
        layers += [layer, nn.Sigmoid() if last else nn.ReLU()]
        if i in (0, 1):
            layers.append(nn.MaxPool2d(2))
        if i in (3, 4):
            layers.append(nn.Upsample(scale_factor=2))
    return nn.Sequential(*layers).eval()


def torch_worker(checkpoint: str, source: str, target: str, threaded: bool) -> None:
    """One batch after the other; `threaded` decodes the next and encodes the last meanwhile, and
    keeps channels last, which is faster on a CPU."""
    import numpy as np
    import torch
    from PIL import Image

    # The plain script keeps PyTorch's default layout.
    layout = torch.channels_last if threaded else torch.contiguous_format
    model = torch_model(checkpoint).to(memory_format=layout)
    os.makedirs(target)
    names = sorted(os.listdir(source))

    def read(name):
        with Image.open(os.path.join(source, name)) as image:
            return np.asarray(image.convert("L"))

    def write(name, pixels):
        # Pillow's own level is 6; the threaded script takes the fast one that convae takes.
        level = {"compress_level": 1} if threaded else {}
        Image.fromarray(pixels).save(os.path.join(target, name), **level)

    def compute(pictures):
        batch = torch.from_numpy(np.stack(pictures)).unsqueeze(1).float().div(255)
        batch = batch.contiguous(memory_format=layout)
        with torch.inference_mode():
            return model(batch).clamp(0, 1).mul(255).round().byte().squeeze(1).numpy()

    batches = [names[i : i + BATCH] for i in range(0, len(names), BATCH)]
    if not threaded:
        for batch in batches:
            for name, pixels in zip(batch, compute([read(name) for name in batch])):
                write(name, pixels)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead = [pool.submit(read, name) for name in batches[0]]
        writing = []
        for i, batch in enumerate(batches):
            pictures = [future.result() for future in ahead]
            following = batches[i + 1] if i + 1 < len(batches) else []
            ahead = [pool.submit(read, name) for name in following]
            outputs = compute(pictures)
            for future in writing:
                future.result()
            writing = [pool.submit(write, name, pixels) for name, pixels in zip(batch, outputs)]
        for future in writing:
            future.result()


def run(command: list[str]) -> tuple[float, float]:
    """Seconds, and the most memory in MB."""
    started = time.perf_counter()
    process = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--convae", default="target/debug/convae")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        source, target, kind = args.worker
        return torch_worker(args.checkpoint, source, target, kind == "threaded")

    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "images", Path(scratch) / "out"
        make_images(folder, args.images, args.side)
        few = Path(scratch) / "few"
        few.mkdir()
        for name in sorted(os.listdir(folder))[: args.images // 10]:
            os.link(folder / name, few / name)
        python = [sys.executable, __file__, "--checkpoint", args.checkpoint, "--worker"]

        def contest(source):
            convae = [shutil.which(args.convae) or args.convae, "apply"]
            convae += ["--checkpoint", args.checkpoint, "--out", str(out), str(source)]
            return {
                "convae": convae,
                "PyTorch, tuned": [*python, str(source), str(out), "threaded"],
                "PyTorch, plain": [*python, str(source), str(out), "plain"],
            }

        for source, count in ((few, args.images // 10), (folder, args.images)):
            best = {}
            for _ in range(args.rounds):
                for name, command in contest(source).items():
                    result = run(command)
                    best[name] = min(best.get(name, result), result)
                    shutil.rmtree(out)
            for name, (seconds, memory) in best.items():
                rate = count / seconds
                print(f"{count:6} images  {name:18} {rate:7.0f} images/s  {memory:6.0f} MB at most")


if __name__ == "__main__":
    main()
