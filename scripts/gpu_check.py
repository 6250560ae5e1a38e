#!/usr/bin/env python3
"""Shows on a machine with a GPU that convae computes there what it says: exact, and the same bits in each run.

    scripts/gpu_check.sh [--device cuda:0] [--convae target/debug/convae]

Trains on digits for some minutes, prints one table, and ends with 1 where a bar is missed. It needs a built convae, which
gpu_check.sh builds, MNIST in data/mnist, and no package of Python's. Times have bars on one H100 only; they are printed
and judge nothing.
"""

import argparse
import json
import math
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FEW = ("data.train_samples=320", "data.test_samples=200", "train.epochs=2", "output.tensorboard=false")
"""20 steps of 32 images in two epochs, as a set that is read once is not kept on the GPU."""
ANEW = ("corruption.resample=epoch",)
"""Inputs are brought, targets are kept."""
GRAPH = ROOT / "scripts/parity/configs/unet.toml"
"""With poolings, upsampling and connections past the code."""
ALL_OF_A_STEP = tuple(f"train.optimizer.{option}" for option in
                      ("name=Nadam", "weight_decay=0.01", "clipnorm=0.1", "use_ema=true"))
"""Nadam has the most numbers that change from step to step."""
FIRST_GRADIENT, FIRST_TEN = 1e-6, 1e-5
"""float32 from float64, relative."""
DRAWING = """
  { layer = "GaussianNoise", stddev = 0.1 },
  { layer = "SpatialDropout2D", rate = 0.1 },
  { layer = "Dropout", rate = 0.1 },
"""
"""Layers of chance."""
UNEVEN = ("data.train_samples=650", "data.test_samples=210", "train.epochs=6")
"""Each epoch has a last batch that is smaller, in training and in validation, and comes often enough to be captured."""
TWO_RANKS = 1e-12
"""Losses of two processes from those of one, in float64, relative."""
LONG = ("data.train_samples=20000", "data.test_samples=200", "train.epochs=2", "train.checkpoint_every=50")
"""A run that is killed on its way."""


@dataclass
class Row:
    """Of the table; without a bar it judges nothing."""

    what: str
    measured: str
    bar: str = ""
    holds: bool = True


class Convae:
    """The program, on a device, with a folder for its runs."""

    def __init__(self, program: Path, device: str, folder: Path) -> None:
        self.program, self.device, self.folder = program, device, folder

    def command(self, config: Path, name: str, sets: tuple[str, ...], device: str | None = None) -> list[str]:
        words = [str(self.program), "--config", str(config), "--out", str(self.folder / name)]
        for key in (f"train.device={device or self.device}", *sets):
            words += ["--set", key]
        return words

    def train(self, config: Path, name: str, sets: tuple[str, ...], *flags: str, device: str | None = None) -> Path:
        """Its folder."""
        run(self.command(config, name, sets, device) + list(flags))
        return self.folder / name

    def traced(self, config: Path, name: str, sets: tuple[str, ...], device: str | None = None) -> Path:
        """The folder of its trace."""
        trace = self.folder / f"{name}-trace"
        self.train(config, name, (*FEW, *sets), "--trace", str(trace), device=device)
        return trace


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="as train.device has it (default: cuda:0)")
    parser.add_argument("--convae", type=Path, default=ROOT / "target/debug/convae", help="the built program")
    arguments = parser.parse_args()
    if not arguments.convae.is_file():
        sys.exit(f"gpu_check: there is no {arguments.convae}; run `cargo build --locked`, or name it with --convae")
    with tempfile.TemporaryDirectory(prefix="gpu_check") as folder:
        convae = Convae(arguments.convae.resolve(), arguments.device, Path(folder))
        rows: list[Row] = []
        for check in (exact, rounded, repeated, captured, resumed, shared, summed, applied, timed, timed_chain):
            say(f"{check.__name__} ...")
            rows += check(convae)
    print_table(rows, arguments.device)
    return 0 if all(row.holds for row in rows) else 1


def exact(convae: Convae) -> list[Row]:
    """float32 on the device against float64 on the CPU."""
    rows = []
    for config, sets in ((ROOT / "configs/plain.toml", ()), (ROOT / "configs/denoise.toml", ANEW), (GRAPH, ())):
        double = convae.traced(config, f"{config.stem}-double", (*sets, "train.dtype=float64"), device="cpu")
        single = convae.traced(config, f"{config.stem}-single", (*sets, "train.dtype=float32"))
        rows += compared(config.stem, single, double)
    return rows


def compared(name: str, single: Path, double: Path) -> list[Row]:
    gradient = distance(*(values(trace / "gradient.safetensors") for trace in (single, double)))
    losses = [json.loads((trace / "trace.json").read_text())["losses"][0][:10] for trace in (single, double)]
    steps = max(abs(a - b) / abs(b) for a, b in zip(*losses, strict=True))
    return [
        judged(f"{name}: first gradient, float32 from float64", gradient, FIRST_GRADIENT),
        judged(f"{name}: steps 1 to 10, float32 from float64", steps, FIRST_TEN),
    ]


def rounded(convae: Convae) -> list[Row]:
    """What is less exact, by its name."""
    double = convae.folder / "plain-double-trace/gradient.safetensors"
    rows = []
    for label, sets in (("allow_tf32", ("train.allow_tf32=true",)), ("mixed_bfloat16", ("train.dtype=mixed_bfloat16",
                                                                                        "train.engine=libtorch"))):
        trace = convae.traced(ROOT / "configs/plain.toml", label, sets)
        apart = distance(values(trace / "gradient.safetensors"), values(double))
        rows.append(Row(f"plain: first gradient, {label} from float64", f"{apart:.1e}"))
    return rows


def repeated(convae: Convae) -> list[Row]:
    """Twice the same run."""
    rows = []
    for config in (ROOT / "configs/plain.toml", ROOT / "configs/denoise.toml", GRAPH):
        runs = [weights(convae.train(config, f"{config.stem}-{turn}", FEW)) for turn in (1, 2)]
        rows.append(same(f"{config.stem}: two runs of 20 steps", *runs))
    return rows


def captured(convae: Convae) -> list[Row]:
    """Steps as CUDA graphs, against kernels that are started one by one."""
    rows = []
    for config, sets in ((ROOT / "configs/denoise.toml", ()), (GRAPH, ()), (GRAPH, ALL_OF_A_STEP), (drawing(convae.folder), ()),
                         (ROOT / "configs/denoise.toml", UNEVEN), (ROOT / "configs/denoise.toml", ANEW)):
        label = {ALL_OF_A_STEP: ", all of a step", UNEVEN: ", uneven batches", ANEW: ", noise anew"}.get(sets, "")
        name = config.stem + label
        folders = [convae.train(config, f"{name}-graphs-{on}", (*FEW, *sets, "output.safetensors=true",
                                                               f"train.cuda_graphs={on}"))
                   for on in ("true", "false")]
        rows.append(same(f"{name}: CUDA graphs, against kernels one by one", *map(tensors, folders)))
        rows.append(same(f"{name}: validation losses of both", *map(validated, folders)))
    engine = json.loads((convae.folder / "plain-1/history.json").read_text())["engine"]
    on_gpu = convae.device.startswith("cuda")
    rows.append(Row("plain: the engine's name", engine, "with CUDA graphs", "CUDA graphs" in engine or not on_gpu))
    return rows


def drawing(folder: Path) -> Path:
    """The config of plain.toml with layers of chance."""
    text = (ROOT / "configs/plain.toml").read_text().replace('dir = "data', f'dir = "{ROOT}/data')
    first = text.index("{ layer")
    config = folder / "drawing.toml"
    config.write_text(text[:first] + DRAWING.strip() + "\n  " + text[first:])
    return config


def validated(folder: Path) -> bytes:
    """The losses of a run's validations."""
    epochs = json.loads((folder / "history.json").read_text())["epochs"]
    return repr([epoch["val_loss"] for epoch in epochs]).encode()


def resumed(convae: Convae) -> list[Row]:
    """Killed in its last epoch and resumed, against one that was left alone: what is resumed reads no kept sets any more."""
    config = ROOT / "configs/denoise.toml"
    whole = weights(convae.train(config, "whole", LONG))
    command = convae.command(config, "killed", LONG)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_a_checkpoint(convae.folder / "killed/checkpoints", process)
    process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    run([*command, "--resume"])
    row = same("denoise: killed and resumed, against one run", whole, weights(convae.folder / "killed"))
    return [row if killed else Row(row.what, "it had ended before it was killed", "a kill", holds=False)]


def wait_for_a_checkpoint(folder: Path, process: subprocess.Popen) -> None:
    while process.poll() is None and not any(folder.glob("epoch-0002-step-*.pt")):
        time.sleep(0.02)


def summed(convae: Convae) -> list[Row]:
    """Sums on GPUs by NCCL: here of one process, which is what one GPU allows."""
    what = "NCCL: sums of one process"
    example = convae.program.parent / "examples/all_reduce"
    if not convae.device.startswith("cuda") or not example.is_file():
        return [Row(what, "not tried: `cargo build --locked --example all_reduce` makes it, for a GPU")]
    done = subprocess.run([str(example), "--gpus"], capture_output=True, text=True)
    if done.returncode:
        return [Row(what, (done.stderr.strip().splitlines() or ["no words"])[-1], "the values themselves", False)]
    return [Row(what, ", ".join(done.stdout.split("\n")).strip(", "), "the values themselves")]


def shared(convae: Convae) -> list[Row]:
    """Two processes, on one GPU where there is one, against one: with layers of chance and statistics of the whole batch."""
    config = drawing(convae.folder)
    text = config.read_text().replace("  { layer = \"GaussianNoise\"", "  { layer = \"BatchNormalization\" },\n  { layer = \"GaussianNoise\"")
    config = config.with_name("shared.toml")
    config.write_text(text)
    sets = (*FEW, "train.dtype=float64", "train.engine=libtorch")
    runs = [json.loads((convae.train(config, f"ranks-{count}", sets, "--processes", count) / "history.json").read_text())
            for count in ("1", "2")]
    losses = [[loss for _, loss in run["curve"]] + [epoch["val_loss"] for epoch in run["epochs"]] for run in runs]
    apart = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    return [judged("shared: losses of two processes, from those of one, float64", apart, TWO_RANKS)]


def applied(convae: Convae) -> list[Row]:
    """Outputs for 20,000 digits of noise on the device, against those of the CPU; and how many a second."""
    checkpoint = saved(convae.folder / "denoise-1", "pt")
    count, side = 20000, 28
    array = noise(convae.folder / "digits.npy", (count, side, side, 1))
    results, seconds = [], []
    for name, device in (("cpu", "cpu"), ("device", convae.device)):
        out = convae.folder / f"applied-{name}.npy"
        started = time.monotonic()
        run([str(convae.program), "apply", "--checkpoint", str(checkpoint), "--set", f"train.device={device}", "--out", str(out),
             str(array)])
        seconds.append(time.monotonic() - started)
        results.append(array_of(out))
    apart = max(abs(a - b) for a, b in zip(*results, strict=True))
    photograph = convae.folder / "photograph.pgm"
    photograph.write_bytes(b"P5 1024 768 255\n" + random.Random(2).randbytes(1024 * 768))
    tiled = []
    for name, device in (("first", convae.device), ("second", convae.device), ("third", "cpu")):
        out = convae.folder / f"tiled-{name}"
        run([str(convae.program), "apply", "--checkpoint", str(checkpoint), "--tile", "128", "--set", f"train.device={device}",
             "--out", str(out), str(photograph)])
        tiled.append(next(out.glob("*.png")).read_bytes())
    return [same("denoise: apply to 1024x768 pixels in tiles, twice", *tiled[:2]),
            Row("denoise: the same, beside the CPU", "the same bytes" if tiled[1] == tiled[2] else "some pixels are rounded otherwise"),
            judged("denoise: outputs, float32 from the CPU's", apart, FIRST_TEN),
            Row("denoise: apply to 20,000 digits, start to exit", f"{seconds[1]:.1f} s", f"{seconds[0]:.1f} s on the CPU")]


def noise(file: Path, shape: tuple[int, ...]) -> Path:
    """A file of such an array of float32."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(118 - 1) + "\n"
    random_values = random.Random(1)
    values = array("f", (random_values.random() for _ in range(math.prod(shape))))
    file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes())
    return file


def array_of(file: Path) -> array:
    """The values of such a file."""
    data = file.read_bytes()
    (length,) = struct.unpack("<H", data[8:10])
    values = array("f")
    values.frombytes(data[10 + length:])
    return values


def timed(convae: Convae) -> list[Row]:
    """An epoch with all around it, and steps."""
    config = ROOT / "configs/plain.toml"
    started = time.monotonic()
    convae.train(config, "epoch", ())
    rows = [Row("plain: one epoch, start to exit", f"{time.monotonic() - started:.1f} s", "2.5 s on an H100")]
    for batch, best in ((32, "0.450"), (128, "0.887")):
        for label, graphs in (("", "true"), (", kernels one by one", "false")):
            sets = (f"train.batch_size={batch}", "train.epochs=2", f"train.cuda_graphs={graphs}")
            step = step_of(convae.train(config, f"batch-{batch}-{graphs}", sets), batch)
            bar = f"{best} ms as a CUDA graph of PyTorch's, H100" if graphs == "true" else ""
            rows.append(Row(f"plain: a step at batch {batch}{label}", f"{step:.3f} ms", bar))
    return rows


def timed_chain(convae: Convae) -> list[Row]:
    """Steps of a chain of eight convolutions of 64 channels on patches of 64x64 pixels."""
    config = chain(convae.folder)
    rows = []
    for dtype, peer in (("float32", {16: "4.07 ms: PyTorch", 64: "12.8 ms: PyTorch"}),
                        ("mixed_bfloat16", {16: "1.10 ms: PyTorch, torch.compile", 64: "2.54 ms: PyTorch, torch.compile"})):
        for batch, bar in peer.items():
            sets = (f"train.batch_size={batch}", f"train.dtype={dtype}", "train.engine=libtorch")
            step = step_of(convae.train(config, f"chain-{dtype}-{batch}", sets), batch)
            rows.append(Row(f"chain of 8, 64 channels, {dtype}, batch {batch}", f"{step:.2f} ms", f"{bar}, H100"))
    return rows


def chain(folder: Path) -> Path:
    """Its config, with images of noise: what is learned does not matter."""
    count, side = 1280, 64
    noise(folder / "noise.npy", (count, side, side, 1))
    layer = '{ layer = "Conv2D", filters = 64, kernel_size = 3, padding = "same", activation = "relu" },\n'
    last = '{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same" },\n'
    data = f'kind = "npz"\nfile = "{folder}/noise.npy"\ntest_fraction = 0.05\n'
    text = f'name = "chain"\n[data]\n{data}[model]\ninput_shape = [{side}, {side}, 1]\nlayers = [\n{7 * layer}{last}]\n'
    config = folder / "chain.toml"
    config.write_text(text + '[train]\nepochs = 2\nloss = "mean_squared_error"\n[output]\nreport = false\n')
    return config


def step_of(folder: Path, batch: int) -> float:
    """Milliseconds of a step in a run's last epoch."""
    last = json.loads((folder / "timings.json").read_text())["epochs"][-1]
    return 1e3 * batch / last["images_per_second"]


def weights(folder: Path) -> bytes:
    """Of a run that has ended: the file's bytes, which are equal where the weights are."""
    return saved(folder, "pt").read_bytes()


def saved(folder: Path, ending: str) -> Path:
    """The last model of a run."""
    [file] = [file for file in folder.glob(f"*.{ending}") if not file.stem.endswith("-best")]
    return file


def tensors(folder: Path) -> bytes:
    """The weights of such a run without what says how they were made."""
    data = saved(folder, "safetensors").read_bytes()
    return data[8 + struct.unpack("<Q", data[:8])[0]:]


def same(what: str, first: bytes, second: bytes) -> Row:
    equal = first == second
    return Row(what, "the same bits" if equal else "other bits", "the same bits", equal)


def judged(what: str, measured: float, bar: float) -> Row:
    return Row(what, f"{measured:.1e}", f"{bar:.0e}", measured <= bar)


def values(file: Path) -> list[float]:
    """All values of a safetensors file, one tensor after the other by name."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    found: list[float] = []
    for name in sorted(name for name in header if name != "__metadata__"):
        start, end = header[name]["data_offsets"]
        width, code = {"F32": (4, "f"), "F64": (8, "d")}[header[name]["dtype"]]
        found += struct.unpack(f"<{(end - start) // width}{code}", body[start:end])
    return found


def distance(ours: list[float], exact: list[float]) -> float:
    """Norm of the difference, relative."""
    apart = math.sqrt(sum((a - b) ** 2 for a, b in zip(ours, exact, strict=True)))
    return apart / math.sqrt(sum(b * b for b in exact))


def print_table(rows: list[Row], device: str) -> None:
    widths = [max(len(row.what) for row in rows), max(len(row.measured) for row in rows)]
    print(f"\nconvae on {device}")
    for row in rows:
        verdict = "" if row.holds else "  MISSED"
        print(f"{row.what:{widths[0]}}  {row.measured:{widths[1]}}  {row.bar}{verdict}")


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or "does not become a CUDA graph" in done.stderr:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        sys.exit(f"gpu_check: convae ended with {done.returncode}: {last}\n  {' '.join(command)}")


def say(text: str) -> None:
    print(f"gpu_check: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
