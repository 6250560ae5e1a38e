//! Takes the named tensors out of an unpickled state_dict, or says what the file holds instead.
//! The elements are not touched here.

use std::collections::HashSet;

use super::MAX_TENSORS;
use super::error::{Fault, shown};
use super::rebuild::{Heap, Id, Object, Tensor};
use super::strided::Strided;
use super::unpickle::unpickle;

/// Reads `data.pkl`: the tensors in the order of the dict.
pub(super) fn read(pickle: &[u8]) -> Result<Vec<(String, Strided)>, Fault> {
    let (heap, root) = unpickle(pickle)?;
    let Object::Dict(entries) = &heap.0[root] else {
        return Err(Fault::TopLevel(heap.0[root].kind()));
    };
    if entries.len() > MAX_TENSORS {
        return Err(Fault::TooLarge(format!("{} entries", entries.len())));
    }
    refuse_nesting(&heap, entries)?;
    let mut seen = HashSet::new();
    entries
        .iter()
        .map(|&entry| {
            let (name, tensor) = named_tensor(&heap, entry)?;
            if !seen.insert(name) {
                return Err(Fault::Duplicate(shown(name)));
            }
            Ok((name.to_owned(), heap.window(tensor)?))
        })
        .collect()
}

/// `{'epoch': 3, 'model': state_dict}` is common; naming `model` helps more than naming `epoch`.
fn refuse_nesting(heap: &Heap, entries: &[[Id; 2]]) -> Result<(), Fault> {
    let mut entries = entries.iter();
    let nested = entries.find(|[_, value]| matches!(heap.0[*value], Object::Dict(_)));
    nested.map_or(Ok(()), |&entry| named_tensor(heap, entry).map(drop))
}

fn named_tensor(heap: &Heap, [key, value]: [Id; 2]) -> Result<(&str, Tensor), Fault> {
    match (&heap.0[key], &heap.0[value]) {
        (Object::Text(name), &Object::Tensor(tensor)) => Ok((name, tensor)),
        (Object::Text(name), other) => Err(Fault::NotTensor(shown(name), other.kind())),
        (other, _) => Err(Fault::Key(other.kind())),
    }
}
