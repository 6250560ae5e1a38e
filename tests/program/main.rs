//! The program as its users call it, one module for each command or subject: one test binary, because each of its own
//! would be linked with libtorch and convae anew.

#[path = "../common/mod.rs"]
mod common;

mod apply;
mod cli;
mod codes;
mod compare;
mod corruption;
mod data;
mod distributed;
mod evaluate;
mod export;
mod formats;
mod hostile;
mod import;
mod pages;
mod policies;
mod report;
mod resume;
mod scale;
mod show;
mod sweep;
mod trial;
mod wrong_input;
