"""Cleans a picture with onnxruntime:

    convae export runs/noise/noise.pt --out noise.onnx
    python examples/load_onnx.py noise.onnx noisy.png cleaned.png      # numpy, onnxruntime, pillow
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, noisy, cleaned = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
picture = np.asarray(Image.open(noisy).convert("L"), np.float32) / 255
(output,) = session.run(["output"], {"input": picture[None, None]})  # (N, C, H, W)
Image.fromarray((output[0, 0].clip(0, 1) * 255).round().astype(np.uint8)).save(cleaned)
