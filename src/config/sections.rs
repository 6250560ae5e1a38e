//! The sections of a config besides the layers, the data and the corruption: model, training and output.

use std::path::PathBuf;

use super::ConfigError;
pub use super::corruption::Corruption;
pub use super::data::Data;
use super::data::Mnist;
use super::entry::LayerEntry;
use super::layers::{InputShape, LARGEST_SIDE};
use super::method::{Method, Supervised};
use super::node::Node;
use super::policies::{EarlyStopping, LearningRateSchedule, ReduceLROnPlateau};
use super::schema::{Bounds, Field, choice, family, refuse, section};
use crate::nn::{Loss, Losses};

/// Where the arithmetic runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point, as Keras by default.
    Float32,
    /// 64-bit floating point, which takes rounding's noise away.
    Float64,
    /// Keras's policy of this name: layers compute in bfloat16, from float32 weights that are rounded for it; the loss,
    /// the optimizer and the normalisations' statistics stay float32.
    MixedBfloat16,
}

choice!(Precision { Float32 = "float32", Float64 = "float64", MixedBfloat16 = "mixed_bfloat16" });

impl Precision {
    /// That of the weights.
    #[must_use]
    pub fn of_weights(self) -> Self {
        match self {
            Self::Float32 | Self::MixedBfloat16 => Self::Float32,
            Self::Float64 => Self::Float64,
        }
    }
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// The fastest that can run the model.
    Auto,
    /// Kernels of our own, on the CPU.
    Native,
    /// `nn::Sequential` with autograd.
    Libtorch,
}

choice!(EngineChoice { Auto = "auto", Native = "native", Libtorch = "libtorch" });

/// How several processes add up their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distributed {
    /// What this build has.
    Auto,
    /// Over TCP, through the processor's memory.
    Gloo,
    /// Among GPUs.
    Nccl,
}

choice!(Distributed { Auto = "auto", Gloo = "gloo", Nccl = "nccl" });

section! {
    /// A whole experiment.
    pub struct Config {
        /// Names the run's folder and its files: letters, digits, `-`, `_` and `.`.
        name: String;
        /// All randomness of the run follows from it: weights, order, noise.
        seed: usize = 42;
        /// The images to learn from.
        data: Data = Data::Mnist(Mnist::defaults());
        /// What is done to an image before the model sees it; the clean one stays the target.
        corruption: Corruption = Corruption::none();
        /// The layers.
        model: Model;
        /// How the model learns.
        train: Train = Train::defaults();
        /// What the run leaves behind.
        output: Output = Output::defaults();
    }
}

section! {
    /// The layers, in two lists, `encoder` and `decoder`: what the encoder gives is the code. Or in one list,
    /// `layers`. Each layer reads the one before, unless its `inputs` say otherwise; the last one gives the
    /// output.
    pub struct Model {
        /// Of an image `[height, width, channels]`, where -1 is any height or width, which training takes from
        /// `data.patches.size`; of a signal `[steps, channels]`, of a matrix `[height, width]`, of a vector
        /// `[values]`.
        input_shape: InputShape = InputShape(vec![Some(28), Some(28), Some(1)]),
            in Bounds::closed(1.0, LARGEST_SIDE);
        /// From the image to the code.
        encoder: Option<Vec<LayerEntry>> = None;
        /// From the code to the output. Its first entry reads the code, if its `inputs` say nothing else; it may
        /// read entries of the encoder.
        decoder: Option<Vec<LayerEntry>> = None;
        /// From the image to the output, in place of `encoder` and `decoder`.
        layers: Option<Vec<LayerEntry>> = None;
        /// Name of the entry of `layers` that gives the code; where not set the model has none.
        code: Option<String> = None;
        /// A checkpoint of this model whose weights training starts from, in place of random ones.
        weights: Option<PathBuf> = None;
    }
}

section! {
    /// How the model learns.
    pub struct Train {
        /// Passes over the training set.
        epochs: usize = 1, in Bounds::closed(1.0, 1e6);
        /// Images per step; the last step of an epoch takes what is left.
        batch_size: usize = 32, in Bounds::closed(1.0, 1e6);
        /// What is minimised, or several such losses, whose sum is. `unknown` is that of a model that came with a loss which convae does not have:
        /// it predicts, and is neither trained nor evaluated before this key says otherwise.
        loss: Losses = Losses::from(Loss::BINARY_CROSSENTROPY);
        /// What it learns from: clean targets, or the noisy images alone.
        method: Method = Method::Supervised(Supervised::defaults());
        /// How the weights follow the gradient.
        optimizer: Optimizer = Optimizer::Adam(Adam::defaults());
        /// How the learning rate follows the number of steps; constant where not set.
        learning_rate_schedule: Option<LearningRateSchedule> = None;
        /// Steps in which the learning rate rises from near 0 to what it would be without; not Keras's,
        /// whose own warm-up is CosineDecay's.
        warmup_steps: Option<usize> = None, in Bounds::closed(1.0, 1e9);
        /// Ends training when the loss no longer improves.
        early_stopping: Option<EarlyStopping> = None;
        /// Lowers the learning rate when the loss no longer improves.
        reduce_lr_on_plateau: Option<ReduceLROnPlateau> = None;
        /// Whether the order of the images is drawn anew each epoch.
        shuffle: bool = true;
        /// `cpu`, `cuda:0`, or `auto`: the first GPU where there is one.
        device: String = "auto".to_owned();
        /// Precision of all arithmetic. `mixed_bfloat16` is Keras's policy: layers compute with the 8 significant bits of
        /// bfloat16, so results differ in the third digit; weights, loss and optimizer stay float32. It asks for a GPU,
        /// or a processor with AVX-512 BF16 or AMX.
        dtype: Precision = Precision::Float32;
        /// Whether a GPU may round what it multiplies in float32 to the 11 significant bits of TF32: faster, and off by
        /// some 1e-4.
        allow_tf32: bool = false;
        /// Whether a GPU computes the same bits in each run; without it, it chooses among faster ways.
        deterministic: bool = true;
        /// Whether a GPU starts a step as one CUDA graph; without it, and with layers that draw random numbers, it starts
        /// some hundred kernels one by one, which is slower.
        cuda_graphs: bool = true;
        /// What computes: `native` is fast on the CPU, `libtorch` takes every layer and GPUs, `auto`
        /// chooses the fastest that can run the model. All compute the same function.
        engine: EngineChoice = EngineChoice::Auto;
        /// Threads of the native engine; one for each core where not set.
        threads: Option<usize> = None, in Bounds::closed(1.0, 1024.0);
        /// How several processes that train together add up their gradients: `gloo` over TCP; `nccl` among GPUs, of which
        /// each process needs one of its own; `auto` takes gloo, until NCCL has been tried.
        distributed: Distributed = Distributed::Auto;
        /// Whether BatchNormalization's statistics are those of the whole batch, which takes two messages a layer and step
        /// among several processes, four with libtorch's engine; without it, each normalises its part of the batch by itself, as Keras's layer does with
        /// `synchronized=False`. One process does the same either way.
        synchronized_batch_norm: bool = true;
        /// Seconds after which a process that shows no sign of life is lost, and that processes wait for each other at the
        /// start. One that shows signs of life is waited for thirty times as long, and half an hour at least.
        distributed_timeout: f64 = 60.0, in Bounds::closed(1.0, 86_400.0);
        /// Steps of an epoch after which a checkpoint is written, beside the one after each epoch.
        checkpoint_every: Option<usize> = None, in Bounds::closed(1.0, 1e9);
        /// So many of the last checkpoints are kept: were one damaged, there is one before it.
        keep_checkpoints: usize = 2, in Bounds::closed(2.0, 1e6);
        /// Whether the model of the epoch with the lowest val_loss is kept, as `NAME-best.pt`.
        keep_best: bool = true;
    }
}

section! {
    /// What the run leaves behind.
    pub struct Output {
        /// The run's files go to a folder in here that has the run's name.
        dir: PathBuf = PathBuf::from("runs");
        /// Whether the weights are also written as `.safetensors`.
        safetensors: bool = false;
        /// Test images shown in the grid.
        grid_samples: usize = 10, in Bounds::closed(1.0, 100.0);
        /// Whether the run ends with `report.html`: config, model, curves, images and figures on one
        /// page.
        report: bool = true;
        /// Whether losses, test images and histograms of the weights are also written as event files,
        /// which `tensorboard --logdir` shows.
        tensorboard: bool = false;
        /// Whether the epochs' figures are also written as `history.csv`.
        csv: bool = false;
    }
}

family! {
    /// How the weights follow the gradient; `Adam` where no name is written.
    pub enum Optimizer by "name" or "Adam", like "{ name = \"Adam\", learning_rate = 0.001 }" {
        /// Adam; epsilon is added to the root of the uncorrected second moment, as in Keras.
        Adam(Adam) = "Adam",
        /// Adam with weight decay by default.
        AdamW(AdamW) = "AdamW",
        /// Stochastic gradient descent.
        SGD(Sgd) = "SGD",
        /// RMSprop; epsilon stands inside the root, as in Keras.
        RMSprop(RmsProp) = "RMSprop",
        /// Adadelta; epsilon stands inside both roots, as in Keras.
        Adadelta(Adadelta) = "Adadelta",
        /// Adam with Nesterov's momentum.
        Nadam(Nadam) = "Nadam",
        /// Adam by the largest gradient so far in place of the second moment.
        Adamax(Adamax) = "Adamax",
        /// A rate for each weight, which falls with the sum of its squared gradients.
        Adagrad(Adagrad) = "Adagrad",
        /// Steps of one size, by the sign of a moving average.
        Lion(Lion) = "Lion",
        /// Adam whose step is as long as each weight tensor's norm asks for.
        Lamb(Lamb) = "Lamb",
        /// Follows the regularized leader.
        Ftrl(Ftrl) = "Ftrl",
        /// Adam in little memory: the second moments of a matrix are those of its rows and columns.
        Adafactor(Adafactor) = "Adafactor",
        /// Matrices step by the orthogonal matrix next to their momentum, all other weights by Adam.
        Muon(Muon) = "Muon",
    }
}

const RATE: Bounds = Bounds::above(0.0, 1e3);
const SHARE: Bounds = Bounds::below(0.0, 1.0);
const EPSILON: Bounds = Bounds::above(0.0, 1.0);
const DECAY: Bounds = Bounds::closed(0.0, 1e3);
const FACTOR: Bounds = Bounds::closed(-1e3, 1e3);
const CLIP: Bounds = Bounds::above(0.0, 1e9);

section! {
    /// Adam; epsilon is added to the root of the uncorrected second moment, as in Keras.
    pub struct Adam {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        flatten moments: AdamMoments;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Adam with weight decay by default.
    pub struct AdamW {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        flatten moments: AdamMoments;
        flatten common: OptimizerOptions { weight_decay = Some(0.004) };
    }
}

section! {
    /// How Adam and AdamW estimate the gradient's first and second moments, and what they make of them.
    pub struct AdamMoments {
        /// Share of the old first moment.
        beta_1: f64 = 0.9, in SHARE;
        /// Share of the old second moment.
        beta_2: f64 = 0.999, in SHARE;
        /// Keeps the step finite.
        epsilon: f64 = 1e-7, in EPSILON;
        /// Uses the largest second moment so far.
        amsgrad: bool = false;
    }
}

section! {
    /// Stochastic gradient descent.
    pub struct Sgd {
        /// Length of a step.
        learning_rate: f64 = 0.01, in RATE;
        /// Share of the last step that is repeated.
        momentum: f64 = 0.0, in SHARE;
        /// Looks ahead along the momentum (Nesterov).
        nesterov: bool = false;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// RMSprop; epsilon stands inside the root, as in Keras.
    pub struct RmsProp {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        /// Share of the old mean square.
        rho: f64 = 0.9, in SHARE;
        /// Share of the last step that is repeated.
        momentum: f64 = 0.0, in SHARE;
        /// Keeps the step finite.
        epsilon: f64 = 1e-7, in EPSILON;
        /// Divides by the centred mean square.
        centered: bool = false;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Adadelta; epsilon stands inside both roots, as in Keras.
    pub struct Adadelta {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        /// Share of the old mean squares.
        rho: f64 = 0.95, in SHARE;
        /// Keeps the step finite.
        epsilon: f64 = 1e-7, in EPSILON;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// How Nadam, Adamax and Lamb estimate the gradient's first and second moments.
    pub struct Moments {
        /// Share of the old first moment.
        beta_1: f64 = 0.9, in SHARE;
        /// Share of the old second moment, or largest gradient.
        beta_2: f64 = 0.999, in SHARE;
        /// Keeps the step finite.
        epsilon: f64 = 1e-7, in EPSILON;
    }
}

section! {
    /// Adam with Nesterov's momentum.
    pub struct Nadam {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        flatten moments: Moments;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Adam by the largest gradient so far in place of the second moment.
    pub struct Adamax {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        flatten moments: Moments;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Adam whose step is as long as each weight tensor's norm asks for.
    pub struct Lamb {
        /// Length of a step, as a share of the weight tensor's norm.
        learning_rate: f64 = 0.001, in RATE;
        flatten moments: Moments;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// A rate for each weight, which falls with the sum of its squared gradients.
    pub struct Adagrad {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        /// What the sums start from.
        initial_accumulator_value: f64 = 0.1, in DECAY;
        /// Keeps the step finite.
        epsilon: f64 = 1e-7, in EPSILON;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Steps of one size, by the sign of a moving average.
    pub struct Lion {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        /// Share of the average in what gives the sign; the rest is the gradient's.
        beta_1: f64 = 0.9, in SHARE;
        /// Share of the old average.
        beta_2: f64 = 0.99, in SHARE;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Follows the regularized leader.
    pub struct Ftrl {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        /// How the rate falls with the sum of squared gradients.
        learning_rate_power: f64 = -0.5, in Bounds::closed(-1e3, 0.0);
        /// What the sums start from.
        initial_accumulator_value: f64 = 0.1, in DECAY;
        /// Pulls weights to exactly 0.
        l1_regularization_strength: f64 = 0.0, in DECAY;
        /// Pulls weights towards 0.
        l2_regularization_strength: f64 = 0.0, in DECAY;
        /// The same, by the gradient alone.
        l2_shrinkage_regularization_strength: f64 = 0.0, in DECAY;
        /// Added to the rate's root.
        beta: f64 = 0.0, in DECAY;
        flatten common: OptimizerOptions;
    }
}

/// Parts of the names of weights: Keras takes patterns, which plain texts are too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightNames(pub Vec<String>);

impl Field for WeightNames {
    fn takes() -> String {
        "a list, each entry a text of letters, digits, `_`, `-` and `/`".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let plain = |name: &String| {
            name.chars().all(|letter| letter.is_alphanumeric() || "_-/".contains(letter))
        };
        let names = Vec::<String>::read(node, bounds)?;
        if names.iter().all(plain) { Ok(Self(names)) } else { Err(refuse(node, &Self::takes())) }
    }

    fn write(&self) -> Option<toml::Value> {
        self.0.write()
    }
}

section! {
    /// Adam in little memory: the second moments of a matrix are those of its rows and columns.
    pub struct Adafactor {
        /// Length of a step, as a share of the weight tensor's size; at most one by the root of the steps so far.
        learning_rate: f64 = 0.001, in RATE;
        /// Power of the steps so far by which the share of a new second moment falls.
        beta_2_decay: f64 = -0.8, in Bounds::closed(-1e3, 0.0);
        /// Keeps second moments above 0.
        epsilon_1: f64 = 1e-30, in EPSILON;
        /// Least size of a weight tensor that a step is a share of.
        epsilon_2: f64 = 0.001, in EPSILON;
        /// Largest size of an update, before the learning rate.
        clip_threshold: f64 = 1.0, in CLIP;
        /// Keras's; changes nothing, since Keras holds the learning rate to that bound in any case.
        relative_step: bool = true;
        flatten common: OptimizerOptions;
    }
}

section! {
    /// Matrices step by the orthogonal matrix next to their momentum, all other weights by Adam.
    pub struct Muon {
        /// Length of a step.
        learning_rate: f64 = 0.001, in RATE;
        /// Share of Adam's old first moment.
        adam_beta_1: f64 = 0.9, in SHARE;
        /// Share of Adam's old second moment.
        adam_beta_2: f64 = 0.999, in SHARE;
        /// The `weight_decay` of weights that take Adam's steps.
        adam_weight_decay: Option<f64> = Some(0.004), in DECAY;
        /// Keeps Adam's step finite.
        epsilon: f64 = 1e-7, in EPSILON;
        /// Weights that take Adam's steps beside those that are no matrix: of a name, `layer/weight`, that holds
        /// one of these texts. (Keras's names of a Sequential model begin with the model's, which ours do not.)
        exclude_layers: WeightNames = WeightNames(Vec::new());
        /// Whether weights of a name with `embedding` take Adam's steps.
        exclude_embeddings: bool = true;
        /// Factor of the matrix in a Newton-Schulz iteration.
        muon_a: f64 = 3.4445, in FACTOR;
        /// Factor of its third power.
        muon_b: f64 = -4.775, in FACTOR;
        /// Factor of its fifth power.
        muon_c: f64 = 2.0315, in FACTOR;
        /// Of Adam's learning rate to the other.
        adam_lr_ratio: f64 = 1.0, in Bounds::closed(0.0, 1e3);
        /// Share of the last step that is repeated.
        momentum: f64 = 0.95, in SHARE;
        /// Newton-Schulz iterations.
        ns_steps: usize = 5, in Bounds::closed(0.0, 1e3);
        /// Looks ahead along the momentum (Nesterov).
        nesterov: bool = true;
        /// Size of a matrix's step, which then is that of Adam's; 0, Keras's None, leaves it as it is.
        rms_rate: f64 = 0.2, in Bounds::closed(0.0, 1e3);
        flatten common: OptimizerOptions { weight_decay = Some(0.004) };
    }
}

section! {
    /// What Keras gives to every optimizer beside its learning rate (`optimizers/base_optimizer.py`).
    pub struct OptimizerOptions {
        /// Decoupled: each step takes this share, times the learning rate, off every weight.
        weight_decay: Option<f64> = None, in DECAY;
        /// Each weight tensor's gradient is scaled down to at most this norm.
        clipnorm: Option<f64> = None, in CLIP;
        /// Each gradient value is clipped to plus or minus this.
        clipvalue: Option<f64> = None, in CLIP;
        /// The whole gradient is scaled down to at most this norm.
        global_clipnorm: Option<f64> = None, in CLIP;
        /// Whether a moving average of the weights is kept, which takes their place at the end;
        /// the losses until then are of the weights themselves.
        use_ema: bool = false;
        /// Share of the old average that stays in each step.
        ema_momentum: f64 = 0.99, in Bounds::closed(0.0, 1.0);
        /// Updates after which the average takes the weights' place, again and again.
        ema_overwrite_frequency: Option<usize> = None, in Bounds::closed(1.0, 1e9);
        /// Steps whose gradients are averaged into one update of the weights.
        gradient_accumulation_steps: Option<usize> = None, in Bounds::closed(2.0, 1e6);
    }
}

impl Optimizer {
    /// The options that all optimizers share.
    #[must_use]
    pub fn common(&self) -> &OptimizerOptions {
        match self {
            Self::Adam(Adam { common, .. })
            | Self::AdamW(AdamW { common, .. })
            | Self::SGD(Sgd { common, .. })
            | Self::RMSprop(RmsProp { common, .. })
            | Self::Adadelta(Adadelta { common, .. })
            | Self::Nadam(Nadam { common, .. })
            | Self::Adamax(Adamax { common, .. })
            | Self::Adagrad(Adagrad { common, .. })
            | Self::Lion(Lion { common, .. })
            | Self::Lamb(Lamb { common, .. })
            | Self::Ftrl(Ftrl { common, .. })
            | Self::Adafactor(Adafactor { common, .. })
            | Self::Muon(Muon { common, .. }) => common,
        }
    }

    /// The learning rate as configured, before any schedule.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Adam(Adam { learning_rate, .. })
            | Self::AdamW(AdamW { learning_rate, .. })
            | Self::SGD(Sgd { learning_rate, .. })
            | Self::RMSprop(RmsProp { learning_rate, .. })
            | Self::Adadelta(Adadelta { learning_rate, .. })
            | Self::Nadam(Nadam { learning_rate, .. })
            | Self::Adamax(Adamax { learning_rate, .. })
            | Self::Adagrad(Adagrad { learning_rate, .. })
            | Self::Lion(Lion { learning_rate, .. })
            | Self::Lamb(Lamb { learning_rate, .. })
            | Self::Ftrl(Ftrl { learning_rate, .. })
            | Self::Adafactor(Adafactor { learning_rate, .. })
            | Self::Muon(Muon { learning_rate, .. }) => learning_rate,
        }
    }
}
