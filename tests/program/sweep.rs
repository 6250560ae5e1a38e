//! `convae sweep`: which runs it makes, that it goes on where it stopped however it was stopped, and
//! what it refuses before anything runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use convae::formats::checkpoint::{Array, load};
use serde_json::{Value, json};

use crate::common::{
    Convae, Folder, convae, digits, files_of, names, sentence, skipped, text, tiny, train,
    wait_until,
};

/// Long enough to be stopped half-way.
const MANY_EPOCHS: &str = "train.epochs=150";

fn config() -> String {
    tiny() + "[train]\nepochs = 1\n"
}

/// A folder with a config whose training takes no time.
fn prepared() -> Folder {
    let folder = Folder::new();
    folder.write("tiny.toml", config());
    folder
}

/// A sweep in that folder, to `sweep` in it, in one thread.
fn sweep(folder: &Folder, grid: &[&str]) -> Convae {
    let call = convae().within(folder.path()).args(["sweep", "--config", "tiny.toml"]);
    let call = call.out("sweep").samples(64, 20).set("train.threads=1");
    grid.iter().fold(call, |call, list| call.arg("--grid").arg(list))
}

fn json_of(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn config_of(folder: &Folder, run: &str) -> toml::Table {
    fs::read_to_string(folder.at("sweep").join(run).join("config.toml")).unwrap().parse().unwrap()
}

/// Names of runs with a figure, in the order of the comparison.
fn compared(folder: &Folder, figure: &str) -> Vec<(String, Value)> {
    let document = json_of(&folder.at("sweep/compare.json"));
    let runs = document["runs"].as_array().unwrap().iter();
    runs.map(|run| (run["run"].as_str().unwrap().to_owned(), run[figure].clone())).collect()
}

fn states(folder: &Folder) -> Vec<(String, String)> {
    let record = json_of(&folder.at("sweep/sweep.json"));
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let runs = record["runs"].as_array().unwrap().iter();
    runs.map(|run| (word(&run["name"]), word(&run["state"]))).collect()
}

/// What of a run must not depend on when and how it was trained.
#[derive(Debug, PartialEq)]
struct TrainingResult {
    weights: BTreeMap<String, Array>,
    losses: Vec<(Value, Value)>,
    curve: Value,
}

fn trained(run: &Path) -> TrainingResult {
    let history = json_of(&run.join("history.json"));
    let epochs = history["epochs"].as_array().unwrap().iter();
    TrainingResult {
        weights: load(&run.join("tiny.pt")).unwrap().tensors.into_iter().collect(),
        losses: epochs.map(|epoch| (epoch["loss"].clone(), epoch["val_loss"].clone())).collect(),
        curve: history["curve"].clone(),
    }
}

// ---- what a sweep makes ----

#[test]
fn every_combination_is_trained_in_order_and_compared() {
    let folder = prepared();
    let grid = ["train.optimizer.learning_rate=1e-3,3e-4", "seed=1,2"];
    let printed = sweep(&folder, &grid).succeeds();
    let order = [
        "learning_rate=0.001,seed=1",
        "learning_rate=0.001,seed=2",
        "learning_rate=0.0003,seed=1",
        "learning_rate=0.0003,seed=2",
    ];
    let compared: Vec<_> = compared(&folder, "state").into_iter().map(|(name, _)| name).collect();
    assert_eq!(compared, order);
    let finished = order.map(|name| (name.to_owned(), "finished".to_owned()));
    assert_eq!(states(&folder), finished);
    let begun: Vec<_> = printed.lines().filter_map(|line| line.strip_suffix(": begins")).collect();
    assert_eq!(begun, order);

    let mut left = [&order[..], &["compare.json", "compare.png", "logs", "sweep.json"]].concat();
    left.sort_unstable();
    assert_eq!(names(&folder.at("sweep")), left);
    for run in order {
        assert_eq!(names(&folder.at("sweep").join(run)), files_of("tiny"));
    }
    let table = printed.split("\n\n").nth(1).unwrap();
    assert!(table.contains("learning_rate") && table.contains("seed"), "{printed}");
    assert!(!table.contains("threads"), "{printed}");
    assert!(image::open(folder.at("sweep/compare.png")).is_ok());
    // The comparison is that of `compare`, for which the sweep's folder stands for its runs.
    let call = convae().within(folder.path()).args(["compare", "sweep", "--json"]);
    let document: Value = serde_json::from_str(&call.succeeds()).unwrap();
    assert_eq!(document, json_of(&folder.at("sweep/compare.json")));
}

#[test]
fn a_run_of_a_sweep_is_the_run_that_train_makes() {
    let folder = prepared();
    sweep(&folder, &["train.batch_size=16,32"]).succeeds();
    let call = train(folder.at("tiny.toml")).set("train.threads=1").set("train.batch_size=16");
    call.out(folder.at("alone")).succeeds();
    let run = folder.at("sweep/batch_size=16");
    assert_eq!(trained(&run), trained(&folder.at("alone")));
    let config = |run: &Path| fs::read_to_string(run.join("config.toml")).unwrap();
    assert_eq!(config(&run), config(&folder.at("alone")));
}

#[test]
fn values_with_commas_are_values() {
    let folder = prepared();
    let optimizers = r#"train.optimizer={name="SGD",learning_rate=0.1},{name="Adam",clipnorm=1.0}"#;
    sweep(&folder, &[optimizers, "train.loss=mse,binary_crossentropy"]).succeeds();
    let runs = compared(&folder, "config");
    assert_eq!(runs.len(), 4);
    assert!(runs[0].0.contains("SGD") && runs[0].0.ends_with(",loss=mse"), "{runs:?}");
    assert_eq!(runs[0].1["train.optimizer.learning_rate"], json!(0.1));
    assert_eq!(runs[3].1["train.optimizer.clipnorm"], json!(1.0));
    assert_eq!(runs[3].1["train.loss"], json!("binary_crossentropy"));
}

#[test]
fn without_a_folder_it_goes_beside_the_runs_of_its_name() {
    let folder = prepared();
    let call = convae().within(folder.path()).args(["sweep", "--config", "tiny.toml"]);
    call.samples(64, 20).args(["--grid", "seed=5"]).succeeds();
    assert_eq!(names(&folder.at("runs/tiny-sweep/seed=5")), files_of("tiny"));
}

#[test]
fn runs_at_once_leave_the_files_of_runs_one_by_one() {
    let (one, two) = (prepared(), prepared());
    let grid = ["seed=1,2,3"];
    sweep(&one, &grid).succeeds();
    let printed = sweep(&two, &grid).args(["--jobs", "2"]).succeeds();
    assert!(printed.contains("2 at once") && printed.contains("1 thread(s)"), "{printed}");
    assert_eq!(names(&one.at("sweep")), names(&two.at("sweep")));
    for run in ["seed=1", "seed=2", "seed=3"] {
        let [one, two] = [&one, &two].map(|folder| folder.at("sweep").join(run));
        assert_eq!(names(&one), names(&two));
        assert_eq!(trained(&one), trained(&two));
        assert_eq!(
            fs::read(one.join("config.toml")).unwrap(),
            fs::read(two.join("config.toml")).unwrap()
        );
        for picture in ["input", "output", "grid", "loss"] {
            let picture = format!("{picture}_tiny.png");
            assert_eq!(
                fs::read(one.join(&picture)).unwrap(),
                fs::read(two.join(&picture)).unwrap()
            );
        }
    }
}

// ---- going on ----

/// When a run's weights were written.
fn written(folder: &Folder, run: &str) -> std::time::SystemTime {
    let weights = folder.at("sweep").join(run).join("tiny.pt");
    fs::metadata(weights).unwrap().modified().unwrap()
}

#[test]
fn finished_runs_are_skipped_and_more_values_add_their_runs() {
    let folder = prepared();
    sweep(&folder, &["seed=1,2"]).succeeds();
    let before = written(&folder, "seed=1");
    let printed = sweep(&folder, &["seed=1,2"]).succeeds();
    assert!(printed.contains("All 2 run(s) in sweep are finished already"), "{printed}");
    assert!(printed.contains("* the best"), "{printed}");
    let printed = sweep(&folder, &["seed=3,1"]).succeeds();
    assert!(printed.contains("2 run(s) in sweep, 1 of them finished already"), "{printed}");
    assert_eq!(written(&folder, "seed=1"), before);
    let compared: Vec<_> = compared(&folder, "run").into_iter().map(|(name, _)| name).collect();
    assert_eq!(compared, ["seed=3", "seed=1", "seed=2"]);
    // A run whose files are gone is trained again.
    fs::remove_dir_all(folder.at("sweep/seed=3")).unwrap();
    sweep(&folder, &["seed=3"]).succeeds();
    assert_eq!(names(&folder.at("sweep/seed=3")), files_of("tiny"));
}

#[test]
fn a_changed_base_is_refused_with_what_changed() {
    let folder = prepared();
    sweep(&folder, &["seed=1"]).succeeds();
    let refused = |call: Convae, words: &[&str]| call.refused(&[words, &["--out DIR"]].concat());
    let call = sweep(&folder, &["seed=1,2"]).set("train.batch_size=8");
    refused(call, &["train.batch_size not set, and now it is 8"]);
    let call = sweep(&folder, &["seed=2"]).set("data.train_samples=32");
    refused(call, &["data.train_samples = 64, and now it is 32"]);
    folder.write("tiny.toml", config().replace("filters = 2", "filters = 3"));
    refused(sweep(&folder, &["seed=1"]), &["model.encoder[0].filters = 2, and now it is 3"]);
    folder.write("tiny.toml", format!("# the same\n{}", config()));
    sweep(&folder, &["seed=1"]).succeeds();
    // The grid's own key is not of the base; and a run keeps to its config.
    sweep(&folder, &["seed=1"]).set("seed=9").succeeds();
    let config = folder.at("sweep/seed=1/config.toml");
    let edited = fs::read_to_string(&config).unwrap().replace("epochs = 1", "epochs = 2");
    fs::write(&config, edited).unwrap();
    refused(sweep(&folder, &["seed=1"]), &["train.epochs = 2, and now it is 1"]);
    assert_eq!(names(&folder.at("sweep")).len(), 5);
}

#[test]
fn a_run_keeps_its_number_of_threads() {
    let folder = prepared();
    let call = |jobs: &str| {
        let call = convae().within(folder.path()).args(["sweep", "--config", "tiny.toml"]);
        call.out("sweep").samples(64, 20).args(["--grid", "seed=1", "--jobs", jobs])
    };
    let threads = || config_of(&folder, "seed=1")["train"].get("threads").cloned();
    // More runs at once than any machine has cores.
    assert!(call("256").succeeds().contains("Each run has 1 thread(s)"));
    assert_eq!(threads(), Some(toml::Value::Integer(1)));
    let record = folder.at("sweep/sweep.json");
    let unfinished = fs::read_to_string(&record).unwrap().replace("\"finished\"", "\"running\"");
    fs::write(&record, unfinished).unwrap();
    assert!(call("1").succeeds().contains("Each run has 1 thread(s)"));
    assert_eq!(threads(), Some(toml::Value::Integer(1)));
}

#[test]
fn a_run_that_fails_is_reported_and_the_others_go_on() {
    let folder = prepared();
    fs::create_dir(folder.at("empty")).unwrap();
    let grid = format!("data.dir=empty,{}", digits().display());
    let assert = sweep(&folder, &[&grid]).assert().code(1);
    let printed = text(&assert.get_output().stdout);
    let said = text(&assert.get_output().stderr);
    let said: Vec<_> = said.lines().collect();
    assert!(said[0].starts_with("convae: dir=empty: ") && said[0].contains("MNIST"), "{said:?}");
    assert!(said[1].contains("1 of 2 run(s) failed") && said.len() == 2, "{said:?}");
    assert!(printed.contains("dir=empty failed: "), "{printed}");
    let runs = compared(&folder, "state");
    assert_eq!((&runs[0].1, &runs[1].1), (&json!("failed"), &json!("finished")));
    // It is tried again, and this time the data are there.
    for entry in fs::read_dir(digits()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.at("empty").join(entry.file_name())).unwrap();
    }
    let printed = sweep(&folder, &[&grid]).succeeds();
    assert!(printed.contains("1 of them finished already"), "{printed}");
    assert_eq!(compared(&folder, "state")[0].1, json!("finished"));
}

// ---- stopped ----

/// A sweep at work, killed with its test.
struct Running(Child);

impl Running {
    /// Prints into the file `printed`: nobody would empty a pipe meanwhile.
    fn start(folder: &Folder, call: Convae) -> Self {
        let printed = File::create(folder.at("printed")).unwrap();
        let mut command = call.command();
        Self(command.stdout(printed).stderr(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_says(folder: &Folder, run: &str, words: &str) -> bool {
    let log = folder.at("sweep/logs").join(format!("{run}.log"));
    fs::read_to_string(log).is_ok_and(|log| log.contains(words))
}

/// Whether no process works for a run any more: each holds its log locked.
fn nobody_trains(folder: &Folder, run: &str) -> bool {
    let log = File::open(folder.at("sweep/logs").join(format!("{run}.log"))).unwrap();
    log.try_lock().is_ok()
}

/// What is left of a sweep that was stopped while it trained. `None` of one that was faster and ended: then
/// another is begun, so that how fast the machine is decides nothing.
fn in_time<R>(stopped: impl Fn() -> Option<R>) -> R {
    (0..20).find_map(|_| stopped()).expect("20 sweeps ended before they could be stopped")
}

/// Begins a sweep of these runs, at once; returns when all of them train.
fn training(folder: &Folder, call: Convae, runs: &[&str]) -> Running {
    let running = Running::start(folder, call);
    wait_until("they train", || runs.iter().all(|run| log_says(folder, run, "epoch 3/")));
    running
}

#[test]
fn after_kill_9_the_runs_end_and_the_same_call_goes_on() {
    let grid = ["seed=1,2,3"];
    let call = |folder: &Folder| sweep(folder, &grid).set(MANY_EPOCHS).args(["--jobs", "2"]);
    let orphans = ["seed=1", "seed=2"];
    let folder = in_time(|| {
        let folder = prepared();
        let mut running = training(&folder, call(&folder), &orphans);
        running.signal("-KILL");
        running.0.wait().unwrap();
        for run in orphans {
            wait_until("the orphans have ended", || nobody_trains(&folder, run));
        }
        let ended = orphans.iter().any(|run| log_says(&folder, run, "Saved in "));
        for run in orphans {
            assert!(ended || log_says(&folder, run, "Interrupted after"), "{run} did not save");
        }
        (!ended).then_some(folder)
    });
    assert!(!folder.at("sweep/seed=3").exists());
    assert_eq!(states(&folder)[0].1, "running");

    call(&folder).succeeds();
    assert!(states(&folder).iter().all(|(_, state)| state == "finished"));
    let whole = prepared();
    sweep(&whole, &["seed=1,2,3"]).set(MANY_EPOCHS).succeeds();
    for run in ["seed=1", "seed=2", "seed=3"] {
        let [resumed, whole] =
            [&folder, &whole].map(|folder| trained(&folder.at("sweep").join(run)));
        assert_eq!(resumed, whole, "{run}");
    }
}

#[test]
fn ctrl_c_lets_the_runs_save_and_tells_how_to_go_on() {
    let call = |folder: &Folder| sweep(folder, &["seed=1,2"]).set(MANY_EPOCHS);
    let folder = in_time(|| {
        let folder = prepared();
        let mut running = training(&folder, call(&folder), &["seed=1"]);
        running.signal("-INT");
        let code = running.0.wait().unwrap().code();
        let ended = log_says(&folder, "seed=1", "Saved in ");
        assert!(ended || code == Some(130), "{code:?}");
        (!ended).then_some(folder)
    });
    let printed = fs::read_to_string(folder.at("printed")).unwrap();
    let last = printed.lines().last().unwrap();
    assert!(last.contains("of 2 run(s) in sweep 0 are finished, 1 were stopped"), "{printed}");
    assert!(last.contains("call the same command again"), "{printed}");
    assert!(nobody_trains(&folder, "seed=1"));
    let states: Vec<_> = states(&folder).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["interrupted", "waiting"]);
    assert_eq!(json_of(&folder.at("sweep/seed=1/history.json"))["interrupted"], true);
    assert!(!folder.at("sweep/compare.json").exists());
    call(&folder).succeeds();
    assert_eq!(compared(&folder, "epochs").len(), 2);
    assert!(compared(&folder, "epochs").iter().all(|(_, epochs)| epochs == 150));
}

#[test]
fn a_run_that_the_system_kills_takes_no_other_along() {
    if !Path::new("/proc/self/task").exists() {
        return skipped("there is no /proc");
    }
    let folder = in_time(|| {
        let folder = prepared();
        let call = sweep(&folder, &["seed=1,2"]).set(MANY_EPOCHS).args(["--jobs", "2"]);
        let mut running = training(&folder, call, &["seed=1", "seed=2"]);
        let children = format!("/proc/{0}/task/{0}/children", running.0.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let first = children.split_whitespace().next()?;
        let killed = Command::new("kill").args(["-KILL", first]).status().unwrap().success();
        let code = running.0.wait().unwrap().code();
        assert!(code == Some(1) || code == Some(0), "{code:?}");
        (killed && code == Some(1)).then_some(folder)
    });
    let mut states: Vec<_> = states(&folder).into_iter().map(|(_, state)| state).collect();
    states.sort();
    assert_eq!(states, ["failed", "finished"]);
    let record = fs::read_to_string(folder.at("sweep/sweep.json")).unwrap();
    assert!(record.contains("signal 9"), "{record}");
}

// ---- what is refused before anything runs ----

#[test]
fn a_combination_that_is_no_config_is_refused_before_anything_runs() {
    let folder = prepared();
    let refused = |grid: &[&str], words: &[&str]| {
        sweep(&folder, grid).refused(words);
        assert_eq!(names(folder.path()), ["tiny.toml"]);
    };
    refused(
        &["train.epochs=1,0", "seed=1,2"],
        &["epochs=0,seed=1", "--grid train.epochs=0", "`train.epochs` is 0", "from 1"],
    );
    refused(&["train.epoch=1,2"], &["epoch=1", "did you mean `epochs`?"]);
    refused(&["model.encoder[0].filters=2,x"], &["filters=x", "whole number"]);
    refused(&["model.encoder[7].filters=2"], &["leads nowhere"]);
    refused(&["model.encoder[0].strides=4,2"], &["strides=2", "model.decoder"]);
    refused(&["train.device=cpu,cuda:0"], &["device=cuda-0", "GPU"]);
    refused(&["train.loss=mse,mean_squared_error"], &["same config", "loss=mse and loss=mean"]);
}

#[test]
fn lists_that_are_no_lists_are_refused() {
    let folder = prepared();
    let refused = |grid: &[&str], words: &[&str]| {
        sweep(&folder, grid).refused(words);
        assert_eq!(names(folder.path()), ["tiny.toml"]);
    };
    refused(&["seed"], &["--grid seed", "no `=`"]);
    refused(&["seed="], &["a value is missing"]);
    refused(&["seed=1,2,1"], &["1 is in the list twice"]);
    refused(&["train.optimizer.learning_rate=1e-3,0.001"], &["twice"]);
    refused(&["seed=1", "seed=2"], &["names seed twice"]);
    refused(&["data.dir=[1,2"], &["not closed"]);
    refused(&["name=a,b"], &["--out DIR"]);
    let many: Vec<String> = (0..1001).map(|seed| seed.to_string()).collect();
    sweep(&folder, &[&format!("seed={}", many.join(","))]).refused(&["1001", "1000"]);
    convae().args(["sweep", "--config", "plain.toml"]).assert().code(2).stdout("");
    for jobs in ["0", "-1", "x", "257"] {
        let assert = sweep(&folder, &["seed=1"]).arg(format!("--jobs={jobs}")).assert();
        assert.code(2).stdout("");
    }
    assert_eq!(names(folder.path()), ["tiny.toml"]);
}

#[test]
fn folders_that_are_no_sweeps_are_refused_and_kept() {
    let folder = prepared();
    folder.write("sweep/mine.txt", "x");
    sweep(&folder, &["seed=1"]).refused(&["sweep holds other files", "--out DIR"]);
    assert_eq!(names(&folder.at("sweep")), ["mine.txt"]);
    fs::remove_dir_all(folder.at("sweep")).unwrap();
    folder.write("sweep", "a file");
    sweep(&folder, &["seed=1"]).refused(&["sweep is a file"]);
    fs::remove_file(folder.at("sweep")).unwrap();
    folder.write("sweep/sweep.json", "{}");
    sweep(&folder, &["seed=1"]).refused(&["sweep/sweep.json", "--out DIR"]);
    convae().within(folder.path()).args(["compare", "sweep"]).refused(&["sweep/sweep.json"]);
}

#[test]
fn two_sweeps_never_work_in_one_folder() {
    let folder = prepared();
    fs::create_dir(folder.at("sweep")).unwrap();
    let lock = File::open(folder.at("sweep")).unwrap();
    lock.lock().unwrap();
    let assert = sweep(&folder, &["seed=1"]).fails(&["another sweep is at work in sweep"]);
    sentence(assert, &["--out DIR"]);
    drop(lock);
    sweep(&folder, &["seed=1"]).succeeds();
}
