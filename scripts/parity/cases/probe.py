"""Has convae answer questions: one run of `examples/parity_probe.rs` for all cases of a row."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[3]


def build():
    """Builds the probe and returns its path."""
    command = ["cargo", "build", "--quiet", "--example", "parity_probe", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(m["executable"] for m in reversed(messages) if m.get("executable"))


def ask(cases, probe):
    """Each case's answer: arrays by name, or JSON."""
    questions = {"requests": [{"id": case.id, **case.request} for case in cases]}
    given = {f"{case.id}/{name}": np.array(array, np.float64, order="C")
             for case in cases for name, array in case.given.items()}
    with tempfile.TemporaryDirectory() as folder:
        asked, arrays, answered = (f"{folder}/{name}" for name in ["asked", "given", "answered"])
        Path(asked).write_text(json.dumps(questions))
        save_file(given, arrays)
        if subprocess.run([probe, asked, arrays, answered], cwd=ROOT).returncode:
            raise RuntimeError("the probe refused a question, see above")
        return read(answered)


def read(path):
    """Answers by id."""
    answers = {}
    with safe_open(path, framework="numpy") as file:
        answers.update(json.loads(file.metadata()["answers"]))
        for name in file.keys():
            id, _, array = name.rpartition("/")
            answers.setdefault(id, {})[array] = file.get_tensor(name)
    return answers
