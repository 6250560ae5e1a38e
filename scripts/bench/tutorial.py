"""The autoencoder tutorial as a script: what `convae --config plain.toml` is to replace.

Usage: KERAS_BACKEND=tensorflow python tutorial.py FOLDER
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    train, test = load("train-images-idx3-ubyte"), load("t10k-images-idx3-ubyte")
    autoencoder = build()
    autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
    autoencoder.summary()
    autoencoder.fit(train, train, epochs=1, batch_size=32, shuffle=True, validation_data=(test, test))
    autoencoder.save_weights(out / "normal.weights.h5")
    decoded = autoencoder.predict(test[:1])
    keras.utils.save_img(out / "input_normal.png", test[0])
    keras.utils.save_img(out / "output_normal.png", decoded[0])


def load(name: str) -> np.ndarray:
    pictures = np.fromfile(Path("data/mnist") / name, np.uint8, offset=16)
    return pictures.reshape(-1, 28, 28, 1).astype("float32") / 255.0


def build() -> keras.Model:
    picture = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, activation="relu", padding="same")(picture)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(16, 3, activation="relu", padding="same")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(x)
    x = layers.Conv2D(16, 3, activation="relu", padding="same")(x)
    x = layers.UpSampling2D()(x)
    x = layers.Conv2D(32, 3, activation="relu", padding="same")(x)
    x = layers.UpSampling2D()(x)
    return keras.Model(picture, layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
