//! A trained model on images of any size: padded or cut into tiles, computed in batches, put together
//! again. Files and folders go through threads that read ahead and write behind, TIFFs page by page.
//!
//! ```text
//! paths -> jobs -> readers -> tiles -> compute (batches; engines, one for each size) -> writers -> report
//! ```

mod augment;
mod budget;
mod canvas;
mod compute;
mod engines;
mod jobs;
mod names;
mod pipeline;
mod report;
mod stack;
mod tiles;

pub use augment::orientations;
pub(super) use canvas::mirrored_image as mirrored;
pub use compute::TiledPredictor;
pub use engines::Engines;
pub use jobs::{Job, Jobs, Task};
pub use pipeline::{Rendering, run};
pub use report::{Outcome, Report};
pub use tiles::Fit;
