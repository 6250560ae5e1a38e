//! What the page says in numbers and words.

use super::markup::Markup;
use super::{Figures, Level, RunReport};
use crate::infer::evaluation::{Means, left_out};
use crate::report::summary::thousands;

/// The handful of figures that a reader looks for first.
pub(super) fn highlights(html: &mut Markup, report: &RunReport) {
    let mut cards: Vec<(String, String)> = Vec::new();
    if let (Some(row), columns) = (report.epochs.rows.last(), &report.epochs.columns) {
        let wanted = |name: &&String| matches!(name.as_str(), "loss" | "val_loss");
        let cells = columns.iter().zip(row).filter(|(name, _)| wanted(name));
        cards.extend(cells.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(level) = report.trained() {
        cards.push(("output PSNR".to_owned(), decibels(level.output.psnr)));
        cards.extend(level.input.map(|input| ("input PSNR".to_owned(), decibels(input.psnr))));
        cards.extend(level.output.ssim.map(|ssim| ("output SSIM".to_owned(), similarity(ssim))));
    }
    let weights: usize = report.layers.iter().map(|layer| layer.weights).sum();
    cards.push(("weights".to_owned(), thousands(weights)));
    html.element("dl", &[("class", &"cards")], |html| {
        for (name, value) in cards {
            html.element("div", &[], |html| {
                html.words("dt", &[], name);
                html.words("dd", &[], value);
            });
        }
    });
}

/// Loss, PSNR and SSIM at each level, then the losses of each epoch.
pub(super) fn metrics(html: &mut Markup, report: &RunReport) {
    let (measured, all) = report.measured;
    let of = if measured < all {
        format!("the first {} of {} test images", thousands(measured), thousands(all))
    } else {
        format!("all {} test images", thousands(all))
    };
    html.words(
        "p",
        &[],
        format_args!("Means over {of}. Loss: {}. PSNR in dB, for values 0 to 1.", report.loss),
    );
    let columns = ["images", "loss", "input PSNR", "SSIM", "output PSNR", "SSIM"];
    let figures = Figures {
        columns: columns.map(str::to_owned).to_vec(),
        rows: report.levels.iter().map(level_row).collect(),
    };
    table(html, "Metrics on the test set", &figures);
    for level in &report.levels {
        if let Some(sentence) = left_out(level.input, level.output) {
            html.words("p", &[], format_args!("{}: {sentence}.", level.title));
        }
    }
    html.words("h3", &[], "Epochs");
    if report.epochs.rows.is_empty() {
        html.words("p", &[], "No whole epoch was trained.");
    } else {
        table(html, "Figures of each epoch", &report.epochs);
    }
}

fn level_row(level: &Level) -> Vec<String> {
    let mut row = vec![level.title.clone(), format!("{:.4}", level.loss)];
    row.extend(level.input.map_or(["\u{2013}".to_owned(), "\u{2013}".to_owned()], cells));
    row.extend(cells(level.output));
    row
}

fn cells(Means { psnr, ssim, .. }: Means) -> [String; 2] {
    let psnr = if psnr == f64::INFINITY { "\u{221e}".to_owned() } else { format!("{psnr:.2}") };
    [psnr, ssim.map_or("\u{2013}".to_owned(), similarity)]
}

/// `17.32 dB`; equal images have no end of them.
pub(super) fn decibels(psnr: f64) -> String {
    if psnr == f64::INFINITY { "\u{221e} dB".to_owned() } else { format!("{psnr:.2} dB") }
}

pub(super) fn similarity(ssim: f64) -> String {
    format!("{ssim:.3}")
}

/// A table that scrolls by itself where the screen is narrower; its first column heads the rows.
pub(super) fn table(html: &mut Markup, caption: &str, figures: &Figures) {
    html.element(
        "div",
        &[("class", &"scroll"), ("role", &"region"), ("aria-label", &caption), ("tabindex", &0)],
        |html| {
            html.element("table", &[], |html| {
                html.words("caption", &[], caption);
                html.element("thead", &[], |html| {
                    html.element("tr", &[], |html| {
                        for column in &figures.columns {
                            html.words("th", &[("scope", &"col")], column);
                        }
                    });
                });
                html.element("tbody", &[], |html| rows(html, figures));
            });
        },
    );
}

fn rows(html: &mut Markup, figures: &Figures) {
    for row in &figures.rows {
        html.element("tr", &[], |html| {
            for (i, cell) in row.iter().enumerate() {
                match i {
                    0 => html.words("th", &[("scope", &"row")], cell),
                    _ => html.words("td", &[], cell),
                }
            }
        });
    }
}

/// Environment and seeds.
pub(super) fn facts(html: &mut Markup, report: &RunReport) {
    html.element("div", &[("class", &"facts")], |html| {
        for (headline, facts) in &report.facts {
            html.element("div", &[], |html| {
                html.words("h3", &[], headline);
                html.element("dl", &[], |html| {
                    for (name, value) in facts {
                        html.words("dt", &[], name);
                        html.words("dd", &[], value);
                    }
                });
            });
        }
    });
}

/// The whole config, every default written out.
pub(super) fn config(html: &mut Markup, report: &RunReport) {
    html.words("p", &[], "Every key, defaults written out: this file alone repeats the run.");
    html.element("pre", &[], |html| html.words("code", &[], &report.config));
}
