"""Writes the fuzzers' first inputs, fuzz/seeds/READER/*, from the fixtures of the tests and with NumPy
and Pillow: `.venv/bin/python fuzz/make_seeds.py`. What the first byte of an input means stands in
fuzz/src/readers.rs. Configs need no copies: configs/ itself is given to the fuzzer."""

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "tests/fixtures"


def write(reader: str, name: str, mode: int | None, content: bytes) -> None:
    folder = HERE / "seeds" / reader
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes((b"" if mode is None else bytes([mode])) + content)


def divided(first: bytes, second: bytes) -> bytes:
    return struct.pack("<H", len(first)) + first + second


def config() -> None:
    layers = {
        "Conv2D": "filters = 1, kernel_size = [3, 3], strides = 2, padding = 'same', use_bias = false",
        "Conv2DTranspose": "filters = 1, kernel_size = 3, strides = 2, padding = 'same', output_padding = 0",
        "Dense": "units = 4, activation = 'relu', kernel_initializer = 'he_normal'",
        "MaxPooling2D": "pool_size = 2",
        "Cropping2D": "cropping = [[1, 0], [1, 0]]",
        "ZeroPadding2D": "padding = 1",
        "Reshape": "target_shape = [7, -1, 2]",
        "Flatten": "",
        "Dropout": "rate = 0.2",
        "BatchNormalization": "momentum = 0.9",
        "LeakyReLU": "negative_slope = 0.1",
        "UpSampling2D": "interpolation = 'bilinear'",
    }
    for name, keys in layers.items():
        layer = f'{{ layer = "{name}"{", " if keys else ""}{keys} }}'
        text = f'name = "x"\n[model]\ninput_shape = [4, 4, 1]\nencoder = [{layer}]\ndecoder = []\n'
        write("config", f"{name}.toml", None, text.encode())
    data = {
        "images": 'train = "a", resize = "fit", on_error = "skip"',
        "pairs": 'noisy = "a", clean = "b", patches = { on = "random", per_image = 3, flips = true }',
        "npz": 'file = "a.npz", test_fraction = 0.2',
        "idx": 'train = "a"',
    }
    model = '[model]\nencoder = []\ndecoder = [{ layer = "Conv2D", filters = 1, kernel_size = 1 }]\n'
    for kind, keys in data.items():
        text = f'name = "x"\ndata = {{ kind = "{kind}", {keys} }}\n{model}'
        write("config", f"data_{kind}.toml", None, text.encode())
    for kind in ["gaussian", "poisson", "speckle", "salt_and_pepper", "mask", "blur", "downscale", "jpeg"]:
        text = f'name = "x"\ncorruption = [{{ kind = "{kind}" }}]\n{model}'
        write("config", f"corruption_{kind}.toml", None, text.encode())
    sets = ["train.epochs=3", "model.decoder[0].filters=2", "corruption.kind=blur", "name=y"]
    write("config", "sets", None, "\0".join([f'name = "x"\n{model}', *sets]).encode())


def idx() -> None:
    for channels in (1, 3):
        sizes = (4, 2, 2) if channels == 1 else (4, 2, 2, 3)
        magic = 0x0800 + len(sizes)
        file = struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + bytes(range(16 * channels))
        write("idx", f"grey{channels}", 0, file)
        write("idx", f"content{channels}", 1, file)
        write("idx", f"packed{channels}", 0, gzip.compress(file, mtime=0))


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def archive(save, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npz() -> None:
    ramp = np.arange(16).reshape(4, 2, 2)
    kinds = {"u1": ramp.astype("u1"), "u2": ramp.astype(">u2"), "f4": (ramp / 16).astype("f4"), "f8": ramp / 16}
    for name, values in kinds.items():
        write("npz", name, 1, divided(array(values), array(values[:2])))
        write("npz", f"single_{name}", 0, array(values))
    write("npz", "packed", 2, divided(array(kinds["u1"]), array(kinds["u1"])))
    write("npz", "archive", 0, archive(np.savez, x_train=kinds["u1"], x_test=kinds["u1"]))
    write("npz", "archive_packed", 0, archive(np.savez_compressed, x_train=kinds["u1"], x_test=kinds["u1"]))
    codes, names = np.ones((2, 3), "f4"), np.array(["a", "b/c"])
    write("npz", "codes", 4, divided(array(codes), array(names)))
    write("npz", "codes_packed", 5, divided(array(codes.astype(">f8")), array(names)))
    write("npz", "codes_archive", 3, archive(np.savez_compressed, codes=codes, names=names))
    write("npz", "codes_alone", 3, archive(np.savez, codes=codes))


def csv() -> None:
    write("csv", "images", None, b"a,b,c,d\n0,0.25,1,0.5\n1,0,0,1e-3\n0.5,0.5,0.5,0.5\n")
    write("csv", "any_values", None, b" a ,b\r\n-1.5, 3e4\r\n\r\n4,5")
    write("csv", "alone", None, b"x\n")


def tiff(pages: list[dict], order: str = "<", big: bool = False) -> bytes:
    """A TIFF of these pages: tags by number, with whole numbers as values, and the `data` of one strip."""
    word = "Q" if big else "I"
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + ("HHH" if big else "H"), *((43, 8, 0) if big else (42,)))
    file, link = bytearray(head + struct.pack(order + word, 0)), len(head)
    for page in pages:
        tags = {number: values for number, values in page.items() if number != "data"}
        place, bytes_ = (324, 325) if 322 in tags else (273, 279)
        tags[place], tags[bytes_] = [len(file)], [len(page["data"])]
        file += page["data"]
        entries = b""
        for number, values in sorted(tags.items()):
            packed = struct.pack(f"{order}{len(values)}I", *values)
            size = struct.calcsize(word)
            if len(packed) > size:
                at, packed = packed, struct.pack(order + word, len(file))
                file += at
            entries += struct.pack(order + "HH" + word, number, 4, len(values)) + packed.ljust(size, b"\0")
        file[link : link + struct.calcsize(word)] = struct.pack(order + word, len(file))
        file += struct.pack(order + ("Q" if big else "H"), len(tags)) + entries
        link = len(file)
        file += struct.pack(order + word, 0)
    return bytes(file)


def page(values: np.ndarray, order: str = "<", **more) -> dict:
    """Tags for an array (height, width, channels)."""
    height, width, channels = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    bits = 8 * values.dtype.itemsize
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [2 if channels >= 3 else 1]}
    tags |= {277: [channels], 278: [height], 339: [kind] * channels}
    tags["data"] = values.astype(values.dtype.newbyteorder(order)).tobytes()
    return tags | {int(number.removeprefix("tag")): value for number, value in more.items()}


def tiffs() -> None:
    ramp = np.arange(36).reshape(3, 4, 3)
    for order, name in [("<", "little"), (">", "big")]:
        pages = [page((ramp * 7).astype("u1"), order), page((ramp[..., :1] * 1000).astype("u2"), order)]
        thumbnail = page(ramp[:1, :1].astype("u1"), order, tag254=[1])
        write("image", f"pages_{name}.tif", None, tiff([thumbnail, *pages], order))
        write("image", f"bigtiff_{name}.tif", None, tiff(pages, order, big=True))
        for kind in ["u4", "u8", "f2", "f4", "f8"]:
            values = ramp / 36 if kind[0] == "f" else ramp * (1 << 8 * int(kind[1]) - 6)
            write("image", f"{kind}_{name}.tif", None, tiff([page(values.astype(kind), order)], order))
    grey = (ramp[..., :1] * 5).astype("u1")
    alpha = np.concatenate([ramp * 5, ramp[..., :1] * 7], -1).astype("u1")
    write("image", "multiplied.tif", None, tiff([page(alpha, tag338=[1])]))
    write("image", "grey_alpha.tif", None, tiff([page(alpha[..., :2], tag338=[2])]))
    write("image", "inks.tif", None, tiff([page(alpha, tag262=[5])]))
    write("image", "palette.tif", None, tiff([page(grey, tag262=[3], tag320=[i * 257 % 65536 for i in range(768)])]))
    write("image", "white_is_zero.tif", None, tiff([page(grey, tag262=[0])]))
    tile = np.zeros((16, 16, 3), "u1") + 9
    tiled = page(tile, tag256=[5], tag257=[7], tag322=[16], tag323=[16])
    del tiled[278]
    write("image", "tile.tif", None, tiff([tiled]))
    profile = list(b"RGB ".rjust(20, b"\7").ljust(40, b"\7"))
    write("image", "profile.tif", None, tiff([page(ramp.astype("u1"), tag34675=profile, tag274=[6])]))


def image() -> None:
    tiffs()

    def save(name: str, picture: Image.Image, **options) -> None:
        file = io.BytesIO()
        picture.save(file, **options)
        write("image", name, None, file.getvalue())

    grey = Image.fromarray((np.arange(20).reshape(4, 5) * 12).astype("u1"))
    wide = Image.fromarray((np.arange(20).reshape(4, 5) * 3000).astype("u2"))
    pictures = {mode: grey.convert(mode) for mode in ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK"]}
    for mode in ["1", "L", "LA", "RGB", "RGBA", "P"]:
        save(f"{mode}.png", pictures[mode], format="PNG")
    save("wide.png", wide, format="PNG")
    for mode in ["L", "RGB", "CMYK"]:
        save(f"{mode}.jpg", pictures[mode], format="JPEG")
    save("progressive.jpg", pictures["RGB"], format="JPEG", progressive=True)
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 40, 3)).astype("u1"))
    save("scans.jpg", noise, format="JPEG", progressive=True, quality=60)
    save("restarts.jpg", noise, format="JPEG", restart_marker_blocks=2, quality=60)
    save("scans_restarts.jpg", noise, format="JPEG", progressive=True, restart_marker_blocks=2, quality=30)
    turned = Image.Exif()
    turned[0x0112] = 6
    save("turned.jpg", pictures["L"], format="JPEG", exif=turned)
    for mode in ["1", "L", "RGB", "P"]:
        save(f"{mode}.bmp", pictures[mode], format="BMP")
    for packing in ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]:
        save(f"{packing}.tif", pictures["RGB"], format="TIFF", compression=packing)
    save("group4.tif", pictures["1"], format="TIFF", compression="group4")
    save("wide.tif", wide, format="TIFF")
    save("lossy.webp", pictures["RGBA"], format="WEBP")
    save("lossless.webp", pictures["RGB"], format="WEBP", lossless=True)
    save("moving.webp", pictures["RGB"], format="WEBP", save_all=True, append_images=[pictures["RGBA"]])
    other = Image.new("RGB", (5, 4), (255, 0, 9))
    for kind in ["webp", "png"]:
        save(f"two_frames.{kind}", pictures["RGB"], format=kind, save_all=True, append_images=[other])
    for mode in ["1", "L", "RGB"]:
        save(f"{mode}.pnm", pictures[mode], format="PPM")
    write("image", "plain.pgm", None, b"P2\n# words\n2 2\n65535\n0 1 2 65535\n")
    write("image", "plain.pbm", None, b"P1\n3 2\n0 1 0 1 1 0\n")
    write("image", "any.pam", None, b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\nabcdef")


def pt() -> None:
    for name in ["golden", "nested", "script", "legacy"]:
        write("pt", name, 0, (FIXTURES / f"{name}.pt").read_bytes())
    with zipfile.ZipFile(FIXTURES / "golden.pt") as golden:
        pickle = golden.read("golden/data.pkl")
    write("pt", "pickle_of_torch", 1, pickle)
    text = lambda words: b"X" + struct.pack("<I", len(words)) + words.encode()
    tensor = (
        b"\x80\x02}(" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage")
        + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
        + b"K\x04tQK\x00(K\x02K\x02t(K\x02K\x01t\x89ccollections\nOrderedDict\n)RtRu."
    )
    write("pt", "pickle", 1, tensor)
    write("pt", "pickle_of_code", 1, b"cos\nsystem\n(" + text("true") + b"tR.")
    part = lambda name, content: bytes([name, -(-len(content) // 8)]) + content.ljust(-(-len(content) // 8) * 8, b" ")
    storage = np.arange(4, dtype="f4").tobytes()
    write("pt", "entries", 2, part(0, tensor) + part(1, storage) + part(5, b'name = "x"') + part(3, b"little  "))


def safetensors() -> None:
    header = {
        "__metadata__": {"format": "pt", "config.toml": 'name = "x"'},
        "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "n": {"dtype": "I64", "shape": [], "data_offsets": [16, 24]},
        "d": {"dtype": "F64", "shape": [0, 3], "data_offsets": [24, 24]},
    }
    header = json.dumps(header).encode()
    data = bytes(range(24))
    write("safetensors", "file", 0, struct.pack("<Q", len(header)) + header + data)
    write("safetensors", "parts", 1, divided(header, data))


def h5(fill, **options) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as root:
        fill(root)
    return file.getvalue()


RAMP = np.arange(12, dtype="f4").reshape(3, 4)


def numbers(root) -> None:
    root["a/kernel:0"] = RAMP
    root["half"] = RAMP[0].astype("f2")
    root["bool"] = np.array([True])
    root["big"] = np.arange(3, dtype=">i4")


def texts(root) -> None:
    root.attrs["text"] = "of any length"
    root.attrs["fixed"] = np.array([b"one", b"two two"])
    root.attrs.create("list", ["a", "bb"], dtype=h5py.string_dtype())
    root.attrs["none"] = []


def dense(root) -> None:
    for i in range(10):
        root.attrs[f"text_{i}"] = str(i)
        root[f"array_{i}"] = np.float32(i)


def links(root) -> None:
    root["array"] = RAMP
    root["soft"] = h5py.SoftLink("/array")
    root["group/up"] = h5py.SoftLink("/group")
    root["other"] = h5py.ExternalLink("other.h5", "/array")
    root["hard"] = root["array"]


def unwritten(root) -> None:
    root.create_dataset("never", (3, 4), "f4", fillvalue=2)
    root.create_dataset("partly", (30, 4), "f4", chunks=(2, 3))[:2] = 1


def chunks(**options):
    return lambda root: root.create_dataset("array", data=RAMP, chunks=(2, 3), **options)


def hdf5() -> None:
    for libver in ("earliest", "latest"):
        for fill in (numbers, texts, dense, links, unwritten):
            write("hdf5", f"{fill.__name__}_{libver}", None, h5(fill, libver=libver))
        write("hdf5", f"packed_{libver}", None, h5(chunks(compression="gzip", shuffle=True), libver=libver))
    ways = {"sums": {"fletcher32": True}, "grows": {"maxshape": (None, 4)}, "grows_all": {"maxshape": (None, None)}}
    for name, options in ways.items():
        write("hdf5", name, None, h5(chunks(**options), libver="latest"))
    write("hdf5", "behind_a_block", None, h5(numbers, userblock_size=512, libver="latest"))


MODEL = json.dumps({"class_name": "Model", "config": {"name": "m", "layers": [1, None, 1e5]}})


def by_layer(whole: bool):
    def fill(root) -> None:
        group = root
        if whole:
            root.attrs["model_config"] = np.bytes_(MODEL)
            root.attrs["training_config"] = b'{"loss": NaN}'
            group = root.create_group("model_weights")
            state = root.create_group("optimizer_weights")
            state.attrs["weight_names"] = np.array([b"Adam/iterations:0"])
            state["Adam/iterations:0"] = np.int64(3)
        group.attrs["layer_names"] = np.array([b"input", b"conv"])
        group.attrs["keras_version"] = np.bytes_("2.2.4")
        group.create_group("input").attrs["weight_names"] = []
        conv = group.create_group("conv")
        conv.attrs["weight_names"] = np.array([b"conv/kernel:0"])
        conv["conv/kernel:0"] = RAMP

    return fill


def by_path(root) -> None:
    root["layers/conv2d/vars/0"] = RAMP
    root["layers/conv2d/vars"].attrs["name"] = "conv"
    root["optimizer/vars/0"] = np.int64(1)


def split(root) -> None:
    for part, name in enumerate(("a", "b")):
        root.attrs[f"layer_names{part}"] = np.array([name.encode()])
        root.create_group(name).attrs["weight_names"] = np.array([b"w"])
        root[name]["w"] = RAMP


def keras() -> None:
    for libver in ("earliest", "latest"):
        write("keras", f"whole_{libver}", 0, h5(by_layer(True), libver=libver))
        write("keras", f"zip_{libver}", 2, divided(MODEL.encode(), h5(by_path, libver=libver)))
    write("keras", "weights", 0, h5(by_layer(False), libver="latest"))
    write("keras", "tree", 0, h5(by_path, libver="latest"))
    write("keras", "split", 0, h5(split, libver="latest"))
    write("keras", "zip_packed", 3, divided(MODEL.encode(), h5(by_path, libver="latest")))
    write("keras", "config", 0, MODEL.encode())
    write("keras", "config_twice", 0, json.dumps(MODEL).encode())
    write("keras", "no_numbers", 0, b'{"class_name": "a", "config": [NaN, -Infinity, Infinity, "NaN\\""]}')
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in [("metadata.json", b"{}"), ("config.json", MODEL), ("model.weights.h5", h5(by_path, libver="latest"))]:
            file.writestr(zipfile.ZipInfo(name), content)
    write("keras", "archive", 0, archive.getvalue())


def keras_2() -> bytes:
    """A graph with a merge and a shared layer, as Keras 2 says it."""

    def layer(kind: str, name: str, nodes: list, **config) -> dict:
        return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}

    def read(*names: str) -> list:
        return [[name, 0, 0, {}] for name in names]

    conv = {"filters": 2, "kernel_size": [3, 3], "padding": "same", "activation": "relu", "use_bias": True,
            "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg"}}}
    layers = [
        layer("InputLayer", "in", [], batch_input_shape=[None, 8, 8, 2]),
        layer("Conv2D", "conv", [read("in"), read("norm")], **conv),
        layer("BatchNormalization", "norm", [read("conv")], axis=[3], momentum=0.99, epsilon=0.001),
        layer("MaxPooling2D", "pool", [[["conv", 1, 0, {}]]], pool_size=[2, 2], strides=[2, 2], padding="valid"),
        layer("UpSampling2D", "up", [read("pool")], size=[2, 2], interpolation="nearest"),
        layer("Add", "add", [read("up", "norm")]),
        layer("Concatenate", "both", [read("add", "in")], axis=-1),
        layer("Conv2D", "out", [read("both")], **conv),
    ]
    inside = {"name": "net", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["out", 0, 0]]}
    return json.dumps({"class_name": "Model", "config": inside, "keras_version": "2.2.4", "backend": "tensorflow"}).encode()


def model() -> None:
    """What Keras says of small models: of its own words and of those before it (`scripts/make_keras_files.py`)."""
    write("model", "keras2", 0, keras_2())
    for file in sorted((FIXTURES / "keras").glob("keras*")):
        if file.suffix == ".json":
            said = file.read_bytes()
        elif file.suffix == ".keras":
            said = zipfile.ZipFile(file).read("config.json")
        else:
            with h5py.File(file) as root:
                said = np.bytes_(root.attrs.get("model_config", b""))
        if b"layers" in said:
            write("model", file.name.replace(".", "_"), file.suffix == ".keras", said)


for seeds in (config, idx, npz, csv, image, pt, safetensors, hdf5, keras, model):
    seeds()
