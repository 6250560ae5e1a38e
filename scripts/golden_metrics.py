"""Golden values for the tests of src/infer/metrics.rs, from scikit-image.

Run: .venv/bin/python scripts/golden_metrics.py
Prints the pixels of the natural picture, then one line per case: name, PSNR, SSIM.
The patterns below are written in integers and float32, so that Rust repeats them bit for bit;
scikit-image gets them as float64, since it computes in the precision of its input.
"""

import numpy as np
import skimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

F = np.float32


def noise(shape, seed):
    """Uniform in 0..1 from a linear congruential generator (Numerical Recipes)."""
    state, values = seed, []
    for _ in range(int(np.prod(shape))):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(F(state >> 8) / F(2**24))
    return np.array(values, F).reshape(shape)


def waves(shape):
    """Texture in every direction, different in each channel."""
    y, x, c = np.indices(shape)
    return ((x * x * 3 + y * y * 5 + x * y * 7 + 31 * c) % 256).astype(F) / F(255)


def ring(shape):
    """White ring on black: like a digit, most windows are constant."""
    y, x, _ = np.indices(shape)
    r = (2 * x + 1 - shape[1]) ** 2 + (2 * y + 1 - shape[0]) ** 2
    return ((r >= 150) & (r < 400)).astype(F)


def noisy(picture, seed):
    return np.clip(picture + (noise(picture.shape, seed) - F(0.5)), F(0), F(1))


def natural():
    """A piece of the cameraman, 17x23."""
    return skimage.data.camera()[90:141:3, 200:269:3]


def case(name, a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(divide="ignore"):
        psnr = peak_signal_noise_ratio(a, b, data_range=1.0)
    ssim = structural_similarity(a, b, data_range=1.0, channel_axis=-1)
    print(f"{name:10} psnr {float(psnr)!r:19} ssim {float(ssim)!r}")


print("scikit-image", skimage.__version__, "numpy", np.__version__)
pixels = natural()
hexes = pixels.tobytes().hex()
for start in range(0, len(hexes), 92):
    print(hexes[start : start + 92])
photo = (pixels.astype(F) / F(255))[..., None]

case("natural", photo, noisy(photo, 1))
case("digit", ring((28, 28, 1)), noisy(ring((28, 28, 1)), 2))
case("colour", waves((12, 16, 3)), noisy(waves((12, 16, 3)), 3))
case("odd", waves((7, 41, 1)), noisy(waves((7, 41, 1)), 4))
case("smallest", waves((7, 7, 1)), noise((7, 7, 1), 5))
case("negative", waves((13, 9, 1)), F(1) - waves((13, 9, 1)))
case("constants", np.full((8, 9, 1), 0.25, F), np.full((8, 9, 1), 0.75, F))
case("flat", np.full((10, 10, 1), 0.5, F), noise((10, 10, 1), 6))
case("equal", photo, photo)
