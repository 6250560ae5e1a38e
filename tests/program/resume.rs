//! Runs that are stopped at any moment, by any means, and go on: they must end with the same files,
//! byte for byte, as one that was never stopped.
//!
//! The kills of `killed_at_any_moment_...` are few enough for every day; `CONVAE_KILLS=200` asks for more.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use convae::formats::checkpoint::{Array, load, load_sealed, save_sealed};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, Luma};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{
    Convae, Folder, convae, convae_in, digits, is_sentence, names, send, sentence, skipped, text,
    tiny,
};

/// Steps of an epoch below.
const STEPS: usize = 10;

/// Draws noise in the data and in the model, keeps moving statistics, averages and the best epoch's
/// weights, and needs libtorch.
fn drawing() -> String {
    format!(
        r#"name = "tiny"
[data]
dir = "{}"
[corruption]
kind = "gaussian"
resample = "epoch"
[model]
encoder = [
  {{ layer = "Conv2D", filters = 2, kernel_size = 3, strides = 4, padding = "same" }},
  {{ layer = "BatchNormalization" }},
  {{ layer = "ReLU" }},
  {{ layer = "Dropout", rate = 0.2 }},
]
decoder = [
  {{ layer = "GaussianNoise", stddev = 0.1 }},
  {{ layer = "Conv2DTranspose", filters = 1, kernel_size = 3, strides = 4, padding = "same", activation = "sigmoid" }},
]
[train]
optimizer = {{ name = "Adam", amsgrad = true, clipnorm = 1.0, use_ema = true }}
early_stopping = {{ patience = 9, restore_best_weights = true }}
"#,
        digits().display()
    )
}

/// A run of three epochs of ten steps, with checkpoints after the third, sixth, ninth and last of each.
fn run_of(config: &Path, out: &Path) -> Convae {
    let call = convae().arg("--config").arg(config).samples(320, 40).out(out);
    let call = call.set("train.batch_size=32").set("train.epochs=3");
    call.set("train.checkpoint_every=3").set("train.threads=1").set("output.safetensors=true")
}

/// All files of a folder but the times, by their paths.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(name, bytes)| (Path::new(path.file_name().unwrap()).join(name), bytes)),
            );
        } else if !["timings.json", "report.html"]
            .map(OsStr::new)
            .contains(&path.file_name().unwrap())
        {
            found.insert(path.file_name().unwrap().into(), fs::read(path).unwrap());
        }
    }
    found
}

/// Says which file differs, and not how.
fn same_files(dir: &Path, whole: &Path) -> Result<(), String> {
    let (found, expected) = (files(dir), files(whole));
    if found.keys().ne(expected.keys()) {
        return Err(format!("{:?} instead of {:?}", found.keys(), expected.keys()));
    }
    let odd = found.iter().find(|&(name, bytes)| expected[name] != *bytes);
    odd.map_or(Ok(()), |(name, _)| Err(format!("{} differs", name.display())))
}

/// A config with its run that was never stopped.
struct Whole {
    folder: Folder,
    took: Duration,
}

impl Whole {
    fn new(config: &str) -> Self {
        let folder = Folder::lasting();
        folder.write("tiny.toml", config);
        let started = Instant::now();
        run_of(&folder.at("tiny.toml"), &folder.at("run")).succeeds();
        Self { took: started.elapsed(), folder }
    }

    fn call(&self, out: &Path) -> Convae {
        run_of(&self.folder.at("tiny.toml"), out)
    }

    fn run(&self) -> PathBuf {
        self.folder.at("run")
    }
}

fn native() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| Whole::new(&tiny()))
}

fn libtorch() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| Whole::new(&drawing()))
}

// ---- kill -9 ----

/// When to kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After a share of the time that the whole run takes.
    After(f64),
    /// As soon as a file is under way in the folder of checkpoints, for the so-many-th time.
    InCheckpoint(usize),
    /// The same in the run's own folder, where the first is the config.
    InFile(usize),
}

impl Moment {
    fn any(random: &mut ChaCha8Rng) -> Self {
        match random.next_u32() % 10 {
            0..4 => Self::After(f64::from(random.next_u32()) / f64::from(u32::MAX)),
            4..8 => Self::InCheckpoint((random.next_u32() % 12) as usize),
            _ => Self::InFile((random.next_u32() % 12) as usize),
        }
    }
}

fn has_part(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().ends_with(b".part"))
}

/// Waits for the moment, or the run's end.
fn wait_for(moment: Moment, run: &mut Child, out: &Path, whole: Duration) {
    let (dir, count) = match moment {
        Moment::After(share) => return sleep(whole.mul_f64(share)),
        Moment::InCheckpoint(count) => (out.join("checkpoints"), count),
        Moment::InFile(count) => (out.to_path_buf(), count),
    };
    let (mut seen, mut was_there) = (0, false);
    while run.try_wait().unwrap().is_none() {
        let there = has_part(&dir);
        if there && !was_there {
            if seen == count {
                return;
            }
            seen += 1;
        }
        was_there = there;
    }
}

/// Starts, or goes on, and kills; whether a file was left half written.
fn kill(call: Convae, out: &Path, moment: Moment, whole: Duration) -> bool {
    let mut run = call.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(moment, &mut run, out, whole);
    run.kill().unwrap(); // SIGKILL; one that has ended is fine, too
    run.wait().unwrap();
    has_part(out) || has_part(&out.join("checkpoints"))
}

/// What became of one run.
struct Killed {
    moments: Vec<Moment>,
    in_writes: usize,
    verdict: Result<(), String>,
}

/// A run that is killed, goes on, every third time is killed again, and in the end is whole.
fn killed(whole: &Whole, random: &mut ChaCha8Rng) -> Killed {
    let folder = Folder::new();
    let out = folder.at("run");
    let mut moments = vec![Moment::any(random)];
    if random.next_u32().is_multiple_of(3) {
        moments.push(Moment::any(random));
    }
    let mut in_writes = 0;
    for (i, &moment) in moments.iter().enumerate() {
        let call = whole.call(&out);
        let call = if i == 0 { call } else { call.arg("--resume") };
        in_writes += usize::from(kill(call, &out, moment, whole.took));
    }
    let end = whole.call(&out).arg("--resume").command().output().unwrap();
    let verdict = match end.status.code() {
        // A checkpoint is whole or not there, so there is nothing to complain about.
        Some(0) if end.stderr.is_empty() => same_files(&out, &whole.run()),
        _ => Err(text(&end.stderr)),
    };
    Killed { moments, in_writes, verdict }
}

/// How many kills fall into the write of a file is the machine's matter: on one core those who watch for
/// them seldom get a turn. Where they are few, more runs are killed.
#[test]
fn killed_at_any_moment_a_run_goes_on_and_ends_with_the_same_bytes() {
    let asked = std::env::var("CONVAE_KILLS").ok().map(|count| count.parse().unwrap());
    let count = asked.unwrap_or(25);
    let wholes = [native(), libtorch()];
    let (next, kills, in_writes) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut failures = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let load = |number: &AtomicUsize| number.load(Ordering::Relaxed);
            let enough = load(&in_writes) * 8 >= load(&kills);
            if i >= count && (enough || i >= 3 * count) {
                return failures;
            }
            let mut random = ChaCha8Rng::seed_from_u64(i as u64);
            let done = killed(wholes[i % 2], &mut random);
            kills.fetch_add(done.moments.len(), Ordering::Relaxed);
            in_writes.fetch_add(done.in_writes, Ordering::Relaxed);
            if let Err(reason) = done.verdict {
                failures.push(format!("run {i}, killed at {:?}: {reason}", done.moments));
            }
        }
    };
    let failures = scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let (kills, in_writes) = (kills.into_inner(), in_writes.into_inner());
    println!("{kills} kills, of which {in_writes} within the write of a file");
    assert!(failures.is_empty(), "{} runs: {failures:#?}", failures.len());
}

// ---- what a checkpoint is ----

#[test]
fn the_last_two_checkpoints_the_best_model_and_the_times_are_kept() {
    let run = native().run();
    let last = format!("epoch-0003-step-{STEPS:06}.pt");
    assert_eq!(names(&run.join("checkpoints")), ["epoch-0003-step-000009.pt", &last]);
    let read = |name: &str| fs::read_to_string(run.join(name)).unwrap();
    let history: serde_json::Value = serde_json::from_str(&read("history.json")).unwrap();
    let timings: serde_json::Value = serde_json::from_str(&read("timings.json")).unwrap();
    assert_eq!(timings["epochs"].as_array().unwrap().len(), 3);
    for (i, epoch) in timings["epochs"].as_array().unwrap().iter().enumerate() {
        assert_eq!(epoch["epoch"], i + 1);
        assert!(epoch["seconds"].as_f64().unwrap() > 0.0);
        assert!(epoch["images_per_second"].as_f64().unwrap() > 0.0);
        assert!((0.0..=1.0).contains(&epoch["waiting"].as_f64().unwrap()));
    }
    let keys: Vec<&String> = history["epochs"][0].as_object().unwrap().keys().collect();
    assert!(!keys.iter().any(|key| *key == "seconds"), "{keys:?}");
}

/// Another name for the last checkpoint of a run.
fn newest(run: &Path) -> PathBuf {
    let dir = run.join("checkpoints");
    dir.join(names(&dir).last().unwrap())
}

/// A copy of a run's files, to be damaged.
fn copied(run: &Path, folder: &Folder) -> PathBuf {
    let out = folder.at("run");
    fs::create_dir_all(out.join("checkpoints")).unwrap();
    for (name, bytes) in files(run) {
        fs::write(out.join(name), bytes).unwrap();
    }
    out
}

#[test]
fn every_flipped_byte_of_a_checkpoint_is_noticed() {
    let whole = native();
    let folder = Folder::new();
    let bytes = fs::read(newest(&whole.run())).unwrap();
    let path = folder.write("flipped.pt", &bytes);
    load_sealed(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let checked = bytes.len();
    for (at, byte) in bytes.iter().enumerate() {
        file.write_all_at(&[byte ^ (1 << (at % 8))], at as u64).unwrap();
        assert!(load_sealed(&path).is_err(), "byte {at} of {checked}");
        file.write_all_at(&[*byte], at as u64).unwrap();
    }
    load_sealed(&path).unwrap();
    assert!(checked > 5000, "{checked}");
}

#[test]
fn a_checkpoint_is_a_model_that_every_command_opens() {
    let whole = libtorch();
    let (checkpoint, model) = (newest(&whole.run()), whole.run().join("tiny.pt"));
    let [tensors, weights] = [&checkpoint, &model].map(|file| load(file).unwrap().tensors);
    assert_eq!(tensors[..weights.len()], weights);
    let others: Vec<&str> = tensors[weights.len()..].iter().map(|(name, _)| &**name).collect();
    let slots = ["optimizer.momentum", "optimizer.velocity", "optimizer.velocity_hat"];
    assert_eq!(others[..3], slots);
    assert_eq!(others[3..], ["optimizer.average", "policies.remembered"]);
    let evaluate = |file: &Path| convae().args(["evaluate", "--checkpoint"]).arg(file).succeeds();
    let figures = |printed: String| printed.lines().next().unwrap().to_owned();
    assert_eq!(figures(evaluate(&checkpoint)), figures(evaluate(&model)));
}

#[test]
fn the_best_model_is_that_of_the_epoch_with_the_lowest_val_loss() {
    let folder = Folder::new();
    // So long a step that a later epoch is worse than one before it.
    let call = native()
        .call(&folder.at("run"))
        .set("train.optimizer={ name = \"SGD\", learning_rate = 100.0 }");
    call.set("train.epochs=6").succeeds();
    let history = |file: &str| {
        let records = load(&folder.at("run").join(file)).unwrap().records;
        serde_json::from_str::<serde_json::Value>(&records["history.json"]).unwrap()
    };
    let of = |history: &serde_json::Value| -> Vec<f64> {
        let epochs = history["epochs"].as_array().unwrap().iter();
        epochs.map(|epoch| epoch["val_loss"].as_f64().unwrap()).collect()
    };
    let (all, best) = (of(&history("tiny.pt")), of(&history("tiny-best.pt")));
    let lowest = all.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(best.last(), Some(&lowest), "{all:?}");
    assert!(best.len() < all.len(), "{all:?} falls to the end, so this test says nothing");
}

// ---- damaged checkpoints ----

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_used() {
    let whole = native();
    let bytes = fs::read(newest(&whole.run())).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    for damage in [&[][..], &bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1], &flipped] {
        let folder = Folder::new();
        let out = copied(&whole.run(), &folder);
        fs::write(newest(&out), damage).unwrap();
        let name = newest(&out).display().to_string();
        let end = whole.call(&out).arg("--resume").assert().success();
        let stderr = text(&end.get_output().stderr);
        assert!(is_sentence(&stderr) && stderr.contains(&name), "{stderr}");
        assert!(stderr.contains("the checkpoint before it is used"), "{stderr}");
        assert!(text(&end.get_output().stdout).contains("epoch-0003-step-000009.pt"));
        same_files(&out, &whole.run()).unwrap();
    }
}

#[test]
fn where_every_checkpoint_is_damaged_nothing_is_begun() {
    let whole = native();
    let folder = Folder::new();
    let out = copied(&whole.run(), &folder);
    for name in names(&out.join("checkpoints")) {
        fs::write(out.join("checkpoints").join(name), "x").unwrap();
    }
    let before = files(&out);
    let end = whole.call(&out).arg("--resume").assert().code(1).stdout("");
    let stderr = text(&end.get_output().stderr);
    assert!(stderr.lines().all(is_sentence), "{stderr}");
    assert!(stderr.contains("no checkpoint is whole, so begin anew with --overwrite"), "{stderr}");
    assert!(files(&out) == before);
}

// ---- what may change, and what may not ----

#[test]
fn a_finished_run_writes_its_files_again_and_trains_on_for_more_epochs() {
    let whole = native();
    let folder = Folder::new();
    let out = folder.at("run");
    whole.call(&out).set("train.epochs=2").succeeds();
    for lost in ["tiny.pt", "grid_tiny.png", "history.json", "timings.json"] {
        fs::remove_file(out.join(lost)).unwrap();
    }
    fs::write(out.join("loss_tiny.png"), "half").unwrap();
    fs::write(out.join(".abc123.part"), "left behind").unwrap();
    let printed = whole.call(&out).set("train.epochs=2").arg("--resume").succeeds();
    assert!(!printed.contains("epoch 2/2"), "{printed}");
    let again = folder.at("again");
    whole.call(&again).set("train.epochs=2").succeeds();
    same_files(&out, &again).unwrap();

    let printed = whole.call(&out).arg("--resume").succeeds();
    assert!(printed.contains("Changed since: train.epochs was 2 and is now 3\n"), "{printed}");
    assert!(printed.contains("epoch 3/3") && !printed.contains("epoch 2/3"), "{printed}");
    // The checkpoint and the best model of before were made with the other config.
    for name in ["tiny.pt", "tiny.safetensors", "history.json", "config.toml", "loss_tiny.png"] {
        assert!(
            fs::read(out.join(name)).unwrap() == fs::read(whole.run().join(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_changed_config_is_refused_with_both_values_and_what_may_change() {
    let whole = native();
    let folder = Folder::new();
    let out = copied(&whole.run(), &folder);
    let before = files(&out);
    let changed = |set: &str, words: &[&str]| {
        let all = [words, &["output.* and of train epochs", "threads", "--overwrite"]].concat();
        whole.call(&out).arg("--resume").set(set).refused(&all);
    };
    changed("seed=7", &["seed was 42 and is now 7"]);
    changed("train.batch_size=16", &["train.batch_size was 32 and is now 16"]);
    changed("model.encoder[0].filters=3", &["model.encoder[0].filters was 2 and is now 3"]);
    changed("train.optimizer.name=SGD", &["train.optimizer"]);
    changed("data.train_samples=64", &["data.train_samples was 320 and is now 64"]);
    let fewer = whole.call(&out).arg("--resume").set("train.epochs=2");
    fewer.refused(&["train.epochs is 2", "in epoch 3 already", "at least 3"]);
    assert!(files(&out) == before);
}

#[test]
fn another_engine_may_go_on_and_the_bits_that_may_differ_are_told() {
    let whole = native();
    let folder = Folder::new();
    let out = folder.at("run");
    whole.call(&out).set("train.epochs=1").succeeds();
    let call =
        whole.call(&out).arg("--resume").set("train.engine=libtorch").set("output.grid_samples=3");
    let printed = call.succeeds();
    let changed = "Changed since: train.engine was \"auto\" and is now \"libtorch\"; the last bits may differ";
    assert!(printed.contains(changed), "{printed}");
    assert!(printed.contains("from now on libtorch on cpu"), "{printed}");
    assert!(printed.contains("output.grid_samples was 10 and is now 3\n"), "{printed}");
}

#[test]
fn images_that_came_or_went_are_noticed() {
    let folder = Folder::new();
    let digit = native().run().join("input_tiny.png");
    for (set, count) in [("train", 6), ("test", 2)] {
        for i in 0..count {
            folder.write(&format!("{set}/{i}.png"), fs::read(&digit).unwrap());
        }
    }
    let dir = digits().display().to_string();
    let data = format!(
        "kind = \"images\"\ntrain = {:?}\ntest = {:?}",
        folder.at("train"),
        folder.at("test")
    );
    let config = folder.write("own.toml", tiny().replace(&format!("dir = \"{dir}\""), &data));
    let call = || convae().arg("--config").arg(&config).out(folder.at("run"));
    call().succeeds();
    fs::remove_file(folder.at("train/3.png")).unwrap();
    let end = call().arg("--resume").assert().code(2);
    let stderr = text(&end.get_output().stderr);
    assert!(is_sentence(&stderr), "{stderr}");
    assert!(stderr.contains("6 training and 2 test images, and are now 5 and 2"), "{stderr}");
}

/// A run on folders of images and what it takes to go on with it.
struct OnImages {
    folder: Folder,
    config: PathBuf,
}

impl OnImages {
    fn new() -> Self {
        let folder = Folder::new();
        for (set, count) in [("train", 6), ("test", 2)] {
            for i in 0..count {
                let image = GrayImage::from_pixel(28, 28, Luma([i * 40]));
                fs::create_dir_all(folder.at(set)).unwrap();
                image.save(folder.at(&format!("{set}/{i}.png"))).unwrap();
            }
        }
        let [train, test] = ["train", "test"].map(|set| folder.at(set).display().to_string());
        let data = format!("kind = \"images\"\ntrain = {train:?}\ntest = {test:?}");
        let dir = format!("dir = \"{}\"", digits().display());
        let config = folder.write("own.toml", tiny().replace(&dir, &data));
        Self { folder, config }
    }

    fn call(&self) -> Convae {
        convae().arg("--config").arg(&self.config).out(self.folder.at("run"))
    }

    fn refused(&self, words: &[&str]) {
        let end = self.call().arg("--resume").set("train.epochs=9").assert().code(2);
        let said = text(&end.get_output().stderr);
        assert!(is_sentence(&said), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    }
}

#[test]
fn an_image_with_another_content_is_named_and_one_with_another_time_is_not() {
    let run = OnImages::new();
    run.call().succeeds();
    // As a copy of the data set would be.
    for name in ["train/0.png", "test/1.png"] {
        let bytes = fs::read(run.folder.at(name)).unwrap();
        fs::remove_file(run.folder.at(name)).unwrap();
        run.folder.write(name, bytes);
    }
    run.call().arg("--resume").set("train.epochs=2").succeeds();
    let old = fs::read(run.folder.at("train/2.png")).unwrap();
    GrayImage::from_pixel(28, 28, Luma([81])).save(run.folder.at("train/2.png")).unwrap();
    let words = ["train/2.png is not what it was when this run began", "--overwrite"];
    run.refused(&words);
    // Two files that changed places are two that changed.
    run.folder.write("train/2.png", &old);
    fs::rename(run.folder.at("test/0.png"), run.folder.at("x")).unwrap();
    fs::rename(run.folder.at("test/1.png"), run.folder.at("test/0.png")).unwrap();
    fs::rename(run.folder.at("x"), run.folder.at("test/1.png")).unwrap();
    run.refused(&["test/0.png (and 1 more) is not what it was"]);
}

#[test]
fn a_checkpoint_without_digests_goes_on_as_it_always_did() {
    let run = OnImages::new();
    run.call().succeeds();
    let checkpoint = newest(&run.folder.at("run"));
    let mut old = load_sealed(&checkpoint).unwrap();
    assert!(old.records.remove("data.json").is_some());
    save_sealed(&checkpoint, &old).unwrap();
    GrayImage::from_pixel(28, 28, Luma([81])).save(run.folder.at("train/2.png")).unwrap();
    run.call().arg("--resume").set("train.epochs=2").succeeds();
    // From then on it knows.
    GrayImage::from_pixel(28, 28, Luma([82])).save(run.folder.at("train/2.png")).unwrap();
    run.refused(&["train/2.png is not what it was"]);
}

#[test]
fn an_array_with_another_value_is_named_and_its_packing_does_not_count() {
    let folder = Folder::new();
    let header: Vec<u8> = [0x0803_u32, 10, 28, 28].iter().flat_map(|w| w.to_be_bytes()).collect();
    let mut file: Vec<u8> = header.into_iter().chain((0..10 * 784).map(|i| i as u8)).collect();
    let data = format!("kind = \"idx\"\ntrain = {:?}", folder.at("own.idx"));
    let dir = format!("dir = \"{}\"", digits().display());
    let config = folder.write("own.toml", tiny().replace(&dir, &data));
    let call = || convae().arg("--config").arg(&config).out(folder.at("run"));
    folder.write("own.idx", &file);
    call().succeeds();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&file).unwrap();
    folder.write("own.idx.gz", packer.finish().unwrap());
    fs::remove_file(folder.at("own.idx")).unwrap();
    call().arg("--resume").set("train.epochs=2").succeeds();
    *file.last_mut().unwrap() ^= 1; // of the test set
    file[100] ^= 1; // of the training set
    folder.write("own.idx", &file);
    let before = files(&folder.at("run"));
    let end = call().arg("--resume").set("train.epochs=3").assert().code(2);
    sentence(end, &["own.idx is not what it was when this run began", "--overwrite"]);
    assert!(files(&folder.at("run")) == before, "a refused call leaves no trace");
}

#[test]
fn a_checkpoint_that_holds_nan_is_named_and_the_one_before_it_used() {
    for (whole, tensor, value) in [
        (native(), "encoder.conv2d.weight", f32::INFINITY),
        (native(), "optimizer.momentum", f32::NAN),
        (libtorch(), "encoder.batch_normalization.running_var", f32::NAN),
    ] {
        let folder = Folder::new();
        let out = copied(&whole.run(), &folder);
        let mut checkpoint = load_sealed(&newest(&out)).unwrap();
        let (_, array) = checkpoint.tensors.iter_mut().find(|(name, _)| name == tensor).unwrap();
        let mut values = array.to_values::<f32>().unwrap();
        values[0] = value;
        *array = Array::from_values(array.shape(), &values).unwrap();
        save_sealed(&newest(&out), &checkpoint).unwrap();
        let end = whole.call(&out).arg("--resume").assert().success();
        let said = text(&end.get_output().stderr);
        let holds = format!("holds {value} in its `{tensor}`; the checkpoint before it is used");
        assert!(is_sentence(&said) && said.contains(&holds), "{said}");
        same_files(&out, &whole.run()).unwrap();
    }
}

#[test]
fn without_a_checkpoint_the_run_begins_anew_and_says_so() {
    let whole = native();
    let folder = Folder::new();
    let out = folder.at("run");
    for _ in 0..2 {
        let printed = whole.call(&out).arg("--resume").succeeds();
        assert!(printed.starts_with("There is no checkpoint in "), "{printed}");
        same_files(&out, &whole.run()).unwrap();
        // As a run leaves it that was killed before its first checkpoint.
        fs::remove_dir_all(&out).unwrap();
        folder.write("run/config.toml", "");
        folder.write("run/.abc123.part", "half");
    }
}

#[test]
fn options_that_contradict_each_other_and_folders_that_cannot_go_on() {
    let whole = native();
    let folder = Folder::new();
    let out = copied(&whole.run(), &folder);
    let call = || whole.call(&out);
    call().refused(&["already holds a run", "--resume", "--overwrite", "--out"]);
    call().arg("--resume").arg("--overwrite").refused(&[
        "--resume",
        "--overwrite",
        "one of the two",
    ]);
    let trace = call().arg("--resume").arg("--trace").arg(folder.at("trace"));
    trace.refused(&["--trace", "--resume", "leave one out"]);
    fs::remove_dir_all(out.join("checkpoints")).unwrap();
    call().arg("--resume").refused(&["holds a run without checkpoints", "--overwrite"]);
}

#[test]
fn what_a_replaced_run_would_go_on_from_goes_with_it() {
    let whole = native();
    let folder = Folder::new();
    let out = folder.at("run");
    whole.call(&out).set("seed=7").set("train.epochs=4").succeeds();
    whole.call(&out).arg("--overwrite").succeeds();
    same_files(&out, &whole.run()).unwrap();
}

// ---- Ctrl-C ----

/// A run that Ctrl-C has stopped in the write of its first checkpoint or later, and what it printed. Where one was
/// faster and ended, another is begun: how fast the machine is decides nothing.
fn interrupted(whole: &Whole, folder: &Folder) -> (PathBuf, String) {
    for attempt in 0..20 {
        let out = folder.at(&format!("run-{attempt}"));
        let mut command = whole.call(&out).command();
        let mut run = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        loop {
            let ended = run.try_wait().unwrap().is_some();
            if fs::read_dir(out.join("checkpoints")).map_or(0, Iterator::count) > 0 {
                break;
            }
            assert!(!ended, "it left no checkpoint");
        }
        send("-INT", &run);
        let end = run.wait_with_output().unwrap();
        let printed = text(&end.stdout);
        match end.status.code() {
            Some(130) => return (out, printed),
            code => assert_eq!(code, Some(0), "{printed}"),
        }
    }
    panic!("20 runs ended before Ctrl-C came")
}

#[test]
fn after_ctrl_c_the_run_goes_on_from_that_very_step() {
    for whole in [native(), libtorch()] {
        let folder = Folder::new();
        let (out, printed) = interrupted(whole, &folder);
        assert!(printed.trim_end().ends_with("with --resume goes on"), "{printed}");
        assert!(out.join("tiny.pt").exists() && out.join("history.json").exists());
        let printed = whole.call(&out).arg("--resume").succeeds();
        assert!(printed.contains("Going on from "), "{printed}");
        same_files(&out, &whole.run()).unwrap();
    }
}

// ---- two at once ----

#[test]
fn a_second_run_in_the_same_folder_is_refused_whatever_it_asks_for() {
    let whole = native();
    let folder = Folder::new();
    let out = folder.at("run");
    let mut command = whole.call(&out).set("train.epochs=9999").command();
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(Moment::InCheckpoint(1), &mut run, &out, whole.took);
    let words = ["another convae is training in", out.to_str().unwrap(), "--out"];
    whole.call(&out).refused(&words);
    whole.call(&out).arg("--overwrite").refused(&words);
    whole.call(&out).arg("--resume").refused(&words);
    assert!(run.try_wait().unwrap().is_none(), "the first run has ended");
    run.kill().unwrap();
    run.wait().unwrap();
    // The system has given the lock back.
    let mut command = whole.call(&out).arg("--resume").set("train.epochs=9999").command();
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(Moment::InCheckpoint(1), &mut run, &out, whole.took);
    assert!(run.try_wait().unwrap().is_none(), "the run did not go on");
    run.kill().unwrap();
    run.wait().unwrap();
}

// ---- a full disk ----

#[test]
fn a_disk_that_fills_up_within_an_epoch_costs_no_checkpoint_and_the_run_goes_on() {
    /// Beside "$1", a disk that is too small at first, and then is not.
    const SCRIPT: &str = r#"exec unshare -rm bash -c '
        out=$1.disk; mkdir -p $out; mount -t tmpfs -o size=100k none $out || exit 99
        TMPDIR=$out "${@:2}" --out $out/run >$1.said 2>$1.complaint; echo $? >$1.code
        ls -A $out/run $out/run/checkpoints >$1.left
        mount -o remount,size=20m $out
        "${@:2}" --out $out/run --resume >$1.said2 2>$1.complaint2; echo $? >>$1.code
        cp -r $out/run $1.result
    ' bash "$BASE" "$0" "$@""#;
    let whole = native();
    let folder = Folder::new();
    let base = folder.at("test");
    let script = format!("BASE='{}'; {SCRIPT}", base.display());
    let call =
        convae_in(&script).arg("--config").arg(whole.folder.at("tiny.toml")).samples(320, 40);
    let call = call.set("train.batch_size=32").set("train.epochs=3").set("train.threads=1");
    let call = call.set("train.checkpoint_every=3").set("output.safetensors=true");
    // So many are kept that they fill the disk.
    let status = call.set("train.keep_checkpoints=1000").command().status().unwrap();
    let read = |ending: &str| fs::read_to_string(base.with_extension(ending)).unwrap_or_default();
    if status.code() == Some(99) {
        skipped("no disk could be mounted");
        return;
    }
    let complaint = read("complaint");
    assert_eq!(read("code"), "1\n0\n", "{complaint}{}{}", read("said2"), read("complaint2"));
    assert!(is_sentence(&complaint), "{complaint}");
    for word in
        ["training stops", "checkpoint before is kept", "--resume", "cannot be written", "space"]
    {
        assert!(complaint.contains(word), "{word} is not in {complaint}");
    }
    let left = read("left");
    assert!(left.contains("epoch-0001-step-000003.pt") && !left.contains(".part"), "{left}");
    assert!(!left.contains("tiny.pt") && !left.contains("epoch-0003-step-000010.pt"), "{left}");
    assert!(read("said2").contains("Going on from "), "{}", read("said2"));
    let result = base.with_extension("result");
    for name in ["tiny.pt", "tiny.safetensors", "tiny-best.pt", "history.json", "loss_tiny.png"] {
        let [found, expected] =
            [&result, &whole.run()].map(|dir| fs::read(dir.join(name)).unwrap());
        let same_but_config = name.starts_with("tiny");
        assert!(same_but_config || found == expected, "{name}");
        if same_but_config {
            let [found, expected] =
                [&result, &whole.run()].map(|dir| load(&dir.join(name)).unwrap());
            assert!(found.tensors == expected.tensors, "{name}");
            assert_eq!(found.records["history.json"], expected.records["history.json"]);
        }
    }
}
