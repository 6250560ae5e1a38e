//! How large the output is for an input of some size: what images of other sizes become.

use super::{Axis, Plan, view};

/// Lengths that are tried for one that loses nothing to strides.
const TRIED: usize = 256;

/// Along an axis: an input of length `n` becomes an output of length `n * fine / coarse - lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Pixels of the output that lie on `coarse` of the input.
    pub fine: usize,
    /// Pixels of the input that lie under `fine` of the output.
    pub coarse: usize,
    /// Pixels of the output that convolutions without padding take away at both ends together.
    pub lost: usize,
}

impl Scale {
    /// The output is as long as the input.
    pub const SAME: Self = Self { fine: 1, coarse: 1, lost: 0 };

    /// Length of the output that belongs to an input of that length; `None` where none is left, or none is
    /// whole.
    #[must_use]
    pub fn of(&self, length: usize) -> Option<usize> {
        let whole = length.checked_mul(self.fine)?;
        let left = (whole / self.coarse).checked_sub(self.lost)?;
        (whole.is_multiple_of(self.coarse) && left > 0).then_some(left)
    }

    /// The same of an input that is continued until the output is whole.
    #[must_use]
    pub fn around(&self, length: usize) -> Option<usize> {
        let whole = length.checked_mul(self.fine)?.div_ceil(self.coarse);
        whole.checked_sub(self.lost).filter(|&left| left > 0)
    }

    /// The shortest input of which something is left.
    #[must_use]
    pub fn least(&self) -> usize {
        self.lost * self.coarse / self.fine + 1
    }
}

impl Plan {
    /// How long outputs are along an axis; `None` where they are longer than what lies on the input.
    #[must_use]
    pub fn scale(&self, axis: Axis) -> Option<Scale> {
        *axis.of([&self.scales[0], &self.scales[1]])
    }

    /// Of height and width.
    pub(super) fn find_scales(&self) -> [Option<Scale>; 2] {
        [Axis::Rows, Axis::Columns].map(|axis| self.find_scale(axis))
    }

    /// From the lengths of some inputs.
    fn find_scale(&self, axis: Axis) -> Option<Scale> {
        let (own, given) = (axis.of_image(self.input_shape), axis.of_image(self.output_shape()));
        if own == given {
            return Some(Scale::SAME);
        }
        if self.sized_layer().is_some() {
            let whole = given.is_multiple_of(own) || own.is_multiple_of(given);
            let common = own.min(given);
            return whole.then(|| Scale { fine: given / common, coarse: own / common, lost: 0 });
        }
        let (fine, coarse) = self.graph.pixels(axis);
        let lost = |length: usize| {
            let output = self.output_length(axis, length)?;
            let whole = length.checked_mul(fine)?;
            whole.is_multiple_of(coarse).then(|| (whole / coarse) as isize - output as isize)
        };
        let tried = self.period(axis).min(TRIED);
        let lost = (own..own + tried).filter_map(lost).min()?;
        usize::try_from(lost).ok().map(|lost| Scale { fine, coarse, lost })
    }

    /// What an input of that length becomes, where the other side is the model's own.
    pub(super) fn output_length(&self, axis: Axis, length: usize) -> Option<usize> {
        let mut size = self.input_shape;
        size[axis.of([0, 1])] = length;
        let graph = self.graph.with_input(view::input_of(&self.graph, size)).ok()?;
        Some(axis.length(graph.shape(graph.output)))
    }
}
