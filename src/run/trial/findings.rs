//! What was found in a folder, as a short table of words.

use crate::data::survey::{Noise, Structure, Survey};

/// Names and values, for the terminal and the page.
#[must_use]
pub fn findings(survey: &Survey) -> Vec<(&'static str, String)> {
    let mut rows = vec![("images", images(survey)), ("values", values(survey))];
    match &survey.noise {
        Some(noise) => {
            rows.push(("noise", strength(survey, noise)));
            rows.push(("neighbours", neighbours(survey, noise)));
            rows.push(("brightness", brightness(survey, noise)));
        }
        None => rows.push(("noise", "cannot be told".to_owned())),
    }
    rows
}

/// The images that cannot be read, in the same table; opening the data names each.
#[must_use]
pub fn left_out(survey: &Survey) -> Option<(&'static str, String)> {
    let (count, first) = (survey.damaged.len(), survey.damaged.first()?);
    Some(("left out", format!("{count} that cannot be read; the first: {first}")))
}

fn images(survey: &Survey) -> String {
    let &Survey { files, images, is_coloured, .. } = survey;
    let kinds = survey.endings.iter().map(|(ending, count)| format!("{count} {ending}"));
    let kinds = kinds.collect::<Vec<String>>().join(", ");
    let pages = if images > files { format!(" with {images} pages") } else { String::new() };
    let size = |[height, width]: [usize; 2]| format!("{width}x{height}");
    let sizes = match (size(survey.smallest), size(survey.largest)) {
        (smallest, largest) if smallest == largest => smallest,
        (smallest, largest) => format!("{smallest} to {largest}"),
    };
    let colour = if is_coloured { "coloured" } else { "grey" };
    format!("{kinds}{pages}; {sizes} pixels, {colour}")
}

fn values(survey: &Survey) -> String {
    let values = &survey.values;
    if values.white <= 1.0 {
        let [low, high] = values.ends.map(shown);
        return format!("{low} to {high}, in files of floats");
    }
    let [low, high] = values.ends.map(|end| (end * values.white).round());
    let bits = ((high + 1.0).log2().ceil()).max(1.0);
    let depth = if values.white > 255.0 { 16.0 } else { 8.0 };
    let used = if bits < depth { format!(" ({bits:.0} bits)") } else { String::new() };
    format!("{low:.0} to {high:.0}{used}, in files of {depth:.0} bits")
}

fn strength(survey: &Survey, noise: &Noise) -> String {
    let white = survey.values.white;
    let [low, high] = noise.between.map(|deviation| shown(deviation * white));
    let between = if low == high { String::new() } else { format!("; {low} to {high} by image") };
    let share = 100.0 * noise.deviation / survey.values.span();
    format!(
        "standard deviation {} ({share:.1} % of the range that is used{between})",
        shown(noise.deviation * white)
    )
}

fn neighbours(survey: &Survey, noise: &Noise) -> String {
    let [along, down] = noise.neighbours;
    let offsets = noise.offsets.map(|deviation| shown(deviation * survey.values.white));
    let figures = format!("correlation {along:.2} in a row, {down:.2} in a column");
    match noise.structure {
        Structure::Independent => format!("independent ({figures})"),
        Structure::Rows => {
            format!("rows hang together ({figures}; offsets of rows {})", offsets[0])
        }
        Structure::Columns => {
            format!("columns hang together ({figures}; offsets of columns {})", offsets[1])
        }
        Structure::Block([height, width]) => {
            format!("not independent within {width}x{height} pixels ({figures})")
        }
    }
}

fn brightness(survey: &Survey, noise: &Noise) -> String {
    let cut = if noise.is_clipped { "; cut off at black or white" } else { "" };
    let grows = match noise.growth {
        Some(growth) => {
            let [dark, bright] = [growth.dark, growth.bright]
                .map(|deviation| shown(deviation * survey.values.white));
            format!("the noise grows with it, from {dark} in the dark to {bright} in the bright")
        }
        None => "the noise does not grow with it".to_owned(),
    };
    grows + cut
}

/// In three figures.
fn shown(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 0.0 => format!("-{}", shown(-value)),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}
