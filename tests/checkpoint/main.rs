//! Tests of `convae::formats::checkpoint` through its files, as users meet them.
//! One binary, since linking each test file anew would cost more than the tests.

#[path = "../common/absent.rs"]
mod absent;
mod builder;
mod damage;
mod golden;
mod hostile;
mod python;
mod refusals;
mod round_trip;
