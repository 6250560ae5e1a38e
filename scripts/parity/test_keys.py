"""Tests that the Python side knows the config language exactly as the program does."""

import tomllib
from typing import Any

from . import config, keys, program
from .failure import Failure
from .program import reference
from .sandbox import DIGITS, Sandbox

MODEL = """
name = "little"
[model]
encoder = [ { layer = "Conv2D", filters = 2, kernel_size = 3, strides = 4, padding = "same" } ]
decoder = [ { layer = "Conv2DTranspose", filters = 1, kernel_size = 3, strides = 4, padding = "same" } ]
"""


class Keys(Sandbox):
    def test_every_config_of_the_repository_is_read(self) -> None:
        files = [file for folder in ("configs", "models") for file in sorted((program.ROOT / folder).glob("*.toml"))]
        self.assertLessEqual({"denoise.toml", "photo-grey.toml"}, {file.name for file in files})
        for file in files:
            with self.subTest(file.name):
                self.assertEqual(config.read(file, []).name, tomllib.loads(file.read_text())["name"])

    def test_the_config_that_a_run_writes_is_read(self) -> None:
        """It has every default written out."""
        for name, sets in {
            "plain": [],
            "policies": ["train.early_stopping={}", "train.reduce_lr_on_plateau={}", "train.warmup_steps=2",
                         "corruption=[{kind='gaussian'},{kind='mask'}]", "output.csv=true"],
            "schedule": ["train.learning_rate_schedule={name='CosineDecay',decay_steps=9}",
                         "train.optimizer={name='SGD',use_ema=true}"],
        }.items():
            with self.subTest(name):
                written = self.written(name, *sets)
                tree = tomllib.loads(written.read_text())
                self.assertLessEqual({"data", "corruption", "model", "train", "output"}, tree.keys())
                # A name may stand for a table; nothing else is said otherwise.
                read = config.read(written, []).tree
                self.assertEqual(read, keys.check(tree))
                self.assertEqual(read["model"].keys(), tree["model"].keys())
                self.assertEqual(read["train"].keys(), tree["train"].keys())

    def written(self, name: str, *sets: str):
        """The config.toml of a training of two steps."""
        file, out = self.folder / f"{name}.toml", self.folder / name
        file.write_text(MODEL)
        arguments = ["--config", file, "--out", out]
        for argument in (f"data.dir={DIGITS}", "data.train_samples=64", "data.test_samples=32", *sets):
            arguments += ["--set", argument]
        self.convae(*arguments)
        return out / "config.toml"

    def test_every_key_of_the_reference_is_read_at_its_place(self) -> None:
        places = [place for place in reference() if not place.endswith("[]")] + ["model.encoder[]", "corruption[]"]
        for place in places:
            for table in tables(place):
                for key in [key for key in table if key != reference()[place].get("by")]:
                    with self.subTest(f"{place}.{key}"):
                        kind = {name: table[name] for name in table if name == reference()[place].get("by")}
                        keys.check(tree_with(place, kind | {key: table[key]}))

    def test_a_key_that_the_reference_does_not_have_is_refused_at_every_place(self) -> None:
        for place in reference():
            for table in tables(place):
                with self.subTest(f"{place} {table}"), self.assertRaisesRegex(Failure, "no_such.* is not known"):
                    config.experiment(tree_with(place, table | {"no_such": 1}))

    def test_every_name_is_read_in_each_of_its_spellings_and_no_other(self) -> None:
        self.assertEqual(reference()["train.loss"]["texts"]["mse"], "mean_squared_error")
        for place in reference():
            for table in tables(place):
                for key, described in keys_at(place, table).items():
                    for spelling, name in spellings(described).items():
                        read = keys.check(tree_with(place, table | {key: spelling}))
                        self.assertEqual(at(read, place)[key], name)
                    if described["choices"]:
                        with self.assertRaisesRegex(Failure, f"{key}` is 'no_such'"):
                            keys.check(tree_with(place, table | {key: "no_such"}))

    def test_a_kind_that_set_names_replaces_the_files_as_in_convae(self) -> None:
        file = self.folder / "photos.toml"
        file.write_text(MODEL + '[data]\nkind = "images"\ntrain = "a"\ntest = "b"\nresize = "fit"\n')
        sets = ["data.kind=pairs", "data.noisy=c", "data.clean=d"]
        read = config.read(file, sets)
        self.assertEqual(read.tree["data"], {"kind": "pairs", "resize": "fit", "noisy": "c", "clean": "d"})
        self.convae("summary", "--config", file, *(word for argument in sets for word in ("--set", argument)))

    def test_a_set_that_leads_nowhere_is_refused(self) -> None:
        file = self.folder / "little.toml"
        file.write_text(MODEL)
        for argument in ("model.encoder[7].filters=3", "name.of.it=3", "model.encoder.filters=3", "seed"):
            with self.subTest(argument), self.assertRaisesRegex(Failure, "leads nowhere|has no `=`"):
                config.read(file, [argument])

    def test_what_is_not_written_is_what_the_program_takes(self) -> None:
        written = config.read(self.written("plain"), [])
        short = config.experiment(tomllib.loads(MODEL))
        for field in ("input_shape", "data_kind", "epochs", "batch_size", "loss", "optimizer", "shuffle", "dtype"):
            self.assertEqual(getattr(short, field), getattr(written, field), field)


def keys_at(place: str, table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    section = reference()[place]
    return keys.keys_of(keys.members(place)[table[section["by"]]] if "by" in section else section)


def tables(place: str) -> list[dict[str, Any]]:
    """The section with every key written, or each of its members."""
    section = reference()[place]
    if "by" not in section:
        return [{key["name"]: example(key, f"{place}.{key['name']}".strip(".")) for key in section["keys"]}]
    return [{section["by"]: name} | {key["name"]: example(key, f"{place}.{key['name']}") for key in member["keys"]}
            for name, member in keys.members(place).items()]


def example(key: dict[str, Any], place: str) -> Any:
    """A value that the key takes."""
    if key["default"] is not None:
        return key["default"]
    if key["choices"]:
        return key["choices"][0]["name"]
    if place in reference():
        section = reference()[place]
        return {section["by"]: section["members"][0]["name"]} if "by" in section else {}
    return [] if f"{place}[]" in reference() else 1


def tree_with(place: str, table: dict[str, Any]) -> dict[str, Any]:
    """A config that has the table at that place."""
    if not place:
        return table
    value: Any = table
    steps = place.split(".")
    for i, step in reversed(list(enumerate(steps))):
        key, parent = step.removesuffix("[]"), ".".join(steps[:i])
        value = {key: [value] if step.endswith("[]") else value}
        if "by" in reference().get(parent, {}):  # a table of a kind that has the key
            kinds = keys.members(parent).items()
            value[reference()[parent]["by"]] = next(name for name, kind in kinds if key in keys.keys_of(kind))
    return value


def at(tree: Any, place: str) -> Any:
    for step in place.split(".") if place else []:
        tree = tree[step.removesuffix("[]")]
        tree = tree[0] if step.endswith("[]") else tree
    return tree


def spellings(key: dict[str, Any]) -> dict[str, str]:
    return {text: choice["name"] for choice in key["choices"] for text in (choice["name"], *choice["aliases"])}
