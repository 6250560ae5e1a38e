//! The mean of a model's outputs on an image as it lies, mirrored and turned by quarters, each turned back:
//! errors that depend on how the image lies cancel out in part. Source: EDSR's "self-ensemble" (Lim et al.,
//! "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017, section 3.3).

use crate::formats::image_file::Orientation;
use crate::plan::{Axis, Plan};
use crate::system::exit::UsageError;

use Orientation::{
    FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270,
    Rotate270FlipH,
};

/// The image as it lies.
pub(super) const UPRIGHT: &[Orientation] = &[NoTransforms];
const TURNS: &[Orientation] = &[NoTransforms, Rotate90, Rotate180, Rotate270];
const FLIPS: &[Orientation] = &[NoTransforms, FlipHorizontal, FlipVertical, Rotate180];
const ALL: &[Orientation] = &[
    NoTransforms,
    Rotate90,
    Rotate180,
    Rotate270,
    FlipHorizontal,
    FlipVertical,
    Rotate90FlipH,
    Rotate270FlipH,
];

/// How a model sees an image for a mean of so many outputs: of 4 the quarter turns, or the flips of a model that
/// takes no turned image; of 8 both.
///
/// # Errors
/// When the model takes no turned image, or its outputs do not lie on one another once they are turned back.
pub fn orientations(plan: &Plan, count: u32) -> Result<&'static [Orientation], UsageError> {
    if count == 1 {
        return Ok(UPRIGHT);
    }
    let scales = [Axis::Rows, Axis::Columns].map(|axis| plan.scale(axis));
    if let Some(scale) = scales.iter().flatten().find(|scale| scale.lost % 2 == 1) {
        return Err(UsageError(format!(
            "--augment is {count}, but the model gives {} pixels less than it takes, more at one end than at the \
             other, so that flipped results do not lie on one another; leave --augment away",
            scale.lost
        )));
    }
    let is_square = |[height, width, _]: [usize; 3]| height == width;
    // A signal is seen as an image of one row, and no model of signals takes a column.
    let is_fixed = plan.sized_layer().is_some() || plan.graph.input.0.len() != 3;
    let fixed = is_fixed && !(is_square(plan.input_shape) && is_square(plan.output_shape()));
    match count {
        _ if scales[0] == scales[1] && !fixed => Ok(if count == 4 { TURNS } else { ALL }),
        4 => Ok(FLIPS),
        _ => Err(UsageError(format!(
            "--augment is {count}, but the model does not take images that are turned by a quarter; give \
             --augment 4, which stands for the flips then"
        ))),
    }
}
