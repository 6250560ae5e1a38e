//! Answers single numerical questions with convae's public interface, in float64 and in Keras's
//! terms: images are `(N, H, W, C)`, weights have Keras's layouts and order.
//!
//! `examples/parity_probe.rs` asks them for `scripts/parity/cases`, which holds the answers against
//! Keras; `tests/golden.rs` asks those that Keras has answered once. Nothing here compares.

pub mod arrays;
mod build;
mod graph;
mod layer;
mod loss;
mod optimizer;
mod steps;
mod summary;

use anyhow::{Context, Result};
use serde::Deserialize;

use arrays::Arrays;

/// Questions, in the order of the answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    requests: Vec<Request>,
}

/// One question; its arrays are found, and answered, under `id/`.
#[derive(Debug, Deserialize)]
struct Request {
    id: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    /// What does this layer compute?
    Layer(layer::Question),
    /// How does this layer start?
    Start(layer::Start),
    /// Where does this optimizer take the weights?
    Optimizer(optimizer::Question),
    /// What are this loss and its gradient?
    Loss(loss::Question),
    /// What does this config's model compute?
    Graph(graph::Question),
    /// Where do some steps of training take this config's model?
    Steps(steps::Question),
    /// Which layers, shapes and weights does this config have?
    Summary(summary::Question),
}

/// The answers: arrays by name, and JSON by the question's id.
#[derive(Debug, Default)]
pub struct Answers {
    /// `id/y`, `id/dx`, ...
    pub arrays: Arrays,
    /// For questions that no array answers.
    pub json: serde_json::Map<String, serde_json::Value>,
}

impl Questions {
    /// Reads them from JSON.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("the questions cannot be read")
    }

    /// Answers all of them.
    pub fn answer(&self, given: &Arrays) -> Result<Answers> {
        let mut answers = Answers::default();
        for Request { id, kind } in &self.requests {
            let given = given.within(id);
            let arrays = match kind {
                Kind::Layer(question) => question.answer(&given),
                Kind::Start(question) => question.answer(),
                Kind::Optimizer(question) => question.answer(&given),
                Kind::Loss(question) => question.answer(&given),
                Kind::Graph(question) => question.answer(&given),
                Kind::Steps(question) => question.answer(&given),
                Kind::Summary(question) => question.answer().map(|layers| {
                    answers.json.insert(id.clone(), layers);
                    Arrays::default()
                }),
            };
            let arrays = arrays.with_context(|| format!("{id} cannot be answered"))?;
            answers.arrays.put(id, arrays);
        }
        Ok(answers)
    }
}
