//! How a picture of any size fits a model: what it is padded to, and the tiles that it is cut into.
//!
//! A tile's output is kept only where it does not depend on what lies beyond the tile
//! ([`Plan::clear`]), and tiles start at multiples of the model's [period](Plan::period). So the
//! tiles put together are what the whole picture would have given, up to rounding: there is no seam.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use crate::exit::Misuse;
use crate::plan::{Axis, Plan};

/// Sides of a tile where none is asked for: the first of which at least half is kept.
const TILES: [usize; 4] = [256, 512, 1024, 2048];
/// Tiles beyond this are not looked for.
const LARGEST_TILE: usize = 4096;
/// Sides are padded to a multiple of this, so that pictures of many sizes share a few models. One
/// of the model's own size is not padded.
const STEP: usize = 16;
/// Part of a tile that is given up at either end where the model knows one size only, and nothing
/// is clear.
const FIXED_MARGIN: usize = 8;

/// One side of a picture, as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Length of a tile.
    pub tile: usize,
    /// From the picture's start to its end; together they keep each pixel once.
    pub parts: Vec<Part>,
}

/// A tile along one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it starts in the picture.
    pub origin: usize,
    /// What is kept of its output, in the picture's pixels.
    pub keep: Range<usize>,
}

/// A model's demands on sizes.
#[derive(Debug)]
pub struct Fit<'a> {
    plan: Cow<'a, Plan>,
    rows: Tiling,
    columns: Tiling,
    known: RefCell<HashMap<(Axis, usize), Rc<Side>>>,
}

/// Tiles along one axis.
#[derive(Debug, Clone, Default)]
struct Tiling {
    /// `None` where pictures are never cut.
    tile: Option<usize>,
    /// What is kept of a tile that has neighbours.
    clear: Range<usize>,
}

impl<'a> Fit<'a> {
    /// For tiles of at most `tile` pixels a side, or a good size for the model.
    ///
    /// # Errors
    /// When tiles of that size would leave nothing to keep.
    pub fn new(plan: &'a Plan, tile: Option<usize>) -> Result<Self, Misuse> {
        let rows = Tiling::choose(plan, Axis::Rows, tile)?;
        let columns = Tiling::choose(plan, Axis::Columns, tile)?;
        Ok(Self { plan: Cow::Borrowed(plan), rows, columns, known: RefCell::default() })
    }

    /// The same with a plan of its own.
    #[must_use]
    pub fn into_owned(self) -> Fit<'static> {
        let Self { plan, rows, columns, known } = self;
        Fit { plan: Cow::Owned(plan.into_owned()), rows, columns, known }
    }

    /// Both sides of a picture of so many rows and columns.
    ///
    /// # Errors
    /// A sentence about the picture, when the model cannot take it.
    pub fn sides(&self, [height, width]: [usize; 2]) -> Result<[Rc<Side>; 2], String> {
        let sides = (self.side(Axis::Rows, height), self.side(Axis::Columns, width));
        let (Some(rows), Some(columns)) = sides else {
            return Err(self.refusal([height, width]));
        };
        Ok([rows, columns])
    }

    fn side(&self, axis: Axis, length: usize) -> Option<Rc<Side>> {
        if let Some(side) = self.known.borrow().get(&(axis, length)) {
            return Some(Rc::clone(side));
        }
        let tiling = axis.of([&self.rows, &self.columns]);
        let side = Rc::new(match self.plan.sized_layer() {
            None => flexible(&self.plan, axis, tiling, length)?,
            Some(_) => fixed(own(&self.plan, axis), tiling, length)?,
        });
        self.known.borrow_mut().insert((axis, length), Rc::clone(&side));
        Some(side)
    }

    fn refusal(&self, [height, width]: [usize; 2]) -> String {
        let [own_height, own_width, _] = self.plan.input_shape;
        let Some(layer) = self.plan.sized_layer() else {
            return format!(
                "it is {width}x{height} pixels, which the model cannot be laid out for; resize it \
                 to {own_width}x{own_height}"
            );
        };
        let larger = height >= own_height && width >= own_width;
        format!(
            "it is {width}x{height} pixels, the model takes {own_width}x{own_height} only (it has \
             a {} layer); resize it{}",
            layer.layer.name(),
            if larger { ", or cut it into such tiles with --tile" } else { "" }
        )
    }
}

fn own(plan: &Plan, axis: Axis) -> usize {
    axis.of([plan.input_shape[0], plan.input_shape[1]])
}

impl Tiling {
    fn choose(plan: &Plan, axis: Axis, asked: Option<usize>) -> Result<Self, Misuse> {
        let own = own(plan, axis);
        match (plan.sized_layer(), asked) {
            (Some(_), None) => Ok(Self::default()),
            (Some(_), Some(asked)) if asked == own => {
                let margin = own / FIXED_MARGIN;
                Ok(Self { tile: Some(own), clear: margin..own - margin })
            }
            (Some(layer), Some(asked)) => Err(Misuse(format!(
                "--tile is {asked}, but the model has a {} layer and takes {}x{} only; give its \
                 own side, or leave --tile away",
                layer.layer.name(),
                plan.input_shape[1],
                plan.input_shape[0]
            ))),
            (None, None) => {
                let tilings = TILES.iter().filter_map(|&most| Self::of(plan, axis, most));
                let good = |tiling: &Self| tiling.clear.len() * 2 >= tiling.tile.unwrap_or(0);
                // A model that sees farther than this takes its pictures whole.
                Ok(tilings.into_iter().find(good).unwrap_or_default())
            }
            (None, Some(asked)) => {
                Self::of(plan, axis, asked).ok_or_else(|| too_small(plan, axis, asked))
            }
        }
    }

    /// The largest tile of at most `most` pixels, if it leaves something to keep.
    fn of(plan: &Plan, axis: Axis, most: usize) -> Option<Self> {
        let least = most.saturating_sub(2 * plan.period(axis)).max(1);
        let (tile, sized) =
            (least..=most).rev().find_map(|tile| Some((tile, resized(plan, axis, tile)?)))?;
        let clear = sized.clear(axis);
        (clear.len() >= plan.period(axis)).then_some(Self { tile: Some(tile), clear })
    }
}

fn too_small(plan: &Plan, axis: Axis, asked: usize) -> Misuse {
    let enough = (asked..=LARGEST_TILE).find(|&side| Tiling::of(plan, axis, side).is_some());
    Misuse(match enough {
        Some(enough) => format!(
            "--tile is {asked}, but the model looks so far that a tile needs {enough} pixels a \
             side; give that or more"
        ),
        None => {
            format!("--tile is {asked}, but the model cannot be cut into tiles; leave --tile away")
        }
    })
}

/// The plan for pictures with that side; `None` where its output would have another.
fn resized(plan: &Plan, axis: Axis, side: usize) -> Option<Plan> {
    let [height, width, _] = plan.input_shape;
    let sides = match axis {
        Axis::Rows => [side, width],
        Axis::Columns => [height, side],
    };
    plan.with_input_size(sides).ok()
}

/// A side of a model that takes any length that its strides lead back to.
fn flexible(plan: &Plan, axis: Axis, tiling: &Tiling, length: usize) -> Option<Side> {
    let (own, period) = (own(plan, axis), plan.period(axis));
    let padded = if length == own {
        own
    } else {
        let from = length.next_multiple_of(STEP);
        let to = (from + 2 * period).max(own);
        (from..=to).find(|&side| resized(plan, axis, side).is_some())?
    };
    match tiling.tile {
        Some(tile) if tile < padded && (padded - tile).is_multiple_of(period) => {
            let step = tiling.clear.len() / period * period;
            Some(cut(tile, &tiling.clear, step, padded, length))
        }
        _ => Some(whole(padded, length)),
    }
}

/// A side of a model that takes its own length only.
fn fixed(own: usize, tiling: &Tiling, length: usize) -> Option<Side> {
    match tiling.tile {
        _ if length == own => Some(whole(own, length)),
        Some(tile) if length > tile => {
            Some(cut(tile, &tiling.clear, tiling.clear.len(), length, length))
        }
        _ => None,
    }
}

fn whole(padded: usize, length: usize) -> Side {
    Side { tile: padded, parts: vec![Part { origin: 0, keep: 0..length }] }
}

/// Tiles `step` apart, the last one at the end of `padded`; each keeps what is clear, and the outer
/// ones keep their outer border, where the picture itself ends.
fn cut(tile: usize, clear: &Range<usize>, step: usize, padded: usize, length: usize) -> Side {
    let mut parts = Vec::new();
    let mut kept = 0;
    for origin in (0..).step_by(step).map(|origin| origin.min(padded - tile)) {
        let last = origin + tile == padded;
        let end = if last { length } else { (origin + clear.end).min(length) };
        parts.push(Part { origin, keep: kept..end });
        kept = end;
        // The padding may end in tiles that nothing is kept of.
        if kept == length {
            break;
        }
    }
    Side { tile, parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn plan(shape: [usize; 3], layers: &str) -> Plan {
        let text = format!(
            "name = \"case\"\n[model]\ninput_shape = {shape:?}\nencoder = []\ndecoder = [{layers}]\n"
        );
        Plan::new(Source::parse(&text, "case", &[]).unwrap()).expect(&text)
    }

    const CONV: &str = "{ layer = \"Conv2D\", filters = 1, kernel_size = 3, padding = \"same\" }, ";
    const POOL: &str = "{ layer = \"MaxPooling2D\" }, ";
    const UP: &str = "{ layer = \"UpSampling2D\" }, ";

    #[test]
    fn a_convolution_of_three_blurs_one_pixel_at_either_end() {
        let plan = plan([16, 16, 1], &CONV.repeat(2));
        assert_eq!((plan.period(Axis::Rows), plan.clear(Axis::Rows)), (1, 2..14));
    }

    #[test]
    fn behind_a_pooling_each_pixel_counts_twice() {
        let plan = plan([16, 16, 1], &[CONV, POOL, CONV, UP, CONV].concat());
        // At 16: 1..15; of 8 then 1..7; after the convolution 2..6; of 16 again 4..12; then 5..11.
        assert_eq!((plan.period(Axis::Columns), plan.clear(Axis::Columns)), (2, 5..11));
    }

    #[test]
    fn the_parts_of_a_side_keep_each_pixel_once_and_only_what_is_clear() {
        let plan = plan([16, 16, 1], &[CONV, POOL, CONV, POOL, CONV, UP, UP, CONV].concat());
        let fit = Fit::new(&plan, Some(50)).unwrap();
        for length in 1..400 {
            let [rows, columns] = fit.sides([length, 16]).unwrap();
            assert_eq!(*columns, whole(16, 16));
            let mut kept = 0;
            for (i, Part { origin, keep }) in rows.parts.iter().enumerate() {
                assert_eq!((keep.start, origin % 4), (kept, 0), "{length}: {rows:?}");
                let inner = i == 0 || origin + fit.rows.clear.start <= keep.start;
                assert!(inner && keep.end <= origin + rows.tile, "{length}: {rows:?}");
                kept = keep.end;
            }
            assert_eq!(kept, length);
        }
        assert_eq!(fit.rows.tile, Some(48));
    }

    #[test]
    fn a_picture_of_the_models_own_size_is_not_padded() {
        let plan = plan([14, 14, 1], &[CONV, POOL, UP].concat());
        let fit = Fit::new(&plan, None).unwrap();
        assert_eq!(fit.sides([14, 14]).unwrap()[0].tile, 14);
        assert_eq!(fit.sides([13, 15]).unwrap().map(|side| side.tile), [16, 16]);
        assert_eq!(fit.sides([1, 17]).unwrap().map(|side| side.tile), [16, 32]);
    }

    #[test]
    fn a_tile_that_would_leave_nothing_is_refused_with_one_that_does() {
        let plan = plan([16, 16, 1], &CONV.repeat(5));
        let refused = Fit::new(&plan, Some(10)).unwrap_err().to_string();
        assert!(
            refused.contains("--tile is 10") && refused.contains("needs 11 pixels"),
            "{refused}"
        );
        assert!(Fit::new(&plan, Some(11)).is_ok());
    }
}
