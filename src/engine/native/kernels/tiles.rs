//! Small linear maps, applied down and across to tiles of pixels: what turns images into the planes
//! of [`super::super::tiled`], and planes into images.

use num_traits::Zero;

use super::Real;
use super::lanes::{LARGEST, Lanes};

/// A map from some pixels in a row to others; in the comments, `a`, `b`, … are those that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Transform {
    /// `a - c, b + c, c - b, d - b`
    WinogradSource,
    /// `a, a + b, a - b, b`
    WinogradGradient,
    /// `a + b + c, b - c + d`
    WinogradResult,
    /// `a - b, b, c - b`
    UpsamplingSource,
    /// `d - b, b + c, a - c`
    UpsamplingGradient,
    /// `a + b, b + c`
    UpsamplingResult,
}

impl Transform {
    /// Pixels that come in, and that come out.
    pub(in crate::engine) fn sizes(self) -> (usize, usize) {
        match self {
            Self::WinogradSource => (4, 4),
            Self::WinogradGradient => (2, 4),
            Self::WinogradResult => (4, 2),
            Self::UpsamplingSource => (3, 3),
            Self::UpsamplingGradient => (4, 3),
            Self::UpsamplingResult => (3, 2),
        }
    }
}

/// Where the pixels of tiles stand: distances between neighbours.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Steps {
    /// Rows of tiles.
    pub rows: usize,
    /// Tiles of a row.
    pub tiles: usize,
    /// Rows of pixels in a tile.
    pub down: usize,
    /// Pixels of a row in a tile.
    pub across: usize,
}

/// Maps each tile of a source to a tile of the target.
#[derive(Debug)]
pub(in crate::engine) struct TileMap<'a, T> {
    pub transform: Transform,
    /// From the first value of the first tile on; at least a vector of values may be read from where
    /// each pixel starts.
    pub source: &'a [T],
    pub from: Steps,
    /// In the target.
    pub to: Steps,
    /// Rows of tiles.
    pub rows: usize,
    /// Tiles in a row.
    pub tiles: usize,
    /// Rows and columns that count of what comes out of the last row, and of the last tile of a row.
    pub kept: (usize, usize),
    /// Values of a pixel.
    pub channels: usize,
}

impl<T: Real> TileMap<'_, T> {
    /// What the kernel relies on.
    ///
    /// # Panics
    /// When the source or the target is too short for what is asked.
    pub(super) fn check(&self, target: &[T], lanes: usize) {
        let Self { from, to, rows, tiles, kept, channels, .. } = *self;
        let (before, after) = self.transform.sizes();
        let inside = |kept: usize| (1..=after).contains(&kept);
        assert!(rows > 0 && tiles > 0 && channels > 0 && inside(kept.0) && inside(kept.1));
        let first = (rows - 1) * from.rows + (tiles - 1) * from.tiles;
        let last = first + (before - 1) * (from.down + from.across);
        assert!(last + channels.next_multiple_of(lanes) <= self.source.len());
        // Where the last tile is cut, the one before it may reach further.
        let furthest = |count: usize, step: usize, kept: usize, inner: usize| {
            let whole = if count > 1 { (count - 2) * step + (after - 1) * inner } else { 0 };
            whole.max((count - 1) * step + (kept - 1) * inner)
        };
        let down = furthest(rows, to.rows, kept.0, to.down);
        let across = furthest(tiles, to.tiles, kept.1, to.across);
        assert!(down + across + channels <= target.len());
    }
}

/// Of a [`Transform`], on vectors.
pub(super) trait Map<const N: usize, const K: usize> {
    fn apply<V: Lanes>(pixels: [V; N]) -> [V; K];
}

macro_rules! map {
    ($Name:ident, $n:literal to $k:literal, $pixels:pat => $results:expr) => {
        pub(super) struct $Name;

        impl Map<$n, $k> for $Name {
            #[inline(always)]
            fn apply<V: Lanes>($pixels: [V; $n]) -> [V; $k] {
                $results
            }
        }
    };
}

map!(WinogradSource, 4 to 4, [a, b, c, d] => [a.sub(c), b.add(c), c.sub(b), d.sub(b)]);
map!(WinogradGradient, 2 to 4, [a, b] => [a, a.add(b), a.sub(b), b]);
map!(WinogradResult, 4 to 2, [a, b, c, d] => [a.add(b).add(c), b.sub(c).add(d)]);
// The transpose of `WinogradSource`, which `super::overlap` adds up.
map!(WinogradOverlap, 4 to 4, [a, b, c, d] => [a, b.sub(c).sub(d), b.add(c).sub(a), d]);
map!(UpsamplingSource, 3 to 3, [a, b, c] => [a.sub(b), b, c.sub(b)]);
map!(UpsamplingGradient, 4 to 3, [a, b, c, d] => [d.sub(b), b.add(c), a.sub(c)]);
map!(UpsamplingResult, 3 to 2, [a, b, c] => [a.add(b), b.add(c)]);

/// # Safety
/// The CPU has the instructions of `V`, and `run.check(target, V::COUNT)` passes.
#[inline(always)]
pub(super) unsafe fn tiles<V: Lanes>(run: &TileMap<'_, V::Value>, target: &mut [V::Value]) {
    let target = target.as_mut_ptr();
    // SAFETY: the caller's.
    unsafe {
        match run.transform {
            Transform::WinogradSource => all::<V, WinogradSource, 4, 4>(run, target),
            Transform::WinogradGradient => all::<V, WinogradGradient, 2, 4>(run, target),
            Transform::WinogradResult => all::<V, WinogradResult, 4, 2>(run, target),
            Transform::UpsamplingSource => all::<V, UpsamplingSource, 3, 3>(run, target),
            Transform::UpsamplingGradient => all::<V, UpsamplingGradient, 4, 3>(run, target),
            Transform::UpsamplingResult => all::<V, UpsamplingResult, 3, 2>(run, target),
        }
    }
}

/// Vectors of the largest tile.
const MOST: usize = 4 * 4;

/// Room for one tile of vectors, beside the target.
type Aside<T> = [T; MOST * LARGEST];

/// # Safety
/// As [`tiles`].
#[inline(always)]
unsafe fn all<V: Lanes, M: Map<N, K>, const N: usize, const K: usize>(
    run: &TileMap<'_, V::Value>,
    target: *mut V::Value,
) {
    // Tiles that are cut, or end within a vector, are made here and copied.
    let mut aside = [V::Value::zero(); MOST * LARGEST];
    let (mut source, mut target) = (run.source.as_ptr(), target);
    for row in (0..run.rows).rev() {
        let rows = if row > 0 { K } else { run.kept.0 };
        // SAFETY: the caller's.
        unsafe { row_of_tiles::<V, M, N, K>(run, (source, target), rows, &mut aside) }
        // Wrapping, as the steps after the last ones lead out of the slices; so below.
        source = source.wrapping_add(run.from.rows);
        target = target.wrapping_add(run.to.rows);
    }
}

/// One row of tiles, of which `rows` rows of results count.
///
/// # Safety
/// As [`tiles`], from the row's first tile on.
#[inline(always)]
unsafe fn row_of_tiles<V: Lanes, M: Map<N, K>, const N: usize, const K: usize>(
    run: &TileMap<'_, V::Value>,
    (mut source, mut target): (*const V::Value, *mut V::Value),
    rows: usize,
    aside: &mut Aside<V::Value>,
) {
    for tile in (0..run.tiles).rev() {
        let columns = if tile > 0 { K } else { run.kept.1 };
        // SAFETY: the caller's.
        unsafe { one_tile::<V, M, N, K>(run, (source, target), (rows, columns), aside) }
        source = source.wrapping_add(run.from.tiles);
        target = target.wrapping_add(run.to.tiles);
    }
}

/// All channels of one tile, of which so many rows and columns of results count.
///
/// # Safety
/// As [`tiles`], from the tile's first pixel on.
#[inline(always)]
unsafe fn one_tile<V: Lanes, M: Map<N, K>, const N: usize, const K: usize>(
    run: &TileMap<'_, V::Value>,
    (mut from, mut to): (*const V::Value, *mut V::Value),
    kept: (usize, usize),
    aside: &mut Aside<V::Value>,
) {
    let mut left = run.channels;
    while left > 0 {
        let count = left.min(V::COUNT);
        // SAFETY: `check` bounds what is read, and what is kept.
        unsafe {
            if (kept, count) == ((K, K), V::COUNT) {
                one::<V, M, N, K>((from, &run.from), (to, &run.to));
            } else {
                cut::<V, M, N, K>(run, (from, to), (kept, count), aside);
            }
        }
        (from, to) = (from.wrapping_add(V::COUNT), to.wrapping_add(V::COUNT));
        left -= count;
    }
}

/// One vector of a tile's channels, of which not all rows, columns or values count: it is made aside, and what
/// counts is copied.
///
/// # Safety
/// As [`tiles`], of what is read, and of what counts.
#[inline(always)]
unsafe fn cut<V: Lanes, M: Map<N, K>, const N: usize, const K: usize>(
    run: &TileMap<'_, V::Value>,
    (from, to): (*const V::Value, *mut V::Value),
    ((rows, columns), count): ((usize, usize), usize),
    aside: &mut Aside<V::Value>,
) {
    let within = Steps { rows: 0, tiles: 0, down: K * V::COUNT, across: V::COUNT };
    // SAFETY: the caller's; `aside` has room for a whole tile.
    unsafe { one::<V, M, N, K>((from, &run.from), (aside.as_mut_ptr(), &within)) }
    for place in (0..rows * K).filter(|place| place % K < columns) {
        let made = aside[place * V::COUNT..].as_ptr();
        // SAFETY: the caller's.
        unsafe {
            let to = to.add(place / K * run.to.down + place % K * run.to.across);
            if count == V::COUNT {
                V::load(made).store(to);
            } else {
                std::ptr::copy_nonoverlapping(made, to, count);
            }
        }
    }
}

/// One vector of one tile's channels.
///
/// # Safety
/// The CPU has the instructions of `V`; vectors can be read and written at all of a tile's pixels.
#[inline(always)]
unsafe fn one<V: Lanes, M: Map<N, K>, const N: usize, const K: usize>(
    (source, from): (*const V::Value, &Steps),
    (mut target, to): (*mut V::Value, &Steps),
) {
    // SAFETY: the caller's.
    for column in unsafe { mapped::<V, M, N, K>(source, from) } {
        let mut pixel = target;
        for result in column {
            // SAFETY: the caller's.
            unsafe { result.store(pixel) }
            pixel = pixel.wrapping_add(to.down);
        }
        target = target.wrapping_add(to.across);
    }
}

/// What one vector of a tile's channels becomes, column by column.
///
/// # Safety
/// The CPU has the instructions of `V`; vectors can be read at all of the tile's pixels.
#[inline(always)]
pub(super) unsafe fn mapped<V: Lanes, M: Map<N, K>, const N: usize, const K: usize>(
    mut source: *const V::Value,
    from: &Steps,
) -> [[V; K]; K] {
    let zero = V::splat(V::Value::zero());
    // Columns of what has been mapped across.
    let mut columns = [[zero; N]; K];
    for i in 0..N {
        let (mut pixels, mut from_pixel) = ([zero; N], source);
        for pixel in &mut pixels {
            // SAFETY: the caller's.
            *pixel = unsafe { V::load(from_pixel) };
            from_pixel = from_pixel.wrapping_add(from.across);
        }
        for (column, mapped) in columns.iter_mut().zip(M::apply(pixels)) {
            column[i] = mapped;
        }
        source = source.wrapping_add(from.down);
    }
    // Not `columns.map`, which would not be compiled with the form's instructions.
    let mut results = [[zero; K]; K];
    for (result, column) in results.iter_mut().zip(columns) {
        *result = M::apply(column);
    }
    results
}
