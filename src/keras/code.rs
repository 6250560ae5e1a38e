//! Where a model's code is, which no Keras file says: the smallest value between input and output.

use crate::plan::{Graph, Shape, Value};

/// The node that gives the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Its index.
    pub index: usize,
    /// Which layer that is, and how it came to be.
    pub said: String,
}

/// The first node with the smallest output, if that is smaller than the input; else the last that makes the
/// image smaller; else none. What follows it alone, without weights and without changing the size (an
/// activation, a Flatten), belongs to the code.
pub fn find(graph: &Graph) -> Option<Code> {
    let inner = 0..graph.nodes.len().saturating_sub(1); // what the last layer gives is no code
    let given = graph.input.values();
    let candidate = candidates(graph);
    let smallest = inner.clone().filter(|&index| candidate[index] && size(graph, index) < given);
    if let Some(index) = smallest.min_by_key(|&index| size(graph, index)) {
        let index = with_followers(graph, index);
        return Some(said(graph, index, "the smallest output"));
    }
    let area_of = |index: usize| area(graph.shape(Value::Node(index)));
    let least = inner
        .clone()
        .filter_map(area_of)
        .min()
        .filter(|&least| Some(least) < area(&graph.input))?;
    let first = inner.into_iter().find(|&index| area_of(index) == Some(least))?;
    let index = with_followers(graph, first);
    let why =
        format!("where the image is smallest, as no layer gives fewer than its {given} values");
    Some(said(graph, index, &why))
}

/// The node that the user named.
pub fn named(graph: &Graph, index: usize) -> Code {
    said(graph, index, "as --code says")
}

fn said(graph: &Graph, index: usize, why: &str) -> Code {
    let node = &graph.nodes[index];
    let size: Vec<String> = node.output.0.iter().map(ToString::to_string).collect();
    Code {
        index,
        said: format!("the code is what {} gives ({}): {why}", node.name, size.join(" x ")),
    }
}

/// Nodes that all goes through; and those where the image is smallest, past which there may be connections. The
/// small side branches that weigh channels or pixels are neither.
fn candidates(graph: &Graph) -> Vec<bool> {
    let readers = readers(graph);
    let area_of = |index: usize| area(&graph.nodes[index].output).filter(|&area| area > 1);
    let least = (0..graph.nodes.len()).filter_map(area_of).min();
    let mut furthest = readers[0].1; // of all values before a node, the last that reads one of them
    let mut all = Vec::with_capacity(graph.nodes.len());
    for index in 0..graph.nodes.len() {
        let separates = furthest <= index;
        furthest = furthest.max(readers[index + 1].1);
        all.push(separates || area_of(index).is_some_and(|area| Some(area) == least));
    }
    all
}

/// How many times the input, then each node, is read, and which node reads it last.
fn readers(graph: &Graph) -> Vec<(usize, usize)> {
    let mut readers = vec![(0, 0); graph.nodes.len() + 1];
    for (index, node) in graph.nodes.iter().enumerate() {
        for value in &node.inputs {
            let one = match value {
                Value::Input => &mut readers[0],
                Value::Node(before) => &mut readers[before + 1],
            };
            *one = (one.0 + 1, index);
        }
    }
    readers
}

fn with_followers(graph: &Graph, mut index: usize) -> usize {
    let readers = readers(graph);
    while let (1, next) = readers[index + 1] {
        let node = &graph.nodes[next];
        let is_layer = node.weights.is_empty() && node.shares.is_none() && node.inputs.len() == 1;
        let stays = is_layer && size(graph, next) == size(graph, index);
        if !stays || next + 1 == graph.nodes.len() {
            break;
        }
        index = next;
    }
    index
}

fn size(graph: &Graph, index: usize) -> usize {
    graph.nodes[index].output.values()
}

/// Height times width of an image.
fn area(shape: &Shape) -> Option<usize> {
    match shape.0.as_slice() {
        [height, width, _] => Some(height.saturating_mul(*width)),
        _ => None,
    }
}
