//! Buffers that say when there is no room for them.

use num_traits::Zero;

/// So many zeros.
///
/// # Panics
/// With `not enough memory`, which the program turns into a sentence; the standard library would
/// abort.
pub(super) fn zeros<V: Zero + Clone>(count: usize) -> Vec<V> {
    let mut values = Vec::new();
    let room = values.try_reserve_exact(count);
    assert!(room.is_ok(), "not enough memory for {count} values");
    values.resize(count, V::zero());
    values
}
