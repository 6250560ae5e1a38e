//! A trained model on images of any size: padded or cut into tiles, computed in batches, put together
//! again. Files and folders go through threads that read ahead and write behind, TIFFs page by page.
//!
//! ```text
//! paths -> jobs -> readers -> fit (tiles) -> models (batches) -> writers -> report
//! ```

mod budget;
mod canvas;
mod compute;
mod fit;
mod jobs;
mod models;
mod names;
mod pipeline;
mod report;
mod stack;

pub use compute::Applier;
pub use fit::Fit;
pub use jobs::{Job, Jobs, Task};
pub use models::Models;
pub use pipeline::{Rendering, run};
pub use report::{Outcome, Report};
