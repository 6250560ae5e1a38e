//! How an image of any size fits a model: what it is padded to, and the tiles that it is cut into.
//!
//! A side is padded only where the model does not give back one of that length, and then to the next
//! one that it does. Tiles differ from that length by multiples of the model's
//! [period](Plan::period) and start at such multiples, so that every stride and every `same` padding
//! falls as it does in the whole image; and a tile's output is kept only where it does not depend on
//! what lies beyond the tile ([`Plan::clear`]). So the tiles put together are what the whole image
//! gives, up to rounding: there is no seam.
//!
//! A result has the size that belongs to its image's ([`Plan::scale`]): as a rule the same.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use crate::plan::{Axis, LARGEST_PERIOD, Node, Plan, Scale};
use crate::system::exit::UsageError;

/// Longest sides of tiles where none is asked for: the first by which at least half is kept.
const TILES: [usize; 4] = [384, 512, 1024, 2048];
/// Tiles beyond this are not looked for.
const LARGEST_TILE: usize = 4096;
/// Part of a tile that is given up at either end where the model knows one size only, and nothing
/// is clear.
const FIXED_MARGIN: usize = 8;

/// One side of an image, as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Length of a tile.
    pub tile: usize,
    /// Length of what the model gives for it.
    pub given: usize,
    /// Length of the result.
    pub result: usize,
    /// From the image's start to its end; together they keep each pixel of the result once.
    pub parts: Vec<Part>,
}

/// A tile along one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it starts in the image.
    pub origin: usize,
    /// Where its output starts in the result.
    pub start: usize,
    /// What is kept of its output, in the result's pixels.
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

/// Tiles along one axis. Images differ in how far they are from a multiple of the period; each kind
/// has a tile of its own. There is none where images are never cut.
#[derive(Debug, Clone, Default)]
struct Tiling(Vec<Tile>);

#[derive(Debug, Clone)]
struct Tile {
    length: usize,
    /// Length of its output.
    given: usize,
    /// What is kept of the output of one that has neighbours.
    clear: Range<usize>,
}

impl<'a> Fit<'a> {
    /// For tiles of at most `tile` pixels a side, or a good size for the model.
    ///
    /// # Errors
    /// When tiles of that size would leave nothing to keep, or what the model gives has no place on an image.
    pub fn new(plan: &'a Plan, tile: Option<usize>) -> Result<Self, UsageError> {
        let rows = Tiling::choose(plan, Axis::Rows, tile)?;
        let columns = Tiling::choose(plan, Axis::Columns, tile)?;
        Ok(Self { plan: Cow::Borrowed(plan), rows, columns, known: RefCell::default() })
    }

    /// How many times as many pixels results have as their images, at most.
    #[must_use]
    pub fn growth(&self) -> usize {
        let along =
            |axis: Axis| self.plan.scale(axis).map_or(1, |scale| scale.fine.div_ceil(scale.coarse));
        along(Axis::Rows).saturating_mul(along(Axis::Columns))
    }

    /// The same with a plan of its own.
    #[must_use]
    pub fn into_owned(self) -> Fit<'static> {
        let Self { plan, rows, columns, known } = self;
        Fit { plan: Cow::Owned(plan.into_owned()), rows, columns, known }
    }

    /// Both sides of an image of so many rows and columns.
    ///
    /// # Errors
    /// A sentence about the image, when the model cannot take it.
    pub fn sides(&self, [height, width]: [usize; 2]) -> Result<[Rc<Side>; 2], String> {
        let sides = (self.side(Axis::Rows, height), self.side(Axis::Columns, width));
        let (Some(rows), Some(columns)) = sides else {
            return Err(self.refusal([height, width]));
        };
        Ok([rows, columns])
    }

    /// Refuses an image whose results would not lie on one another once they are flipped back: of one that
    /// becomes half as large, each pixel of the result has to stand for as many of the image's.
    ///
    /// # Errors
    /// A sentence about the image.
    pub fn check_flips(&self, [height, width]: [usize; 2]) -> Result<(), String> {
        for (axis, length) in [(Axis::Rows, height), (Axis::Columns, width)] {
            let Some(Scale { fine, coarse, .. }) = self.plan.scale(axis) else { continue };
            if !(length * fine).is_multiple_of(coarse) {
                return Err(format!(
                    "it is {width}x{height} pixels, and --augment needs sides that are multiples of {coarse}, as \
                     the model gives smaller images; crop it, or leave --augment away"
                ));
            }
        }
        Ok(())
    }

    fn side(&self, axis: Axis, length: usize) -> Option<Rc<Side>> {
        if let Some(side) = self.known.borrow().get(&(axis, length)) {
            return Some(Rc::clone(side));
        }
        let tiling = axis.of([&self.rows, &self.columns]);
        let side = Rc::new(match self.plan.sized_layer() {
            None => flexible(&self.plan, axis, tiling, length)?,
            Some(_) => fixed(&self.plan, axis, tiling, length)?,
        });
        self.known.borrow_mut().insert((axis, length), Rc::clone(&side));
        Some(side)
    }

    fn refusal(&self, [height, width]: [usize; 2]) -> String {
        let [own_height, own_width, _] = self.plan.input_shape;
        let Some(layer) = self.plan.sized_layer() else {
            let lost = [Axis::Rows, Axis::Columns]
                .map(|axis| self.plan.scale(axis).map_or(0, |scale| scale.least()));
            if height < lost[0] || width < lost[1] {
                return format!(
                    "it is {width}x{height} pixels, and the model gives nothing of less than {}x{}; give \
                     a larger image",
                    lost[1], lost[0]
                );
            }
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
            if larger && self.plan.whole_layer().is_none() {
                ", or cut it into such tiles with --tile"
            } else {
                ""
            }
        )
    }
}

fn own(plan: &Plan, axis: Axis) -> usize {
    axis.of([plan.input_shape[0], plan.input_shape[1]])
}

impl Tiling {
    fn choose(plan: &Plan, axis: Axis, asked: Option<usize>) -> Result<Self, UsageError> {
        let own = own(plan, axis);
        if plan.sized_layer().is_none() {
            check_scale(plan, axis)?;
        }
        if let Some(layer) = plan.whole_layer() {
            return whole_only(layer, asked);
        }
        match (plan.sized_layer(), asked) {
            (Some(_), None) => Ok(Self::default()),
            (Some(_), Some(_)) if plan.scale(axis) != Some(Scale::SAME) => Err(UsageError(
                "--tile goes with models that give images as large as they take, or that take any size; \
                 leave it away"
                    .to_owned(),
            )),
            (Some(_), Some(asked)) if asked == own => {
                let margin = own / FIXED_MARGIN;
                Ok(Self(vec![Tile { length: own, given: own, clear: margin..own - margin }]))
            }
            (Some(layer), Some(asked)) => Err(UsageError(format!(
                "--tile is {asked}, but the model has a {} layer and takes {}x{} only; give its \
                 own side, or leave --tile away",
                layer.layer.name(),
                plan.input_shape[1],
                plan.input_shape[0]
            ))),
            (None, None) => {
                let half = |tile: &Tile| tile.clear.len() * 2 >= tile.given;
                let tilings = TILES.iter().filter_map(|&most| Self::of(plan, axis, most));
                // A model that sees farther than this takes its images whole.
                Ok(tilings
                    .into_iter()
                    .find(|Self(tiles)| tiles.iter().all(half))
                    .unwrap_or_default())
            }
            (None, Some(asked)) => {
                Self::of(plan, axis, asked).ok_or_else(|| too_small(plan, axis, asked))
            }
        }
    }

    /// The longest tiles of at most `most` pixels, if each leaves something to keep.
    fn of(plan: &Plan, axis: Axis, most: usize) -> Option<Self> {
        let period = plan.period(axis);
        let lengths = (most + 1).checked_sub(period)?.max(1)..=most;
        let lengths = lengths.filter(|&length| is_repeated(plan, axis, length));
        let tiles: Option<Vec<Tile>> =
            lengths.map(|length| Tile::of(plan, axis, length, period)).collect();
        tiles.filter(|tiles| !tiles.is_empty()).map(Self)
    }

    /// The tile for a side of that length, where it is longer than one.
    fn tile(&self, period: usize, length: usize) -> Option<&Tile> {
        self.0
            .iter()
            .find(|tile| tile.length < length && (length - tile.length).is_multiple_of(period))
    }
}

impl Tile {
    /// `None` where nothing could be kept of it.
    fn of(plan: &Plan, axis: Axis, length: usize, period: usize) -> Option<Self> {
        let [height, width, _] = plan.input_shape;
        let sides = match axis {
            Axis::Rows => [length, width],
            Axis::Columns => [height, length],
        };
        let clear = plan.with_input_size(sides).ok()?.clear(axis);
        let scale = plan.scale(axis)?;
        let (given, tile) = (scale.of(length)?, Self { length, given: 0, clear });
        (tile.step(period, scale) > 0).then_some(Self { given, ..tile })
    }

    /// The shortest tiles of which as many cover a side of that length: longer ones would only make the last one overlap
    /// the one before it more.
    fn shortest(&self, plan: &Plan, axis: Axis, length: usize, parts: usize) -> Option<Self> {
        let period = plan.period(axis);
        // What is given up at the ends does not hang on the length.
        let lost = self.length - self.step(period, plan.scale(axis)?);
        let enough = |tile: usize| {
            let step = tile.saturating_sub(lost);
            step > 0 && tile + (parts - 1) * step >= length
        };
        let lengths = (1..).map_while(|periods| self.length.checked_sub(periods * period));
        lengths
            .take_while(|&tile| enough(tile))
            .last()
            .and_then(|tile| Self::of(plan, axis, tile, period))
    }

    /// How far apart tiles may begin in the image, in whole periods, for what is clear to leave no gap.
    fn step(&self, period: usize, scale: Scale) -> usize {
        self.clear.len() * scale.coarse / scale.fine / period * period
    }
}

/// No tiles: a layer looks at the whole image.
fn whole_only(layer: &Node, asked: Option<usize>) -> Result<Tiling, UsageError> {
    let Some(asked) = asked else { return Ok(Tiling::default()) };
    Err(UsageError(format!(
        "--tile is {asked}, but the {} layer of the model looks at the whole image; leave --tile away",
        layer.layer.name()
    )))
}

/// Refuses what has no place on an image of any size.
fn check_scale(plan: &Plan, axis: Axis) -> Result<(), UsageError> {
    plan.scale(axis).map(|_| ()).ok_or_else(|| {
        let ([height, width, _], [rows, columns, _]) = (plan.input_shape, plan.output_shape());
        UsageError(format!(
            "the model gives {columns}x{rows} pixels for {width}x{height}, which lie on no part of an \
             image; `convae export` takes it to where that is of use"
        ))
    })
}

/// Whether the model gives back sides that are longer by some multiple of the period.
fn is_repeated(plan: &Plan, axis: Axis, length: usize) -> bool {
    let (own, period) = (own(plan, axis), plan.period(axis));
    let periods = own.saturating_sub(length).div_ceil(period) + 1;
    period <= LARGEST_PERIOD && plan.gives_back(axis, length + periods * period)
}

fn too_small(plan: &Plan, axis: Axis, asked: usize) -> UsageError {
    let period = plan.period(axis);
    // As many lengths one after the other as the period has.
    let mut good = 0;
    let enough = ((asked + 1).saturating_sub(period).max(1)..=LARGEST_TILE).find(|&length| {
        let usable =
            !is_repeated(plan, axis, length) || Tile::of(plan, axis, length, period).is_some();
        good = if usable { good + 1 } else { 0 };
        good >= period && Tiling::of(plan, axis, length).is_some()
    });
    UsageError(match enough {
        Some(enough) => format!(
            "--tile is {asked}, but the model looks so far that a tile needs {enough} pixels a \
             side; give that or more"
        ),
        None => {
            format!("--tile is {asked}, but the model cannot be cut into tiles; leave --tile away")
        }
    })
}

/// A side of a model that takes any length that its strides lead back to.
fn flexible(plan: &Plan, axis: Axis, tiling: &Tiling, length: usize) -> Option<Side> {
    let (period, scale) = (plan.period(axis), plan.scale(axis)?);
    let result = scale.around(length)?;
    let most = (length + period.min(LARGEST_PERIOD)).max(own(plan, axis));
    let padded = (length..=most).find(|&padded| plan.gives_back(axis, padded))?;
    Some(match tiling.tile(period, padded) {
        Some(tile) => {
            let cut = |tile: &Tile| cut(tile, (tile.step(period, scale), scale), padded, result);
            let longest = cut(tile);
            let shorter = tile.shortest(plan, axis, padded, longest.parts.len());
            let shorter = shorter.map(|tile| cut(&tile));
            shorter.filter(|side| side.parts.len() <= longest.parts.len()).unwrap_or(longest)
        }
        None => whole(padded, scale.of(padded)?, result),
    })
}

/// A side of a model that takes its own length only.
fn fixed(plan: &Plan, axis: Axis, tiling: &Tiling, length: usize) -> Option<Side> {
    match tiling.tile(1, length) {
        _ if length == own(plan, axis) => {
            let [rows, columns, _] = plan.output_shape();
            let given = axis.of([rows, columns]);
            Some(whole(length, given, given))
        }
        Some(tile) => Some(cut(tile, (tile.clear.len(), Scale::SAME), length, length)),
        None => None,
    }
}

fn whole(padded: usize, given: usize, result: usize) -> Side {
    let parts = vec![Part { origin: 0, start: 0, keep: 0..result }];
    Side { tile: padded, given, result, parts }
}

/// Tiles `step` apart, the last one at the end of `padded`; each keeps what is clear, and the outer
/// ones keep their outer border, where the image itself ends.
fn cut(tile: &Tile, (step, scale): (usize, Scale), padded: usize, result: usize) -> Side {
    let &Tile { length, given, ref clear } = tile;
    let mut parts = Vec::new();
    let mut kept = 0;
    for origin in (0..).step_by(step).map(|origin| origin.min(padded - length)) {
        let start = origin * scale.fine / scale.coarse;
        let last = origin + length == padded;
        let end = if last { result } else { (start + clear.end).min(result) };
        parts.push(Part { origin, start, keep: kept..end });
        kept = end;
        // The padding may end in tiles that nothing is kept of.
        if kept == result {
            break;
        }
    }
    Side { tile: length, given, result, parts }
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
        let [Tile { length: 48, clear, .. }] = fit.rows.0.as_slice() else {
            panic!("{:?}", fit.rows)
        };
        for length in 1..400 {
            let [rows, columns] = fit.sides([length, 16]).unwrap();
            assert_eq!(*columns, whole(16, 16, 16));
            let mut kept = 0;
            for (i, Part { origin, keep, .. }) in rows.parts.iter().enumerate() {
                assert_eq!((keep.start, origin % 4), (kept, 0), "{length}: {rows:?}");
                let inner = i == 0 || origin + clear.start <= keep.start;
                assert!(inner && keep.end <= origin + rows.tile, "{length}: {rows:?}");
                kept = keep.end;
            }
            assert_eq!(kept, length);
            let end = rows.parts.last().unwrap().origin + rows.tile;
            assert!(end <= length.next_multiple_of(4), "{length}: {rows:?}");
        }
    }

    #[test]
    fn tiles_are_no_longer_than_their_number_asks_for() {
        let plan = plan([16, 16, 1], &[CONV, POOL, CONV, UP, CONV].concat());
        let fit = Fit::new(&plan, Some(32)).unwrap();
        let side = |length| {
            let [rows, _] = fit.sides([length, 16]).unwrap();
            (rows.parts.len(), rows.tile)
        };
        // Five pixels are given up where a tile has a neighbour: tiles of 32 start 22 apart at most.
        for (length, parts, tile) in
            [(32, 1, 32), (34, 2, 22), (54, 2, 32), (56, 3, 26), (76, 3, 32)]
        {
            assert_eq!(side(length), (parts, tile), "{length}");
        }
    }

    /// What the sides of an image are padded to.
    fn padded(fit: &Fit<'_>, sides: [usize; 2]) -> [usize; 2] {
        let last = |side: &Side| side.parts.last().unwrap().origin + side.tile;
        fit.sides(sides).unwrap().map(|side| last(&side))
    }

    #[test]
    fn a_side_is_padded_to_the_next_one_that_the_model_gives_back() {
        let even = plan([14, 14, 1], &[CONV, POOL, UP].concat());
        let fit = Fit::new(&even, None).unwrap();
        assert_eq!(padded(&fit, [14, 14]), [14, 14]);
        assert_eq!(padded(&fit, [13, 15]), [14, 16]);
        assert_eq!(padded(&fit, [1, 100]), [2, 100]);
        assert_eq!(padded(&fit, [355, 1002]), [356, 1002]);
        let any = plan([16, 16, 1], &CONV.repeat(2));
        let fit = Fit::new(&any, Some(30)).unwrap();
        for side in 1..100 {
            assert_eq!(padded(&fit, [side, 100 - side]), [side, 100 - side]);
        }
    }

    #[test]
    fn a_pooling_that_drops_the_last_of_an_odd_side_may_give_back_odd_sides_alone() {
        let longer = "{ layer = \"ZeroPadding2D\", padding = [[0, 1], [0, 1]] }, ";
        let odd = plan([29, 29, 1], &[CONV, POOL, UP, longer].concat());
        let fit = Fit::new(&odd, Some(20)).unwrap();
        assert_eq!(fit.sides([101, 28]).unwrap().map(|side| side.tile), [17, 17]);
        assert_eq!(padded(&fit, [101, 28]), [101, 29]);
    }

    #[test]
    fn a_model_whose_scales_do_not_cancel_takes_what_it_gives_back_and_no_more() {
        // Two thirds and 8 pixels: 24, 26 and 28 come out as they went in.
        let pool = "{ layer = \"MaxPooling2D\", pool_size = 3, padding = \"same\" }, ";
        let longer = "{ layer = \"ZeroPadding2D\", padding = 4 }, ";
        let plan = plan([28, 28, 1], &[CONV, pool, UP, longer].concat());
        let fit = Fit::new(&plan, None).unwrap();
        assert_eq!(padded(&fit, [1, 25]), [24, 26]);
        assert_eq!(padded(&fit, [27, 28]), [28, 28]);
        let refused = fit.sides([29, 28]).unwrap_err();
        assert!(refused.contains("28x29 pixels") && refused.contains("to 28x28"), "{refused}");
    }

    #[test]
    fn results_are_as_much_larger_or_smaller_as_the_model_makes_them() {
        let valid = CONV.replace("\"same\"", "\"valid\"");
        let half = &[CONV, POOL].concat();
        for (layers, length, result) in [
            ([CONV, UP].concat(), 100, Some(200)),
            (valid.repeat(3), 100, Some(94)),
            (valid.repeat(3), 6, None),
            ([&valid, UP, &valid].concat(), 100, Some(194)),
            (half.clone(), 100, Some(50)),
            (half.clone(), 101, Some(51)),
            ([half.as_str(), UP, UP].concat(), 101, Some(202)),
        ] {
            let plan = plan([16, 16, 1], &layers);
            let fit = Fit::new(&plan, Some(20)).unwrap();
            let sides = fit.sides([length, 40]).ok().map(|[rows, _]| rows);
            assert_eq!(sides.as_ref().map(|rows| rows.result), result, "{layers}");
            let Some(rows) = sides else { continue };
            let mut kept = 0;
            for Part { origin, start, keep } in &rows.parts {
                assert_eq!(keep.start, kept);
                assert!(*start <= kept && keep.end <= start + rows.given, "{rows:?}");
                assert!(origin + rows.tile <= length + 4);
                kept = keep.end;
            }
            assert!(kept == rows.result && rows.parts.len() > 2, "{rows:?}");
        }
        let larger = "{ layer = \"ZeroPadding2D\", padding = 4 }, ";
        let refused = Fit::new(&plan([16, 16, 1], &[CONV, larger].concat()), None).unwrap_err();
        assert!(refused.to_string().contains("24x24 pixels for 16x16"), "{refused}");
    }

    #[test]
    fn a_model_that_looks_at_the_whole_image_is_never_cut() {
        let norm = "{ layer = \"GroupNormalization\", groups = 1 }, ";
        let plan = plan([16, 16, 1], &[CONV, POOL, norm, UP].concat());
        let fit = Fit::new(&plan, None).unwrap();
        let [rows, columns] = fit.sides([5000, 17]).unwrap();
        assert_eq!((rows.parts.len(), rows.tile, columns.tile), (1, 5000, 18));
        let refused = Fit::new(&plan, Some(64)).unwrap_err().to_string();
        assert!(refused.contains("--tile is 64, but the GroupNormalization layer"), "{refused}");
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
