//! A run as one HTML page that needs nothing else: no network, no script, no font, no second file. The page of a
//! training on noisy images ([`TrialReport`]) has a script of its own, for its sliders.
//!
//! Everything that the page shows is in [`RunReport`]; nothing here reads a file, knows a tensor or
//! asks the clock. The same report gives the same page, byte for byte.

mod curves;
mod images;
mod markup;
mod model;
mod page;
mod tables;
mod times;
mod trial;

pub use trial::{TrialReport, TrialSample};

use super::{Curves, Raster};
use crate::infer::evaluation::{Means, Quality};

/// Images among the best, and among the worst.
pub const RANKED: usize = 10;

/// What a run's page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// The run's.
    pub name: String,
    /// One sentence about what was trained.
    pub lead: String,
    /// One sentence each on what a reader must not miss: that the run was interrupted, say.
    pub notices: Vec<String>,
    /// The config as TOML, every default written out.
    pub config: String,
    /// The image that goes in, then what each layer makes of it; of a valid model at least two.
    pub layers: Vec<LayerBox>,
    /// Losses over the epochs.
    pub curves: Curves,
    /// A row for each epoch.
    pub epochs: Figures,
    /// From no corruption to the strongest; of a run without any but one.
    pub levels: Vec<Level>,
    /// The level that the model was trained for, as an index into `levels`.
    pub trained_level: usize,
    /// Name of the loss.
    pub loss: String,
    /// What the decoder draws of codes that were not encoded, of a model whose codes are random.
    pub latent: Option<Latent>,
    /// Test images that were measured, and all that there are.
    pub measured: (usize, usize),
    /// The test images whose outputs are nearest to their targets, the nearest first.
    pub best: Vec<Sample>,
    /// Those that are farthest, the farthest first.
    pub worst: Vec<Sample>,
    /// Where the epochs' time went; empty where it was not kept.
    pub times: Vec<EpochTime>,
    /// What else took time, in order: what, and seconds.
    pub phases: Vec<(String, f64)>,
    /// Environment and seeds: headlines with names and values.
    pub facts: Vec<(String, Vec<(String, String)>)>,
}

/// A box of the model's drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerBox {
    /// `conv2d_1`.
    pub name: String,
    /// What it does, in a few words: `Conv2D 3x3, relu`.
    pub detail: String,
    /// What comes out of it, channels last.
    pub shape: Vec<usize>,
    /// Weights that it holds.
    pub weights: usize,
    /// Which colour it gets.
    pub kind: LayerKind,
    /// Where it stands.
    pub part: LayerPart,
    /// Whether it gives the code.
    pub is_code: bool,
    /// The boxes that it reads, by their places in the drawing; of the image none.
    pub reads: Vec<usize>,
}

/// Layers that are drawn alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// The image itself.
    Input,
    /// Learns.
    Learned,
    /// Makes images smaller.
    Smaller,
    /// Makes images larger.
    Larger,
    /// Anything else.
    Other,
}

/// Where a layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerPart {
    /// Before all layers.
    Input,
    /// On the way to the code.
    Encoder,
    /// On the way back.
    Decoder,
    /// In a model without halves.
    Whole,
}

/// Numbers with a headline for each column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// The model on images that are corrupted as strongly as this.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// `half as strong`.
    pub title: String,
    /// What was done to the images, as a config says it.
    pub corruption: String,
    /// Mean over the measured images.
    pub loss: f64,
    /// `None` where the inputs are the targets.
    pub input: Option<Means>,
    /// Of what the model makes of them.
    pub output: Means,
    /// The first test images.
    pub samples: Vec<Sample>,
}

/// Images of the codes of a variational autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    /// Of a grid over the plane of a code of two values, and how far it reaches from 0.
    pub plane: Option<(Raster, f32)>,
    /// On the way from the first test image to the second.
    pub walk: Raster,
    /// Of random codes.
    pub samples: Raster,
}

/// A test image and what the model makes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its file's, or its place in the set.
    pub name: String,
    /// What the model saw.
    pub input: Raster,
    /// What it gave.
    pub output: Raster,
    /// What it should have given, where that is not the input.
    pub target: Option<Raster>,
    /// How close the input is to the target, where it is not the target itself.
    pub before: Option<Quality>,
    /// How close the output is to the target.
    pub after: Quality,
}

/// Where an epoch's seconds went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochTime {
    /// Counts from 1.
    pub epoch: usize,
    /// Steps of the training.
    pub training: f64,
    /// Training in which no batch was ready.
    pub waiting: f64,
    /// The pass over the test set.
    pub validation: f64,
}

impl RunReport {
    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::page(self)
    }

    /// The level that the model was trained for.
    fn trained(&self) -> Option<&Level> {
        self.levels.get(self.trained_level)
    }
}

#[cfg(test)]
mod tests;
