//! What people look at: single images, labelled grids, loss curves as PNG files; `html/`, the page of a run;
//! the summary as a table. `run_report`, `trial` and `showcase` gather what stands on them from a run; all else takes
//! numbers and knows neither tensors nor training.

mod axis;
mod canvas;
mod chart;
mod compared_runs;
mod curves;
mod grid;
pub mod html;
mod neighbours;
mod raster;
pub mod run_report;
mod several_runs;
pub mod showcase;
mod side_by_side;
mod signal;
pub mod summary;
mod text;
pub mod trial;

use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use canvas::MOST_SIDE;
pub use compared_runs::write_comparison;
pub use curves::{Curves, LossPoint, write_loss_curves};
pub use grid::{GridRow, write_grid};
pub use neighbours::{Captioned, NeighbourRow, most_rows, write_neighbours};
pub use raster::{Raster, RasterError, write_png, write_png_of_many};
pub use several_runs::{MOST_RUNS, write_curves_of_runs};
pub use side_by_side::side_by_side;
pub use signal::range_of;

/// An image file that could not be made: which one, and the [`Problem`] as its source.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the image {}", path.display())]
pub struct ReportError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What went wrong.
    #[source]
    pub problem: Problem,
}

/// What kept an image from being made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A grid without a single image.
    #[error("no images to show; give at least one row with one image")]
    NoImages,
    /// A page that no viewer would open.
    #[error(
        "the page would be {width}x{height} pixels, more than {} in a side; \
         show fewer rows or smaller images",
        MOST_SIDE
    )]
    PageTooLarge {
        /// Width of the page in pixels.
        width: usize,
        /// Height of the page in pixels.
        height: usize,
    },
    /// The PNG encoder refused.
    #[error("PNG encoding failed")]
    Encode(#[from] image::ImageError),
    /// The file system refused.
    #[error("the file system refused; free some space, or name another place with --out")]
    Write(#[from] std::io::Error),
}

/// Draws and encodes in memory first: a failure there leaves no file, and an older one stays whole.
fn deliver(
    path: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, Problem>,
) -> Result<(), ReportError> {
    make()
        .and_then(|png| Ok(crate::system::atomic::write(path, |out| out.write_all(&png))?))
        .map_err(|problem| ReportError { path: path.to_path_buf(), problem })
}
