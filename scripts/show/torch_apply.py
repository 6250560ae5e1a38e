"""What `convae apply` does to a folder of equally large grey PNGs, as a PyTorch script would do it.

    python -m show.torch_apply RUN INPUTS OUTPUTS WAY

plain     picture by picture, as it is written first
tuned     as PyTorch's tuning guide says: a DataLoader with workers, batches, channels_last and
          inference mode; the results are written by threads
compiled  the same under torch.compile
"""

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from . import torch_model

BATCH = 64
WAITING = 4 * BATCH
"""Results that may wait to be written, so that memory stays flat."""


class Folder(Dataset):
    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.png"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        return read(self.files[index]), self.files[index].name


def read(file: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(file), dtype=np.float32)).div_(255)[None]


def write(file: Path, picture: torch.Tensor) -> None:
    Image.fromarray(picture.numpy()).save(file)


def to_bytes(output: torch.Tensor) -> torch.Tensor:
    return output.mul(255).round_().clamp_(0, 255).to(torch.uint8)[:, 0]


def plain(model: torch.nn.Module, inputs: Path, outputs: Path) -> None:
    for file in sorted(inputs.glob("*.png")):
        with torch.no_grad():
            write(outputs / file.name, to_bytes(model(read(file)[None]))[0])


def batched(model: torch.nn.Module, inputs: Path, outputs: Path) -> None:
    loader = DataLoader(Folder(inputs), batch_size=BATCH, num_workers=os.cpu_count() or 1)
    waiting: list[Future] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, torch.inference_mode():
        for batch, names in loader:
            cleaned = to_bytes(model(batch.contiguous(memory_format=torch.channels_last)))
            waiting += [pool.submit(write, outputs / name, one) for name, one in zip(names, cleaned)]
            while len(waiting) > WAITING:
                waiting.pop(0).result()
        for result in waiting:
            result.result()


def main() -> None:
    run, inputs, outputs = map(Path, sys.argv[1:4])
    way = sys.argv[4]
    outputs.mkdir(parents=True, exist_ok=True)
    model = torch_model.load(run)
    if way == "plain":
        return plain(model, inputs, outputs)
    model.to(memory_format=torch.channels_last)
    batched(torch.compile(model) if way == "compiled" else model, inputs, outputs)


if __name__ == "__main__":
    main()
