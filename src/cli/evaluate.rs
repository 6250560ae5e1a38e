//! `convae evaluate`: how good a trained model is on the test set.

use anyhow::bail;
use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use tch::Device;

use super::{CheckpointArgs, one_of_orientations, processes};
use crate::config::Source;
use crate::config::data::ImageFiles;
use crate::config::schema::Field;
use crate::config::sections::Data;
use crate::data::corruption::Split;
use crate::data::{Dataset, Images, Target};
use crate::engine::choose_device_of;
use crate::formats::checkpoint::Checkpoint;
use crate::formats::image_file::lies_down;
use crate::infer::apply::orientations;
use crate::infer::evaluation::{
    Evaluation, ImageQuality, Means, Quality, Views, left_out, measure, measure_augmented,
};
use crate::infer::{Predictor, VALUES_AT_ONCE};
use crate::plan::{Part, Plan};
use crate::system::exit::UsageError;
use crate::system::plain_text::one_line;
use crate::system::ranks::{Place, Ranks};
use crate::system::terminal as output;
use crate::train::together::{agree_on, digest};

/// Prints loss, PSNR and SSIM of a trained model on the test set.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model to judge.
    #[command(flatten)]
    pub model: CheckpointArgs,
    /// Gaussian noise of these standard deviations, clipped to 0..1, in place of the config's
    /// corruption.
    #[arg(long, value_name = "LEVEL,...", value_delimiter = ',')]
    pub noise: Vec<String>,
    /// Takes the mean of the model's outputs on 4 quarter turns of an image, or on all 8 flips and turns, each
    /// turned back.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = one_of_orientations)]
    pub augment: u32,
    /// Also prints PSNR and SSIM of each image.
    #[arg(long)]
    pub per_file: bool,
    /// Prints one JSON document instead.
    #[arg(long)]
    pub json: bool,
}

/// Largest noise that a config may ask for.
const MOST_NOISE: f64 = 100.0;

/// What was found of the sets of one size each, and the places of their images in the whole set.
type Parts = Vec<(Evaluation, Vec<usize>)>;

/// Prints loss, PSNR and SSIM; of a denoiser also those of its input.
///
/// # Errors
/// When the checkpoint or the data is refused.
pub fn run(args: &Evaluate) -> anyhow::Result<u8> {
    let open = || args.model.open();
    match Place::of_environment()? {
        None => evaluate(args, open()?, None),
        Some(place) => processes::with_one_voice(place, |place| {
            let (plan, checkpoint) = open()?;
            plan.check_parts(place.size)?;
            let timeout = plan.config.train.distributed_timeout;
            processes::among(place, "evaluate", timeout, |ranks| {
                evaluate(args, (plan, checkpoint), Some(ranks))
            })
        }),
    }
}

fn evaluate(
    args: &Evaluate,
    (plan, checkpoint): (Plan, Checkpoint),
    ranks: Option<&Ranks>,
) -> anyhow::Result<u8> {
    let levels = levels(&args.noise)?;
    let model = &args.model;
    plan.loss()?;
    let local_rank = ranks.map_or(0, |ranks| ranks.place().local_rank);
    let device = choose_device_of(&plan.config.train.device, local_rank)?;
    let whole = plan.clone();
    let sets = sets(plan.clone())?;
    let paired = sets.iter().any(|(_, images)| images.are_paired());
    if paired && !levels.is_empty() {
        let pairs = "the data are pairs, whose inputs have noise of their own";
        return Err(UsageError(format!("--noise is set, but {pairs}; leave it out")).into());
    }
    if !levels.is_empty() && sets.iter().any(|(_, images)| images.go_beyond()) {
        return Err(UsageError(
            "--noise is clipped to 0..1, and the test images have values beyond; give it with --set \
             corruption=[{kind=\"gaussian\",factor=LEVEL,clip=false}]"
                .to_owned(),
        )
        .into());
    }
    // The sets of a size each are judged alike.
    sets.first().map(|(plan, images)| plan.check_values(images, Split::Test)).transpose()?;

    if let Some(ranks) = ranks {
        agree(ranks, args, (&plan, &checkpoint), &sets)?;
    }
    let mut parts: Vec<(Option<f64>, Parts)> = Vec::new();
    for (plan, images) in &sets {
        let mut predictor =
            Predictor::restore(&model.checkpoint, plan, &checkpoint, Part::Whole, device)?;
        let mut views = views(args, (plan, &whole), &checkpoint, device)?;
        for (level, (noise, plan)) in plans(plan, &levels)?.into_iter().enumerate() {
            let found = match &mut views {
                Some(views) => measure_augmented(&plan, images, &mut predictor, views, ranks)?,
                None => measure(&plan, images, &mut predictor, ranks)?,
            };
            check_numbers(&found)?;
            if parts.len() <= level {
                parts.push((noise, Vec::new()));
            }
            let places = (0..images.len()).map(|index| images.number(index)).collect();
            parts[level].1.push((found, places));
        }
    }
    if let Some(ranks) = ranks {
        ranks.finish();
        if !ranks.is_first() {
            return Ok(0);
        }
    }
    let results: Vec<(Option<f64>, Evaluation)> =
        parts.into_iter().map(|(noise, parts)| (noise, Evaluation::joined(parts))).collect();
    let count = sets.iter().map(|(_, images)| images.len()).sum();
    let is_cut = files_of(&plan).is_some_and(|files| files.patches.is_some());
    let patches = sets.first().filter(|_| is_cut).map(|(_, images)| images.shape());
    let measured = (count, patches.map(|[height, width, _]| [height, width]));
    if args.json {
        output::print_json(&json(args, &plan, measured, &results)?)?;
    } else {
        output::print(&text(args, &plan, measured, &results))?;
    }
    Ok(0)
}

/// Finds out that all ranks evaluate the same.
fn agree(
    ranks: &Ranks,
    args: &Evaluate,
    (plan, checkpoint): (&Plan, &Checkpoint),
    sets: &[(Plan, Images)],
) -> anyhow::Result<()> {
    let mut weights = crc32fast::Hasher::new();
    for (name, array) in &checkpoint.tensors {
        weights.update(name.as_bytes());
        weights.update(array.bytes());
    }
    let images = |(_, images): &(Plan, Images)| {
        format!("{} images ({:08x})", images.len(), digest(&images.digests()))
    };
    let images: Vec<String> = sets.iter().map(images).collect();
    let others = [
        ("--noise", args.noise.join(",")),
        ("--augment", args.augment.to_string()),
        ("the test set", images.join(" and ")),
        ("the weights", format!("{:08x}", weights.finalize())),
    ];
    agree_on(ranks, &plan.config, &others)
}

/// How the model sees the images of a set, where it is in several ways; `whole` is the plan before it had their size.
fn views(
    args: &Evaluate,
    (plan, whole): (&Plan, &Plan),
    checkpoint: &Checkpoint,
    device: Device,
) -> anyhow::Result<Option<Views>> {
    if args.augment == 1 {
        return Ok(None);
    }
    let orientations = orientations(plan, args.augment)?;
    let [height, width, _] = plan.input_shape;
    let turned = orientations.iter().any(|&orientation| lies_down(orientation));
    let lying = if turned && height != width {
        let plan = sized(whole, [width, height]).map_err(UsageError)?;
        let path = &args.model.checkpoint;
        let predictor = Predictor::restore(path, &plan, checkpoint, Part::Whole, device)?;
        Some((plan, predictor))
    } else {
        None
    };
    Ok(Some(Views { orientations, lying }))
}

/// The test set with the plan for its size; of a model of open size, and files that are neither resized nor cut, a
/// set for each size.
fn sets(plan: Plan) -> anyhow::Result<Vec<(Plan, Images)>> {
    let files = files_of(&plan);
    let whole = files.is_some_and(|files| files.patches.is_none() && files.resize.is_none());
    if plan.open != [true; 2] || !whole {
        let plan = plan.for_data()?;
        let test = Dataset::open_test(&plan.config.data, plan.objective()?.target)?;
        plan.check_batches(&test)?;
        return Ok(vec![(plan, test)]);
    }
    let times = plan.config.corruption.shrinking();
    let target = |[height, width]: [usize; 2]| {
        let [height, width] = [height, width].map(|side| (side / times).max(1));
        let sized = sized(&plan, [height, width])?;
        let mut target = sized.target().map_err(|error| error.to_string())?;
        if target.input[..2] != [height, width] {
            let own = |[.., channels]: [usize; 3]| [height, width, channels];
            let Target { input, output, drawn, clean } = target;
            let (input, output, drawn, clean) = (own(input), own(output), own(drawn), own(clean));
            target = Target { input, output, drawn, clean };
        }
        let [rows, columns, _] = target.output;
        plan.check_windows([rows, columns]).map_err(|error| error.to_string())?;
        Ok(target)
    };
    let sets = Dataset::open_test_by_size(&plan.config.data, target)?;
    let with_plan = |images: Images| {
        let [height, width, _] = images.shape();
        let mut plan = sized(&plan, [height, width]).map_err(UsageError)?;
        let values = plan.graph.input.values().max(1);
        let batch = &mut plan.config.train.batch_size;
        *batch = (*batch).min((VALUES_AT_ONCE / values).max(1));
        plan.check_batches(&images)?;
        Ok((plan, images))
    };
    sets.into_iter().map(with_plan).collect()
}

fn files_of(plan: &Plan) -> Option<&ImageFiles> {
    match &plan.config.data {
        Data::Images(images) => Some(&images.files),
        Data::Pairs(pairs) => Some(&pairs.files),
        _ => None,
    }
}

/// The plan for images of that size, or for the next larger ones that come out whole.
fn sized(plan: &Plan, [height, width]: [usize; 2]) -> Result<Plan, String> {
    plan.for_size(height, width).or_else(|reason| plan.for_size_around(height, width).ok_or(reason))
}

/// Refuses outputs that are no images, of which no mean says anything.
fn check_numbers(found: &Evaluation) -> anyhow::Result<()> {
    let odd = |psnr: f64| psnr.is_nan() || psnr == f64::NEG_INFINITY;
    match found.per_image.iter().find(|image| odd(image.output.psnr)) {
        Some(ImageQuality { name, .. }) => bail!(
            "the model's output of test image {name} holds NaN or infinity; train again with a lower \
             train.optimizer.learning_rate, or use another checkpoint"
        ),
        None => Ok(()),
    }
}

/// The levels of noise as numbers.
fn levels(noise: &[String]) -> Result<Vec<f64>, UsageError> {
    let level = |text: &String| {
        let level = text.trim().parse().ok().filter(|level| (0.0..=MOST_NOISE).contains(level));
        level.ok_or_else(|| {
            UsageError(format!(
                "--noise has {text:?}; give standard deviations from 0 to {MOST_NOISE}, like \
                 0.1,0.2,0.3"
            ))
        })
    };
    noise.iter().map(level).collect()
}

/// The plan itself, or one with Gaussian noise of each level in place of its own corruption.
fn plans(plan: &Plan, levels: &[f64]) -> anyhow::Result<Vec<(Option<f64>, Plan)>> {
    if levels.is_empty() {
        return Ok(vec![(None, plan.clone())]);
    }
    let text = plan.config.to_toml();
    // A model that gives larger images than it sees goes on seeing small ones.
    let smaller = plan.config.corruption.only_shrinking();
    let smaller = if smaller.shrinking() > 1 { smaller.0 } else { Vec::new() };
    let smaller: Vec<String> =
        smaller.iter().filter_map(Field::write).map(|kind| format!("{kind}, ")).collect();
    let [height, width, _] = plan.input_shape;
    let noisy = |&level: &f64| {
        let kinds = smaller.concat();
        let corruption =
            format!("corruption=[{kinds}{{kind=\"gaussian\",factor={level:?},clip=true}}]");
        let noisy = Plan::new(Source::parse(&text, "the model's config", &[corruption])?)?;
        let noisy = noisy.for_size(height, width).map_err(UsageError)?;
        Ok((Some(level), noisy))
    };
    levels.iter().map(noisy).collect()
}

/// All that was measured.
#[derive(Serialize)]
struct Report<'a> {
    checkpoint: String,
    name: &'a str,
    #[serde(rename = "pictures")]
    images: usize,
    /// Height and width, where patches were measured and not whole images.
    #[serde(skip_serializing_if = "Option::is_none")]
    patches: Option<[usize; 2]>,
    loss_function: String,
    results: Vec<Measured<'a>>,
}

/// Of one kind of input.
#[derive(Serialize)]
struct Measured<'a> {
    /// Not there where the config's own corruption was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    noise: Option<f64>,
    loss: f64,
    input: Option<Means>,
    output: Means,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a [ImageQuality]>,
}

fn json(
    args: &Evaluate,
    plan: &Plan,
    (images, patches): (usize, Option<[usize; 2]>),
    results: &[(Option<f64>, Evaluation)],
) -> anyhow::Result<String> {
    let results = results.iter().map(|(noise, found)| Measured {
        noise: *noise,
        loss: found.loss,
        input: found.input,
        output: found.output,
        files: args.per_file.then_some(found.per_image.as_slice()),
    });
    let report = Report {
        checkpoint: args.model.checkpoint.display().to_string(),
        name: &plan.config.name,
        images,
        patches,
        loss_function: plan.config.train.loss.name(),
        results: results.collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn text(
    args: &Evaluate,
    plan: &Plan,
    (images, patches): (usize, Option<[usize; 2]>),
    results: &[(Option<f64>, Evaluation)],
) -> String {
    let loss = plan.config.train.loss.name();
    let mut parts = vec![match patches {
        Some([height, width]) => {
            format!("{images} patches of {width}x{height} of the test images\n")
        }
        None => format!("{images} test images\n"),
    }];
    match results {
        [(None, found)] => {
            parts.push(format!("loss ({loss})  {:.6}\n", found.loss));
            parts.push(format!("output: {}\n", line(found.output)));
            parts.extend(found.input.map(|input| format!("input:  {}\n", line(input))));
        }
        levels => parts.push(level_table(&loss, levels)),
    }
    parts.extend(results.iter().filter_map(|(noise, found)| {
        let level = noise.map_or(String::new(), |noise| format!("noise {noise}: "));
        Some(format!("{level}{}\n", left_out(found.input, found.output)?))
    }));
    if args.per_file {
        for (noise, found) in results {
            parts.push(noise.map_or("\n".to_owned(), |noise| format!("\nnoise {noise}\n")));
            parts.push(image_table(&found.per_image));
        }
    }
    parts.concat()
}

fn line(Means { psnr, ssim, .. }: Means) -> String {
    let ssim = ssim.map_or("none (too small)".to_owned(), |ssim| format!("{ssim:.4}"));
    format!("PSNR {psnr:.2} dB  SSIM {ssim}")
}

/// A row for each level of noise.
fn level_table(loss: &str, levels: &[(Option<f64>, Evaluation)]) -> String {
    let header = ["noise".to_owned(), format!("loss ({loss})")];
    let rows = levels.iter().map(|(noise, found)| {
        let noise = noise.unwrap_or_default();
        let start = [noise.to_string(), format!("{:.6}", found.loss)];
        (start.to_vec(), found.input.map(Quality::from), found.output.into())
    });
    table(&header, rows)
}

/// A row for each image.
fn image_table(images: &[ImageQuality]) -> String {
    let rows = images.iter().map(|image| {
        let ImageQuality { name, input, output } = image;
        (vec![one_line(name)], *input, *output)
    });
    table(&["image".to_owned()], rows)
}

/// Columns of figures behind those of `header`; there is no input where it is the target.
fn table(
    header: &[String],
    rows: impl Iterator<Item = (Vec<String>, Option<Quality>, Quality)>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let figures = ["input PSNR", "SSIM", "output PSNR", "SSIM"].map(str::to_owned);
    table.set_header(header.iter().chain(&figures));
    for (start, input, output) in rows {
        let input = input.map_or(["-".to_owned(), "-".to_owned()], figures_of);
        table.add_row(start.into_iter().chain(input).chain(figures_of(output)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    lines.concat()
}

fn figures_of(Quality { psnr, ssim }: Quality) -> [String; 2] {
    [format!("{psnr:.2}"), ssim.map_or("-".to_owned(), |ssim| format!("{ssim:.4}"))]
}
