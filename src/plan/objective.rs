//! What training minimises: a loss, between what the model gives and what it should give.

use super::target::target;
use super::{Axis, Plan};
use crate::config::ConfigError;
use crate::data::Target;
use crate::nn::{Loss, Losses, MS_SSIM_SIDE, SSIM_WINDOW};

/// Sides that are tried for one of which strides lose nothing.
const TRIED: usize = 1 << 12;

/// What a model is trained and judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// One that we have.
    pub loss: Losses,
    /// What the model should give.
    pub target: Target,
}

impl Plan {
    /// What training minimises and evaluation measures.
    ///
    /// # Errors
    /// Why the model can only predict, and what to change.
    pub fn objective(&self) -> Result<Objective, ConfigError> {
        let (loss, target) = (self.loss()?, self.target()?);
        self.check_windows([target.output[0], target.output[1]])?;
        self.check_method()?;
        Ok(Objective { loss, target })
    }

    /// The loss that the config names, of images of any size: a model of open size has none yet.
    ///
    /// # Errors
    /// When it names none of ours, or none of the targets that data have.
    pub fn loss(&self) -> Result<Losses, ConfigError> {
        let losses = &self.config.train.loss;
        losses.0.iter().try_for_each(|term| self.check_loss(term.loss))?;
        if losses.of_classes() && losses.0.len() > 1 {
            let problem = "sums up losses of classes and of values, which have other targets";
            return Err(self.source.error("train.loss", problem, "take one of them"));
        }
        if losses.of_classes() {
            let problem = format!("is {:?}, of targets that are numbers of classes", losses.name());
            let remedy = "take categorical_crossentropy, and give images of as many channels as there are \
                          classes, 1 for a pixel's own and 0 for the others, as an array (data.kind=\"npz\")";
            return Err(self.source.error("train.loss", problem, remedy));
        }
        Ok(losses.clone())
    }

    /// Whether images of that height and width are large enough for the windows that the loss looks through.
    ///
    /// # Errors
    /// When they are smaller.
    pub fn check_windows(&self, [height, width]: [usize; 2]) -> Result<(), ConfigError> {
        let mut losses = self.config.train.loss.0.iter().map(|term| term.loss);
        let larger = |loss: Loss| smallest_side(loss).filter(|&side| height.min(width) < side);
        let Some((loss, side)) = losses.find_map(|loss| Some((loss, larger(loss)?))) else {
            return Ok(());
        };
        let problem =
            format!("is {:?}, and the model gives images of {height}x{width}", loss.name());
        let remedy = format!("give another loss: its images have {side}x{side} pixels at least");
        Err(self.source.error("train.loss", problem, remedy))
    }

    /// Whether it is a loss, and one of what the model gives.
    fn check_loss(&self, loss: Loss) -> Result<(), ConfigError> {
        let refused = |problem: String, remedy: &str| {
            let problem = format!("is {:?}, and {problem}", loss.name());
            Err(self.source.error("train.loss", problem, remedy))
        };
        let output = self.graph.shape(self.graph.output);
        let rank = output.0.len() as i64 + 1;
        let axes = loss.axes();
        if let Some(axis) = axes.iter().find(|axis| !(-rank..rank).contains(axis)) {
            let problem = format!("its axis is {axis}, but a batch of {output} has {rank} axes");
            return refused(problem, "give one of these, or -1 for the channels");
        }
        let twice = |&(index, axis): &(usize, i64)| {
            axes[..index].iter().any(|other| other.rem_euclid(rank) == axis.rem_euclid(rank))
        };
        if let Some((_, axis)) = axes.iter().copied().enumerate().find(twice) {
            let problem = format!("its axis {axis} is named twice in {axes:?}");
            return refused(problem, "name each axis once: -1 is the last one");
        }
        match loss {
            Loss::Unknown => {
                let remedy =
                    "name the loss to train with, like --set train.loss=mean_squared_error";
                Err(self.source.error("train.loss", "is \"unknown\"", remedy))
            }
            _ if smallest_side(loss).is_some() && output.0.len() != 3 => refused(
                format!("the model gives {output}, which is no image"),
                "give another loss, or end in a Reshape to [height, width, channels]",
            ),
            _ => Ok(()),
        }
    }

    /// How data become what the model sees and what it should give.
    ///
    /// # Errors
    /// When the data hold nothing that has the shape of what it gives.
    pub fn target(&self) -> Result<Target, ConfigError> {
        self.check_middle(Axis::Rows)?;
        self.check_middle(Axis::Columns)?;
        target(&self.source, self.input_shape, self.output_shape())
    }

    /// How data become what the model sees, where nothing is asked of what it gives.
    #[must_use]
    pub fn seen(&self) -> Target {
        self.target().unwrap_or_else(|_| Target::from(self.input_shape))
    }

    /// A target is laid on the output by their middles, so that the output has to be all that belongs to the
    /// input, or lack as much at either end: not what is left of a side that strides do not divide.
    fn check_middle(&self, axis: Axis) -> Result<(), ConfigError> {
        let (seen, given) = (axis.of_image(self.input_shape), axis.of_image(self.output_shape()));
        let Some(scale) = self.scale(axis) else { return Ok(()) };
        let list = if self.config.model.layers.is_some() { "layers" } else { "decoder" };
        if scale.fine > 1 && scale.coarse > 1 {
            let (input, output) = (&self.graph.input, self.graph.shape(self.graph.output));
            let problem = format!("ends in {output}, but the images are {input}");
            let remedy = "change the layers until poolings and strides lead back to the input's shape, or \
                          to a whole number of times as much or as little";
            return Err(self.source.error(&format!("model.{list}"), problem, remedy));
        }
        if scale.of(seen) != Some(given) {
            let larger = (seen..).take(TRIED).find(|&side| self.gives_back(axis, side));
            let problem = format!("has a side of {seen}, which the strides leave as {given}");
            let remedy = match larger {
                Some(side) => format!("make it {side}, of which nothing is lost"),
                None => "make it a multiple of all strides".to_owned(),
            };
            return Err(self.source.error("model.input_shape", problem, remedy));
        }
        let pixel = scale.coarse as f64 / scale.fine as f64;
        let middle = (scale.lost as f64 / 2.0 + 0.5) * pixel - 0.5;
        if scale.lost == 0 || (self.graph.first_centre(axis) - middle).abs() < pixel.max(1.0) {
            return Ok(());
        }
        let problem = format!("gives {given} of {seen} pixels, and not those in the middle");
        let remedy = "pad or crop both ends alike";
        Err(self.source.error(&format!("model.{list}"), problem, remedy))
    }
}

/// Height and width that an image needs for a loss that looks through windows.
fn smallest_side(loss: Loss) -> Option<usize> {
    match loss {
        Loss::Ssim => Some(SSIM_WINDOW),
        Loss::MsSsim => Some(MS_SSIM_SIDE),
        _ => None,
    }
}
