//! The page as a parser sees it: well-formed, complete, and unimpressed by hostile names.

use scraper::{Html, Selector};

use super::*;
use crate::report::LossPoint;

const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u{202e}";

fn means(psnr: f64) -> Means {
    Means { psnr, ssim: Some(0.5), left_out: 0 }
}

fn quality(psnr: f64) -> Quality {
    Quality { psnr, ssim: Some(0.5) }
}

fn sample(name: &str) -> Sample {
    let raster = |value| Raster::new(4, 4, 1, vec![value; 16]).unwrap();
    Sample {
        name: name.to_owned(),
        input: raster(0.2),
        output: raster(0.4),
        target: Some(raster(0.6)),
        before: Some(quality(10.0)),
        after: quality(f64::INFINITY),
    }
}

fn layer(name: &str, shape: &[usize], part: LayerPart) -> LayerBox {
    LayerBox {
        name: name.to_owned(),
        detail: "Conv2D".to_owned(),
        shape: shape.to_vec(),
        weights: 320,
        kind: LayerKind::Learned,
        part,
        is_code: part == LayerPart::Encoder,
        reads: Vec::new(),
    }
}

fn level(title: &str) -> Level {
    Level {
        title: title.to_owned(),
        corruption: "{ kind = \"gaussian\" }".to_owned(),
        loss: 0.1,
        input: Some(means(9.0)),
        output: Means { left_out: 1, ..means(20.0) },
        samples: vec![sample("0"), sample("1")],
    }
}

fn report(name: &str) -> RunReport {
    let point = |epoch, loss| LossPoint { epoch, loss };
    RunReport {
        name: name.to_owned(),
        lead: name.to_owned(),
        notices: vec![name.to_owned()],
        config: format!("name = \"{name}\"\n[data]\ndir = \"{name}\"\n"),
        layers: vec![
            layer("input", &[28, 28, 1], LayerPart::Input),
            layer(name, &[49], LayerPart::Encoder),
            layer("conv2d", &[28, 28, 1], LayerPart::Decoder),
        ],
        curves: Curves {
            title: name.to_owned(),
            loss: name.to_owned(),
            running: vec![point(0.1, 0.7), point(0.5, 0.2), point(1.0, f64::NAN)],
            training: vec![],
            validation: vec![point(1.0, 0.1)],
        },
        epochs: Figures {
            columns: vec!["epoch".to_owned(), "loss".to_owned(), name.to_owned()],
            rows: vec![vec!["1".to_owned(), "0.2".to_owned(), name.to_owned()]],
        },
        levels: vec![level("not corrupted"), level(name)],
        trained_level: 1,
        loss: name.to_owned(),
        latent: None,
        measured: (2_000, 10_000),
        best: vec![sample(name)],
        worst: vec![sample(name), sample("7")],
        times: vec![EpochTime { epoch: 1, training: 3.0, waiting: 1.0, validation: 1.0 }],
        phases: vec![(name.to_owned(), 1.0)],
        facts: vec![(name.to_owned(), vec![(name.to_owned(), name.to_owned())])],
    }
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn parsed(html: &str) -> Html {
    let page = Html::parse_document(html);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    page
}

#[test]
fn the_parser_can_see_mistakes() {
    assert!(!Html::parse_document("<!DOCTYPE html><p>a</b><img alt='a'alt='b'>").errors.is_empty());
}

#[test]
fn hostile_names_stay_text_everywhere() {
    let html = report(HOSTILE).to_html();
    let page = parsed(&html);
    assert!(all(&page, "script, iframe, [onerror], [onload]").is_empty());
    assert_eq!(all(&page, "img").len(), all(&page, "img[src^='data:image/png;base64,']").len());
    let shown = HOSTILE.replace('\u{202e}', "\u{fffd}");
    let text: String = page.root_element().text().collect();
    // Title, lead, notice, headline, config, layer, axis, table and list: all show it as it is.
    assert!(text.matches(&shown).count() >= 12, "{}", text.matches(&shown).count());
    assert!(all(&page, "img").iter().any(|image| image.attr("alt").unwrap().contains(&shown)));
}

#[test]
fn a_usual_page_is_well_formed_with_and_without_what_can_be_missing() {
    let full = report("noise");
    let mut bare = full.clone();
    (bare.notices, bare.epochs, bare.times, bare.phases) =
        (vec![], Figures::default(), vec![], vec![]);
    (bare.best, bare.worst, bare.curves) = (vec![], vec![], Curves::default());
    bare.levels.truncate(1);
    bare.trained_level = 0;
    bare.levels[0].input = None;
    for sample in &mut bare.levels[0].samples {
        (sample.target, sample.before, sample.after.ssim) = (None, None, None);
    }
    let of = |report: &RunReport| {
        let html = report.to_html();
        let page = parsed(&html);
        (all(&page, "section").len(), all(&page, "img").len(), html)
    };
    let (sections, images, html) = of(&full);
    assert_eq!((sections, images), (9, 3 * (2 + 2 + 1 + 2)));
    assert!(html.contains("the first 2,000 of 10,000 test images"));
    assert_eq!(html, full.to_html());
    let (sections, images, html) = of(&bare);
    assert_eq!((sections, images), (7, 2 * 2));
    assert!(html.contains("There is no loss to draw"));
}

#[test]
fn every_link_leads_to_a_section_and_every_name_of_a_drawing_is_there() {
    let html = report("noise").to_html();
    let page = parsed(&html);
    let there = |id: &str| all(&page, &format!("[id='{id}']")).len() == 1;
    let links = all(&page, "nav a");
    assert_eq!(links.len(), 9);
    assert!(links.iter().all(|link| there(link.attr("href").unwrap().strip_prefix('#').unwrap())));
    let named = all(&page, "[aria-labelledby]");
    let ids = named.iter().flat_map(|it| it.attr("aria-labelledby").unwrap().split(' '));
    assert_eq!(ids.filter(|name| there(name)).count(), 9 + 2 + 2);
}

#[test]
fn a_large_image_is_reduced_and_the_page_says_so() {
    let mut report = report("large");
    let large = Raster::new(300, 200, 3, vec![0.5; 300 * 200 * 3]).unwrap();
    for sample in report.levels.iter_mut().flat_map(|level| &mut level.samples) {
        sample.input = large.clone();
    }
    let html = report.to_html();
    assert_eq!(all(&parsed(&html), "img[width='85'][height='128']").len(), 4);
    assert!(html.contains("Shown reduced to 128 pixels."));
}

// ---- colours ----

/// A custom property of a block of the style sheet.
fn colour(block: &str, name: &str) -> [f64; 3] {
    let hex = block.split(&format!("--{name}: #")).nth(1).unwrap_or_else(|| panic!("{name}"));
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    [channel(0), channel(2), channel(4)]
}

/// WCAG's contrast ratio.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let light = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    let (a, b) = (light(a), light(b));
    a.max(b) / a.min(b)
}

#[test]
fn text_and_drawings_stand_out_in_light_and_in_dark() {
    let style = include_str!("style.css");
    let blocks: Vec<&str> = style.split(":root {").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let ratio = |a: &str, b: &str| contrast(colour(block, a), colour(block, b));
        // WCAG AA: 4.5 for text, 3 for lines and areas that mean something.
        for text in ["ink", "soft", "link"] {
            for below in ["page", "card"] {
                assert!(ratio(text, below) >= 4.5, "{text} on {below}: {}", ratio(text, below));
            }
        }
        assert!(ratio("ink", "notice") >= 4.5);
        for line in ["training", "validation", "edge"] {
            assert!(ratio(line, "card") >= 3.0, "{line}: {}", ratio(line, "card"));
        }
        assert!(ratio("running", "card") >= 2.5, "running: {}", ratio("running", "card"));
    }
}
