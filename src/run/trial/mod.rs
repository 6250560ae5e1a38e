//! A training that is chosen by what a folder of noisy images is like: the choice with its reasons, as a config.

mod choice;
mod findings;
mod pace;

pub use choice::Choice;
pub use findings::{findings, left_out};
pub use pace::seconds_an_image;
