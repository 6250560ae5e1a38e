//! What training adds to the loss, in Keras's words and with its defaults (`regularizers/regularizers.py`).

use super::schema::{Bounds, choice, family, section};

const FACTOR: Bounds = Bounds::closed(0.0, 1e9);

/// Which vectors of a matrix should be orthogonal to one another, in Keras's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// Of a Dense kernel, `(in, out)`: one for each input.
    Rows,
    /// Of a Dense kernel: one for each output.
    Columns,
}

choice!(Vectors { Rows = "rows", Columns = "columns" });

section! {
    /// `l1 * sum(|x|)`.
    pub struct L1 {
        /// Factor of the sum.
        l1: f64 = 0.01, in FACTOR;
    }
}

section! {
    /// `l2 * sum(x^2)`.
    pub struct L2 {
        /// Factor of the sum.
        l2: f64 = 0.01, in FACTOR;
    }
}

section! {
    /// `l1 * sum(|x|) + l2 * sum(x^2)`.
    pub struct L1L2 {
        /// Factor of the sum of absolute values.
        l1: f64 = 0.0, in FACTOR;
        /// Factor of the sum of squares.
        l2: f64 = 0.0, in FACTOR;
    }
}

section! {
    /// `factor` times the mean absolute cosine between two vectors of a matrix.
    pub struct OrthogonalRegularizer {
        /// Factor of the mean.
        factor: f64 = 0.01, in FACTOR;
        /// Which vectors, of a kernel in Keras's layout.
        mode: Vectors = Vectors::Rows;
    }
}

family! {
    /// What the size of some values adds to the loss.
    pub enum Regularizer by "name", like "{ name = \"L2\", l2 = 0.01 }" {
        /// `l1 * sum(|x|)`.
        L1(L1) = "L1" | "l1",
        /// `l2 * sum(x^2)`.
        L2(L2) = "L2" | "l2",
        /// `l1 * sum(|x|) + l2 * sum(x^2)`.
        L1L2(L1L2) = "L1L2",
        /// `factor` times the mean absolute cosine between two vectors of a matrix.
        OrthogonalRegularizer(OrthogonalRegularizer) =
            "OrthogonalRegularizer" | "orthogonal_regularizer",
    }
}
