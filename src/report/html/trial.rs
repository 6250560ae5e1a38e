//! The page of a training on a folder of noisy images: what was found, before and after with a slider, and what
//! was removed. One file, rewritten while the training goes on.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::markup::Markup;
use crate::report::Raster;

const STYLE: &str = include_str!("style.css");
const OWN_STYLE: &str = include_str!("trial.css");
/// Moves the sliders; without it the pages show both images half.
const SCRIPT: &str = include_str!("trial.js");
/// Seconds after which a browser looks for a newer page, while there will be one.
const REFRESH: u32 = 60;

/// What the page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialReport {
    /// The run's.
    pub name: String,
    /// What is being done, and why.
    pub lead: String,
    /// How far it has come.
    pub status: String,
    /// Whether a newer page will follow.
    pub goes_on: bool,
    /// What was found in the folder: names and values.
    pub findings: Vec<(&'static str, String)>,
    /// Parts of the user's images.
    pub samples: Vec<TrialSample>,
    /// What to do next: a sentence, and a command.
    pub next: Vec<(String, String)>,
    /// The training as a config.
    pub config: String,
}

/// A part of an image, before and after; all three of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialSample {
    /// Its file's, with the page's number.
    pub name: String,
    /// As it is.
    pub before: Raster,
    /// As the model gives it.
    pub after: Raster,
    /// The difference about grey, amplified.
    pub removed: Raster,
    /// How many times.
    pub amplified: f32,
    /// Noise before and after, and what was removed: names and values.
    pub figures: Vec<(&'static str, String)>,
    /// What the removed part shows that noise would not.
    pub warning: Option<String>,
}

impl TrialReport {
    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut html = Markup::default();
        html.raw(format_args!("<!DOCTYPE html>\n"));
        html.element("html", &[("lang", &"en")], |html| {
            html.element("head", &[], |html| self.head(html));
            html.element("body", &[], |html| {
                html.element("header", &[], |html| self.header(html));
                html.element("main", &[], |html| self.main(html));
                html.element("script", &[], |html| html.raw(format_args!("{SCRIPT}")));
            });
        });
        html.finish()
    }

    fn head(&self, html: &mut Markup) {
        // Nothing may be fetched, and no other script may run than the page's own.
        let own = STANDARD.encode(Sha256::digest(SCRIPT));
        let policy = format!(
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{own}'"
        );
        html.empty("meta", &[("charset", &"utf-8")]);
        html.empty("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy)]);
        if self.goes_on {
            html.empty("meta", &[("http-equiv", &"refresh"), ("content", &REFRESH)]);
        }
        let viewport = "width=device-width, initial-scale=1";
        html.empty("meta", &[("name", &"viewport"), ("content", &viewport)]);
        html.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
        html.empty("link", &[("rel", &"icon"), ("href", &"data:,")]);
        html.words("title", &[], format_args!("{} \u{b7} convae try", self.name));
        html.element("style", &[], |html| html.raw(format_args!("{STYLE}{OWN_STYLE}")));
    }

    fn header(&self, html: &mut Markup) {
        html.words("h1", &[], &self.name);
        html.words("p", &[("class", &"lead")], &self.lead);
        html.words("p", &[("class", &"notice"), ("role", &"status")], &self.status);
    }

    fn main(&self, html: &mut Markup) {
        section(html, "images", "Before and after", |html| {
            html.words(
                "p",
                &[],
                "Parts of your images, pixel by pixel. Drag the line, or use the arrow keys: before on \
                 the left of it, after on the right. What was removed should look like noise, and show \
                 nothing of the image.",
            );
            for sample in &self.samples {
                sample.draw(html);
            }
        });
        section(html, "found", "What was found", |html| pairs(html, &self.findings));
        section(html, "next", "What to do next", |html| {
            for (what, command) in &self.next {
                html.words("p", &[], what);
                html.element("pre", &[("class", &"command")], |html| {
                    html.words("code", &[], command);
                });
            }
        });
        section(html, "config", "Config", |html| {
            html.element("div", &[("class", &"scroll")], |html| {
                html.element("pre", &[], |html| html.words("code", &[], &self.config));
            });
        });
    }
}

impl TrialSample {
    fn draw(&self, html: &mut Markup) {
        html.words("h3", &[("class", &"name")], &self.name);
        if let Some(warning) = &self.warning {
            html.words("p", &[("class", &"notice"), ("role", &"note")], warning);
        }
        html.element("div", &[("class", &"sides")], |html| {
            html.element("figure", &[], |html| {
                html.element("div", &[("class", &"slider")], |html| {
                    image(html, &self.after, format_args!("{} after", self.name));
                    image(html, &self.before, format_args!("{} before", self.name));
                    let label = format!("{}: how much is shown as it was before", self.name);
                    let attributes: [(&str, &dyn Display); 5] = [
                        ("type", &"range"),
                        ("min", &0),
                        ("max", &100),
                        ("value", &50),
                        ("aria-label", &label),
                    ];
                    html.empty("input", &attributes);
                });
                html.words("figcaption", &[], "before | after");
            });
            html.element("figure", &[], |html| {
                image(html, &self.removed, format_args!("removed from {}", self.name));
                let caption = format!("what was removed, amplified {:.1} times", self.amplified);
                html.words("figcaption", &[], caption);
            });
        });
        pairs(html, &self.figures);
    }
}

fn section(html: &mut Markup, anchor: &str, title: &str, fill: impl FnOnce(&mut Markup)) {
    let headline = format!("{anchor}-title");
    html.element("section", &[("id", &anchor), ("aria-labelledby", &headline)], |html| {
        html.words("h2", &[("id", &headline)], title);
        fill(html);
    });
}

fn pairs(html: &mut Markup, pairs: &[(&'static str, String)]) {
    html.element("dl", &[("class", &"pairs")], |html| {
        for (name, value) in pairs {
            html.words("dt", &[], name);
            html.words("dd", &[], value);
        }
    });
}

fn image(html: &mut Markup, raster: &Raster, alt: impl Display) {
    // An image that cannot be encoded has no pixels; there is none such.
    let png = raster.to_png().map(|png| STANDARD.encode(png)).unwrap_or_default();
    let attributes: [(&str, &dyn Display); 4] = [
        ("src", &format_args!("data:image/png;base64,{png}")),
        ("width", &raster.width()),
        ("height", &raster.height()),
        ("alt", &alt),
    ];
    html.empty("img", &attributes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> TrialReport {
        let raster = |value| Raster::new(4, 6, 1, vec![value; 24]).unwrap();
        TrialReport {
            name: "scans".to_owned(),
            lead: "It learns.".to_owned(),
            status: "Epoch 1 of 20".to_owned(),
            goes_on: true,
            findings: vec![("noise", "strong".to_owned())],
            samples: vec![TrialSample {
                name: "<script>a</script>.png".to_owned(),
                before: raster(0.2),
                after: raster(0.3),
                removed: raster(0.5),
                amplified: 4.0,
                figures: vec![("noise before", "12".to_owned())],
                warning: Some("it shows outlines".to_owned()),
            }],
            next: vec![("Clean all:".to_owned(), "convae apply".to_owned())],
            config: "name = \"scans\"".to_owned(),
        }
    }

    #[test]
    fn the_page_has_all_its_parts_and_lets_no_other_script_run() {
        let html = report().to_html();
        for part in ["It learns.", "Epoch 1 of 20", "strong", "it shows outlines", "convae apply"] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("<script").count(), 1, "a file's name became a script");
        assert_eq!(html.matches("<img").count(), 3);
        let hash = STANDARD.encode(Sha256::digest(SCRIPT));
        assert!(html.contains(&format!("sha256-{hash}")) && html.contains(SCRIPT));
        assert!(!html.contains("http://") && !html.contains("https://"));
    }

    #[test]
    fn a_browser_asks_again_only_while_there_will_be_a_newer_page() {
        let done = TrialReport { goes_on: false, ..report() };
        assert!(
            report().to_html().contains("\"refresh\"") && !done.to_html().contains("\"refresh\"")
        );
    }
}
