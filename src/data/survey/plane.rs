//! Grey values of an image, or of one of its channels.

/// Row by row, in any unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// `height * width` of them.
    pub values: Vec<f32>,
}

impl Plane {
    /// A row's values.
    #[must_use]
    pub fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn ends(&self) -> [f32; 2] {
        let start = [f32::INFINITY, f32::NEG_INFINITY];
        self.values.iter().fold(start, |[low, high], &value| [low.min(value), high.max(value)])
    }

    /// Rows become columns.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let &Self { height, width, .. } = self;
        let values = (0..width).flat_map(|x| (0..height).map(move |y| self.values[y * width + x]));
        Self { height: width, width: height, values: values.collect() }
    }
}
