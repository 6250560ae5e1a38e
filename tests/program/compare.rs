//! `convae compare`: the table, the JSON, the image, and what it makes of poor runs.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::common::{Convae, Folder, convae, names, tiny, train};

/// Three runs that tests only read: two of them differ in rate and epochs, the third in all but that.
fn runs() -> &'static Path {
    static RUNS: OnceLock<Folder> = OnceLock::new();
    let folder = RUNS.get_or_init(|| {
        let folder = Folder::lasting();
        let adam = "[train]\noptimizer = { name = \"Adam\" }\n";
        let config = folder.write("tiny.toml", tiny() + adam);
        let run = |name: &str| train(&config).out(folder.at(name));
        run("slow").set("train.optimizer.learning_rate=1e-5").succeeds();
        run("fast").set("train.optimizer.learning_rate=0.1").set("train.epochs=3").succeeds();
        let other = run("other").set("train.optimizer.name=SGD").set("train.loss=mse");
        other.set("corruption={kind=\"gaussian\",factor=0.2}").set("seed=7").succeeds();
        folder
    });
    folder.path()
}

fn compare(runs: &[&str]) -> Convae {
    convae().within(self::runs()).arg("compare").args(runs)
}

/// The document, without an image.
fn compared(runs: &[&str]) -> Value {
    serde_json::from_str(&compare(runs).arg("--json").succeeds()).unwrap()
}

fn history(run: &str) -> Value {
    let text = fs::read_to_string(runs().join(run).join("history.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An image in a place of its own, so that tests do not meet.
fn picture() -> (Folder, String) {
    let folder = Folder::new();
    let path = folder.at("drawn.png").display().to_string();
    (folder, path)
}

/// The row of a run, by columns.
fn row<'a>(table: &'a str, run: &str) -> Vec<&'a str> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(run));
    line.unwrap_or_else(|| panic!("no row {run} in\n{table}")).split_whitespace().collect()
}

// ---- the table ----

#[test]
fn the_table_has_the_keys_that_differ_and_the_figures_with_the_best_marked() {
    let (_folder, picture) = picture();
    let table = compare(&["slow", "fast"]).args(["--out", &picture]).succeeds();
    for word in ["train.", "optimizer.", "learning_rate", "epochs", "best", "images/s"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    for same in ["batch_size", "seed", "encoder", "dtype", "dir", "name"] {
        assert!(!table.contains(same), "{same} is in\n{table}");
    }
    let loss =
        |run: &str, epoch: usize| history(run)["epochs"][epoch]["val_loss"].as_f64().unwrap();
    let (slow, fast) = (row(&table, "slow"), row(&table, "fast"));
    assert_eq!(slow[1..4], ["1", "1e-5", "1"]);
    assert_eq!(fast[1..4], ["3", "0.1", "3"]);
    assert_eq!(slow[5], format!("{:.4}", loss("slow", 0)));
    assert_eq!(fast[5], format!("{:.4}*", loss("fast", 2)));
    assert_eq!((slow[7], fast[7]), ("1", "3"));
    // Runs of different lengths do not race.
    assert!(!slow[8].ends_with('*') && !fast[8].ends_with('*'), "{table}");
    assert!(table.contains("* the best of its column"));
    assert!(table.ends_with(&format!("The curves are drawn in {picture}\n")));
}

#[test]
fn a_row_stands_where_its_run_was_named() {
    let order = |runs: &[&str]| -> Vec<String> {
        let document = compared(runs);
        let runs = document["runs"].as_array().unwrap().iter();
        runs.map(|run| run["run"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(order(&["slow", "fast", "other"]), ["slow", "fast", "other"]);
    assert_eq!(order(&["./other/", "fast"]), ["other", "fast"]);
}

#[test]
fn many_differing_keys_get_a_table_of_their_own() {
    let (_folder, picture) = picture();
    let table = compare(&["slow", "other"]).args(["--out", &picture]).succeeds();
    let line = |key: &str| row(&table, key);
    assert_eq!(line("train.optimizer.name")[1..], ["Adam", "SGD"]);
    assert_eq!(line("train.optimizer.beta_1")[1..], ["0.9", "-"]);
    assert_eq!(line("train.loss")[1..], ["binary_crossentropy", "mean_squared_error"]);
    assert_eq!(line("corruption.factor")[1..], ["-", "0.2"]);
    assert!(table.contains("minimise different functions"));
    assert!(!row(&table, "slow")[2].ends_with('*') && !row(&table, "other")[2].ends_with('*'));
}

#[test]
fn a_single_run_is_shown_without_marks() {
    let (_folder, picture) = picture();
    let table = compare(&["fast"]).args(["--out", &picture]).succeeds();
    assert_eq!(row(&table, "fast")[1], "3");
    assert!(!table.contains('*'), "{table}");
}

// ---- JSON ----

#[test]
fn the_json_has_the_figures_of_the_histories() {
    let document = compared(&["slow", "fast"]);
    assert_eq!(document["differing"], json!(["train.epochs", "train.optimizer.learning_rate"]));
    let fast = &document["runs"][1];
    assert_eq!(fast["config"], json!({ "train.epochs": 3, "train.optimizer.learning_rate": 0.1 }));
    assert_eq!((&fast["state"], &fast["folder"]), (&json!("finished"), &json!("fast")));
    let epochs = &history("fast")["epochs"];
    for figure in ["loss", "val_loss"] {
        assert_eq!(fast[figure], epochs[2][figure]);
    }
    assert_eq!(fast["best_val_loss"], epochs[2]["val_loss"]);
    assert_eq!((&fast["best_epoch"], &fast["epochs"]), (&json!(3), &json!(3)));
    assert!(fast["seconds"].as_f64().unwrap() > 0.0);
    assert!(fast["images_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(document["best"]["val_loss"], json!(["fast"]));
    assert_eq!(document["best"]["seconds"], json!([]));
}

#[test]
fn with_json_a_image_is_drawn_only_where_it_is_named() {
    let folder = Folder::new();
    let runs = [runs().join("slow"), runs().join("fast")];
    let call = || convae().within(folder.path()).arg("compare").args(&runs).arg("--json");
    serde_json::from_str::<Value>(&call().succeeds()).unwrap();
    assert!(names(folder.path()).is_empty());
    serde_json::from_str::<Value>(&call().args(["--out", "a.png"]).succeeds()).unwrap();
    assert_eq!(names(folder.path()), ["a.png"]);
}

// ---- the image ----

#[test]
fn a_image_that_was_not_asked_for_is_never_replaced_unasked_and_never_in_the_way() {
    let folder = Folder::new();
    let runs = [runs().join("slow"), runs().join("fast")];
    let call = || convae().within(folder.path()).arg("compare").args(&runs);
    assert!(call().succeeds().contains("drawn in compare.png"));
    let page = image::open(folder.at("compare.png")).unwrap();
    assert!(page.width() >= 1000 && page.height() == 640);
    fs::write(folder.at("compare.png"), "mine").unwrap();
    let table = call().succeeds();
    assert!(table.contains("compare.png is already there and was kept"), "{table}");
    assert_eq!(row(&table, "slow")[1], "1");
    assert_eq!(fs::read(folder.at("compare.png")).unwrap(), b"mine");
    call().args(["--out", "compare.png"]).refused(&["already there", "--overwrite"]);
    call().arg("--overwrite").succeeds();
    assert!(image::open(folder.at("compare.png")).is_ok());
}

#[test]
fn more_runs_than_can_be_told_apart_are_drawn_as_their_best() {
    let folder = Folder::new();
    for index in 0..20 {
        let run = folder.at(&format!("run{index}"));
        fs::create_dir(&run).unwrap();
        fs::copy(runs().join("fast/config.toml"), run.join("config.toml")).unwrap();
        let history =
            json!({ "epochs": [{ "epoch": 1, "loss": 0.5, "val_loss": f64::from(index) }] });
        fs::write(run.join("history.json"), history.to_string()).unwrap();
    }
    let runs: Vec<String> = (0..20).map(|index| format!("run{index}")).collect();
    let table = convae().within(folder.path()).arg("compare").args(&runs).succeeds();
    assert_eq!(row(&table, "run19")[1..4], ["1", "of", "3"]);
    assert!(image::open(folder.at("compare.png")).is_ok());
}

// ---- poor runs ----

/// A run with the config of `slow` and these files.
fn poor(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.at("poor")).unwrap();
    fs::copy(runs().join("slow/config.toml"), folder.at("poor/config.toml")).unwrap();
    for (name, text) in files {
        folder.write(&format!("poor/{name}"), text);
    }
    folder
}

fn told(folder: &Folder) -> (Value, String) {
    let call = || convae().within(folder.path()).args(["compare", "poor"]).arg(runs().join("fast"));
    let document: Value = serde_json::from_str(&call().arg("--json").succeeds()).unwrap();
    (document["runs"][0].clone(), call().succeeds())
}

#[test]
fn a_run_that_never_ended_an_epoch_has_no_figures() {
    let interrupted = r#"{ "interrupted": true, "epochs": [], "curve": [[0.5, 0.7]] }"#;
    for (files, state) in
        [(&[][..], "unfinished"), (&[("history.json", interrupted)], "interrupted")]
    {
        let (run, table) = told(&poor(files));
        assert_eq!((&run["state"], &run["epochs"]), (&json!(state), &json!(0)));
        assert_eq!((&run["val_loss"], &run["seconds"]), (&Value::Null, &Value::Null));
        assert!(table.contains(state) && table.contains("0 of 1"), "{table}");
    }
}

#[test]
fn an_old_history_and_times_in_a_file_of_their_own_are_read() {
    let epochs = r#"{ "epochs": [{ "epoch": 1, "loss": 0.6, "val_loss": 0.5, "more": [] }] }"#;
    let times =
        r#"{ "epochs": [{ "epoch": 1, "seconds": 2.5, "images_per_second": 100, "waiting": 0 }] }"#;
    let (run, _) = told(&poor(&[("history.json", epochs), ("timings.json", times)]));
    assert_eq!((&run["state"], &run["val_loss"]), (&json!("finished"), &json!(0.5)));
    assert_eq!((&run["seconds"], &run["images_per_second"]), (&json!(2.5), &json!(100.0)));
    let (run, _) = told(&poor(&[("history.json", epochs)]));
    assert_eq!(run["seconds"], Value::Null);
}

#[test]
fn losses_that_are_no_numbers_are_left_out() {
    let epochs = r#"{ "epochs": [{ "epoch": 1, "loss": 0.6, "val_loss": 0.5 },
        { "epoch": 2, "loss": null, "val_loss": null }], "curve": [[0.5, null], [1.0, 0.6]] }"#;
    let (run, _) = told(&poor(&[("history.json", epochs)]));
    assert_eq!((&run["val_loss"], &run["best_val_loss"]), (&Value::Null, &json!(0.5)));
}

#[test]
fn a_config_with_keys_that_this_version_does_not_know_is_compared_as_it_stands() {
    let config = "name = \"x\"\n[train]\nepochs = 3\nloss = \"mse\"\nfuture = [1, 2]\n";
    let (run, table) = told(&poor(&[("config.toml", config)]));
    assert_eq!(run["config"]["train.future"], json!([1, 2]));
    assert!(table.contains("train.future"), "{table}");
}

// ---- what is refused ----

#[test]
fn a_folder_that_holds_no_run_is_refused() {
    let folder = Folder::new();
    folder.write("file", "x");
    let call = |run: &str| convae().within(folder.path()).arg("compare").arg(run);
    call(".").refused(&["no run", "config.toml", "name a folder"]);
    call("nowhere").refused(&["nowhere is no folder"]);
    call("file").refused(&["file is no folder"]);
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn files_that_cannot_be_understood_are_named() {
    let refused = |files: &[(&str, &str)], words: &[&str]| {
        convae().within(poor(files).path()).args(["compare", "poor"]).refused(words);
    };
    refused(&[("history.json", "{")], &["poor/history.json", "leave this run out"]);
    refused(&[("history.json", r#"{"epochs": [{"epoch": -1}]}"#)], &["poor/history.json"]);
    refused(&[("timings.json", "[]x")], &["poor/timings.json"]);
    refused(&[("config.toml", "a = = 1")], &["poor/config.toml", "TOML"]);
    refused(&[("history.json", "\0\u{7f}")], &["poor/history.json"]);
}

#[test]
fn a_run_is_named_once() {
    compare(&["slow", "fast", "./slow/"]).refused(&["named twice"]);
}

#[test]
fn the_image_is_refused_before_anything_is_printed() {
    let missing = ["--out", "no/such/a.png"];
    compare(&["slow", "fast"]).args(missing).refused(&["no folder"]);
    compare(&["slow", "fast"]).args(["--out", "a.jpg"]).refused(&[".png"]);
}
