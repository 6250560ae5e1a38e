//! What the end-to-end tests share: calls of the program, folders to work in, and what every
//! refusal has to look like. Nothing here knows what a single test is about.

mod absent;

pub use absent::{python, skipped};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::assert::Assert;
use convae::formats::checkpoint::{Checkpoint, load, save};
use predicates::function::function;
use predicates::str::contains;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_convae");
/// A program that waits for something fails its test instead of holding up all.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest message that still passes for a sentence; the longest list of choices needs 350.
const LONGEST_SENTENCE: usize = 500;
/// What only a crash, or libtorch's own message, has in it.
const CRASHES: [&str; 8] =
    ["panicked", "backtrace", "stack", "frame #", "unwrap()", "what():", "a bug in", "`Err`"];

/// The repository, in which the program runs.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// 640 training and 200 test digits of MNIST.
pub fn digits() -> PathBuf {
    root().join("tests/digits")
}

/// A config whose training takes no time: 39 weights. Its fifth line starts the model.
pub fn tiny() -> String {
    format!(
        r#"name = "tiny"
[data]
dir = "{}"

[model]
encoder = [
  {{ layer = "Conv2D", filters = 2, kernel_size = 3, strides = 4, padding = "same", activation = "relu" }},
]
decoder = [
  {{ layer = "Conv2DTranspose", filters = 1, kernel_size = 3, strides = 4, padding = "same", activation = "sigmoid" }},
]
"#,
        digits().display()
    )
}

/// A call of the program: on the CPU and, unless told otherwise, in one thread, since tests run
/// side by side.
pub struct Convae(Command);

/// The program without arguments.
pub fn convae() -> Convae {
    Convae::of(Command::new(PROGRAM))
}

/// The program inside a bash script, where it is `"$0" "$@"`.
pub fn convae_in(script: &str) -> Convae {
    let mut bash = Command::new("bash");
    // Else bash complains of a locale that is not there, and in its own language.
    bash.args(["-c", script, PROGRAM]).env("LC_ALL", "C");
    Convae::of(bash)
}

/// Training by a config, on few real digits.
pub fn train(config: impl AsRef<OsStr>) -> Convae {
    convae().train(config)
}

impl Convae {
    fn of(mut command: Command) -> Self {
        command
            .current_dir(root())
            .env("OMP_NUM_THREADS", "1")
            .env("CUDA_VISIBLE_DEVICES", "") // no GPU, also where there is one
            .env("RUST_BACKTRACE", "1") // a crash is to be seen
            .env_remove("CLICOLOR_FORCE"); // a pipe gets no colours
        Self(command)
    }

    pub fn train(self, config: impl AsRef<OsStr>) -> Self {
        let data = format!("data.dir={}", digits().display());
        self.arg("--config").arg(config).set(&data).samples(64, 20)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    /// An option with its value, where it is wanted.
    pub fn arg_if(self, wanted: bool, option: &str, value: impl AsRef<OsStr>) -> Self {
        if wanted { self.arg(option).arg(value) } else { self }
    }

    pub fn set(self, change: &str) -> Self {
        self.arg("--set").arg(change)
    }

    pub fn samples(self, train: usize, test: usize) -> Self {
        self.set(&format!("data.train_samples={train}")).set(&format!("data.test_samples={test}"))
    }

    pub fn out(self, folder: impl AsRef<OsStr>) -> Self {
        self.arg("--out").arg(folder)
    }

    pub fn threads(mut self, count: usize) -> Self {
        self.0.env("OMP_NUM_THREADS", count.to_string());
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// For tests that need the process itself.
    pub fn command(self) -> Command {
        self.0
    }

    pub fn assert(self) -> Assert {
        assert_cmd::Command::from_std(self.0).timeout(PATIENCE).assert()
    }

    /// It ends well and says nothing on stderr; returns what it printed.
    pub fn succeeds(self) -> String {
        let assert = self.assert().success().stderr("");
        text(&assert.get_output().stdout)
    }

    /// What the user wrote is wrong: exit code 2, one sentence with these words, no work begun.
    pub fn refused(self, words: &[&str]) -> Assert {
        sentence(self.assert().code(2), words).stdout("")
    }

    /// Something failed: exit code 1, one sentence with these words.
    pub fn fails(self, words: &[&str]) -> Assert {
        sentence(self.assert().code(1), words)
    }
}

/// A run under way, which has just printed a line with this start.
pub fn at_line(call: Convae, start: &str) -> (Child, BufReader<ChildStdout>) {
    let mut command = call.command();
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(start) {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended before {start:?}");
    }
    (run, stdout)
}

/// Sends a run a signal: `-INT`.
pub fn send(signal: &str, run: &Child) {
    let pid = run.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// Waits as long as a slow machine may need.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(2));
    }
}

/// stderr is one sentence with these words.
pub fn sentence(assert: Assert, words: &[&str]) -> Assert {
    let assert = assert.stderr(function(is_sentence).fn_name("one short line, no crash"));
    words.iter().fold(assert, |assert, &word| assert.stderr(contains(word)))
}

pub fn is_sentence(stderr: &str) -> bool {
    let line = stderr.strip_suffix('\n').unwrap_or(stderr);
    line.starts_with("convae: ")
        && line.len() <= LONGEST_SENTENCE
        && !line.contains(char::is_control)
        && !CRASHES.iter().any(|sign| line.contains(sign))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is UTF-8")
}

/// A folder of one test, gone with it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One that outlives all tests of a binary, in a place that cargo has for that.
    pub fn lasting() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

/// The names in a folder, hidden ones too, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files of a run of that name.
pub fn files_of(name: &str) -> Vec<String> {
    let images = ["grid", "input", "loss", "output"].map(|what| format!("{what}_{name}.png"));
    let mut names = ["checkpoints", "config.toml", "history.json", "run.lock", "timings.json"]
        .map(str::to_owned)
        .to_vec();
    names.extend(["", "-best"].map(|which| format!("{name}{which}.pt")));
    names.push("report.html".to_owned());
    names.extend(images);
    names.sort();
    names
}

/// Copies the weights of a checkpoint without what it says about them, as other programs save them.
pub fn copy_bare_weights(checkpoint: &Path, bare: &Path) {
    let tensors = load(checkpoint).unwrap().tensors;
    save(bare, &Checkpoint { tensors, records: BTreeMap::new() }).unwrap();
}

/// Of the terminal that programs are run on.
const COLUMNS: usize = 100;

/// Runs a program on a terminal, and gives its exit code and what is to be seen there in
/// the end.
#[cfg(target_os = "linux")]
pub fn on_terminal(mut command: Command) -> (Option<i32>, Vec<String>) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcsetwinsize};
    use std::io::Read;

    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&main).unwrap();
    unlockpt(&main).unwrap();
    let size = Winsize { ws_row: 50, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&main, size).unwrap();
    let name = ptsname(&main, Vec::new()).unwrap().into_string().unwrap();
    let end = fs::File::options().read(true).write(true).open(name).unwrap();
    command.stdout(end.try_clone().unwrap()).stderr(end).env("TERM", "xterm-256color");
    let mut child = command.spawn().unwrap();
    drop(command); // it holds the terminal's other end
    let mut bytes = Vec::new();
    // Linux ends a terminal that everybody has left with an error.
    let _ = fs::File::from(main).read_to_end(&mut bytes);
    (child.wait().unwrap().code(), seen(&text(&bytes)))
}

/// The lines that a terminal shows after it was sent a text, without those that are empty.
fn seen(sent: &str) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut letters = sent.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                assert_eq!(letters.next(), Some('['), "another kind of sequence: {sent:?}");
                let mut number = String::new();
                let command = loop {
                    match letters.next().unwrap() {
                        digit @ ('0'..='9' | ';' | '?') => number.push(digit),
                        command => break command,
                    }
                };
                let count = number.parse().unwrap_or(1);
                match command {
                    'A' => row -= row.min(count),
                    'B' => row += count,
                    'K' if number == "2" => lines[row].clear(),
                    'K' => lines[row].truncate(column),
                    'J' => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    'm' | 'h' | 'l' => {} // colours; the cursor shown or hidden
                    _ => panic!("another command: {command}{number} in {sent:?}"),
                }
            }
            letter => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                    lines.resize(lines.len().max(row + 1), Vec::new());
                }
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = letter;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let lines = lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The browser that is installed, or that CONVAE_BROWSER names.
pub fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CONVAE_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = names.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}
