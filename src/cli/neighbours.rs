//! `convae neighbours`: which images a model takes for alike, as one image.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::CheckpointArgs;
use super::encode::sized;
use crate::data::{Dataset, Scaling};
use crate::engine::choose_device;
use crate::formats::image_file::ImagePlace;
use crate::infer::Predictor;
use crate::infer::gallery::{Gallery, found};
use crate::infer::nearest::Nearest;
use crate::plan::{Part, Plan};
use crate::report::showcase::{drawn_size, pictures};
use crate::report::{Captioned, MOST_SIDE, NeighbourRow, most_rows, range_of, write_neighbours};
use crate::system::exit::{self, UsageError};
use crate::system::output_file;
use crate::system::terminal::{complain, note};

/// Draws images beside those whose codes are nearest, by Euclidean distance.
#[derive(Debug, Args)]
pub struct Neighbours {
    /// The model whose encoder to use.
    #[command(flatten)]
    pub model: CheckpointArgs,
    /// The layer that gives the code, by its name, instead of the last one of the encoder.
    #[arg(long, value_name = "LAYER")]
    pub code: Option<String>,
    /// The image to draw: .png.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replaces the file if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Neighbours of each image, 1 to 50.
    #[arg(long, value_name = "COUNT", default_value_t = 8,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=50))]
    pub count: usize,
    /// A folder of images, or one image, to look for neighbours in, instead of the training set.
    #[arg(long, value_name = "FOLDER")]
    pub among: Option<PathBuf>,
    /// Images, or folders of them, of one size; the first ten test images where none is named.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

/// Test images that are queries where none is named.
const QUERIES: usize = 10;
/// Lines under a neighbour: its name and its distance.
const LINES: usize = 2;

/// Draws each query and the images whose codes are nearest to its own.
///
/// # Errors
/// When the checkpoint or the data is refused, no image can be read, or the image cannot be
/// written.
pub fn run(args: &Neighbours) -> anyhow::Result<u8> {
    output_file::check(&args.out, &["png"], args.overwrite)?;
    let model = &args.model;
    let (plan, checkpoint) = model.open_with_code(args.code.as_deref())?;
    let device = choose_device(&plan.config.train.device)?;
    let (plan, queries, among) = galleries(args, &plan)?;
    check_page(args.count, &queries, &among)?;
    let mut encoder =
        Predictor::restore(&model.checkpoint, &plan, &checkpoint, Part::Encoder, device)?;

    let mut asked = Vec::new();
    let mut failures = encoder.encode_each(&queries, |index, code| {
        asked.push(Query::new(args.count, &queries, index, code));
    });
    if asked.is_empty() {
        bail!("no query can be read; name other images");
    }
    failures += search(&mut encoder, &among, &mut asked);
    let rows = asked.iter().map(|query| query.row(&queries, &among));
    let rows = drawn(&rows.collect::<anyhow::Result<Vec<_>>>()?, queries.shape())?;
    let looked_at = format!("Nearest of {} by the Euclidean distance of codes", among.len());
    write_neighbours(&args.out, &looked_at, &rows)?;
    note(format_args!(
        "the nearest of {} images to {} -> {}",
        among.len(),
        asked.len(),
        args.out.display()
    ));
    if failures == 0 {
        return Ok(0);
    }
    complain(format_args!("{failures} of {} images failed", queries.len() + among.len()));
    Ok(exit::FAILED)
}

/// The queries, and the images that they are compared with; all of one size.
fn galleries(args: &Neighbours, plan: &Plan) -> anyhow::Result<(Plan, Gallery, Gallery)> {
    let data = &plan.config.data;
    // Its own images are of one size; those that are named may be of another.
    let of_data = if args.images.is_empty() { plan.clone().for_data()? } else { plan.clone() };
    let plan = &of_data;
    if args.images.is_empty() && args.among.is_none() {
        let Dataset { train, test } = Dataset::open(data, plan.seen())?;
        let queries = Gallery::of_set(test, Some(QUERIES));
        return Ok((plan.clone(), queries, Gallery::of_set(train, None)));
    }
    let (sized, queries) = if args.images.is_empty() {
        let test = Dataset::open_test(data, plan.seen())?;
        (plan.clone(), Gallery::of_set(test, Some(QUERIES)))
    } else {
        sized(plan, found(&args.images)?)?
    };
    let among = match &args.among {
        Some(folder) => {
            let scaling = Scaling::of_trained(data)?;
            Gallery::of_files(found(std::slice::from_ref(folder))?, sized.input_shape, scaling)
        }
        None if sized.input_shape == plan.input_shape => {
            Gallery::of_set(Dataset::open(data, plan.seen())?.train, None)
        }
        None => {
            let ([height, width, _], [own_height, own_width, _]) =
                (sized.input_shape, plan.input_shape);
            return Err(UsageError(format!(
                "the images are {width}x{height} pixels and the training set's images \
                 {own_width}x{own_height}; name a folder of images of the same size with --among"
            ))
            .into());
        }
    };
    Ok((sized, queries, among))
}

/// Refuses what no page would hold, before the many images are encoded.
fn check_page(count: usize, queries: &Gallery, among: &Gallery) -> Result<(), UsageError> {
    let ([height, width], nearest) = (drawn_size(queries.shape()), count.min(among.len()));
    match most_rows([height, width], nearest, LINES) {
        most if queries.len() <= most => Ok(()),
        0 => Err(UsageError(format!(
            "an image of {width}x{height} pixels beside its {nearest} nearest is larger than a page \
             of {MOST_SIDE} pixels a side; lower --count, or name smaller images"
        ))),
        most => Err(UsageError(format!(
            "a page of {MOST_SIDE} pixels a side has no room for {} queries of {width}x{height} \
             pixels; name {most} images at most",
            queries.len()
        ))),
    }
}

/// An image and what is nearest to it so far.
struct Query {
    index: usize,
    code: Vec<f32>,
    place: Option<ImagePlace>,
    nearest: Nearest,
}

impl Query {
    fn new(count: usize, queries: &Gallery, index: usize, code: &[f32]) -> Self {
        let place = queries.place(index);
        Self { index, code: code.to_vec(), place, nearest: Nearest::new(count) }
    }

    /// An image is not its own neighbour.
    fn is_at(&self, place: Option<&ImagePlace>) -> bool {
        self.place.is_some() && self.place.as_ref() == place
    }

    /// The query, and then its neighbours.
    fn row(&self, queries: &Gallery, among: &Gallery) -> anyhow::Result<Vec<Found>> {
        let query = Found::read(queries, self.index, vec![queries.name(self.index)]);
        let nearest = self.nearest.iter().map(|(index, distance)| {
            Found::read(among, index, vec![among.name(index), format!("{distance:.3}")])
        });
        std::iter::once(query).chain(nearest).collect()
    }
}

/// Compares all images with all queries; returns how many could not be read.
fn search(encoder: &mut Predictor, among: &Gallery, asked: &mut [Query]) -> usize {
    encoder.encode_each(among, |index, code| {
        let place = among.place(index);
        for query in asked.iter_mut().filter(|query| !query.is_at(place.as_ref())) {
            query.nearest.offer(index, &query.code, code);
        }
    })
}

/// An image's values, and what is said of it.
struct Found {
    values: Vec<f32>,
    lines: Vec<String>,
}

impl Found {
    /// Read once more: the many images that were compared are not kept.
    fn read(gallery: &Gallery, index: usize, lines: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self { values: gallery.shown(index).map_err(anyhow::Error::msg)?, lines })
    }

    fn captioned(&self, shape: [usize; 3], range: [f32; 2]) -> anyhow::Result<Captioned> {
        let raster = pictures(&self.values, shape, range).pop().context("it has all its values")?;
        Ok(Captioned { raster, lines: self.lines.clone() })
    }
}

/// Signals as curves, all on one scale.
fn drawn(rows: &[Vec<Found>], shape: [usize; 3]) -> anyhow::Result<Vec<NeighbourRow>> {
    let all: Vec<&[f32]> = rows.iter().flatten().map(|found| &found.values[..]).collect();
    let range = range_of(&all);
    let row = |row: &Vec<Found>| {
        let mut images = row.iter().map(|found| found.captioned(shape, range));
        let query = images.next().context("a row begins with its query")??;
        Ok(NeighbourRow { query, nearest: images.collect::<anyhow::Result<_>>()? })
    };
    rows.iter().map(row).collect()
}
