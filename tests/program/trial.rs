//! `convae try`: a folder of noisy images and no clean ones, from looking at it to the page that shows the result.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use convae::formats::image_file::{ImageFile, Samples};
use serde_json::{Value, json};

use crate::common::{Convae, Folder, browser, convae, names, skipped, text};

const HEIGHT: usize = 96;
const WIDTH: usize = 120;

/// Patches that train fast.
const SMALL: &str = "data.patches.size=32";

// ---- images with noise of a known kind ----

/// Numbers of about a normal distribution, the same for the same seed.
struct Normal(u64);

impl Normal {
    fn next(&mut self) -> f64 {
        let mut uniform = || {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }
}

/// A slope and a few discs, 40 to 220.
fn clean(index: u64) -> Vec<f64> {
    let shade = |place: usize| {
        let (y, x) = ((place / WIDTH) as f64, (place % WIDTH) as f64);
        let inside = |n: u64| {
            let (a, b) = ((n * 37 + index * 13) % 96, (n * 53 + index * 29) % 120);
            (y - a as f64).hypot(x - b as f64) < 8.0 + 3.0 * n as f64
        };
        (0..5).find(|&n| inside(n)).map_or(60.0 + x, |n| 40.0 + 40.0 * n as f64)
    };
    (0..HEIGHT * WIDTH).map(shade).collect()
}

fn independent(index: u64, sigma: f64) -> Vec<f64> {
    let mut normal = Normal(index + 1);
    clean(index).into_iter().map(|value| value + sigma * normal.next()).collect()
}

fn in_rows(index: u64, sigma: f64) -> Vec<f64> {
    let mut normal = Normal(index + 1);
    let offsets: Vec<f64> = (0..HEIGHT).map(|_| sigma * normal.next()).collect();
    let noisy = |(place, value): (usize, f64)| value + offsets[place / WIDTH] + 4.0 * normal.next();
    clean(index).into_iter().enumerate().map(noisy).collect()
}

fn image(values: &[f64]) -> ImageFile {
    let bytes = values.iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect();
    ImageFile::new([HEIGHT, WIDTH, 1], Samples::Eight(bytes)).unwrap()
}

/// A folder called `scans` with so many images.
fn scans(count: u64, noisy: impl Fn(u64) -> Vec<f64>) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.at("scans")).unwrap();
    for index in 0..count {
        image(&noisy(index)).save(folder.at(&format!("scans/{index}.png"))).unwrap();
    }
    folder
}

fn trial(folder: &Folder) -> Convae {
    convae().arg("try").arg(folder.at("scans")).within(folder.path())
}

/// A finished trial, made once.
fn finished() -> &'static (Folder, String) {
    static FINISHED: OnceLock<(Folder, String)> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let folder = scans(4, |index| independent(index, 20.0));
        let printed = trial(&folder).args(["--minutes", "0.3"]).set(SMALL).succeeds();
        (folder, printed)
    })
}

// ---- what it does ----

#[test]
fn it_says_what_it_found_and_what_it_will_do_and_leaves_model_config_and_page() {
    let (folder, printed) = finished();
    for words in
        ["4 png; 120x96 pixels, grey", "standard deviation ", "independent", "Neighbor2Neighbor"]
    {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    let strength = printed.split("standard deviation ").nth(1).unwrap();
    let strength: f64 = strength.split(' ').next().unwrap().parse().unwrap();
    assert!((strength - 20.0).abs() < 2.0, "{printed}");
    let before = printed.split("It learns by").next().unwrap();
    assert!(before.contains("standard deviation") && !before.contains("epoch 1/"), "{printed}");
    let left = names(&folder.at("runs/scans"));
    for name in ["scans.pt", "scans.toml", "try.html", "history.json"] {
        assert!(left.contains(&name.to_owned()), "{name}: {left:?}");
    }
}

#[test]
fn the_model_cleans_images_of_the_folder() {
    let (folder, _) = finished();
    let model = folder.at("runs/scans/scans.pt");
    let call =
        convae().args(["apply", "--checkpoint"]).arg(model).arg("--out").arg(folder.at("cleaned"));
    call.arg(folder.at("scans")).succeeds();
    let error = |image: &ImageFile, truth: &[f64]| {
        let values = image.scaled().into_iter().map(|value| f64::from(value) * 255.0);
        let squares = values.zip(truth).map(|(value, truth)| (value - truth).powi(2));
        (squares.sum::<f64>() / truth.len() as f64).sqrt()
    };
    for index in 0..4 {
        let open = |dir: &str| ImageFile::open(folder.at(&format!("{dir}/{index}.png"))).unwrap();
        let [before, after] = ["scans", "cleaned"].map(|dir| error(&open(dir), &clean(index)));
        assert!(after < 0.8 * before, "{before} {after}");
    }
}

#[test]
fn the_chosen_config_trains_the_same_again() {
    let (folder, _) = finished();
    let config = folder.at("runs/scans/scans.toml");
    // What was set of the chosen config is a part of what was written.
    let call = convae().arg("--config").arg(config).out(folder.at("again"));
    call.within(folder.path()).succeeds();
    let loss = |run: &str| {
        let text = fs::read_to_string(folder.at(&format!("{run}/history.json"))).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["epochs"].clone()
    };
    let (first, again) = (loss("runs/scans"), loss("again"));
    // The time may have ended the first one before its last epoch.
    let epochs = first.as_array().unwrap();
    assert!(!epochs.is_empty());
    assert_eq!(epochs[..], again.as_array().unwrap()[..epochs.len()]);
}

#[test]
fn noise_of_rows_is_said_to_be_one_and_hidden_rows_are_chosen() {
    let folder = scans(3, |index| in_rows(index, 15.0));
    let printed = trial(&folder).args(["--minutes", "0.05"]).set(SMALL).succeeds();
    assert!(printed.contains("rows hang together") && printed.contains("hidden row"), "{printed}");
    let config = fs::read_to_string(folder.at("runs/scans/scans.toml")).unwrap();
    assert!(
        config.contains("hidden = [1, -1]") && config.contains("rotations = false"),
        "{config}"
    );
}

#[test]
fn noise_that_is_cut_off_gets_the_loss_that_undoes_it() {
    let paper = |index: u64| {
        let mut normal = Normal(index + 1);
        clean(index)
            .into_iter()
            .map(|value| (value + 90.0).min(250.0) + 50.0 * normal.next())
            .collect()
    };
    let folder = scans(3, paper);
    let printed = trial(&folder).args(["--minutes", "0.05"]).set(SMALL).succeeds();
    assert!(printed.contains("cut off at black or white"), "{printed}");
    let config = fs::read_to_string(folder.at("runs/scans/scans.toml")).unwrap();
    assert!(
        config.contains("loss = \"clipped_gaussian\", stddev = 0.1")
            || config.contains("loss = \"clipped_gaussian\", stddev = 0.2"),
        "{config}"
    );
}

#[test]
fn one_image_a_stack_and_files_that_cannot_be_read_are_taken() {
    let folder = Folder::new();
    fs::create_dir(folder.at("scans")).unwrap();
    let pages: Vec<ImageFile> = (0..3).map(|index| image(&independent(index, 20.0))).collect();
    ImageFile::save_pages(folder.at("scans/stack.tif"), &pages).unwrap();
    fs::write(folder.at("scans/broken.png"), "no image").unwrap();
    let run = || trial(&folder).args(["--minutes", "0.05", "--overwrite"]).set(SMALL);
    let looked = run().assert().success().get_output().clone();
    let (printed, told) = (text(&looked.stdout), text(&looked.stderr));
    assert_eq!(
        (told.matches("broken.png").count(), told.matches("(skipped)").count()),
        (1, 1),
        "{told}"
    );
    assert!(!printed.contains("broken.png"), "named on both streams: {printed}");
    assert!(printed.contains("1 png, 1 tif with 3 pages"), "{printed}");
    let page = fs::read_to_string(folder.at("runs/scans/try.html")).unwrap();
    assert!(page.contains("1 that cannot be read") && page.contains("broken.png"));
    for file in ["stack.tif", "broken.png"] {
        fs::remove_file(folder.at(&format!("scans/{file}"))).unwrap();
    }
    pages[0].save(folder.at("scans/one.png")).unwrap();
    // Patches of both parts of the only image are said to be cut from it.
    let printed = text(&run().assert().success().get_output().stdout);
    assert!(printed.contains("there is one image"), "{printed}");
}

#[test]
fn a_trial_goes_on_where_it_was_stopped_and_a_second_one_is_refused() {
    let (folder, _) = finished();
    trial(folder).refused(&["already holds a run", "--resume"]);
    let printed = trial(folder).args(["--resume", "--minutes", "0.1"]).set(SMALL).succeeds();
    assert!(printed.contains("It goes on as chosen in"), "{printed}");
}

#[test]
fn of_images_without_noise_nothing_is_trained() {
    let folder = scans(3, clean);
    let printed = trial(&folder).succeeds();
    assert!(printed.contains("finds no noise worth removing"), "{printed}");
    assert!(!folder.at("runs").exists());
}

// ---- what it refuses ----

#[test]
fn what_nothing_can_be_learned_from_is_refused_and_leaves_nothing() {
    let folder = Folder::new();
    trial(&folder).refused(&["scans, which is no folder"]);
    fs::create_dir(folder.at("scans")).unwrap();
    trial(&folder).refused(&["holds no image"]);
    let save = |values: &[f64]| image(values).save(folder.at("scans/a.png")).unwrap();
    save(&vec![90.0; HEIGHT * WIDTH]);
    trial(&folder).refused(&["a single colour"]);
    let bytes = (0..100).map(|place| (place * 91 % 251) as u8).collect();
    let small = ImageFile::new([10, 10, 1], Samples::Eight(bytes)).unwrap();
    small.save(folder.at("scans/a.png")).unwrap();
    trial(&folder).refused(&["10x10 pixels", "16x16"]);
    save(&independent(1, 20.0));
    for minutes in ["0", "-1", "nan", "1e9"] {
        trial(&folder)
            .arg(format!("--minutes={minutes}"))
            .refused(&["--minutes is", "more than 0"]);
    }
    trial(&folder).set("name=other").refused(&["--set is name=other", "--out DIR"]);
    trial(&folder).arg("--resume").refused(&["nothing to go on with", "leave out --resume"]);
    fs::write(folder.at("scans/a.png"), "no image").unwrap();
    trial(&folder).fails(&["none of the 1 image(s)", "a.png"]);
    assert_eq!(names(folder.path()), ["scans"]);
}

// ---- the page in a browser ----

/// A browser that shows one page, steered through its pipe (Chrome DevTools Protocol).
struct Page {
    browser: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Value,
    calls: u64,
    _profile: Folder,
}

impl Page {
    fn open(path: &Path, width: usize) -> Option<Self> {
        let Some(program) = browser() else {
            skipped(
                "no browser is installed (apt install chromium), and CONVAE_BROWSER names none",
            );
            return None;
        };
        let profile = Folder::new();
        // The protocol is spoken on descriptors 3 and 4, a zero byte after each message.
        let script = r#"exec "$0" "$@" 3<&0 4>&1 >/dev/null 2>&1"#;
        let mut browser = Command::new("bash")
            .args(["-c", script])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .args(["--disable-background-networking", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.at("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asked, answers) = (browser.stdin.take().unwrap(), browser.stdout.take().unwrap());
        let (answers, session) = (BufReader::new(answers), Value::Null);
        let mut page = Self { browser, asked, answers, session, calls: 0, _profile: profile };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        page.session = page.call("Target.attachToTarget", target)["sessionId"].clone();
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        page.call("Emulation.setDeviceMetricsOverride", size);
        page.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
        page.call("Page.navigate", json!({ "url": format!("file://{}", path.display()) }));
        crate::common::wait_until("the page", || page.ask("document.readyState") == "complete");
        Some(page)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        write!(self.asked, "{message}\0").unwrap();
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            answer.pop();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn ask(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", params)["result"]["value"].clone()
    }

    /// Left, top, width and height of the first slider, in the window.
    fn slider(&mut self) -> [f64; 4] {
        let place = self.ask(
            "(() => { const s = document.querySelector('.slider'); s.scrollIntoView({ block: 'center' }); \
             const r = s.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()",
        );
        std::array::from_fn(|index| place[index].as_f64().unwrap())
    }

    /// Where its line is, in percent.
    fn line(&mut self) -> f64 {
        let at = self.ask("document.querySelector('.slider').style.getPropertyValue('--at')");
        at.as_str().unwrap().trim_end_matches('%').parse().unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

fn shown(width: usize) -> Option<Page> {
    Page::open(&finished().0.at("runs/scans/try.html"), width)
}

#[test]
fn the_slider_follows_the_mouse_the_finger_and_the_keys() {
    let Some(mut page) = shown(1280) else { return };
    assert!((page.line() - 50.0).abs() < 0.1);
    let [left, top, width, height] = page.slider();
    let at = |share: f64| json!({ "x": left + share * width, "y": top + height / 2.0 });
    let mut mouse = |kind: &str, share: f64| {
        let mut event = at(share);
        let more = json!({ "type": kind, "button": "left", "buttons": 1, "clickCount": 1 });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        page.call("Input.dispatchMouseEvent", event);
    };
    mouse("mousePressed", 0.3);
    mouse("mouseMoved", 0.6);
    mouse("mouseMoved", 0.8);
    mouse("mouseReleased", 0.8);
    let dragged = page.line();
    assert!((dragged - 80.0).abs() < 3.0, "{dragged}");
    for (key, code) in [("ArrowLeft", 37), ("ArrowLeft", 37), ("Home", 36)] {
        let before = page.line();
        for kind in ["rawKeyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            page.call("Input.dispatchKeyEvent", event);
        }
        let after = page.line();
        assert!(after < before, "{key}: {before} {after}");
    }
    assert!(page.line() < 0.1);
    for (kind, points) in [
        ("touchStart", vec![at(0.2)]),
        ("touchMove", vec![at(0.4)]),
        ("touchMove", vec![at(0.7)]),
        ("touchEnd", vec![]),
    ] {
        page.call("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points }));
    }
    let touched = page.line();
    assert!((touched - 70.0).abs() < 4.0, "{touched}");
}

#[test]
fn the_page_fits_a_phone_and_a_desk_and_shows_every_image() {
    for width in [400, 1280] {
        let Some(mut page) = shown(width) else { return };
        let fits = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(page.ask(fits), true, "{width}");
        let images = "[...document.images].filter(i => i.complete && i.naturalWidth > 0 && \
                      i.getBoundingClientRect().width > 100).length";
        assert_eq!(page.ask(images), 9, "{width}");
        let asked = "performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length";
        assert_eq!(page.ask(asked), 0);
        assert_eq!(page.ask("document.querySelector('meta[http-equiv=refresh]')"), Value::Null);
    }
}
