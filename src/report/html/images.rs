//! Test images on the page: grids by level of corruption, and the best and the worst.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::markup::Markup;
use super::tables::{decibels, similarity};
use super::{Level, RunReport, Sample};
use crate::report::Raster;

/// Longest side of an image on the page; larger ones are shown reduced, or the page would weigh
/// tens of megabytes.
const MOST_SIDE: usize = 128;

/// And that of a page of many images.
const MOST_PAGE: usize = 1024;

/// A grid for each level of corruption.
pub(super) fn levels(html: &mut Markup, report: &RunReport) {
    let targets = report
        .levels
        .iter()
        .any(|level| level.samples.iter().any(|sample| sample.target.is_some()));
    let order = if targets { "input, output and target" } else { "input and output" };
    html.words("p", &[], format_args!("From top to bottom: {order}.{}", reduced(report)));
    for level in &report.levels {
        if report.levels.len() > 1 {
            html.words("h3", &[], title(level));
        }
        let caption = caption(level);
        html.element("figure", &[], |html| {
            html.element("div", &[("class", &"grid")], |html| {
                for sample in &level.samples {
                    html.element("div", &[("class", &"stack")], |html| faces(html, sample));
                }
            });
            html.element("figcaption", &[], |html| {
                html.text(caption);
                html.words("code", &[], &level.corruption);
            });
        });
    }
}

fn title(level: &Level) -> String {
    let mut letters = level.title.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn caption(level: &Level) -> String {
    let output = decibels(level.output.psnr);
    match level.input {
        Some(input) => format!("PSNR {} before, {output} after. ", decibels(input.psnr)),
        None => format!("PSNR {output}. "),
    }
}

/// Says so where images are not shown in their own size.
fn reduced(report: &RunReport) -> String {
    let samples = report.levels.iter().flat_map(|level| &level.samples);
    let largest = samples.map(|sample| sample.input.width().max(sample.input.height())).max();
    match largest {
        Some(side) if side > MOST_SIDE => format!(" Shown reduced to {MOST_SIDE} pixels."),
        _ => String::new(),
    }
}

/// The images that the model does best.
pub(super) fn best(html: &mut Markup, report: &RunReport) {
    ranking(html, report, &report.best, "highest");
}

/// And those that it does worst.
pub(super) fn worst(html: &mut Markup, report: &RunReport) {
    ranking(html, report, &report.worst, "lowest");
}

fn ranking(html: &mut Markup, report: &RunReport, samples: &[Sample], which: &str) {
    let targets = samples.iter().any(|sample| sample.target.is_some());
    let order = if targets { "input, output, target" } else { "input, output" };
    let measured = crate::report::summary::thousands(report.measured.0);
    html.words(
        "p",
        &[],
        format_args!(
            "Those with the {which} PSNR of the output among {measured} measured. From left to \
             right: {order}."
        ),
    );
    html.element("ol", &[("class", &"ranking")], |html| {
        for sample in samples {
            html.element("li", &[], |html| {
                html.element("div", &[("class", &"strip")], |html| faces(html, sample));
                html.element("p", &[], |html| verdict(html, sample));
            });
        }
    });
}

fn verdict(html: &mut Markup, sample: &Sample) {
    html.words("b", &[], decibels(sample.after.psnr));
    if let Some(before) = sample.before {
        html.text(format_args!(" from {}", decibels(before.psnr)));
    }
    if let Some(ssim) = sample.after.ssim {
        html.text(format_args!(", SSIM {}", similarity(ssim)));
    }
    html.text(", ");
    html.words("span", &[("class", &"name")], format_args!("image {}", sample.name));
}

/// Input, output and, where there is one, target.
fn faces(html: &mut Markup, sample: &Sample) {
    let target = sample.target.as_ref().map(|target| ("target", target));
    let rasters = [("input", &sample.input), ("output", &sample.output)];
    for (what, raster) in rasters.into_iter().chain(target) {
        let alt = format!("{what} of test image {}", sample.name);
        image(html, raster, &alt);
    }
}

/// What the decoder draws of codes.
pub(super) fn latent(html: &mut Markup, report: &RunReport) {
    let Some(latent) = &report.latent else { return };
    let figure = |html: &mut Markup, raster: &Raster, alt: &str, caption: &str| {
        html.element("figure", &[], |html| {
            image_within(html, raster, alt, MOST_PAGE);
            html.words("figcaption", &[], caption);
        });
    };
    if let Some((plane, scale)) = &latent.plane {
        let caption = format!(
            "The plane of the codes, from -{scale} to {scale}: the first value grows from left to right, the \
             second from the bottom to the top."
        );
        figure(html, plane, "grid over the plane of the codes", &caption);
    }
    let caption =
        "A walk from the code of the first test image to that of the second, in equal steps.";
    figure(html, &latent.walk, "walk between two codes", caption);
    let caption = "Random codes, drawn from the standard normal distribution.";
    figure(html, &latent.samples, "images of random codes", caption);
}

fn image(html: &mut Markup, raster: &Raster, alt: &str) {
    image_within(html, raster, alt, MOST_SIDE);
}

fn image_within(html: &mut Markup, raster: &Raster, alt: &str, side: usize) {
    let shown = raster.within(side);
    let shown = shown.as_ref().unwrap_or(raster);
    // An image that cannot be encoded has no pixels; a plan allows none such.
    let source =
        shown.to_png().map(|png| format!("data:image/png;base64,{}", STANDARD.encode(png)));
    let attributes: [(&str, &dyn Display); 4] = [
        ("src", &source.unwrap_or_else(|_| "data:,".to_owned())),
        ("width", &shown.width()),
        ("height", &shown.height()),
        ("alt", &alt),
    ];
    html.empty("img", &attributes);
}
