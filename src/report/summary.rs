//! The model as a table, as Keras's `model.summary()` shows it.

use std::fmt::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::engine::on_cpu;
use crate::plan::{Graph, Node, Plan, Shape};

/// Layers, output shapes and parameters, then the totals and the code.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["", "Layer (type)", "Output Shape", "Param #"]);
    let input = Shape(plan.input_shape.to_vec());
    table.add_row(["", "input (InputLayer)", &keras_shape(&input), "0"]);
    add_rows(&mut table, &plan.graph);
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
    let _ = writeln!(text, "Code: {code} = {values} values for {pixels}");
    let _ = writeln!(text, "Engine on the CPU: {}", on_cpu(plan));
    text
}

fn add_rows(table: &mut Table, graph: &Graph) {
    let mut part = None;
    for node in &graph.nodes {
        let first = part.replace(node.part) != Some(node.part);
        table.add_row([
            if first { node.part.name() } else { "" },
            &format!("{} ({})", node.name, node.op.name()),
            &keras_shape(&node.output),
            &thousands(node.trainable() + node.non_trainable()),
        ]);
    }
}

/// `(None, 28, 28, 1)`: the batch has no fixed size.
fn keras_shape(shape: &Shape) -> String {
    let sides: Vec<String> = shape.0.iter().map(ToString::to_string).collect();
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
