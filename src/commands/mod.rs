//! The program's commands: each `run` reads as that command's data flow.

pub mod apply;
pub mod corrupt;
pub mod decode;
pub mod encode;
pub mod evaluate;
pub mod export;
pub mod neighbours;
pub mod reference;
pub mod summary;
pub mod train;
