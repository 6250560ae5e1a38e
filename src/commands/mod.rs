//! The program's commands: each `run` reads as that command's data flow.

pub mod apply;
pub mod compare;
pub mod corrupt;
pub mod decode;
pub mod encode;
pub mod evaluate;
pub mod export;
mod go_on;
pub mod neighbours;
pub mod reference;
pub mod report;
pub mod summary;
pub mod sweep;
pub mod train;
