//! The model as a table, as Keras's `model.summary()` shows it.

use std::fmt::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::engine::on_cpu;
use crate::plan::{Node, Plan, Shape};

/// Layers, output shapes and parameters, then the totals and the code.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let is_chain = plan.graph.chain().is_some();
    let mut header = vec!["", "Layer (type)", "Output Shape", "Param #"];
    if !is_chain {
        header.push("Connected to");
    }
    table.set_header(header);
    let input = &plan.graph.input;
    table.add_row(["", "input (InputLayer)", &keras_shape(plan, input), "0"]);
    add_rows(&mut table, plan, is_chain);
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let count = |of: fn(&Node) -> usize| plan.graph.nodes.iter().map(of).sum::<usize>();
    let (trainable, moving) = (count(Node::trainable), count(Node::non_trainable));
    let code = plan.code_shape();
    let mut text = format!("Model: \"{}\"\n{table}\n", plan.config.name);
    let _ = writeln!(text, "Total params: {}", thousands(trainable + moving));
    let _ = writeln!(text, "Trainable params: {}", thousands(trainable));
    let _ = writeln!(text, "Non-trainable params: {}", thousands(moving));
    let (values, pixels) = (thousands(code.values()), thousands(input.values()));
    if plan.has_code {
        let of = if plan.open == [false; 2] { String::new() } else { format!(" of {input}") };
        let _ = writeln!(text, "Code: {code} = {values} values for {pixels}{of}");
    }
    let _ = writeln!(text, "Engine on the CPU: {}", on_cpu(plan));
    text
}

fn add_rows(table: &mut Table, plan: &Plan, is_chain: bool) {
    let mut part = None;
    for node in &plan.graph.nodes {
        let first = part.replace(node.part) != Some(node.part);
        let layer = match node.shares {
            None => format!("{} ({})", node.name, node.layer.name()),
            Some(owner) => format!("{} (shares {})", node.name, plan.graph.nodes[owner].name),
        };
        let mut row = vec![
            if first { node.part.name().to_owned() } else { String::new() },
            layer,
            keras_shape(plan, &node.output),
            thousands(node.trainable() + node.non_trainable()),
        ];
        if !is_chain {
            let inputs = node.inputs.iter().map(|&value| plan.graph.name_of(value));
            row.push(inputs.collect::<Vec<_>>().join(", "));
        }
        table.add_row(row);
    }
}

/// `(None, 28, 28, 1)`: the batch has no fixed size, nor have images of a model of open size.
fn keras_shape(plan: &Plan, shape: &Shape) -> String {
    let side = |(axis, side): (usize, &usize)| {
        if plan.is_open(shape, axis) { "None".to_owned() } else { side.to_string() }
    };
    let sides: Vec<String> = shape.0.iter().enumerate().map(side).collect();
    format!("(None, {})", sides.join(", "))
}

/// `12,201`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
