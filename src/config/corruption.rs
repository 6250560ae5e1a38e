//! The `[corruption]` section: what is done to an image before the model sees it, in one table or
//! in a list of them. What each kind computes stands in `crate::data::corruption`.

use super::ConfigError;
use super::node::{Node, Value};
use super::schema::{Bounds, Field, choice, family, refuse, section, taking};

const SHARE: Bounds = Bounds::closed(0.0, 1.0);
/// Standard deviations of noise, and of a blur in pixels.
const DEVIATION: Bounds = Bounds::closed(0.0, 100.0);

/// How often an image's random numbers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// Once for the data set, as in the tutorial.
    Never,
    /// Anew for each epoch.
    Epoch,
}

choice!(Resample { Never = "never", Epoch = "epoch" });

/// What a mask hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskShape {
    /// Rectangles, which may overlap.
    Boxes,
    /// Single pixels, here and there.
    Pixels,
}

choice!(MaskShape { Boxes = "boxes", Pixels = "pixels" });

/// A parameter: one value for all images, or two ends between which each image draws its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<T> {
    /// The lower end.
    pub low: T,
    /// The upper end, not below the lower one.
    pub high: T,
}

impl<T: Copy + PartialEq> Span<T> {
    /// One value for all images.
    #[must_use]
    pub const fn of(value: T) -> Self {
        Self { low: value, high: value }
    }

    /// Whether images differ in it.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        self.low != self.high
    }
}

impl<T: Field + Copy + PartialOrd> Field for Span<T> {
    fn takes() -> String {
        format!("{}, or [low, high] to draw from, each", T::takes())
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let (low, high) = match &node.value {
            Value::Array(items) if items.len() == 2 => (&items[0], &items[1]),
            Value::Integer(_) | Value::Float(_) => (node, node),
            _ => return Err(refuse(node, &taking::<Self>(bounds))),
        };
        let span = Self { low: T::read(low, bounds)?, high: T::read(high, bounds)? };
        if span.low <= span.high {
            return Ok(span);
        }
        Err(ConfigError::at(node, format!("is {}", node.value), "give the lower end first"))
    }

    fn write(&self) -> Option<toml::Value> {
        if self.is_drawn() { vec![self.low, self.high].write() } else { self.low.write() }
    }
}

/// Everything that is done to an image, in this order; one table of a config is a list of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Corruption(pub Vec<CorruptionKind>);

impl Corruption {
    /// Input and target are the same image.
    #[must_use]
    pub fn none() -> Self {
        Self(vec![CorruptionKind::None(Uncorrupted {})])
    }
}

impl Field for Corruption {
    fn takes() -> String {
        format!("{}, or a list of such tables", CorruptionKind::takes())
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        match &node.value {
            Value::Table(_) => CorruptionKind::read(node, bounds).map(|kind| Self(vec![kind])),
            Value::Array(items) if !items.is_empty() => Vec::read(node, bounds).map(Self),
            _ => Err(refuse(node, &Self::takes())),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        if let [kind] = self.0.as_slice() { kind.write() } else { self.0.write() }
    }
}

family! {
    /// One thing that is done to an image.
    pub enum CorruptionKind by "kind", like "{ kind = \"gaussian\", factor = 0.5 }" {
        /// Input and target are the same image: a plain autoencoder.
        None(Uncorrupted) = "none",
        /// Adds `factor` times a standard normal number to every value.
        Gaussian(Gaussian) = "gaussian",
        /// Counts photons: every value becomes a Poisson number of its own mean.
        Poisson(Poisson) = "poisson",
        /// Adds to every value `factor` times a standard normal number times the value itself.
        Speckle(Speckle) = "speckle",
        /// Turns pixels here and there white or black.
        SaltAndPepper(SaltAndPepper) = "salt_and_pepper",
        /// Hides a part of the image, which the model has to paint in.
        Mask(Mask) = "mask",
        /// Blurs with a Gaussian kernel; the image is reflected at its borders.
        Blur(Blur) = "blur",
        /// Shrinks by the mean of areas, then enlarges to the old size by bicubic interpolation, or
        /// leaves it small: what is left to do is super-resolution.
        Downscale(Downscale) = "downscale",
        /// Writes the image as JPEG and reads it back; colours keep their full resolution.
        Jpeg(Jpeg) = "jpeg",
    }
}

section! {
    /// Input and target are the same image: a plain autoencoder.
    pub struct Uncorrupted {}
}

section! {
    /// Adds `factor` times a standard normal number to every value.
    pub struct Gaussian {
        /// Standard deviation of the noise, where 1 is the distance from black to white.
        factor: Span<f64> = Span::of(0.5), in DEVIATION;
        /// Whether the result is clipped to 0..1.
        clip: bool = true;
        flatten drawn: Drawn;
    }
}

section! {
    /// Counts photons: every value becomes a Poisson number of its own mean.
    pub struct Poisson {
        /// Photons at white; fewer make more noise.
        peak: Span<f64> = Span::of(30.0), in Bounds::above(0.0, 1e6);
        /// Whether the result is clipped to 0..1.
        clip: bool = true;
        flatten drawn: Drawn;
    }
}

section! {
    /// Adds to every value `factor` times a standard normal number times the value itself.
    pub struct Speckle {
        /// Standard deviation of the noise at white.
        factor: Span<f64> = Span::of(0.5), in DEVIATION;
        /// Whether the result is clipped to 0..1.
        clip: bool = true;
        flatten drawn: Drawn;
    }
}

section! {
    /// Turns pixels here and there white or black.
    pub struct SaltAndPepper {
        /// Share of the pixels that is hit.
        amount: Span<f64> = Span::of(0.1), in SHARE;
        /// Share of the hit pixels that becomes white.
        salt: Span<f64> = Span::of(0.5), in SHARE;
        flatten drawn: Drawn;
    }
}

section! {
    /// Hides a part of the image, which the model has to paint in.
    pub struct Mask {
        /// `boxes`: rectangles, as many and as large as `boxes` and `size` say; `pixels`: single
        /// ones, as many as `amount` says.
        shape: MaskShape = MaskShape::Boxes;
        /// Number of boxes, which may overlap.
        boxes: Span<usize> = Span::of(1), in Bounds::closed(1.0, 1000.0);
        /// Sides of a box, as shares of the image's height and width; each side is drawn.
        size: Span<f64> = Span { low: 0.2, high: 0.4 }, in Bounds::above(0.0, 1.0);
        /// Chance of each pixel to be hidden, where the shape is `pixels`.
        amount: Span<f64> = Span::of(0.5), in SHARE;
        /// What hidden values become.
        value: Span<f64> = Span::of(0.0), in SHARE;
        flatten drawn: Drawn;
    }
}

section! {
    /// Blurs with a Gaussian kernel; the image is reflected at its borders.
    pub struct Blur {
        /// Standard deviation of the kernel in pixels; it ends at four of them.
        sigma: Span<f64> = Span::of(1.0), in DEVIATION;
        flatten drawn: Drawn;
    }
}

section! {
    /// Shrinks by the mean of areas, then enlarges to the old size by bicubic interpolation.
    pub struct Downscale {
        /// How many times smaller the image becomes in height and width.
        scale: Span<usize> = Span::of(2), in Bounds::closed(1.0, 256.0);
        /// Whether the image is enlarged to its old size. `false` is for a model whose output is `scale`
        /// times as large as its input: it sees the small image, and gives one of the old size.
        enlarge: bool = true;
        /// Whether the result is clipped to 0..1, which bicubic interpolation may leave.
        clip: bool = true;
        flatten drawn: Drawn;
    }
}

section! {
    /// Writes the image as JPEG and reads it back.
    pub struct Jpeg {
        /// From 1, the worst, to 100.
        quality: Span<usize> = Span::of(20), in Bounds::closed(1.0, 100.0);
        flatten drawn: Drawn;
    }
}

section! {
    /// How often a kind that draws does so.
    pub struct Drawn {
        /// `never`: what is random is drawn once for each image, as in the tutorial;
        /// `epoch`: anew for each epoch. The test set's never changes.
        resample: Resample = Resample::Never;
    }
}
