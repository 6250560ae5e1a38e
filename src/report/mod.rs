//! The pictures a run leaves behind: single PNGs, labelled grids and loss curves.
//! It knows nothing of tensors, files read or training; numbers come in, PNG files go out.

mod axis;
mod canvas;
mod chart;
mod compare;
mod curves;
mod grid;
pub mod html;
mod neighbours;
mod picture;
mod text;
mod together;

use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use canvas::MOST_SIDE;
pub use compare::side_by_side;
pub use curves::{Curves, LossPoint, write_loss_curves};
pub use grid::{GridRow, write_grid};
pub use neighbours::{Captioned, NeighbourRow, most_rows, write_neighbours};
pub use picture::{Picture, PictureError, write_png, write_png_of_many};
pub use together::{MOST_TOGETHER, write_curves_together};

/// A picture file that could not be made: which one, and the [`Problem`] as its source.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the picture {}", path.display())]
pub struct ReportError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What went wrong.
    #[source]
    pub problem: Problem,
}

/// What kept a picture from being made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A grid without a single picture.
    #[error("no pictures to show; give at least one row with one picture")]
    NoPictures,
    /// A page that no viewer would open.
    #[error(
        "the page would be {width}x{height} pixels, more than {} in a side; \
         show fewer rows or smaller pictures",
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
        .and_then(|png| Ok(crate::atomic::write(path, |out| out.write_all(&png))?))
        .map_err(|problem| ReportError { path: path.to_path_buf(), problem })
}
