//! `convae neighbours`: which pictures a model takes for alike, as one picture.

use anyhow::{Context, bail};

use super::encode::sized;
use crate::cli::Neighbours;
use crate::coder::Coder;
use crate::data::Dataset;
use crate::exit::{self, Misuse};
use crate::gallery::{Gallery, found};
use crate::image_file::ImagePlace;
use crate::nearest::Nearest;
use crate::output::{complain, note};
use crate::output_file;
use crate::plan::{Part, Plan};
use crate::report::{Captioned, MOST_SIDE, NeighbourRow, most_rows, write_neighbours};
use crate::saved_model::{open_model, restore_part};
use crate::showcase::pictures;
use crate::train::choose_device;

/// Test pictures that are queries where none is named.
const QUERIES: usize = 10;
/// Lines under a neighbour: its name and its distance.
const LINES: usize = 2;

/// Draws each query and the pictures whose codes are nearest to its own.
///
/// # Errors
/// When the checkpoint or the data is refused, no image can be read, or the picture cannot be
/// written.
pub fn run(args: &Neighbours) -> anyhow::Result<u8> {
    output_file::check(&args.out, &["png"], args.overwrite)?;
    let model = &args.model;
    let (plan, checkpoint) =
        open_model(&model.checkpoint, model.config.as_deref(), &model.overrides)?;
    let device = choose_device(&plan.config.train.device)?;
    let (plan, queries, among) = galleries(args, &plan)?;
    check_page(args.count, &queries, &among)?;
    let mut encoder = restore_part(&model.checkpoint, &plan, &checkpoint, Part::Encoder, device)?;

    let mut asked = Vec::new();
    let mut failures = encoder.encode_each(&queries, |index, code| {
        asked.push(Query::new(args.count, &queries, index, code));
    });
    if asked.is_empty() {
        bail!("no query can be read; name other images");
    }
    failures += search(&mut encoder, &among, &mut asked);
    let rows = asked.iter().map(|query| query.row(&queries, &among));
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    let looked_at = format!("Nearest of {} by the Euclidean distance of codes", among.len());
    write_neighbours(&args.out, &looked_at, &rows)?;
    note(format_args!(
        "the nearest of {} pictures to {} -> {}",
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

/// The queries, and the pictures that they are compared with; all of one size.
fn galleries(args: &Neighbours, plan: &Plan) -> anyhow::Result<(Plan, Gallery, Gallery)> {
    let data = &plan.config.data;
    if args.images.is_empty() && args.among.is_none() {
        let Dataset { train, test } = Dataset::open(data, plan.input_shape)?;
        let queries = Gallery::of_set(test, Some(QUERIES));
        return Ok((plan.clone(), queries, Gallery::of_set(train, None)));
    }
    let (sized, queries) = if args.images.is_empty() {
        let test = Dataset::open_test(data, plan.input_shape)?;
        (plan.clone(), Gallery::of_set(test, Some(QUERIES)))
    } else {
        sized(plan, found(&args.images)?)?
    };
    let among = match &args.among {
        Some(folder) => Gallery::of_files(found(std::slice::from_ref(folder))?, sized.input_shape),
        None if sized.input_shape == plan.input_shape => {
            Gallery::of_set(Dataset::open(data, plan.input_shape)?.train, None)
        }
        None => {
            let ([height, width, _], [own_height, own_width, _]) =
                (sized.input_shape, plan.input_shape);
            return Err(Misuse(format!(
                "the images are {width}x{height} pixels and the training set's pictures \
                 {own_width}x{own_height}; name a folder of images of the same size with --among"
            ))
            .into());
        }
    };
    Ok((sized, queries, among))
}

/// Refuses what no page would hold, before the many pictures are encoded.
fn check_page(count: usize, queries: &Gallery, among: &Gallery) -> Result<(), Misuse> {
    let ([height, width, _], nearest) = (queries.shape(), count.min(among.len()));
    match most_rows([height, width], nearest, LINES) {
        most if queries.len() <= most => Ok(()),
        0 => Err(Misuse(format!(
            "a picture of {width}x{height} pixels beside its {nearest} nearest is larger than a page \
             of {MOST_SIDE} pixels a side; lower --count, or name smaller images"
        ))),
        most => Err(Misuse(format!(
            "a page of {MOST_SIDE} pixels a side has no room for {} queries of {width}x{height} \
             pixels; name {most} images at most",
            queries.len()
        ))),
    }
}

/// A picture and what is nearest to it so far.
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

    /// A picture is not its own neighbour.
    fn is_at(&self, place: Option<&ImagePlace>) -> bool {
        self.place.is_some() && self.place.as_ref() == place
    }

    fn row(&self, queries: &Gallery, among: &Gallery) -> anyhow::Result<NeighbourRow> {
        let nearest = self.nearest.iter().map(|(index, distance)| {
            captioned(among, index, vec![among.name(index), format!("{distance:.3}")])
        });
        let query = captioned(queries, self.index, vec![queries.name(self.index)])?;
        Ok(NeighbourRow { query, nearest: nearest.collect::<anyhow::Result<_>>()? })
    }
}

/// Compares all pictures with all queries; returns how many could not be read.
fn search(encoder: &mut Coder, among: &Gallery, asked: &mut [Query]) -> usize {
    encoder.encode_each(among, |index, code| {
        let place = among.place(index);
        for query in asked.iter_mut().filter(|query| !query.is_at(place.as_ref())) {
            query.nearest.offer(index, &query.code, code);
        }
    })
}

/// Read once more: the many pictures that were compared are not kept.
fn captioned(gallery: &Gallery, index: usize, lines: Vec<String>) -> anyhow::Result<Captioned> {
    let read = gallery.read(index..index + 1).pop().context("one picture was asked for")?;
    let values = read.map_err(anyhow::Error::msg)?;
    let picture = pictures(&values, gallery.shape()).pop().context("it has all its values")?;
    Ok(Captioned { picture, lines })
}
