//! Training in several processes: that it is the training of one, that every fault ends all of them with one sentence, and
//! that what was kept goes on, whatever the number of processes.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use convae::formats::checkpoint::{Array, load};
use convae::formats::npy::Header;
use convae::system::ranks::is_built;
use serde_json::Value;

use crate::common::{
    Convae, Folder, convae, digits, is_sentence, skipped, text, train, wait_until,
};

/// Noise, layers of chance and of the whole batch, penalties and clipping: all that could depend on how a batch is cut.
const RICH: &str = r#"name = "rich"
[corruption]
kind = "gaussian"
[model]
encoder = [
  { layer = "Conv2D", filters = 3, kernel_size = 3, strides = 4, padding = "same", kernel_regularizer = { name = "L2", l2 = 0.01 } },
  { layer = "Activation", activation = "relu" },
  { layer = "Dropout", rate = 0.25 },
]
decoder = [
  { layer = "Conv2DTranspose", filters = 1, kernel_size = 3, strides = 4, padding = "same", activation = "sigmoid" },
]
[train]
batch_size = 12
threads = 2
dtype = "float64"
optimizer = { name = "Adam", clipnorm = 0.5, use_ema = true }
[output]
report = false
"#;

/// The same with statistics of the whole batch.
fn normalised() -> String {
    RICH.replace(
        "  { layer = \"Activation\", activation = \"relu\" },\n",
        "  { layer = \"BatchNormalization\" },\n  { layer = \"Activation\", activation = \"relu\" },\n",
    )
}

/// The same with libtorch's engine, and with all that draws.
fn by_libtorch() -> String {
    let drawing = ["SpatialDropout2D", "GaussianDropout", "AlphaDropout"]
        .map(|layer| format!("  {{ layer = \"{layer}\", rate = 0.25 }},\n"))
        .concat();
    normalised()
        .replace("  { layer = \"Dropout\"", &format!("{drawing}  {{ layer = \"GaussianNoise\", stddev = 0.1 }},\n  {{ layer = \"Dropout\""))
        .replace("[train]\n", "[train]\nengine = \"libtorch\"\n")
}

/// Height and width of the images of a test that makes its own.
const SIDE: usize = 8;

/// Whether there is something to test; says so where there is not.
#[track_caller]
fn can_be_tested() -> bool {
    if !is_built() {
        skipped("this libtorch has no gloo");
    }
    is_built()
}

/// Five steps an epoch, of which the last has as many images as the largest number of processes here.
fn call(folder: &Folder, config: &str, out: &str) -> Convae {
    let config = folder.write("config.toml", config);
    let data = format!("data.dir={}", digits().display());
    convae().arg("--config").arg(config).set(&data).samples(52, 20).out(folder.at(out))
}

fn in_processes(call: Convae, count: usize) -> Convae {
    call.arg("--processes").arg(count.to_string())
}

fn history(folder: &Folder, out: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.at(out).join("history.json")).unwrap()).unwrap()
}

/// The loss of every step, and both losses of every epoch.
fn losses(folder: &Folder, out: &str) -> Vec<f64> {
    let history = history(folder, out);
    let curve = history["curve"].as_array().unwrap().iter().map(|point| &point[1]);
    let epochs = history["epochs"].as_array().unwrap().iter();
    let epochs = epochs.flat_map(|epoch| [&epoch["loss"], &epoch["val_loss"]]);
    curve.chain(epochs).map(|loss| loss.as_f64().unwrap()).collect()
}

fn weights(folder: &Folder, out: &str, name: &str) -> Vec<(String, Array)> {
    load(&folder.at(out).join(format!("{name}.pt"))).unwrap().tensors
}

#[track_caller]
fn agree(one: &[f64], other: &[f64]) {
    assert_eq!(one.len(), other.len());
    for (place, (a, b)) in one.iter().zip(other).enumerate() {
        assert!((a - b).abs() <= 1e-12 * a.abs(), "loss {place}: {a} and {b}");
    }
}

#[test]
fn two_and_four_processes_train_as_one_does() {
    if !can_be_tested() {
        return;
    }
    for (config, epochs) in [
        (RICH.to_owned(), "train.epochs=10"),
        (normalised(), "train.epochs=4"),
        (by_libtorch(), "train.epochs=10"),
    ] {
        let folder = Folder::new();
        call(&folder, &config, "one").set(epochs).succeeds();
        let one = losses(&folder, "one");
        for count in [2, 4] {
            let out = count.to_string();
            let said = in_processes(call(&folder, &config, &out), count).set(epochs).succeeds();
            assert!(said.contains(&format!("{count} processes")), "{said}");
            agree(&one, &losses(&folder, &out));
        }
        let [one, two] = ["one", "2"].map(|out| weights(&folder, out, "rich"));
        for ((name, one), (_, two)) in one.iter().zip(&two) {
            let [one, two] = [one, two].map(|array| array.to_values::<f64>().unwrap());
            let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-11 * (1.0 + a.abs());
            assert!(one.iter().zip(&two).all(near), "{name}");
        }
    }
}

/// With plain gradient descent a step of processes that each normalise their part by themselves leads to the mean of the
/// weights to which either part alone leads, of which each counts by its images; of moving statistics to the plain mean.
#[test]
fn batch_normalization_that_is_not_synchronized_sees_the_parts_of_a_batch() {
    if !can_be_tested() {
        return;
    }
    let folder = Folder::new();
    let config = normalised()
        .replace("  { layer = \"Dropout\", rate = 0.25 },\n", "")
        .replace("[corruption]\nkind = \"gaussian\"\n", "")
        .replace("Adam\", clipnorm = 0.5, use_ema = true", "SGD\", learning_rate = 0.5")
        .replace("[train]\n", "[train]\nepochs = 1\nshuffle = false\n");
    let image = |number: usize| {
        let values = (0..SIDE * SIDE).map(move |i| ((number + 1) * (i + 7) % 23) as f32 / 23.0);
        values.flat_map(f32::to_le_bytes)
    };
    // The second half of a file is for validation.
    let trained = |out: &str, images: Range<usize>, processes: usize, more: &str| {
        let header = Header::bytes("<f4", &[2 * images.len(), SIDE, SIDE]);
        let values: Vec<u8> = images.clone().flat_map(image).collect();
        let file = folder.write(&format!("{out}.npy"), [header, values.clone(), values].concat());
        let data = format!("[data]\nkind = \"npz\"\nfile = {file:?}\ntest_fraction = 0.5\n");
        let config = config
            .replace("[model]\n", &format!("{data}[model]\ninput_shape = [{SIDE}, {SIDE}, 1]\n"))
            .replace("batch_size = 12", &format!("batch_size = {}{more}", images.len()));
        let config = folder.write(&format!("{out}.toml"), config);
        let call = convae().arg("--config").arg(config).out(folder.at(out));
        if processes > 1 {
            in_processes(call, processes).succeeds()
        } else {
            call.succeeds()
        };
        let tensors = weights(&folder, out, "rich").into_iter();
        tensors.map(|(name, array)| (name, array.to_values::<f64>().unwrap())).collect::<Vec<_>>()
    };
    let apart = "\nsynchronized_batch_norm = false";
    let parts = [trained("first", 0..6, 1, ""), trained("second", 6..13, 1, "")];
    let native = trained("native", 0..13, 2, apart);
    let libtorch = trained("libtorch", 0..13, 2, &format!("{apart}\nengine = \"libtorch\""));
    let synchronized = trained("synchronized", 0..13, 2, "");
    let mut furthest = 0.0_f64;
    for (place, (name, native)) in native.iter().enumerate() {
        let [first, second] = parts.each_ref().map(|part| &part[place].1);
        let share = if name.contains("running_") { 0.5 } else { 6.0 / 13.0 };
        for (i, value) in native.iter().enumerate() {
            let mean = share * first[i] + (1.0 - share) * second[i];
            for found in [value, &libtorch[place].1[i]] {
                assert!((found - mean).abs() < 1e-12, "{name}[{i}]: {found}, not {mean}");
            }
            furthest = furthest.max((synchronized[place].1[i] - mean).abs());
        }
    }
    assert!(furthest > 1e-4, "statistics of the whole batch are others: {furthest}");
}

#[test]
fn methods_that_learn_from_noise_alone_are_shared_too() {
    if !can_be_tested() {
        return;
    }
    let folder = Folder::new();
    let config = RICH.replace(
        "[train]",
        "[train]\nloss = \"mean_squared_error\"\nmethod = { name = \"noise2void\" }",
    );
    call(&folder, &config, "one").succeeds();
    in_processes(call(&folder, &config, "two"), 2).succeeds();
    agree(&losses(&folder, "one"), &losses(&folder, "two"));
}

#[test]
fn float32_repeats_and_a_run_goes_on_in_another_number_of_processes() {
    if !can_be_tested() {
        return;
    }
    let folder = Folder::new();
    let single = RICH.replace("float64", "float32");
    let run = |out: &str| in_processes(call(&folder, &single, out), 3).set("train.epochs=2");
    run("a").succeeds();
    run("b").succeeds();
    assert_eq!(weights(&folder, "a", "rich"), weights(&folder, "b", "rich"));

    call(&folder, RICH, "whole").set("train.epochs=3").succeeds();
    in_processes(call(&folder, RICH, "cut"), 2).set("train.epochs=1").succeeds();
    let resume = || call(&folder, RICH, "cut").arg("--resume");
    let said = in_processes(resume(), 4).set("train.epochs=2").succeeds();
    assert!(said.contains("Going on from"), "{said}");
    resume().set("train.epochs=3").succeeds();
    agree(&losses(&folder, "whole"), &losses(&folder, "cut"));
}

/// A run under way with its children, each at its rank's place.
struct Family {
    parent: Child,
    children: Vec<u32>,
}

impl Family {
    fn of(call: Convae, count: usize) -> Self {
        let mut command = call.command();
        let parent = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut children = Vec::new();
        wait_until("all ranks were started", || {
            children = ranks_of(parent.id());
            children.len() == count
        });
        Self { parent, children }
    }

    fn send(&self, signal: &str, rank: usize) {
        let pid = self.children[rank].to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Its exit code, and what it said of what went wrong; none of it is left then.
    fn end(self) -> (Option<i32>, String) {
        let output = self.parent.wait_with_output().unwrap();
        for pid in self.children {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "a rank outlives its parent");
        }
        (output.status.code(), text(&output.stderr))
    }
}

/// The children of a process, in the order of their ranks.
fn ranks_of(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        if after.split_whitespace().nth(1) == Some(parent.to_string().as_str()) {
            let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
            let rank = variables
                .split(|&byte| byte == 0)
                .find_map(|variable| variable.strip_prefix(b"RANK="));
            found.extend(rank.map(|rank| (rank.to_vec(), pid)));
        }
    }
    found.sort();
    found.into_iter().map(|(_, pid)| pid).collect()
}

fn checkpoints(folder: &Folder, out: &str) -> usize {
    let finished = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|kind| kind == "pt");
    fs::read_dir(folder.at(out).join("checkpoints"))
        .map_or(0, |files| files.flatten().filter(finished).count())
}

#[test]
fn a_killed_rank_ends_all_and_the_run_goes_on_to_the_same_bits() {
    if !can_be_tested() {
        return;
    }
    // Of the one most losses are found in the sum of gradients, of the other in those of a normalisation.
    for config in [RICH.to_owned(), by_libtorch()] {
        killed_and_resumed(&config.replace("float64", "float32"));
    }
}

fn killed_and_resumed(config: &str) {
    let folder = Folder::new();
    let run = |out: &str| {
        let call = in_processes(call(&folder, config, out), 3);
        call.set("train.epochs=60").set("train.checkpoint_every=2")
    };
    run("whole").succeeds();
    for (kill, rank) in [1, 0, 2].into_iter().enumerate() {
        let call = if kill == 0 { run("cut") } else { run("cut").arg("--resume") };
        let family = Family::of(call, 3);
        let before =
            fs::metadata(folder.at("cut/timings.json")).and_then(|file| file.modified()).ok();
        wait_until("a checkpoint was written", || {
            let now =
                fs::metadata(folder.at("cut/timings.json")).and_then(|file| file.modified()).ok();
            now.is_some() && now != before && checkpoints(&folder, "cut") > 0
        });
        family.send("-KILL", rank);
        let (code, said) = family.end();
        assert_eq!(code, Some(1), "{said}");
        assert!(is_sentence(&said), "{said}");
        for words in [&format!("rank {rank} with signal 9"), "the last checkpoint is", "--resume"] {
            assert!(said.contains(words), "{said}");
        }
    }
    run("cut").arg("--resume").succeeds();
    assert_eq!(weights(&folder, "whole", "rich"), weights(&folder, "cut", "rich"));
}

#[test]
fn a_rank_that_hangs_is_named_within_the_timeout() {
    if !can_be_tested() {
        return;
    }
    for (rank, config) in [(1, by_libtorch()), (0, RICH.to_owned())] {
        let folder = Folder::new();
        let call = in_processes(call(&folder, &config, "run"), 3);
        let call = call.set("train.epochs=100000").set("train.distributed_timeout=5");
        let family = Family::of(call, 3);
        wait_until("a checkpoint was written", || checkpoints(&folder, "run") > 0);
        family.send("-STOP", rank);
        let start = Instant::now();
        let (code, said) = family.end();
        assert!(start.elapsed() < Duration::from_secs(60), "{said}");
        assert_eq!(code, Some(1), "{said}");
        assert!(is_sentence(&said), "{said}");
        let words = format!("rank {rank} has given no sign of life for 5 s");
        assert!(said.contains(&words) && said.contains("the last checkpoint is"), "{said}");
    }
}

#[test]
fn ctrl_c_stops_all_after_the_same_step_and_saves() {
    if !can_be_tested() {
        return;
    }
    let folder = Folder::new();
    let call = in_processes(call(&folder, RICH, "run"), 2).set("train.epochs=100000");
    let family = Family::of(call, 2);
    wait_until("a checkpoint was written", || checkpoints(&folder, "run") > 0);
    let pid = family.parent.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let (code, said) = family.end();
    assert_eq!((code, said.as_str()), (Some(130), ""));
    assert!(history(&folder, "run")["interrupted"].as_bool().unwrap());
}

/// What all ranks of so many print, who do the same at once.
fn together(size: usize, call: impl Fn() -> Convae) -> Vec<String> {
    let port = port();
    let children: Vec<Child> =
        (0..size).map(|number| started(call(), number, size, port)).collect();
    let said = |child: Child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    children.into_iter().map(said).collect()
}

#[test]
fn several_processes_evaluate_as_one_does_and_the_first_alone_prints() {
    if !can_be_tested() {
        return;
    }
    let folder = Folder::new();
    call(&folder, RICH, "run").succeeds();
    let evaluate = || {
        let model = folder.at("run/rich.pt");
        convae()
            .args(["evaluate", "--json", "--per-file", "--noise=0.1,0.5", "--checkpoint"])
            .arg(model)
    };
    let one: Value = serde_json::from_str(&evaluate().succeeds()).unwrap();
    let other = port();
    for size in [2, 3] {
        let said = together(size, evaluate);
        assert!(said[1..].iter().all(String::is_empty), "{said:?}");
        near(&one, &serde_json::from_str(&said[0]).unwrap());
    }
    let both = [(0, "--noise=0.1"), (1, "--noise=0.2")]
        .map(|(number, noise)| started(evaluate().arg(noise), number, 2, other));
    for child in both {
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && output.stdout.is_empty() && is_sentence(&said),
            "{said}"
        );
        assert!(said.contains("rank 1 has"), "{said}");
    }
    let dice = || evaluate().set("train.loss=dice");
    rank(dice(), "0", "2", port()).refused(&["train.loss", "as a whole"]);
}

/// The same document, its numbers up to rounding: batches are cut at other places.
#[track_caller]
fn near(one: &Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{one:?} and {other:?}");
            one.values().zip(other.values()).for_each(|(one, other)| near(one, other));
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len());
            one.iter().zip(other).for_each(|(one, other)| near(one, other));
        }
        (Value::Number(one), Value::Number(other)) => {
            let [one, other] = [one, other].map(|number| number.as_f64().unwrap());
            assert!((one - other).abs() <= 1e-12 * one.abs(), "{one} and {other}");
        }
        _ => assert_eq!(one, other),
    }
}

#[test]
fn several_processes_apply_a_model_to_a_part_of_the_images_each() {
    let folder = Folder::new();
    call(&folder, RICH, "run").succeeds();
    for image in 0..5 {
        let values: Vec<String> =
            (0..28 * 28).map(|i| (i * (image + 3) % 256).to_string()).collect();
        let file = format!("P2 28 28 255\n{}\n", values.join(" "));
        folder.write(&format!("images/{image}.pgm"), file);
    }
    let apply = |out: &str| {
        let model = folder.at("run/rich.pt");
        let call = convae().arg("apply").arg("--checkpoint").arg(model);
        call.out(folder.at(out)).arg(folder.at("images"))
    };
    apply("one").succeeds();
    let said = together(2, || apply("two"));
    let shares = [0, 1].map(|rank| {
        let start = format!("rank {rank} of 2: ");
        let line = said[rank].lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        line.strip_suffix(" of 5 images").unwrap().parse::<usize>().unwrap()
    });
    assert_eq!(shares.iter().sum::<usize>(), 5, "{said:?}");
    for image in 0..5 {
        let [one, two] =
            ["one", "two"].map(|out| fs::read(folder.at(&format!("{out}/{image}.png"))).unwrap());
        assert!(one == two, "{image}");
    }
    let stdin = convae().arg("apply").arg("--checkpoint").arg(folder.at("run/rich.pt")).arg("-");
    rank(stdin, "1", "2", 1).refused(&["stdin", "one process", "rank 1 of 2"]);
    rank(apply("images"), "1", "2", 1).refused(&["--out", "the folder of the images"]);
    let export = convae().args(["export", "x.pt", "--out", "x.onnx"]);
    rank(export, "1", "2", 1).refused(&["export works in one process"]);
}

/// A rank that is at work.
fn started(call: Convae, number: usize, size: usize, port: u16) -> Child {
    let mut command = rank(call, &number.to_string(), &size.to_string(), port).command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A rank that is started by hand.
fn rank(call: Convae, rank: &str, size: &str, port: u16) -> Convae {
    call.env("RANK", rank)
        .env("WORLD_SIZE", size)
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn ranks_with_other_configs_or_data_are_named_by_each() {
    if !can_be_tested() {
        return;
    }
    for (change, words) in [
        ("train.optimizer.learning_rate=0.5", ["rank 1 has", "rank 0"]),
        ("data.test_samples=19", ["rank 1 has", "rank 0"]),
    ] {
        let (folder, port) = (Folder::new(), port());
        let both = [(0, "seed=42"), (1, change)].map(|(number, change)| {
            started(call(&folder, RICH, "run").set(change), number, 2, port)
        });
        for (number, child) in both.into_iter().enumerate() {
            let output = child.wait_with_output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(
                is_sentence(&said) && said.starts_with(&format!("convae: rank {number}: ")),
                "{said}"
            );
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
        assert!(!folder.at("run").exists());
    }
}

#[test]
fn who_is_missing_or_badly_numbered_is_said_in_one_sentence() {
    let folder = Folder::new();
    let short = || call(&folder, RICH, "run").set("train.distributed_timeout=1");
    rank(short(), "x", "2", 1).refused(&["RANK", "\"x\"", "whole number"]);
    rank(short(), "2", "2", 1).refused(&["RANK is 2", "from 0 to 1"]);
    short().env("WORLD_SIZE", "2").refused(&["WORLD_SIZE is set", "RANK is not"]);
    let sweep = convae().args(["sweep", "--config", "plain.toml", "--grid", "seed=1,2"]);
    rank(sweep, "1", "2", 1).refused(&["sweep works in one process", "rank 1 of 2"]);
    if can_be_tested() {
        rank(short(), "1", "2", port()).refused(&["rank 1", "nobody was found at 127.0.0.1:"]);
        rank(short(), "0", "3", port()).refused(&["ranks 1, 2 of 3 did not come", "RANK"]);
        let taken = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        rank(short(), "0", "2", port).refused(&[
            "rank 0: 127.0.0.1:",
            "cannot be served",
            "MASTER_PORT",
        ]);
    }
    assert!(!folder.at("run").exists());
}

#[test]
fn what_processes_cannot_share_is_refused_before_any_is_started() {
    if !can_be_tested() {
        return;
    }
    let folder = Folder::new();
    let two = |config: &str| in_processes(call(&folder, config, "run"), 2);
    two(RICH).set("train.batch_size=1").refused(&["train.batch_size", "2 processes cannot share"]);
    two(RICH).set("train.loss=dice").refused(&["train.loss", "as a whole"]);
    two(RICH).set("train.distributed=nccl").refused(&["nccl", "gloo"]);
    two(RICH).arg("--trace").arg(folder.at("trace")).refused(&["--trace"]);
    two(&normalised())
        .set("data.train_samples=49")
        .refused(&["last batch of 1", "BatchNormalization"]);
    two(RICH).env("RANK", "0").env("WORLD_SIZE", "1").assert().success();
    two(RICH).refused(&["already holds a run"]);
    train("plain.toml").arg("--processes").arg("0").assert().code(2);
}

#[test]
fn a_world_of_one_is_a_process_that_is_alone() {
    let folder = Folder::new();
    call(&folder, RICH, "alone").succeeds();
    rank(call(&folder, RICH, "one"), "0", "1", 1).succeeds();
    in_processes(call(&folder, RICH, "processes"), 1).succeeds();
    let alone = weights(&folder, "alone", "rich");
    assert_eq!(alone, weights(&folder, "one", "rich"));
    assert_eq!(alone, weights(&folder, "processes", "rich"));
}
