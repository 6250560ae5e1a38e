//! Losses, in Keras's words: a text, a table with a loss's options, or a list of them that is summed up.

use super::ConfigError;
use super::node::{Node, Value};
use super::schema::{Bounds, Field, choice, family, refuse, section, taking};
use crate::nn::{Axes, Labels, Loss, Losses, Reduction, Term};

const WEIGHT: Bounds = Bounds::above(0.0, 1e9);
const COUNTS: Bounds = Bounds::closed(0.0, 1e9);
const SHARE: Bounds = Bounds::closed(0.0, 1.0);
/// Of a batch of images, either way.
const AXIS: Bounds = Bounds::closed(-4.0, 3.0);

choice!(Reduction { Mean = "sum_over_batch_size" | "mean" | "mean_with_sample_weight", Sum = "sum" });

section! {
    /// What every loss has; those by Keras that have nothing else need no table.
    pub struct Plain {
        /// What becomes of the values, one for each pixel: `sum_over_batch_size` (or `mean`) is their mean over the
        /// batch, `sum` is their sum.
        reduction: Reduction = Reduction::Mean;
        /// Its factor in a sum.
        weight: f64 = 1.0, in WEIGHT;
    }
}

section! {
    /// A loss of whole images.
    pub struct OfImages {
        /// Its factor in a sum.
        weight: f64 = 1.0, in WEIGHT;
    }
}

section! {
    /// Of probabilities.
    pub struct BinaryCrossentropy {
        /// Whether outputs are logits, not yet probabilities.
        from_logits: bool = false;
        /// Share of each target that is spread evenly over 0 and 1.
        label_smoothing: f64 = 0.0, in SHARE;
        flatten plain: Plain;
    }
}

section! {
    /// Of probabilities; what is sure and right counts little.
    pub struct BinaryFocalCrossentropy {
        /// Whether ones count `alpha` and zeros the rest.
        apply_class_balancing: bool = false;
        /// What ones count, where classes are balanced.
        alpha: f64 = 0.25, in SHARE;
        /// The power that makes little of what is sure and right; 0 makes nothing of it.
        gamma: f64 = 2.0, in COUNTS;
        /// Whether outputs are logits, not yet probabilities.
        from_logits: bool = false;
        /// Share of each target that is spread evenly over 0 and 1.
        label_smoothing: f64 = 0.0, in SHARE;
        flatten plain: Plain;
    }
}

section! {
    /// Of each pixel's classes, of which the target says how likely each is.
    pub struct CategoricalCrossentropy {
        /// Whether outputs are logits, not yet probabilities.
        from_logits: bool = false;
        /// Share of each target that is spread evenly over the classes.
        label_smoothing: f64 = 0.0, in SHARE;
        /// Where the classes are, in Keras's order: the last axis is the channels'.
        axis: i64 = -1, in AXIS;
        flatten plain: Plain;
    }
}

section! {
    /// Of each pixel's classes, of which the target holds the number of one.
    pub struct SparseCategoricalCrossentropy {
        /// Whether outputs are logits, not yet probabilities.
        from_logits: bool = false;
        flatten plain: Plain;
    }
}

section! {
    /// Squares of small errors, sizes of large ones.
    pub struct Huber {
        /// Where it turns from squares to a line.
        delta: f64 = 1.0, in Bounds::above(0.0, 1e9);
        flatten plain: Plain;
    }
}

section! {
    /// Less the cosine between each pixel's channels.
    pub struct CosineSimilarity {
        /// Along which the cosine is taken, in Keras's order: the last axis is the channels'.
        axis: i64 = -1, in AXIS;
        flatten plain: Plain;
    }
}

section! {
    /// How little two masks have in common.
    pub struct Dice {
        /// Of the sums, in Keras's order, batch first; all axes where not set.
        axis: Option<Axes> = None, in AXIS;
        flatten plain: Plain;
    }
}

section! {
    /// How little two masks have in common, what is missing and what is too much counted apart.
    pub struct Tversky {
        /// What counts a one that the output lacks.
        alpha: f64 = 0.5, in COUNTS;
        /// What counts a one too many.
        beta: f64 = 0.5, in COUNTS;
        /// Of the sums, in Keras's order, batch first; all axes where not set.
        axis: Option<Axes> = None, in AXIS;
        flatten plain: Plain;
    }
}

section! {
    /// The root of squared errors and a constant; not Keras's.
    pub struct Charbonnier {
        /// Where it turns from squares to a line.
        epsilon: f64 = 0.001, in Bounds::above(0.0, 1e9);
        flatten plain: Plain;
    }
}

section! {
    /// The squared error between targets whose Gaussian noise is cut off to 0..1, and what cutting off leaves of the
    /// output with such noise on average: the output keeps black and white that the targets' mean has lost. Not Keras's.
    pub struct ClippedGaussian {
        /// Standard deviation of the noise before it is cut off.
        stddev: f64, in Bounds::above(0.0, 100.0);
        flatten plain: Plain;
    }
}

family! {
    /// A loss with its options.
    pub enum LossTable by "loss", like "{ loss = \"huber\", delta = 0.5 }" {
        /// Of probabilities.
        BinaryCrossentropy(BinaryCrossentropy) =
            "binary_crossentropy" | "binary_crossentropy" | "bce",
        /// Of probabilities; what is sure and right counts little.
        BinaryFocalCrossentropy(BinaryFocalCrossentropy) =
            "binary_focal_crossentropy" | "binary_focal_crossentropy",
        /// Of each pixel's classes, of which the target says how likely each is.
        CategoricalCrossentropy(CategoricalCrossentropy) =
            "categorical_crossentropy" | "categorical_crossentropy",
        /// Of each pixel's classes, of which the target holds the number of one.
        SparseCategoricalCrossentropy(SparseCategoricalCrossentropy) =
            "sparse_categorical_crossentropy" | "sparse_categorical_crossentropy",
        /// The mean squared error.
        MeanSquaredError(Plain) = "mean_squared_error" | "mean_squared_error" | "mse",
        /// The mean absolute error.
        MeanAbsoluteError(Plain) = "mean_absolute_error" | "mean_absolute_error" | "mae",
        /// Squares of small errors, sizes of large ones.
        Huber(Huber) = "huber" | "huber",
        /// The logarithm of an error's hyperbolic cosine.
        LogCosh(Plain) = "log_cosh" | "log_cosh",
        /// The squared error of logarithms.
        MeanSquaredLogarithmicError(Plain) =
            "mean_squared_logarithmic_error" | "mean_squared_logarithmic_error" | "msle",
        /// The absolute error as a percentage of the target.
        MeanAbsolutePercentageError(Plain) =
            "mean_absolute_percentage_error" | "mean_absolute_percentage_error" | "mape",
        /// Of counts.
        Poisson(Plain) = "poisson" | "poisson",
        /// The relative entropy of each pixel's channels.
        KlDivergence(Plain) = "kl_divergence" | "kl_divergence" | "kld",
        /// Less the cosine between each pixel's channels.
        CosineSimilarity(CosineSimilarity) = "cosine_similarity" | "cosine_similarity",
        /// How little two masks have in common.
        Dice(Dice) = "dice" | "dice",
        /// How little two masks have in common, what is missing and what is too much counted apart.
        Tversky(Tversky) = "tversky" | "tversky",
        /// The root of squared errors and a constant; not Keras's.
        Charbonnier(Charbonnier) = "charbonnier" | "charbonnier",
        /// The squared error to the mean of Gaussian noise cut off to 0..1; not Keras's.
        ClippedGaussian(ClippedGaussian) = "clipped_gaussian" | "clipped_gaussian",
        /// 1 less the structural similarity in windows of 7x7, of values in 0..1; not Keras's.
        Ssim(OfImages) = "ssim" | "ssim",
        /// 1 less the structural similarity at five scales, of values in 0..1; not Keras's.
        MsSsim(OfImages) = "ms_ssim" | "ms_ssim",
        /// That of a model which came with a loss that convae does not have: it predicts, and is neither
        /// trained nor evaluated before `train.loss` says otherwise.
        Unknown(OfImages) = "unknown" | "unknown",
    }
}

/// Tables as terms and back. Of a loss with options, its table's keys are the names in the loss after them.
macro_rules! tables {
    (
        plain { $($Plain:ident),+ $(,)? }
        of_images { $($OfImages:ident),+ $(,)? }
        options { $($Table:ident { $($key:ident),+ } = { $($loss:tt)+ })+ }
    ) => {
        impl LossTable {
            fn term(&self) -> Term {
                match *self {
                    $(Self::$Plain(Plain { reduction, weight }) => {
                        Term { loss: Loss::$Plain, reduction, weight }
                    })+
                    $(Self::$OfImages(OfImages { weight }) => {
                        Term { weight, ..Term::from(Loss::$OfImages) }
                    })+
                    $(Self::$Table($Table { $($key,)+ plain: Plain { reduction, weight } }) => {
                        Term { loss: Loss::$Table $($loss)+, reduction, weight }
                    })+
                }
            }

            /// The table of a term.
            #[must_use]
            pub fn of(&Term { loss, reduction, weight }: &Term) -> Self {
                let plain = Plain { reduction, weight };
                match loss {
                    $(Loss::$Plain => Self::$Plain(plain),)+
                    $(Loss::$OfImages => Self::$OfImages(OfImages { weight }),)+
                    $(Loss::$Table $($loss)+ => Self::$Table($Table { $($key,)+ plain }),)+
                }
            }
        }
    };
}

tables! {
    plain {
        MeanSquaredError, MeanAbsoluteError, LogCosh, MeanSquaredLogarithmicError,
        MeanAbsolutePercentageError, Poisson, KlDivergence,
    }
    of_images { Ssim, MsSsim, Unknown }
    options {
        BinaryCrossentropy { from_logits, label_smoothing } =
            { (Labels { from_logits, label_smoothing }) }
        BinaryFocalCrossentropy { apply_class_balancing, alpha, gamma, from_logits, label_smoothing } =
            { { labels: Labels { from_logits, label_smoothing }, apply_class_balancing, alpha, gamma } }
        CategoricalCrossentropy { from_logits, label_smoothing, axis } =
            { { labels: Labels { from_logits, label_smoothing }, axis } }
        SparseCategoricalCrossentropy { from_logits } = { { from_logits } }
        Huber { delta } = { { delta } }
        CosineSimilarity { axis } = { { axis } }
        Dice { axis } = { { axis } }
        Tversky { alpha, beta, axis } = { { alpha, beta, axis } }
        Charbonnier { epsilon } = { { epsilon } }
        ClippedGaussian { stddev } = { { stddev } }
    }
}

impl LossTable {
    /// Members that Keras does not have.
    pub const OURS: [&str; 5] = ["charbonnier", "clipped_gaussian", "ssim", "ms_ssim", "unknown"];
}

impl Field for Axes {
    fn takes() -> String {
        "an axis, or a list of axes, each a whole number".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let axes = match &node.value {
            Value::Array(_) => Vec::<i64>::read(node, bounds)?,
            _ => vec![i64::read(node, bounds)?],
        };
        Self::new(&axes).ok_or_else(|| refuse(node, &taking::<Self>(bounds)))
    }

    fn write(&self) -> Option<toml::Value> {
        let axes: Vec<toml::Value> = self.iter().map(toml::Value::from).collect();
        match axes.as_slice() {
            [one] => Some(one.clone()),
            _ => Some(axes.into()),
        }
    }
}

impl Loss {
    /// Its name in a config.
    #[must_use]
    pub fn name(self) -> &'static str {
        LossTable::of(&self.into()).name()
    }
}

impl Losses {
    /// For people: `0.84 ssim + 0.16 mean_absolute_error`.
    #[must_use]
    pub fn name(&self) -> String {
        if let Some(loss) = self.alone() {
            return loss.name().to_owned();
        }
        let part = |term: &Term| match (term.reduction, term.weight) {
            (Reduction::Mean, weight) => format!("{weight} {}", term.loss.name()),
            (Reduction::Sum, 1.0) => format!("sum of {}", term.loss.name()),
            (Reduction::Sum, weight) => format!("{weight} sum of {}", term.loss.name()),
        };
        let parts = self.0.iter().map(part);
        parts.collect::<Vec<_>>().join(" + ")
    }
}

impl Field for Losses {
    fn takes() -> String {
        format!("{}; or a list of such tables, each with a `weight`", LossTable::takes())
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let read = |node: &Node| LossTable::read(node, bounds).map(|table| table.term());
        match &node.value {
            Value::Array(items) if items.is_empty() => Err(refuse(node, &Self::takes())),
            Value::Array(items) => items.iter().map(read).collect::<Result<_, _>>().map(Self),
            _ => read(node).map(|one| Self(vec![one])),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        match self.0.as_slice() {
            [one] => LossTable::of(one).write(),
            several => Some(
                several
                    .iter()
                    .filter_map(|one| LossTable::of(one).write())
                    .collect::<Vec<_>>()
                    .into(),
            ),
        }
    }
}
