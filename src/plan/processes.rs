//! Whether several processes can train a plan's model: each takes its share of every batch, which has to give the same as
//! the whole batch at once, but for a BatchNormalization that is not synchronized.

use super::Plan;
use crate::config::ConfigError;
use crate::config::layers::Layer;
use crate::config::regularizers::Regularizer;
use crate::config::sections::Distributed;
use crate::data::Images;
use crate::system::ranks::sums_on_gpus;

impl Plan {
    /// Refuses what so many processes cannot share.
    ///
    /// # Errors
    /// Naming the key, and what to change.
    pub fn check_processes(&self, processes: usize) -> Result<(), ConfigError> {
        let train = &self.config.train;
        if train.distributed == Distributed::Nccl && !sums_on_gpus() {
            let problem = "is \"nccl\", which this convae was built without".to_owned();
            return self.refuse("train.distributed", problem, "take \"auto\" or \"gloo\"");
        }
        if train.batch_size < processes {
            let problem = format!(
                "is {}, which {processes} processes cannot share: each takes a part of every batch",
                train.batch_size
            );
            return self.refuse(
                "train.batch_size",
                problem,
                "make it larger, or start fewer processes",
            );
        }
        self.check_parts(processes)
    }

    /// Refuses a loss that cannot be put together from those of parts of a batch.
    ///
    /// # Errors
    /// Naming the key, and what to change.
    pub fn check_parts(&self, processes: usize) -> Result<(), ConfigError> {
        let train = &self.config.train;
        let shape = self.graph.shape(self.graph.output);
        // As engines compute it.
        let (axes, computed) = (shape.0.len(), shape.computed().0.len());
        if !train.loss.computed(axes).is_mean_over_images(computed) {
            let problem = format!(
                "is {}, which looks at a batch as a whole, and {processes} processes each see a part of it",
                train.loss.name()
            );
            return self.refuse(
                "train.loss",
                problem,
                "take a loss that is a mean over images, or a single process",
            );
        }
        let compares = |layer: &Layer| {
            matches!(layer.activity_regularizer(), Some(Regularizer::OrthogonalRegularizer(_)))
        };
        if let Some(node) = self.graph.nodes.iter().find(|node| compares(&node.layer)) {
            let problem = format!(
                "has `{}`, whose activity_regularizer (OrthogonalRegularizer) compares the samples of a whole batch",
                node.name
            );
            return self.refuse("model", problem, "remove it, or take a single process");
        }
        Ok(())
    }

    /// Refuses batches of these images of which a process would have no part, where it would have to bring something.
    ///
    /// # Errors
    /// Where the model normalises by the whole batch, and its last one has too few images.
    pub fn check_shares(&self, images: &Images, processes: usize) -> Result<(), ConfigError> {
        let (batch, count) = (self.config.train.batch_size, images.len());
        let last = if count.is_multiple_of(batch) { batch.min(count) } else { count % batch };
        if last >= processes || !self.normalizes_batches() {
            return Ok(());
        }
        let problem = format!(
            "is {batch}, which makes a last batch of {last} of {count} images, and BatchNormalization in {processes} \
             processes needs one for each"
        );
        self.refuse(
            "train.batch_size",
            problem,
            "give another batch size, or start fewer processes",
        )
    }

    fn refuse(&self, path: &str, problem: String, remedy: &str) -> Result<(), ConfigError> {
        Err(self.source.error(path, problem, remedy))
    }

    fn normalizes_batches(&self) -> bool {
        self.graph.nodes.iter().any(|node| matches!(node.layer, Layer::BatchNormalization(_)))
    }
}
