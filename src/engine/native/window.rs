//! The geometry of convolutions: which pixels meet under which tap of the kernel.
//!
//! Every convolution pairs a fine grid with a coarse one. Tap `k` of coarse pixel `q` lies on fine
//! pixel `q * stride + k * dilation - offset`. `Conv2D` goes from fine to coarse, its input gradient from coarse
//! to fine; `Conv2DTranspose`, a convolution after upsampling and one that is turned round do it the other way.

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
    /// Fine pixels from one tap to the next.
    pub dilation: usize,
    /// Fine pixels of the first window that stand before the fine grid's first one.
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
    /// Distance of the window's pixels from each other.
    pub tap_step: usize,
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
            tap_step: self.dilation,
        }]
    }

    /// Fine pixels from windows of coarse ones: fine pixel `i` meets the taps `k` that leave
    /// `i + offset - k * dilation` a multiple of the stride, so there is a phase for each remainder. These
    /// taps are `stride / gcd(stride, dilation)` apart, hence their coarse pixels `dilation / gcd`.
    pub fn scatter(&self) -> Vec<Phase> {
        let stride = self.stride as isize;
        let phases = (0..self.stride.min(self.fine)).map(|first| {
            let shifted = first as isize + self.offset;
            let before = |tap: usize| shifted - (tap * self.dilation) as isize;
            let meets = |tap: &usize| before(*tap).rem_euclid(stride) == 0;
            let taps: Vec<usize> = (0..self.taps).rev().filter(meets).collect();
            // Where there is no tap, nothing is read; the place must still lie within the margin.
            let window =
                taps.first().map_or(shifted.div_euclid(stride) + 1, |&tap| before(tap) / stride);
            Phase {
                first,
                step: self.stride,
                count: (self.fine - first).div_ceil(self.stride),
                window,
                window_step: 1,
                taps,
                tap_step: self.dilation / common_divisor(self.dilation, self.stride),
            }
        });
        phases.collect()
    }

    /// Fine pixel of a tap of the first window; it may lie in the margin.
    pub fn place(&self, tap: usize) -> isize {
        (tap * self.dilation) as isize - self.offset
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

/// The greatest one, by Euclid.
pub(super) fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

fn margin(phases: &[Phase], length: usize) -> (usize, usize) {
    let before = phases.iter().map(|phase| -phase.window).max().unwrap_or(0);
    let after = phases.iter().map(|phase| {
        let window = phase.taps.len().checked_sub(1).map_or(0, |steps| steps * phase.tap_step + 1);
        let last = phase.window + ((phase.count - 1) * phase.window_step + window) as isize;
        last - length as isize
    });
    (before.max(0) as usize, after.max().unwrap_or(0).max(0) as usize)
}

/// Both sides and the channels. The channels of both grids may lie in groups, each with a kernel of its own that
/// knows nothing of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub rows: Side,
    pub columns: Side,
    /// Channels of a fine pixel in a group.
    pub fine: usize,
    /// Channels of a coarse pixel in a group.
    pub coarse: usize,
    /// Groups of channels, side by side in each pixel.
    pub groups: usize,
}

impl Window {
    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        self.rows.taps * self.columns.taps
    }

    /// Values of a group's kernel.
    pub fn kernel(&self) -> usize {
        self.taps() * self.fine * self.coarse
    }

    /// What a group of one image takes: each of its kernel's values meets each coarse pixel.
    pub fn multiplications(&self) -> usize {
        self.kernel() * self.rows.coarse * self.columns.coarse
    }

    /// Whether there are pixels between the taps.
    pub fn is_dilated(&self) -> bool {
        (self.rows.dilation, self.columns.dilation) != (1, 1)
    }

    pub fn fine_size(&self) -> Size {
        let channels = self.groups * self.fine;
        Size { height: self.rows.fine, width: self.columns.fine, channels }
    }

    pub fn coarse_size(&self) -> Size {
        let channels = self.groups * self.coarse;
        Size { height: self.rows.coarse, width: self.columns.coarse, channels }
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
