//! Which initializers, regularizers and constraints fit which weights.

use super::shapes::{Shape, ShapeError};
use super::weights::Weight;
use crate::config::initializers::Initializer;
use crate::config::layers::Layer;
use crate::config::regularizers::{OrthogonalRegularizer, Regularizer, Vectors};

/// Keras's `Identity` makes matrices, and `Orthogonal` weights of two axes or more.
///
/// # Errors
/// Names the key of the first that would start something else.
pub(super) fn check_initializers(layer: &Layer, weights: &[Weight]) -> Result<(), ShapeError> {
    for weight in weights {
        let Some(initializer) = layer.initializer(weight.keras_name) else { continue };
        let sides = weight.keras_shape();
        let fits = match initializer {
            Initializer::Identity(_) => sides.len() == 2,
            Initializer::Orthogonal(_) => sides.len() >= 2,
            _ => true,
        };
        if !fits {
            let (weight, name) = (weight.keras_name, initializer.name());
            let problem = format!(
                "starts its {weight} with {name}, and the {weight} has shape {sides:?} in Keras's layout"
            );
            let remedy = "give Identity to the kernel of a Dense, Orthogonal to any kernel, or use another initializer";
            return Err(ShapeError { problem, remedy: remedy.to_owned() });
        }
    }
    Ok(())
}

/// Keras's `OrthogonalRegularizer` takes a matrix, and compares at least two of its vectors.
///
/// # Errors
/// Names the key of the first that meets something else.
pub(super) fn check_regularizers(
    layer: &Layer,
    output: &Shape,
    weights: &[Weight],
) -> Result<(), ShapeError> {
    for weight in weights {
        if let Some(regularizer) = layer.regularizer(weight.keras_name) {
            check(
                &format!("{}_regularizer", layer.stem(weight.keras_name)),
                regularizer,
                &weight.keras_shape(),
            )?;
        }
    }
    match layer.activity_regularizer() {
        // Rows are a batch's samples, of which there are two at least.
        Some(regularizer) => {
            let sides: Vec<usize> = [2].iter().chain(&output.0).copied().collect();
            check("activity_regularizer", &regularizer, &sides)
        }
        None => Ok(()),
    }
}

/// A constraint takes norms along axes that its weight has.
///
/// # Errors
/// Names the key of the first that does not.
pub(super) fn check_constraints(layer: &Layer, weights: &[Weight]) -> Result<(), ShapeError> {
    for weight in weights {
        let Some(constraint) = layer.constraint(weight.keras_name) else { continue };
        let count = weight.shape.len() as i64;
        let axes = constraint.axes();
        let place = |axis: i64| if axis < 0 { axis + count } else { axis };
        let is_wrong = |(i, &axis): (usize, &i64)| {
            let place_of = place(axis);
            let repeated = axes[..i].iter().any(|&other| place(other) == place_of);
            (!(0..count).contains(&place_of) || repeated).then_some(axis)
        };
        if let Some(axis) = axes.iter().enumerate().find_map(is_wrong) {
            let (key, sides) = (layer.stem(weight.keras_name), weight.keras_shape());
            let problem = format!(
                "has {key}_constraint with axis = {axis}, and that weight has shape {sides:?} in Keras's layout"
            );
            let remedy = format!("give axes from {} to {}, each once", -count, count - 1);
            return Err(ShapeError { problem, remedy });
        }
    }
    Ok(())
}

fn check(key: &str, regularizer: &Regularizer, sides: &[usize]) -> Result<(), ShapeError> {
    let Regularizer::OrthogonalRegularizer(OrthogonalRegularizer { mode, .. }) = regularizer else {
        return Ok(());
    };
    let vectors = match (sides, mode) {
        (&[rows, _], Vectors::Rows) => rows,
        (&[_, columns], Vectors::Columns) => columns,
        _ => 0,
    };
    if vectors >= 2 {
        return Ok(());
    }
    let name = regularizer.name();
    let problem = format!("has {key} = {name}, for values of shape {sides:?} in Keras's layout");
    let remedy =
        "give it to a matrix of two vectors or more, like the kernel of a Dense, or use L1 or L2";
    Err(ShapeError { problem, remedy: remedy.to_owned() })
}
