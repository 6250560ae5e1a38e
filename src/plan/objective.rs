//! What training minimises: a loss, between what the model gives and what it should give.

use super::graph::Graph;
use crate::config::{ConfigError, Source};
use crate::nn::Loss;

/// What a model is trained and judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// One that we have.
    pub loss: Loss,
}

impl Objective {
    /// # Errors
    /// When the config names no loss, or no target has the shape of what the model gives.
    pub(super) fn of(source: &Source, graph: &Graph) -> Result<Self, ConfigError> {
        let loss = source.config.train.loss;
        if loss == Loss::Unknown {
            let remedy = "name the loss to train with, like --set train.loss=mean_squared_error";
            return Err(source.error("train.loss", "is \"unknown\"", remedy));
        }
        let output = graph.shape(graph.output);
        if *output != graph.input {
            let problem = format!("ends in {output}, but the images are {}", graph.input);
            let remedy = "change the layers until the output has the input's shape";
            let list = if source.config.model.layers.is_some() { "layers" } else { "decoder" };
            return Err(source.error(&format!("model.{list}"), problem, remedy));
        }
        Ok(Self { loss })
    }
}
