//! How a model learns to denoise: from clean targets, or from the noisy images alone. What each method
//! computes stands in `crate::data::method` and `crate::train::trainer`.

use super::ConfigError;
use super::node::{Node, Value};
use super::schema::{Bounds, Field, choice, family, refuse, section, taking};

/// Sides of a block and of a window, in pixels.
const SIDE: Bounds = Bounds::closed(1.0, 1e3);

family! {
    /// How a model learns; `supervised` where no name is written.
    pub enum Method by "name" or "supervised", like "{ name = \"noise2void\", masked = 0.02 }" {
        /// From what it should give: the image before corruption, or its clean partner.
        Supervised(Supervised) = "supervised" | "supervised",
        /// From noisy images alone: some pixels are replaced in the input, and the model learns to give what
        /// they were. Krull et al., "Noise2Void", 2019.
        Noise2Void(Noise2Void) = "noise2void" | "noise2void",
        /// From noisy images alone whose pixels have independent noise: of two neighbouring pixels the one
        /// is what the other should become. Huang et al., "Neighbor2Neighbor", 2021.
        Neighbor2Neighbor(Neighbor2Neighbor) = "neighbor2neighbor" | "neighbor2neighbor",
    }
}

/// The method of every use of a model but its training.
pub static SUPERVISED: Method = Method::Supervised(Supervised {});

section! {
    /// From what the model should give.
    pub struct Supervised {}
}

/// What a masked pixel becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// The median of the pixels around it, as in Höck et al., "N2V2", 2022.
    Median,
    /// One of the pixels around it, as in the paper of Noise2Void.
    Uniform,
}

choice!(Replacement { Median = "median", Uniform = "uniform" });

section! {
    /// Some pixels are replaced in the input, and the loss looks at these alone.
    pub struct Noise2Void {
        /// What a masked pixel becomes.
        replacement: Replacement = Replacement::Median;
        /// Side of the square around a pixel that its replacement is taken from, without what is hidden.
        window: usize = 3, in Bounds::closed(3.0, 99.0);
        /// Share of the pixels that are masked.
        masked: f64 = 0.02, in Bounds::above(0.0, 0.5);
        /// Height and width of the block around a masked pixel that is replaced with it, where the noise of
        /// neighbouring pixels is alike; -1 is the whole column, or row. Broaddus et al., "structN2V", 2020.
        hidden: Block = Block([Some(1), Some(1)]), in SIDE;
    }
}

section! {
    /// Two images of half the height and width are drawn from each: of every square of 2x2 pixels two
    /// neighbours. The model learns to make the second of the first.
    pub struct Neighbor2Neighbor {
        /// Factor of the regularizer in the last epoch, to which it rises from 0: what the model makes of
        /// the two should differ as they do in what it makes of the whole image.
        gamma: f64 = 2.0, in Bounds::closed(0.0, 1e3);
    }
}

/// Height and width around a pixel; `None` is as far as the image reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block(pub [Option<usize>; 2]);

impl Field for Block {
    fn takes() -> String {
        "[height, width] of odd whole numbers, where one may be -1, the others".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let refusal = || refuse(node, &taking::<Self>(bounds));
        let Value::Array(items) = &node.value else { return Err(refusal()) };
        let [height, width] = &items[..] else { return Err(refusal()) };
        let side = |item: &Node| match item.value {
            Value::Integer(-1) => Ok(None),
            _ => match usize::read(item, bounds)? {
                side if side % 2 == 1 => Ok(Some(side)),
                _ => Err(refusal()),
            },
        };
        let block = Self([side(height)?, side(width)?]);
        if block.0 == [None; 2] { Err(refusal()) } else { Ok(block) }
    }

    fn write(&self) -> Option<toml::Value> {
        let side = |side: Option<usize>| side.map_or(-1, |side| side as i64);
        self.0.map(side).to_vec().write()
    }
}
