//! What a model should give for an image: in which shape, and how it is cut from the data beside what the
//! model sees.

/// Shapes (height, width, channels) of what is taken from the data for one sample.
///
/// ```text
/// the image  -> drawn -> corruption -> input
///   or a pair -> clean -> its middle -> output
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Of what the model sees.
    pub input: [usize; 3],
    /// Of what it should give.
    pub output: [usize; 3],
    /// Of what is cut from an image, to be corrupted. It is larger than the input where the corruption makes
    /// images smaller.
    pub drawn: [usize; 3],
    /// Of what is cut at the same place of the same image, or of its clean partner. The output is its middle.
    pub clean: [usize; 3],
}

impl From<[usize; 3]> for Target {
    /// Input and output have one shape.
    fn from(shape: [usize; 3]) -> Self {
        Self { input: shape, output: shape, drawn: shape, clean: shape }
    }
}

impl Target {
    /// Whether the output is to be what the model sees, but for corruption.
    #[must_use]
    pub fn is_input(&self) -> bool {
        self.clean == self.drawn && self.output == self.clean && self.input == self.drawn
    }

    /// What the model should give, where that is no image like the one it sees; a sentence.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        let size = |[height, width, _]: [usize; 3]| format!("{width}x{height}");
        let mut parts = Vec::new();
        if self.output[..2] != self.clean[..2] {
            parts.push(format!("the middle {} of {} pixels", size(self.output), size(self.clean)));
        } else if self.output[..2] != self.input[..2] {
            parts.push(format!("{} pixels for {}", size(self.output), size(self.input)));
        }
        if self.output[2] != self.input[2] {
            parts.push(format!("channels: {} for {}", self.output[2], self.input[2]));
        }
        (!parts.is_empty()).then(|| format!("The model should give {}", parts.join("; ")))
    }

    /// How many times smaller an image becomes on its way to the model.
    pub(super) fn shrinking(&self) -> usize {
        self.drawn[0] / self.input[0]
    }

    /// The pixel of the clean image that lies where pixel `at` of what the model sees does.
    pub(super) fn on_clean(&self, axis: usize, at: usize) -> usize {
        at * self.clean[axis] / self.drawn[axis]
    }

    /// Places at which the clean image has a whole pixel lie so far apart, in height and width.
    pub(super) fn steps(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.drawn[axis] / self.clean[axis]).max(1))
    }

    /// Appends the output of a sample: the middle of its clean values. Where an odd number of rows or columns
    /// is left out, the lower or right side loses one more, as with Keras's `CenterCrop`.
    pub(super) fn push_output(&self, clean: &[f32], to: &mut Vec<f32>) {
        let ([height, width, channels], [_, whole, _]) = (self.output, self.clean);
        if clean.len() == height * width * channels {
            to.extend_from_slice(clean);
            return;
        }
        let [top, left] = [0, 1].map(|axis| (self.clean[axis] - self.output[axis]) / 2);
        for y in top..top + height {
            let start = (y * whole + left) * channels;
            to.extend_from_slice(&clean[start..start + width * channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_taken_and_the_lower_right_loses_the_odd_pixel() {
        let target = Target { output: [2, 1, 1], ..Target::from([5, 4, 1]) };
        let clean: Vec<f32> = (0..20_u8).map(f32::from).collect();
        let mut output = Vec::new();
        target.push_output(&clean, &mut output);
        // Rows 1 and 2 of 5, column 1 of 4.
        assert_eq!(output, [5.0, 9.0]);
    }

    #[test]
    fn what_is_asked_of_a_model_is_said_where_it_is_another_image() {
        let same = Target::from([5, 4, 1]);
        assert_eq!(same.said(), None);
        let said = |target: Target| target.said().unwrap();
        let middle = Target { output: [3, 2, 1], ..same };
        assert_eq!(said(middle), "The model should give the middle 2x3 of 4x5 pixels");
        let colour = Target { clean: [5, 4, 3], output: [5, 4, 3], ..same };
        assert_eq!(said(colour), "The model should give channels: 3 for 1");
        let larger = Target { clean: [10, 8, 1], output: [10, 8, 1], drawn: [10, 8, 1], ..same };
        assert_eq!(said(larger), "The model should give 8x10 pixels for 4x5");
    }

    #[test]
    fn a_place_on_the_clean_image_follows_its_size() {
        let larger = Target { clean: [8, 12, 1], output: [8, 12, 1], ..Target::from([4, 4, 1]) };
        assert_eq!((larger.on_clean(0, 3), larger.on_clean(1, 3), larger.steps()), (6, 9, [1, 1]));
        let smaller = Target { clean: [2, 4, 1], output: [2, 4, 1], ..Target::from([4, 4, 1]) };
        assert_eq!((smaller.on_clean(0, 2), smaller.steps()), (1, [2, 1]));
    }
}
