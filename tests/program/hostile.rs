//! Every command where the system refuses: too little memory, a folder that cannot be written to or that
//! vanishes, nobody who reads. One sentence, the right exit code, and no half of a file.
//!
//! A command that has no row in [`ROWS`] fails the first test; a disk that is full is in `wrong_input.rs`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::spawn;

use convae::formats::checkpoint::load;
use convae::formats::codes::Codes;
use image::GrayImage;

use crate::common::{
    Convae, Folder, at_line, convae, convae_in, digits, is_sentence, names, root, send, skipped,
    text, tiny, train, wait_until,
};

/// A command and what it works on; `--out` is not yet among its arguments.
struct Row {
    /// As clap names it; training has no name.
    command: &'static str,
    call: fn(Convae) -> Convae,
    leaves: Leaves,
}

/// What a command is called for.
#[derive(Clone, Copy, PartialEq)]
enum Leaves {
    /// What it prints.
    Text,
    /// Files in a folder that `--out` names; and some text that can be done without.
    Folder,
    /// The same, and text that cannot.
    FolderAndText,
    /// A file that `--out` names, with this ending.
    File(&'static str),
    /// The same, and text that cannot be done without.
    FileAndText(&'static str),
    /// A file beside what it is called for; there is no `--out`.
    Beside,
}

const ROWS: [Row; 15] = [
    Row { command: "", call: |call| call.train(models().at("tiny.toml")), leaves: Leaves::Folder },
    Row {
        command: "apply",
        call: |call| model(call, "apply").arg(models().at("digit.png")),
        leaves: Leaves::Folder,
    },
    Row {
        command: "corrupt",
        call: |call| call.arg("corrupt").arg("--config").arg(models().at("tiny.toml")),
        leaves: Leaves::FolderAndText,
    },
    Row {
        command: "try",
        call: |call| {
            let call = call.arg("try").arg(models().at("scans")).args(["--minutes", "0.02"]);
            call.set("data.patches.size=16").set("train.epochs=1")
        },
        leaves: Leaves::Folder,
    },
    Row { command: "evaluate", call: |call| model(call, "evaluate"), leaves: Leaves::Text },
    Row {
        command: "encode",
        call: |call| model(call, "encode").arg(models().at("digit.png")),
        leaves: Leaves::File("npz"),
    },
    Row {
        command: "decode",
        call: |call| model(call, "decode").arg("--codes").arg(models().at("codes.npz")),
        leaves: Leaves::Folder,
    },
    Row {
        command: "neighbours",
        call: |call| {
            let digit = models().at("digit.png");
            model(call, "neighbours").arg("--among").arg(&digit).arg(&digit)
        },
        leaves: Leaves::File("png"),
    },
    Row {
        command: "export",
        call: |call| call.arg("export").arg(models().at("run/tiny.pt")),
        leaves: Leaves::File("onnx"),
    },
    Row {
        command: "import",
        call: |call| call.arg("import").arg(root().join("tests/fixtures/keras/keras3.keras")),
        leaves: Leaves::FolderAndText,
    },
    Row {
        command: "compare",
        call: |call| call.arg("compare").args([models().at("run"), models().at("other")]),
        leaves: Leaves::FileAndText("png"),
    },
    Row {
        command: "sweep",
        call: |call| {
            let call = call.arg("sweep").arg("--config").arg(models().at("tiny.toml"));
            let call = call.set(&format!("data.dir={}", digits().display())).samples(64, 20);
            call.args(["--grid", "seed=1"])
        },
        leaves: Leaves::FolderAndText,
    },
    Row {
        command: "report",
        call: |call| call.arg("report").arg(models().at("run")),
        leaves: Leaves::Beside,
    },
    Row { command: "summary", call: |call| model(call, "summary"), leaves: Leaves::Text },
    Row { command: "reference", call: |call| call.arg("reference"), leaves: Leaves::Text },
];

fn model(call: Convae, command: &str) -> Convae {
    call.args([command, "--checkpoint"]).arg(models().at("run/tiny.pt"))
}

/// What the commands work on: a config, its trained model, an image and codes.
fn models() -> &'static Folder {
    static MODELS: OnceLock<Folder> = OnceLock::new();
    MODELS.get_or_init(|| {
        let folder = Folder::lasting();
        let config = folder.write("tiny.toml", tiny());
        for run in ["run", "other"] {
            train(&config).out(folder.at(run)).succeeds();
        }
        let whole = convae().arg("export").arg(folder.at("run/tiny.pt"));
        whole.out(folder.at("whole.onnx")).succeeds();
        GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * y % 256) as u8]))
            .save(folder.at("digit.png"))
            .unwrap();
        std::fs::create_dir(folder.at("scans")).unwrap();
        for name in ["scans/1.png", "scans/2.png"] {
            GrayImage::from_fn(64, 64, |x, y| {
                image::Luma([(100 + (x * x * 7919 + y * y * 104_729 + x * y * 31) % 61) as u8])
            })
            .save(folder.at(name))
            .unwrap();
        }
        codes(3).save(&folder.at("codes.npz")).unwrap();
        folder
    })
}

/// So many codes of the tiny model.
fn codes(count: usize) -> Codes {
    let mut codes = Codes::new(vec![7, 7, 2]);
    for index in 0..count {
        codes.push(format!("{index:06}"), &[index as f32 % 7.0; 98]);
    }
    codes
}

impl Row {
    /// The call, with results in the folder.
    fn run(&self, call: Convae, folder: &Path) -> Convae {
        let call = (self.call)(call);
        match self.leaves {
            Leaves::Text | Leaves::Beside => call,
            Leaves::Folder | Leaves::FolderAndText => call.out(folder),
            Leaves::File(ending) | Leaves::FileAndText(ending) => {
                call.out(folder.join(format!("x.{ending}")))
            }
        }
    }

    fn needs_its_text(&self) -> bool {
        matches!(self.leaves, Leaves::Text | Leaves::FolderAndText | Leaves::FileAndText(_))
    }
}

fn output(call: Convae) -> Output {
    call.assert().get_output().clone()
}

/// Every line on stderr is a sentence.
#[track_caller]
fn speaks_in_sentences(output: &Output, about: &str) {
    let stderr = text(&output.stderr);
    assert!(stderr.lines().all(is_sentence), "{about}: {:?} {stderr}", output.status);
}

/// It failed with this code and said so, in one sentence with these words; of several images, in one for
/// each and one for all.
#[track_caller]
fn failed(output: &Output, code: i32, words: &[&str], about: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{about}: {stderr}");
    speaks_in_sentences(output, about);
    let most = if stderr.contains("images failed") { 2 } else { 1 };
    assert!((1..=most).contains(&stderr.lines().count()), "{about}: {stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{about}: {stderr}");
}

/// Whatever is in the folder is whole.
#[track_caller]
fn holds_whole_files(folder: &Path, about: &str) {
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            holds_whole_files(&path, about);
            continue;
        }
        let whole = match path.extension().and_then(OsStr::to_str) {
            Some("pt" | "safetensors") => load(&path).is_ok(),
            Some("npz") => Codes::open(&path).is_ok(),
            Some("png") => image::open(&path).is_ok(),
            Some("toml") => fs::read_to_string(&path).unwrap().parse::<toml::Table>().is_ok(),
            Some("json") => {
                serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).is_ok()
            }
            Some("html") => fs::read_to_string(&path).unwrap().ends_with("</html>\n"),
            Some("onnx") => {
                fs::read(&path).unwrap() == fs::read(models().at("whole.onnx")).unwrap()
            }
            Some("lock" | "log") => true,
            _ => false,
        };
        assert!(whole, "{about} left {name}");
    }
}

#[test]
fn every_command_has_a_row() {
    let help = convae().arg("--help").succeeds();
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = (listed.lines())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 8, "{help}");
    for command in commands {
        assert!(ROWS.iter().any(|row| row.command == command), "{command} has no row here");
    }
}

// ---- too little memory ----

/// What the dynamic linker says where there is no room even for libtorch; nothing of ours runs then.
const LINKER: &str = "error while loading shared libraries";

#[test]
fn too_little_memory_is_a_sentence_wherever_it_runs_out() {
    /// Megabytes of addresses: from what libtorch does not fit into to what everything fits into.
    const LIMITS: [usize; 9] = [200, 400, 440, 480, 520, 600, 800, 1200, 4000];
    for row in &ROWS {
        let mut succeeded = false;
        for limit in LIMITS {
            let folder = Folder::new();
            let script = format!(r#"ulimit -v {}; exec "$0" "$@""#, limit * 1000);
            let about = format!("{} in {limit} MB", row.command);
            let output = output(row.run(convae_in(&script), folder.path()));
            match output.status.code() {
                Some(0) => {
                    speaks_in_sentences(&output, &about);
                    succeeded = true;
                }
                Some(127) => assert!(text(&output.stderr).contains(LINKER), "{about}"),
                _ => failed(&output, 1, &["memory"], &about),
            }
            holds_whole_files(folder.path(), &about);
        }
        assert!(succeeded, "{} never had enough", row.command);
    }
}

// ---- a folder that cannot be written to ----

/// The command's result goes to a folder on a file system that is read-only, also for root.
fn on_a_read_only_disk(row: &Row) -> Option<Output> {
    const SCRIPT: &str = r#"exec unshare -rm bash -c '
        mount -t tmpfs -o ro none "$1" || exit 99
        exec "${@:2}"
    ' bash "$DISK" "$0" "$@""#;
    let folder = Folder::new();
    let disk = folder.at("disk");
    fs::create_dir(&disk).unwrap();
    let script = format!("DISK='{}'; {SCRIPT}", disk.display());
    let output = output(row.run(convae_in(&script), &disk));
    let reason = text(&output.stderr);
    if output.status.code() == Some(99) || reason.starts_with("unshare") {
        skipped(&format!("no disk could be mounted: {}", reason.trim()));
        return None;
    }
    Some(output)
}

#[test]
fn a_read_only_folder_is_refused_in_a_sentence() {
    for row in &ROWS {
        let Some(output) = on_a_read_only_disk(row) else { return };
        match row.leaves {
            Leaves::Text | Leaves::Beside => assert!(output.status.success(), "{}", row.command),
            _ => failed(&output, 1, &["disk", "--out"], row.command),
        }
    }
}

// ---- a folder that vanishes ----

/// Waits until something is there.
fn appears(path: &Path) {
    wait_until(&format!("{} is there", path.display()), || path.exists());
}

fn started(call: Convae) -> Child {
    call.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// An image that its first reader waits for: it comes once `before` has been done, and stays.
fn late_image(folder: &Folder, name: &str, before: impl FnOnce() + Send + 'static) -> PathBuf {
    let (pipe, ready) = (folder.at(name), folder.at(&format!("ready-{name}")));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::copy(models().at("digit.png"), &ready).unwrap();
    let path = pipe.clone();
    spawn(move || {
        // Opening it waits for a reader.
        let mut writer = File::options().write(true).open(&path).unwrap();
        before();
        let bytes = fs::read(&ready).unwrap();
        fs::rename(&ready, &path).unwrap();
        writer.write_all(&bytes).unwrap();
    });
    pipe
}

/// Takes the folder away, whatever is being written to it.
fn vanish(folder: &Path) {
    fs::rename(folder, folder.with_extension("gone")).unwrap();
}

#[test]
fn a_run_whose_folder_vanishes_keeps_its_weights_elsewhere() {
    let folder = Folder::new();
    let (out, temporary) = (folder.at("out"), folder.at("tmp"));
    fs::create_dir(&temporary).unwrap();
    let call = train(models().at("tiny.toml")).samples(640, 20).out(&out);
    let call = call.set("train.batch_size=1").set("train.epochs=9999");
    let (run, mut stdout) = at_line(call.env("TMPDIR", &temporary), "Training on ");
    vanish(&out);
    send("-INT", &run);
    stdout.read_to_end(&mut Vec::new()).unwrap();
    let output = run.wait_with_output().unwrap();
    failed(&output, 1, &["cannot be written", "the weights are in"], "training");
    let rescued = names(&temporary);
    assert_eq!(rescued.len(), 1, "{rescued:?}");
    load(&temporary.join(&rescued[0])).unwrap();
    assert!(!out.exists());
}

#[test]
fn apply_does_not_make_its_folder_again_where_it_has_vanished() {
    let folder = Folder::new();
    let out = folder.at("out");
    let (first, gone) = (out.join("digit.png"), out.clone());
    let late = late_image(&folder, "late.png", move || {
        appears(&first);
        vanish(&gone);
    });
    let call = model(convae(), "apply").out(&out).arg(models().at("digit.png")).arg(&late);
    let output = started(call).wait_with_output().unwrap();
    failed(&output, 1, &["late.png", "vanished", "--out", "1 of 2 images failed"], "apply");
    assert!(!out.exists());
}

#[test]
fn decode_does_not_make_its_folder_again_where_it_has_vanished() {
    let folder = Folder::new();
    let out = folder.at("out");
    codes(20_000).save(&folder.at("many.npz")).unwrap();
    let call = model(convae(), "decode").out(&out).arg("--codes").arg(folder.at("many.npz"));
    let run = started(call);
    appears(&out.join("000000.png"));
    vanish(&out);
    failed(&run.wait_with_output().unwrap(), 1, &["out", "--out"], "decode");
    assert!(!out.exists());
    // One that was being written when its folder got another name has lost its way back.
    let gone = out.with_extension("gone");
    for part in names(&gone)
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "part"))
    {
        fs::remove_file(gone.join(part)).unwrap();
    }
    holds_whole_files(&gone, "decode");
}

#[test]
fn codes_and_pages_whose_folder_vanishes_are_a_sentence() {
    for (command, file) in [("encode", "x.npz"), ("neighbours", "x.png")] {
        let folder = Folder::new();
        let out = folder.at("out");
        fs::create_dir(&out).unwrap();
        let gone = out.clone();
        let late = late_image(&folder, "late.png", move || vanish(&gone));
        let digit = models().at("digit.png");
        let call = model(convae(), command).out(out.join(file)).arg(&digit).arg(&late);
        let call = if command == "neighbours" { call.arg("--among").arg(&digit) } else { call };
        let output = started(call).wait_with_output().unwrap();
        failed(&output, 1, &[file, "free some space"], command);
        assert!(!out.exists());
    }
}

// ---- nobody who reads ----

/// The end of a pipe whose other end is closed.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn nobody_who_reads_costs_only_what_was_to_be_read() {
    for row in &ROWS {
        let folder = Folder::new();
        let mut command = row.run(convae(), folder.path()).command();
        let output = command.stdout(nobody()).stderr(Stdio::piped()).output().unwrap();
        if row.needs_its_text() {
            failed(&output, 1, &["stopped before its end"], row.command);
        } else {
            let stderr = text(&output.stderr);
            assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{}", row.command);
            let left = row.leaves == Leaves::Beside || !names(folder.path()).is_empty();
            assert!(left, "{}", row.command);
        }
        holds_whole_files(folder.path(), row.command);
    }
}

#[test]
fn nobody_who_reads_the_errors_changes_no_exit_code() {
    for row in &ROWS {
        let folder = Folder::new();
        let mut command = row.run(convae(), folder.path()).command();
        let status = command.stdout(Stdio::null()).stderr(nobody()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{}", row.command);
        // And with something to say: an ending, a key or a value that does not exist.
        let mut command = row.run(convae(), &folder.at("no/such.x")).command();
        let wrong = if row.command == "reference" { "--no-such" } else { "--set=no.such=3" };
        let status = command.arg(wrong).stdout(nobody()).stderr(nobody()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{}", row.command);
    }
}
