//! Layers, initializers and losses with Keras's semantics, on libtorch.
//!
//! Images are `(N, C, H, W)` here, as libtorch has them; what Keras defines over channels-last
//! data (`Flatten`, `Reshape`, `Dense`, softmax) gives Keras's results. Weights keep PyTorch's
//! layouts, so that a checkpoint fits a plain `torch.nn` module. Nothing here knows of configs.

mod activation;
mod conv;
mod dense;
mod depthwise;
mod initializer;
pub mod layout;
mod loss;
mod norm;
mod parameters;
mod pool;
mod random;
mod resize;
#[cfg(test)]
mod testing;
mod values;
mod whole_batch;
mod window;

pub use activation::{
    Activate, Activation, Elu, LEAKY_RELU_SLOPE, LeakyReLU, PReLU, ReLU, Rescaling, Softmax,
};
pub use conv::{Conv2D, Conv2DTranspose, ConvOptions};
pub use dense::{Dense, DenseOptions};
pub use depthwise::{DepthwiseConv2D, DepthwiseOptions, SeparableConv2D};
pub use initializer::{Distribution, FanMode, Fans, Initializer};
pub use loss::{Axes, Labels, Loss, Losses, MS_SSIM_SIDE, Reduction, SSIM_WINDOW, Term};
pub use norm::{
    BatchNormalization, GroupNormalization, LayerNormalization, NormOptions, SMALLEST_NORM,
    SampleNormOptions, UnitNormalization, follow_batch,
};
pub use parameters::{Parameter, Parameters};
pub use pool::{AveragePooling2D, GlobalPooling, MaxPooling2D, PoolOptions};
pub use random::{
    AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout2D,
    kl_divergence_from_normal, sampled,
};
pub(crate) use random::{SELU_LIMIT, alpha_dropout_line};
pub use resize::{
    Cropping2D, DepthToSpace, Flatten, Interpolation, Permute, RepeatVector, Reshape, UpSampling2D,
    ZeroPadding2D,
};
pub(crate) use resize::{channels_first, channels_last, in_channels_first};
pub(crate) use values::{values, values_mut};
pub use whole_batch::{Place, WholeBatch};
pub use window::{Padding, conv_transpose_length, dilated, window_length};
