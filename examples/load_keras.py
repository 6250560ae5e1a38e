"""Cleans a picture with Keras, on any of its backends:

    convae export runs/noise/noise.pt --out noise.keras
    python examples/load_keras.py noise.keras noisy.png cleaned.png    # keras with jax, numpy, pillow
"""

import sys

import keras
import numpy as np
from PIL import Image

file, noisy, cleaned = sys.argv[1:]
model = keras.saving.load_model(file)
picture = np.asarray(Image.open(noisy).convert("L"), np.float32) / 255
output = keras.ops.convert_to_numpy(model(picture[None, :, :, None]))  # (N, H, W, C)
Image.fromarray((output[0, :, :, 0].clip(0, 1) * 255).round().astype(np.uint8)).save(cleaned)
