//! The page that a run leaves, as a parser, a browser and TensorBoard see it.
//!
//! A browser is looked for under the usual names, or named in CONVAE_BROWSER; TensorBoard belongs to the
//! Python in CONVAE_PYTHON. Without them these tests say that they were skipped.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use scraper::{Html, Selector};
use serde_json::Value;

use crate::common::{Folder, browser, convae, names, skipped, text, tiny, train};

/// A denoising run of two epochs with everything that can be asked for.
fn noise() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        let call = train("denoise.toml").samples(320, 40).set("train.epochs=2");
        call.set("output.tensorboard=true").set("output.csv=true").out(folder.path()).succeeds();
        folder
    });
    run.path()
}

fn page(run: &Path) -> (String, Html) {
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    let page = Html::parse_document(&html);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    (html, page)
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    page.select(&selector).map(|element| element.text().collect()).collect()
}

fn history(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("history.json")).unwrap()).unwrap()
}

// ---- what is on the page ----

#[test]
fn the_page_shows_the_config_the_layers_and_the_figures_of_the_run() {
    let (html, page) = page(noise());
    let config = fs::read_to_string(noise().join("config.toml")).unwrap();
    assert_eq!(texts(&page, "#config pre"), [config]);
    let layers = texts(&page, "svg .layer");
    assert_eq!(layers.len(), 11);
    assert_eq!(layers[..4], ["input", "conv2d", "max_pooling2d", "conv2d_1"]);
    assert!(texts(&page, "svg .shape").contains(&"7\u{d7}7\u{d7}8 = code, 392 values".to_owned()));

    let history = history(noise());
    let shown = |what: &str| format!("{:.4}", history["epochs"][1][what].as_f64().unwrap());
    let cards = texts(&page, ".cards dd");
    assert!(cards.contains(&shown("loss")) && cards.contains(&shown("val_loss")), "{cards:?}");
    assert!(cards.contains(&"12,201".to_owned()), "{cards:?}");
    assert!(html.contains(&format!("validation ends at {}", shown("val_loss"))));
    let facts = texts(&page, "#environment dd");
    for fact in ["42", "320", "40", "2.13.0", "float32"] {
        assert!(facts.contains(&fact.to_owned()), "{fact}: {facts:?}");
    }
}

#[test]
fn the_page_shows_four_levels_of_noise_and_the_ten_best_and_worst() {
    let (_, page) = page(noise());
    let levels = ["Not corrupted", "Half as strong", "As trained", "Twice as strong"];
    assert_eq!(texts(&page, "#images h3"), levels);
    let said = texts(&page, "#images figcaption code");
    let factors = ["none", "factor = 0.25", "factor = 0.5", "factor = 1.0"];
    assert!(said.iter().zip(factors).all(|(said, factor)| said.contains(factor)), "{said:?}");
    let count = |selector: &str| page.select(&Selector::parse(selector).unwrap()).count();
    assert_eq!((count("#images .stack"), count("#images img")), (40, 110));
    let psnr = |selector: &str| -> Vec<f64> {
        let decibels = texts(&page, selector).into_iter();
        decibels.map(|text| text.trim_end_matches(" dB").parse().unwrap()).collect()
    };
    let (best, worst) = (psnr("#best b"), psnr("#worst b"));
    assert_eq!((best.len(), worst.len()), (10, 10));
    assert!(best.is_sorted_by(|a, b| a >= b) && worst.is_sorted(), "{best:?} {worst:?}");
    assert!(best[9] >= worst[9]);
}

#[test]
fn the_figures_on_the_page_are_those_that_evaluate_prints() {
    let (_, page) = page(noise());
    let rows = texts(&page, "#metrics table:first-of-type tbody tr");
    let printed = convae()
        .args(["evaluate", "--json", "--per-file", "--checkpoint"])
        .arg(noise().join("noise.pt"))
        .succeeds();
    let found: Value = serde_json::from_str(&printed).unwrap();
    let found = &found["results"][0];
    let figure = |of: &Value, what: &str| of[what].as_f64().unwrap();
    let loss = figure(found, "loss");
    let expected = format!(
        "as trained{loss:.4}{:.2}{:.3}{:.2}{:.3}",
        figure(&found["input"], "psnr"),
        figure(&found["input"], "ssim"),
        figure(&found["output"], "psnr"),
        figure(&found["output"], "ssim"),
    );
    let rows: Vec<String> = rows.iter().map(|row| row.replace('\n', "")).collect();
    assert!(rows.contains(&expected), "{expected}: {rows:?}");
    let mut files: Vec<(f64, String)> = (found["files"].as_array().unwrap().iter())
        .map(|file| (figure(&file["output"], "psnr"), file["name"].as_str().unwrap().to_owned()))
        .collect();
    files.sort_by(|a, b| a.0.total_cmp(&b.0));
    let worst = texts(&page, "#worst .name");
    let names: Vec<String> = files[..10].iter().map(|(_, name)| format!("image {name}")).collect();
    assert_eq!(worst, names);
}

#[test]
fn nothing_on_the_page_comes_from_elsewhere() {
    let (html, page) = page(noise());
    // The addresses of namespaces would be the only ones, and HTML needs none.
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("url("));
    let count = |selector: &str| page.select(&Selector::parse(selector).unwrap()).count();
    assert_eq!(count("script, iframe, object, embed, form, link[rel='stylesheet']"), 0);
    assert_eq!(count("img"), count("img[src^='data:image/png;base64,'][alt]"));
    assert_eq!(count("meta[content^=\"default-src 'none'\"]"), 1);
}

#[test]
fn report_makes_the_same_page_anew_but_for_the_times() {
    let folder = Folder::new();
    for name in ["config.toml", "history.json", "noise.pt"] {
        fs::copy(noise().join(name), folder.at(name)).unwrap();
    }
    if noise().join("timings.json").exists() {
        fs::copy(noise().join("timings.json"), folder.at("timings.json")).unwrap();
    }
    let printed = convae().arg("report").arg(folder.path()).succeeds();
    assert!(printed.contains("report.html"), "{printed}");
    let ((_, old), (_, new)) = (page(noise()), page(folder.path()));
    let sections = ["images", "metrics", "curves", "model", "best", "worst", "config"];
    for section in sections.map(|id| format!("section#{id}")) {
        let html = |page: &Html| {
            page.select(&Selector::parse(&section).unwrap()).map(|it| it.html()).collect::<String>()
        };
        assert!(!html(&new).is_empty());
        assert!(html(&old) == html(&new), "{section} differs");
    }
}

#[test]
fn report_refuses_what_is_no_run() {
    let folder = Folder::new();
    convae().arg("report").arg(folder.path()).refused(&["config.toml or history.json is missing"]);
    convae().arg("report").arg(folder.at("nowhere")).refused(&["nowhere is not the folder"]);
    folder.write("config.toml", tiny());
    folder.write("history.json", "{}");
    convae().arg("report").arg(folder.path()).refused(&["it holds no weights"]);
    fs::copy(noise().join("noise.pt"), folder.at("tiny.pt")).unwrap();
    convae().arg("report").arg(folder.path()).refused(&["tiny.pt is of another model"]);
    fs::copy(noise().join("config.toml"), folder.at("config.toml")).unwrap();
    fs::copy(noise().join("noise.pt"), folder.at("noise.pt")).unwrap();
    folder.write("history.json", "{\"epochs\": 3}");
    convae().arg("report").arg(folder.path()).fails(&["history.json is damaged"]);
    assert!(!folder.at("report.html").exists());
}

#[test]
fn a_plain_run_has_no_levels_and_a_run_that_wants_no_page_has_none() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    train(&config).out(folder.at("a")).succeeds();
    let (html, page) = page(&folder.at("a"));
    assert!(texts(&page, "#images h3").is_empty() && !html.contains("class=\"target"));
    train(&config).arg("--overwrite").set("output.report=false").out(folder.at("a")).succeeds();
    assert!(!folder.at("a/report.html").exists());
}

#[test]
fn names_of_files_stay_text_on_the_page() {
    let folder = Folder::new();
    let digit = fs::read(noise().join("input_noise.png")).unwrap();
    let hostile = "<img src=x onerror=alert(1)>&\"'";
    for index in 0..4 {
        folder.write(&format!("data/{hostile}{index}.png"), &digit);
    }
    let config = folder.write("tiny.toml", tiny());
    let data = format!("data={{kind=\"images\",train={:?}}}", folder.at("data").to_str().unwrap());
    let mut call = convae().arg("--config").arg(&config).set(&data);
    call = call.set("data.test_fraction=0.5").out(folder.at("out"));
    call.succeeds();
    let (_, page) = page(&folder.at("out"));
    let names = texts(&page, "#worst .name");
    assert!(names.iter().any(|name| name.contains(hostile)), "{names:?}");
    assert_eq!(page.select(&Selector::parse("[onerror]").unwrap()).count(), 0);
}

// ---- in a browser ----

/// Asks a page, once it is there, what a reader would see, and writes it into the page.
const QUESTIONS: &str = r#"<script>
addEventListener("error", event => { document.title += "!" + event.message; });
addEventListener("load", () => {
  const frame = document.createElement("iframe");
  frame.style.cssText = "width:WIDTHpx;height:844px;border:0";
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    const images = [...page.images];
    const style = element => frame.contentWindow.getComputedStyle(element);
    const wide = [...page.querySelectorAll("body *")].filter(
      element => !element.closest(".scroll") && element.getBoundingClientRect().right > WIDTH + 0.5);
    const verdict = {
      title: page.title,
      width: frame.contentWindow.innerWidth,
      scroll: root.scrollWidth,
      images: images.length,
      decoded: images.filter(image => image.complete && image.naturalWidth > 0).length,
      seen: images.filter(image => image.getBoundingClientRect().width >= 24).length,
      wide: wide.map(element => element.tagName + "." + element.className),
      requests: frame.contentWindow.performance.getEntriesByType("resource").filter(
        entry => !entry.name.startsWith("data:")).map(entry => entry.name),
      ink: style(page.body).color,
      paper: style(page.body).backgroundColor,
      letters: Math.min(...[...page.querySelectorAll("svg text")].map(
        text => text.getBoundingClientRect().height)),
      drawings: [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width),
    };
    const pre = document.createElement("pre");
    pre.id = "verdict";
    pre.textContent = JSON.stringify(verdict);
    document.body.replaceChildren(pre);
  };
  frame.srcdoc = document.getElementById("page").textContent;
  document.body.append(frame);
});
</script>"#;

/// The addresses that were asked for on behalf of a page: a browser also asks its makers' services for
/// updates and the time.
fn asked(net: &str) -> Vec<String> {
    let addresses = net.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let makers = |address: &str| {
        let host = address.split('/').nth(2).unwrap_or_default();
        host.ends_with(".google.com") || host.ends_with(".googleapis.com")
    };
    let others = addresses.filter(|address| address.starts_with("http") && !makers(address));
    others.map(str::to_owned).collect()
}

/// What a browser says about a page that is so many pixels wide.
fn looked_at(html: &str, width: usize, dark: bool) -> Option<Value> {
    let Some(browser) = browser() else {
        skipped("no browser is installed (apt install chromium), and CONVAE_BROWSER names none");
        return None;
    };
    let folder = Folder::new();
    // The page as text in a page of ours: neither can break out of the other.
    let quoted = html.replace('&', "&amp;").replace('<', "&lt;");
    let questions = QUESTIONS.replace("WIDTH", &width.to_string());
    let asking = format!(
        "<!DOCTYPE html><meta charset=utf-8><title></title><body>{questions}\
         <textarea id=page hidden>{quoted}</textarea>"
    );
    let asking = folder.write("asking.html", asking);
    let log = folder.at("net.json");
    let run = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=10000", "--window-size=1400,900"])
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("--user-data-dir={}", folder.at("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", asking.display()))
        .output()
        .unwrap();
    let (dom, said) = (text(&run.stdout), String::from_utf8_lossy(&run.stderr).into_owned());
    assert!(run.status.success(), "{said}");
    assert!(!said.contains("CONSOLE"), "{said}");
    let verdict = texts(&Html::parse_document(&dom), "#verdict");
    let verdict = verdict.first().unwrap_or_else(|| panic!("no verdict: {dom:.2000} {said}"));
    let mut verdict: Value = serde_json::from_str(verdict).unwrap();
    let net = fs::read_to_string(log).unwrap_or_default();
    assert!(!net.is_empty(), "the browser kept no log of what it asked for");
    verdict["asked"] = asked(&net).into();
    Some(verdict)
}

#[test]
fn a_browser_shows_every_image_on_a_phone_and_on_a_desk_without_asking_anyone() {
    let (html, _) = page(noise());
    for (width, dark) in [(390, true), (390, false), (1280, false)] {
        let Some(seen) = looked_at(&html, width, dark) else { return };
        assert_eq!(seen["width"], width, "{seen}");
        // The bar for scrolling takes some of the width.
        assert!(seen["scroll"].as_u64().unwrap() <= width as u64, "{seen}");
        assert_eq!(seen["wide"], Value::Array(vec![]), "{seen}");
        assert_eq!(seen["images"], 170, "{seen}");
        assert_eq!((&seen["decoded"], &seen["seen"]), (&seen["images"], &seen["images"]), "{seen}");
        assert_eq!(seen["requests"], Value::Array(vec![]), "{seen}");
        assert_eq!(seen["asked"], Value::Array(vec![]), "{seen}");
        assert!(seen["letters"].as_f64().unwrap() >= 12.0, "{seen}");
        let (ink, paper) = (seen["ink"].as_str().unwrap(), seen["paper"].as_str().unwrap());
        let bright = |colour: &str| {
            let first = colour.trim_start_matches("rgb(").split(',').next().unwrap();
            first.parse::<u8>().unwrap() > 128
        };
        assert_eq!((bright(ink), bright(paper)), (dark, !dark), "{seen}");
    }
}

#[test]
fn a_browser_would_tell_what_is_wrong_with_a_page() {
    let broken = "<!DOCTYPE html><html><body><div style='width:2000px'>a</div>\
                  <img src='data:image/png;base64,AAAA'>\
                  <img src='http://127.0.0.1:9/other.png'></body></html>";
    let Some(seen) = looked_at(broken, 390, false) else { return };
    assert_eq!((&seen["images"], &seen["decoded"]), (&2.into(), &0.into()), "{seen}");
    assert!(seen["scroll"].as_u64().unwrap() >= 2000, "{seen}");
    assert_eq!(seen["wide"], Value::Array(vec!["DIV.".into()]), "{seen}");
    let other = "http://127.0.0.1:9/other.png";
    assert_eq!(seen["requests"][0], other, "{seen}");
    assert!(seen["asked"].as_array().unwrap().contains(&other.into()), "{seen}");
}

// ---- figures for other programs ----

fn python(code: &str, argument: &Path) -> Option<Value> {
    let python = crate::common::python()?;
    let run = Command::new(python).args(["-c", code]).arg(argument).output().unwrap();
    assert!(run.status.success(), "{}", text(&run.stderr));
    Some(serde_json::from_slice(&run.stdout).unwrap())
}

/// The columns of `history.csv`, by Python's own reader.
const READ_CSV: &str = "
import csv, json, sys
with open(sys.argv[1], newline='') as file:
    print(json.dumps([{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]))
";

#[test]
fn history_csv_has_the_numbers_of_history_json() {
    let csv = noise().join("history.csv");
    let history = history(noise());
    let lines = fs::read_to_string(&csv).unwrap();
    assert!(lines.starts_with("epoch,loss,val_loss,learning_rate\n1,"), "{lines}");
    for (epoch, line) in history["epochs"].as_array().unwrap().iter().zip(lines.lines().skip(1)) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let kept = ["epoch", "loss", "val_loss"].map(|what| epoch[what].as_f64().unwrap());
        // Our reader of JSON may be off by the last bit.
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-15 * b.abs();
        assert!(cells.iter().zip(&kept).all(near), "{cells:?} {kept:?}");
        assert_eq!(cells[3..], [0.001]);
    }
    let Some(read) = python(READ_CSV, &csv) else { return };
    assert_eq!(read.as_array().unwrap().len(), 2);
    for (epoch, row) in history["epochs"].as_array().unwrap().iter().zip(read.as_array().unwrap()) {
        assert_eq!((&row["loss"], &row["val_loss"]), (&epoch["loss"], &epoch["val_loss"]));
    }
}

/// Starts the real TensorBoard, and asks it over HTTP for all that it found.
const ASK_TENSORBOARD: &str = r#"
import hashlib, json, sys, time, urllib.parse, urllib.request, zlib, logging
logging.disable(logging.CRITICAL)
from tensorboard import program
board = program.TensorBoard()
board.configure(argv=[None, "--logdir", sys.argv[1], "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"])
url = board.launch()
def ask(path, **keys):
    address = url + "data/plugin/" + path + "?" + urllib.parse.urlencode(keys)
    with urllib.request.urlopen(address) as answer:
        return answer.read()
def wait():
    for _ in range(600):
        tags = [json.loads(ask(f"{plugin}/tags")) for plugin in ("scalars", "histograms", "images")]
        if all(len(runs) > 0 for runs in tags) and "epoch_loss" in tags[0].get("validation", {}):
            return tags
        time.sleep(0.1)
    raise SystemExit(f"TensorBoard found only {tags}")
scalars, histograms, images = wait()
found = {"scalars": {}, "histograms": {}, "images": {}}
for run, tags in scalars.items():
    for tag in tags:
        found["scalars"][f"{run}/{tag}"] = [
            [step, value] for _, step, value in json.loads(ask("scalars/scalars", run=run, tag=tag))]
for run, tags in histograms.items():
    for tag in tags:
        found["histograms"][f"{run}/{tag}"] = [
            [step, bins] for _, step, bins in json.loads(ask("histograms/histograms", run=run, tag=tag))]
for run, tags in images.items():
    for tag in tags:
        for image in json.loads(ask("images/images", run=run, tag=tag, sample=0)):
            with urllib.request.urlopen(url + "data/plugin/images/individualImage?" + image["query"]) as answer:
                data = answer.read()
            found["images"][f"{run}/{tag}"] = [image["step"], hashlib.sha256(data).hexdigest()]
print(json.dumps(found))
"#;

const SHA256: &str = "
import hashlib, json, sys
print(json.dumps(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest()))
";

#[test]
fn the_real_tensorboard_shows_what_the_run_measured() {
    let Some(found) = python(ASK_TENSORBOARD, &noise().join("tensorboard")) else { return };
    let history = history(noise());
    // TensorBoard keeps float32, and our reader of JSON may be off by the last bit of float64.
    let single = |number: &Value| f64::from(number.as_f64().unwrap() as f32);
    let series = |tag: &str| -> Vec<(f64, f64)> {
        let points = found["scalars"][tag].as_array().unwrap_or_else(|| panic!("{tag}: {found}"));
        points.iter().map(|it| (it[0].as_f64().unwrap(), single(&it[1]))).collect()
    };
    let epochs = |what: &str| -> Vec<(f64, f64)> {
        let epochs = history["epochs"].as_array().unwrap().iter();
        epochs.map(|epoch| (epoch["epoch"].as_f64().unwrap(), single(&epoch[what]))).collect()
    };
    assert_eq!(series("train/epoch_loss"), epochs("loss"));
    assert_eq!(series("validation/epoch_loss"), epochs("val_loss"));
    let rate = f64::from(0.001_f32);
    assert_eq!(series("train/epoch_learning_rate"), [(1.0, rate), (2.0, rate)]);
    // 320 images in batches of 32: ten steps an epoch, each of them a point of the curve.
    let curve = history["curve"].as_array().unwrap().iter();
    let curve: Vec<(f64, f64)> =
        curve.map(|it| ((it[0].as_f64().unwrap() * 10.0).round(), single(&it[1]))).collect();
    assert_eq!(series("train/batch_loss"), curve);

    let weights = convae::formats::checkpoint::load(&noise().join("noise.pt")).unwrap().tensors;
    assert_eq!(found["histograms"].as_object().unwrap().len(), weights.len());
    for (name, array) in weights {
        let values = array.to_values::<f32>().unwrap();
        let steps = &found["histograms"][format!("train/{}", name.replace('.', "/"))];
        let last = &steps[1];
        assert_eq!((steps.as_array().unwrap().len(), &last[0]), (2, &2.into()), "{name}");
        let bins: Vec<[f64; 3]> = serde_json::from_value(last[1].clone()).unwrap();
        let count: f64 = bins.iter().map(|bin| bin[2]).sum();
        assert!((count - values.len() as f64).abs() < 1e-9, "{name}: {count}");
        let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
        let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // TensorBoard draws a bar around a single value.
        if smallest < largest {
            let ends = (bins[0][0] as f32, bins[bins.len() - 1][1] as f32);
            assert_eq!(ends, (smallest, largest), "{name}");
        }
    }

    let grid = noise().join("grid_noise.png");
    let image = &found["images"]["validation/test_images"];
    assert_eq!(image, &serde_json::json!([2, python(SHA256, &grid).unwrap()]));
}

#[test]
fn a_second_run_replaces_the_event_files_of_the_first_and_nothing_else() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let out = folder.at("out");
    let run = || train(&config).arg("--overwrite").out(&out);
    run().set("output.tensorboard=true").set("output.csv=true").succeeds();
    let events = names(&out.join("tensorboard/train"));
    assert_eq!(events.len(), 1);
    folder.write("out/tensorboard/train/mine.txt", "mine");
    run().set("output.tensorboard=true").succeeds();
    assert!(!out.join("history.csv").exists());
    let again = names(&out.join("tensorboard/train"));
    assert_eq!(again.len(), 2);
    assert!(again.contains(&"mine.txt".to_owned()));
    run().succeeds();
    assert_eq!(names(&out.join("tensorboard")), ["train"]);
    assert_eq!(names(&out.join("tensorboard/train")), ["mine.txt"]);
}

#[test]
fn event_files_that_cannot_be_written_are_told_before_the_training() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    folder.write("out/tensorboard", "a file in the way");
    let run = train(&config).set("output.tensorboard=true").out(folder.at("out"));
    run.fails(&["event files cannot be written to", "tensorboard/train"]);
}

#[test]
fn a_disk_that_fills_up_costs_the_event_files_and_not_the_weights() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let out = folder.at("out");
    // Histograms of 80 epochs are more than this limit on the size of a file, in kilobytes; nothing else
    // that the run writes comes near it.
    let script = "ulimit -f 100; exec \"$0\" \"$@\"";
    let run = crate::common::convae_in(script)
        .train(&config)
        .set("train.epochs=80")
        .set("output.tensorboard=true")
        .set("output.report=false")
        .out(&out);
    let run = run.assert().code(1);
    let said = text(&run.get_output().stderr);
    assert!(crate::common::is_sentence(&said), "{said}");
    assert!(said.contains("the event files in") && said.contains("the training goes on"), "{said}");
    assert!(out.join("tiny.pt").exists() && out.join("history.json").exists());
}
