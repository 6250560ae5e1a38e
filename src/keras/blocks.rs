//! DepthToSpace as convae's own export says it, for which Keras has no layer: a Reshape to five axes, a Permute that
//! puts rows and columns of the blocks behind those of the image, and a Reshape back to three.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::graph::{Graph, Use, Value};

/// Three uses that are one DepthToSpace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// The first of them, which reads what the whole reads.
    pub first: usize,
    /// Rows and columns of a block.
    pub block_size: i64,
}

/// By their last use; the other two are named with `None`.
pub fn find(graph: &Graph) -> HashMap<usize, Option<Blocks>> {
    let mut found = HashMap::new();
    for last in 0..graph.uses.len() {
        let Some([first, middle]) = before(graph, last) else { continue };
        let [apart, dims, whole] =
            [(first, "target_shape"), (middle, "dims"), (last, "target_shape")]
                .map(|(number, key)| numbers(graph, &graph.uses[number], key));
        if let Some(block_size) = block_size(&apart, &dims, &whole) {
            found.extend([(first, None), (middle, None)]);
            found.insert(last, Some(Blocks { first, block_size }));
        }
    }
    found
}

/// The two uses before a Reshape, where each is read by the next alone.
fn before(graph: &Graph, last: usize) -> Option<[usize; 2]> {
    let is = |number: usize, class: &str| {
        let leaf = &graph.leaves[graph.uses[number].leaf];
        leaf.object.class == class && !leaf.object.custom
    };
    let read_by = |number: usize| match graph.uses[number].call.reads()[..] {
        [Value::Call(read)] if readers(graph, read) == 1 => Some(read),
        _ => None,
    };
    let middle = read_by(last).filter(|&middle| is(last, "Reshape") && is(middle, "Permute"))?;
    let first = read_by(middle).filter(|&first| is(first, "Reshape"))?;
    Some([first, middle])
}

/// How often a value is read, by layers or as the model's output.
fn readers(graph: &Graph, number: usize) -> usize {
    let value = Value::Call(number);
    let read = graph.uses.iter().flat_map(|one| one.call.reads());
    let given = graph.outputs.iter().map(|(_, output)| *output);
    read.chain(given).filter(|one| *one == value).count()
}

fn numbers(graph: &Graph, one: &Use, key: &str) -> Vec<i64> {
    let config = graph.leaves[one.leaf].object.config;
    let list = config.get(key).and_then(Json::as_array);
    list.map_or(Vec::new(), |list| list.iter().filter_map(Json::as_i64).collect())
}

/// Of images of `height` x `width` pixels that are blocks of so many pixels a side.
fn block_size(apart: &[i64], dims: &[i64], whole: &[i64]) -> Option<i64> {
    let (&[height, width, block, columns, channels], &[rows, across, given]) = (apart, whole)
    else {
        return None;
    };
    let is_one = dims == [1, 3, 2, 4, 5]
        && block == columns
        && block > 1
        && channels == given
        && height.checked_mul(block) == Some(rows)
        && width.checked_mul(block) == Some(across);
    is_one.then_some(block)
}
