//! The layers of a config, as `convae summary` shows them.

use anyhow::Result;
use convae::config::Source;
use convae::plan::Plan;
use serde::Deserialize;
use serde_json::{Value, json};

/// Asked for each layer's name, type, output shape without the batch, and weights.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// The config's text.
    toml: String,
}

impl Question {
    pub fn answer(&self) -> Result<Value> {
        let plan = Plan::new(Source::parse(&self.toml, "the question", &[])?)?;
        let layers = plan.graph.nodes.iter().map(|node| {
            json!({
                "name": node.name,
                "type": node.layer.name(),
                "output": node.output.0,
                "trainable": node.trainable(),
                "moving": node.non_trainable(),
            })
        });
        Ok(layers.collect())
    }
}
