//! The geometry of convolutions: which pixels meet under which tap of the kernel.
//!
//! Every convolution pairs a fine grid with a coarse one. Tap `k` of coarse pixel `q` lies on fine
//! pixel `q * stride + k - offset`. `Conv2D` goes from fine to coarse, its input gradient from coarse
//! to fine; `Conv2DTranspose` and a convolution after upsampling do it the other way round.

use super::grid::{Margin, Size};

/// One side, height or width, of such a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    /// Pixels of the fine grid.
    pub fine: usize,
    /// Pixels of the coarse grid.
    pub coarse: usize,
    /// Taps of the kernel.
    pub taps: usize,
    pub stride: usize,
    /// Taps of the first window that stand before the fine grid's first pixel.
    pub offset: isize,
}

/// Result pixels of one side whose windows are alike: `first`, `first + step`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    pub first: usize,
    pub step: usize,
    pub count: usize,
    /// Where the first result pixel's window starts in the source.
    pub window: isize,
    /// How far the window moves from one result pixel to the next.
    pub window_step: usize,
    /// Which tap of the kernel meets each pixel of the window.
    pub taps: Vec<usize>,
}

impl Side {
    /// Coarse pixels from windows of fine ones: a single phase.
    pub fn gather(&self) -> Vec<Phase> {
        vec![Phase {
            first: 0,
            step: 1,
            count: self.coarse,
            window: -self.offset,
            window_step: self.stride,
            taps: (0..self.taps).collect(),
        }]
    }

    /// Fine pixels from windows of coarse ones: fine pixel `i` meets the taps `k` that leave
    /// `i + offset - k` a multiple of the stride, so there is a phase for each remainder.
    pub fn scatter(&self) -> Vec<Phase> {
        let stride = self.stride as isize;
        let phases = (0..self.stride.min(self.fine)).map(|first| {
            let shifted = first as isize + self.offset;
            let remainder = shifted.rem_euclid(stride) as usize;
            let taps: Vec<usize> = (remainder..self.taps).step_by(self.stride).rev().collect();
            Phase {
                first,
                step: self.stride,
                count: (self.fine - first).div_ceil(self.stride),
                window: shifted.div_euclid(stride) - taps.len() as isize + 1,
                window_step: 1,
                taps,
            }
        });
        phases.collect()
    }

    /// Margin of the fine grid that `gather` reads: before, after.
    fn fine_margin(&self) -> (usize, usize) {
        margin(&self.gather(), self.fine)
    }

    /// Margin of the coarse grid that `scatter` reads: before, after.
    fn coarse_margin(&self) -> (usize, usize) {
        margin(&self.scatter(), self.coarse)
    }
}

fn margin(phases: &[Phase], length: usize) -> (usize, usize) {
    let before = phases.iter().map(|phase| -phase.window).max().unwrap_or(0);
    let after = phases.iter().map(|phase| {
        let last =
            phase.window + ((phase.count - 1) * phase.window_step + phase.taps.len()) as isize;
        last - length as isize
    });
    (before.max(0) as usize, after.max().unwrap_or(0).max(0) as usize)
}

/// Both sides and the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub rows: Side,
    pub columns: Side,
    /// Channels of a fine pixel.
    pub fine: usize,
    /// Channels of a coarse pixel.
    pub coarse: usize,
}

impl Window {
    /// Values of the kernel.
    pub fn taps(&self) -> usize {
        self.rows.taps * self.columns.taps
    }

    pub fn fine_size(&self) -> Size {
        Size { height: self.rows.fine, width: self.columns.fine, channels: self.fine }
    }

    pub fn coarse_size(&self) -> Size {
        Size { height: self.rows.coarse, width: self.columns.coarse, channels: self.coarse }
    }

    /// Zeros that the fine grid needs around it.
    pub fn fine_margin(&self) -> Margin {
        let ((top, bottom), (left, right)) = (self.rows.fine_margin(), self.columns.fine_margin());
        Margin { top, bottom, left, right }
    }

    /// Zeros that the coarse grid needs around it.
    pub fn coarse_margin(&self) -> Margin {
        let ((top, bottom), (left, right)) =
            (self.rows.coarse_margin(), self.columns.coarse_margin());
        Margin { top, bottom, left, right }
    }
}
