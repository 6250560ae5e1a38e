//! Which convolutions are computed from tiles, and how their kernels become planes.

use super::TILE;
use crate::engine::native::fold::Fold;
use crate::engine::native::grid::Margin;
use crate::engine::native::kernels::Overlap;
use crate::engine::native::window::{Side, Window};

/// Which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::native) enum Tiling {
    Winograd,
    Upsampling,
}

/// Fewer channels than these leave too little to multiply for what is added and subtracted: with 8 of
/// them on one side, the default model's two smallest layers were slower.
const FEWEST_CHANNELS: usize = 16;

impl Tiling {
    /// What suits a convolution, if anything does.
    pub fn of(window: &Window, fold: Fold) -> Option<Self> {
        let both = |suits: fn(&Side) -> bool| suits(&window.rows) && suits(&window.columns);
        let tiling = if fold.upsampling == Some((2, 2)) {
            let twice =
                |side: &Side| (side.taps, side.offset) == (4, 1) && side.fine == 2 * side.coarse;
            both(twice).then_some(Self::Upsampling)
        } else {
            let fits = |side: &Side| {
                let tiles = side.coarse.div_ceil(TILE);
                (side.taps, side.stride) == (3, 1)
                    && Overlap::<f32>::covers(tiles, -side.offset, side.fine)
            };
            both(fits).then_some(Self::Winograd)
        };
        // The maps are those of neighbouring pixels, and of all channels.
        let plain = window.groups == 1 && !window.is_dilated();
        tiling.filter(|_| plain && window.fine.min(window.coarse) >= FEWEST_CHANNELS)
    }

    /// `G`: a row for each plane of a side, a column for each of the window's taps.
    fn kernel_map(self) -> &'static [&'static [f64]] {
        match self {
            Self::Winograd => {
                &[&[1.0, 0.0, 0.0], &[0.5, 0.5, 0.5], &[0.5, -0.5, 0.5], &[0.0, 0.0, 1.0]]
            }
            Self::Upsampling => {
                &[&[0.0, 0.0, 0.0, 1.0], &[0.0, 1.0, 0.0, 1.0], &[1.0, 0.0, 0.0, 0.0]]
            }
        }
    }

    /// Planes of a side.
    pub fn planes(self) -> usize {
        self.kernel_map().len()
    }

    /// Calls `visit` with each plane, each tap that it has a share of, and that share.
    pub fn for_each_share(self, mut visit: impl FnMut(usize, usize, f64)) {
        let map = self.kernel_map();
        let (planes, taps) = (map.len(), map[0].len());
        for plane in 0..planes * planes {
            for tap in 0..taps * taps {
                let share = map[plane / planes][tap / taps] * map[plane % planes][tap % taps];
                if share != 0.0 {
                    visit(plane, tap, share);
                }
            }
        }
    }

    /// Zeros that the fine and the coarse grid need around them.
    pub fn margins(self, window: &Window) -> (Margin, Margin) {
        let side = |side: &Side| match self {
            Self::Upsampling => ((1, 1), (1, 1)),
            Self::Winograd => {
                let tiles = side.coarse.div_ceil(TILE);
                let before = side.offset.unsigned_abs();
                let fine = (before, TILE * tiles + 2 - before - side.fine);
                // Tiles of the coarse grid are whole.
                (fine, (0, side.coarse % TILE))
            }
        };
        let (rows, columns) = (side(&window.rows), side(&window.columns));
        let margin = |(top, bottom), (left, right)| Margin { top, bottom, left, right };
        (margin(rows.0, columns.0), margin(rows.1, columns.1))
    }
}
