//! The model as a drawing: what comes out of each layer is a slab as wide and as deep as the image,
//! and the thicker the more channels it has, so that an autoencoder looks like an hourglass.

use std::fmt::Display;

use super::markup::Markup;
use super::{LayerBox, LayerKind, LayerPart, RunReport};
use crate::config::brief;
use crate::report::summary::thousands;

/// Units of the drawing; it is as high as there are layers.
const WIDTH: f64 = 350.0;
/// From one layer to the next.
const ROW: f64 = 58.0;
/// Room for the headline of a part.
const HEADLINE: f64 = 30.0;
const MARGIN: f64 = 8.0;
/// Distance of two connections that lead past other layers, and the radius of their corners.
const LANE: f64 = 9.0;
const CORNER: f64 = 6.0;
/// Letters that fit beside a slab.
const LETTERS: usize = 30;
/// Middle of the slabs, and where the words begin.
const CENTRE: f64 = 72.0;
const WORDS: f64 = 156.0;
/// The largest slab's front, and how far its depth leads to the right and up.
const LARGEST: f64 = 104.0;
const RIGHT_BY_DEPTH: f64 = 0.3;
const UP_BY_DEPTH: f64 = 0.2;
/// No side is drawn smaller.
const LEAST: f64 = 5.0;
/// Thickness of one channel, and what each doubling adds.
const THIN: f64 = 3.0;
const BY_DOUBLING: f64 = 2.0;

pub(super) fn section(html: &mut Markup, report: &RunReport) {
    let layers = &report.layers;
    let weights: usize = layers.iter().map(|layer| layer.weights).sum();
    html.words(
        "p",
        &[],
        format_args!(
            "Each slab is what comes out of a layer: as wide and as deep as the image, thicker \
             with more channels. {} weights together.",
            thousands(weights)
        ),
    );
    html.element("figure", &[("class", &"drawing model")], |html| draw(html, layers));
}

fn draw(html: &mut Markup, layers: &[LayerBox]) {
    let headlines = headlines(layers);
    let height = 2.0 * MARGIN + ROW * layers.len() as f64 + HEADLINE * headlines.len() as f64;
    let skips = skips(layers);
    let lanes = skips.iter().map(|skip| skip.lane + 1).max().unwrap_or(0);
    let left = if lanes == 0 { 0.0 } else { LANE * lanes as f64 + MARGIN };
    let view = format!("-{left} 0 {} {height}", WIDTH + left);
    let mut ends = Vec::with_capacity(layers.len());
    let attributes: [(&str, &dyn Display); 3] =
        [("viewBox", &view), ("role", &"img"), ("aria-labelledby", &"model-name model-words")];
    html.element("svg", &attributes, |svg| {
        svg.words("title", &[("id", &"model-name")], "The model's layers");
        svg.words("desc", &[("id", &"model-words")], describe(layers));
        let scale = Scale::of(layers);
        let mut top = MARGIN;
        for (i, layer) in layers.iter().enumerate() {
            if let Some((_, text)) = headlines.iter().find(|(at, _)| *at == i) {
                words(svg, (WORDS, top + HEADLINE - 10.0), "part", text);
                top += HEADLINE;
            }
            ends.push((scale.left(layer), top));
            slab(svg, layer, &scale, top);
            captions(svg, layers, i, top);
            top += ROW;
        }
        for skip in &skips {
            connect(svg, skip, &ends);
        }
    });
}

/// A connection that leads past other layers.
struct Skip {
    from: usize,
    to: usize,
    /// Counts from the slabs to the left; connections of one lane do not meet.
    lane: usize,
}

/// Short ones first, so that they lie nearest to the slabs.
fn skips(layers: &[LayerBox]) -> Vec<Skip> {
    let mut ends: Vec<(usize, usize)> = (layers.iter().enumerate())
        .flat_map(|(to, layer)| layer.reads.iter().map(move |&from| (from, to)))
        .filter(|(from, to)| from + 1 < *to)
        .collect();
    ends.sort_by_key(|(from, to)| (to - from, *from));
    ends.dedup();
    let mut skips: Vec<Skip> = Vec::new();
    for (from, to) in ends {
        let meets = |lane: usize| {
            skips.iter().any(|other| other.lane == lane && from < other.to && other.from < to)
        };
        let lane =
            (0..=skips.len()).find(|&lane| !meets(lane)).expect("one is without connections");
        skips.push(Skip { from, to, lane });
    }
    skips
}

/// Down the left side, from one slab to another; `ends` are the slabs' left edges and their rows' tops.
fn connect(svg: &mut Markup, skip: &Skip, ends: &[(f64, f64)]) {
    let x = -(LANE * (skip.lane + 1) as f64);
    let [(from, start), (to, end)] = [skip.from, skip.to].map(|index| ends[index]);
    let (start, end) = (start + ROW * 0.58, end + ROW * 0.5);
    let path = format!(
        "M{} {}H{}Q{x} {} {x} {}V{}Q{x} {} {} {}H{}m-4 -3l4 3l-4 3",
        round(from),
        round(start),
        x + CORNER,
        round(start),
        round(start + CORNER),
        round(end - CORNER),
        round(end),
        x + CORNER,
        round(end),
        round(to - 2.0),
    );
    svg.empty("path", &[("d", &path), ("class", &"skip")]);
}

/// Where encoder and decoder begin.
fn headlines(layers: &[LayerBox]) -> Vec<(usize, &'static str)> {
    let begins = |part| layers.iter().position(|layer| layer.part == part);
    [(begins(LayerPart::Encoder), "Encoder"), (begins(LayerPart::Decoder), "Decoder")]
        .into_iter()
        .filter_map(|(at, text)| Some((at?, text)))
        .collect()
}

fn describe(layers: &[LayerBox]) -> String {
    let all: Vec<String> =
        layers.iter().map(|layer| format!("{} {}", layer.name, shape(layer))).collect();
    format!("{}.", all.join(", then "))
}

fn shape(layer: &LayerBox) -> String {
    let sides: Vec<String> = layer.shape.iter().map(ToString::to_string).collect();
    sides.join("\u{d7}")
}

/// Units of the drawing for a pixel.
struct Scale(f64);

impl Scale {
    fn of(layers: &[LayerBox]) -> Self {
        // The last one counts channels.
        let sides =
            layers.iter().filter_map(|layer| layer.shape.split_last().map(|(_, sides)| sides));
        let largest = sides.flatten().max().copied().unwrap_or(1);
        Self(LARGEST / largest as f64)
    }

    /// Where a layer's slab begins.
    fn left(&self, layer: &LayerBox) -> f64 {
        let [width, depth, _] = self.sizes(&layer.shape);
        CENTRE - f64::midpoint(width, depth * RIGHT_BY_DEPTH)
    }

    /// Width, depth and thickness.
    fn sizes(&self, shape: &[usize]) -> [f64; 3] {
        let side = |length: usize| (length as f64 * self.0).clamp(LEAST, LARGEST);
        let thick = |channels: usize| THIN + BY_DOUBLING * (channels.max(1) as f64).log2();
        match *shape {
            [height, width, channels] => [side(width), side(height), thick(channels)],
            [steps, channels] => [side(steps), LEAST, thick(channels)],
            // Values in a row have no image; the more there are, the thicker.
            _ => [LEAST * 3.0, LEAST, thick(shape.iter().product())],
        }
    }
}

fn slab(svg: &mut Markup, layer: &LayerBox, scale: &Scale, top: f64) {
    let [width, depth, thick] = scale.sizes(&layer.shape);
    let (right, up) = (depth * RIGHT_BY_DEPTH, depth * UP_BY_DEPTH);
    let (left, front) = (scale.left(layer), top + f64::midpoint(ROW - thick, up));
    let kind = match layer.kind {
        LayerKind::Input => "input",
        LayerKind::Learned => "learned",
        LayerKind::Smaller => "smaller",
        LayerKind::Larger => "larger",
        LayerKind::Other => "other",
    };
    let class = if layer.is_code { format!("slab {kind} code") } else { format!("slab {kind}") };
    svg.element("g", &[("class", &class)], |svg| {
        let [width, thick, right, up] = [width, thick, right, up].map(round);
        let [left, front] = [left, front].map(round);
        let faces = [
            format!("M{left} {front}l{right} -{up}h{width}l-{right} {up}z"),
            format!("M{left} {front}h{width}v{thick}h-{width}z"),
            format!("M{} {front}l{right} -{up}v{thick}l-{right} {up}z", round(left + width)),
        ];
        for (path, class) in faces.iter().zip(["lid", "front", "side"]) {
            svg.empty("path", &[("d", path), ("class", &class)]);
        }
    });
}

/// Name, what it does, and what comes out, beside the slab.
fn captions(svg: &mut Markup, layers: &[LayerBox], index: usize, top: f64) {
    let layer = &layers[index];
    let middle = top + ROW / 2.0;
    words(svg, (WORDS, middle - 11.0), "layer", &layer.name);
    let before = index.checked_sub(1);
    let mut detail = layer.detail.clone();
    if layer.reads.iter().any(|&read| Some(read) != before) {
        let names: Vec<&str> = layer.reads.iter().map(|&read| layers[read].name.as_str()).collect();
        detail = brief(&format!("{detail} of {}", names.join(", ")), LETTERS).into_owned();
    }
    words(svg, (WORDS, middle + 5.0), "detail", &detail);
    let values: usize = layer.shape.iter().product();
    let mut text = shape(layer);
    if layer.is_code {
        text = format!("{text} = code, {} values", thousands(values));
    } else if layer.weights > 0 {
        text = format!("{text}, {} weights", thousands(layer.weights));
    }
    words(svg, (WORDS, middle + 20.0), "shape", &text);
}

fn words(svg: &mut Markup, (x, y): (f64, f64), class: &str, text: &str) {
    svg.words("text", &[("x", &x), ("y", &round(y)), ("class", &class)], text);
}

fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}
