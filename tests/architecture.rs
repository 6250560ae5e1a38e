//! The rooms of `src/`: which there are, in which order they stand, and that imports go down only.
//!
//! A room uses the rooms below it and nothing above. `tests` modules are held to the same rule. What a
//! file imports is read from its paths that begin with `crate::`, outside comments.

#[path = "common/absent.rs"]
mod absent;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From the top floor to the ground: each room may use those after it.
const FLOORS: [&str; 14] = [
    "cli", "report", "run", "train", "infer", "keras", "engine", "optim", "plan", "data", "config",
    "nn", "formats", "system",
];

/// Files beside the rooms.
const TOP: [&str; 2] = ["lib.rs", "main.rs"];

/// What the repository has at its top level; what a run or a script leaves there is none of it.
const ROOT: [&str; 21] = [
    ".cargo",
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "build.rs",
    "configs",
    "docs",
    "examples",
    "fuzz",
    "models",
    "rustfmt.toml",
    "scripts",
    "src",
    "tests",
    "torch-ext",
];

/// A use of one room by another.
struct Import {
    file: PathBuf,
    line: usize,
    from: String,
    to: String,
}

#[test]
fn nothing_but_the_rooms_lies_at_the_top() {
    let mut strangers = Vec::new();
    for entry in fs::read_dir(source()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !TOP.contains(&name.as_str()) && !FLOORS.contains(&name.as_str()) {
            strangers.push(format!("src/{name} is no room; put it into one of {FLOORS:?}"));
        }
    }
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}

#[test]
fn the_repository_has_nothing_else_at_its_top_level() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let Some(listed) = listed.ok().filter(|listed| listed.status.success()) else {
        return absent::skipped("this is no git repository");
    };
    let names = String::from_utf8(listed.stdout).unwrap();
    let first = |path: &str| path.split('/').next().unwrap_or(path).to_owned();
    let mut tops: Vec<String> = names.split_terminator('\0').map(first).collect();
    tops.dedup();
    assert_eq!(tops, ROOT);
}

#[test]
fn imports_go_down_only() {
    let imports = imports();
    assert!(imports.len() > 100, "only {} imports between rooms were found", imports.len());
    let up: Vec<String> = imports
        .iter()
        .filter(|import| floor(&import.from) >= floor(&import.to))
        .map(|Import { file, line, from, to }| {
            format!("{}:{line}: {from} uses {to}, which stands above it", file.display())
        })
        .collect();
    assert!(up.is_empty(), "{} imports go up:\n{}", up.len(), up.join("\n"));
}

#[test]
fn each_room_says_what_lives_there() {
    for room in FLOORS {
        let text = fs::read_to_string(source().join(room).join("mod.rs")).unwrap();
        assert!(text.starts_with("//! "), "src/{room}/mod.rs does not open with its purpose");
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|name| *name == room)
        .unwrap_or_else(|| panic!("`crate::{room}` is no room; name the room that it lies in"))
}

/// All uses of a room by a file of another one.
fn imports() -> Vec<Import> {
    let mut imports = Vec::new();
    for room in FLOORS {
        for file in rust_files(&source().join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
            for (line, code) in (1..).zip(text.lines().map(code)) {
                let targets = code.split("crate::").skip(1).map(first_name);
                let others = targets.filter(|to| !to.is_empty() && to != room);
                imports.extend(others.map(|to| Import {
                    file: file.clone(),
                    line,
                    from: room.to_owned(),
                    to,
                }));
            }
        }
    }
    imports
}

/// The name that a path begins with; none where a macro's `$crate` or a group follows.
fn first_name(path: &str) -> String {
    path.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}
