//! Small models that together have every layer of the config language, and every option that changes
//! the arithmetic.

#[path = "graphs.rs"]
mod graphs;
#[path = "signals.rs"]
mod signals;

/// A model to export.
pub struct Case {
    pub name: String,
    /// As a config has it; -1 is any height or width.
    pub shape: Vec<isize>,
    /// The lists of layers as a config has them.
    pub lists: String,
    /// The images' values go from the first to the second.
    pub values: [f32; 2],
    pub dtype: &'static str,
}

/// Keeps channels and size.
const MIX: &str = "Conv2D filters=3 kernel_size=3 padding='same' activation='tanh'";
const OUT: &str = "Conv2D filters=3 kernel_size=1";
const OUT_GREY: &str = "Conv2D filters=1 kernel_size=[1,2] padding='same' activation='sigmoid'";

const ACTIVATIONS: [&str; 16] = [
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "softmax",
    "exponential",
];

/// All of them.
#[allow(clippy::too_many_lines)] // a table
pub fn all() -> Vec<Case> {
    let mut cases = vec![
        case(
            "conv-valid",
            [12, 10, 3],
            &["Conv2D filters=4 kernel_size=[3,2] activation='relu'"],
            &["Conv2DTranspose filters=3 kernel_size=[3,2]"],
        ),
        case(
            "conv-even-kernel",
            [9, 8, 3],
            &["Conv2D filters=4 kernel_size=[4,2] padding='same' use_bias=false"],
            &[OUT],
        ),
        case(
            "conv-strides-even",
            [12, 10, 3],
            &["Conv2D filters=4 kernel_size=3 strides=2 padding='same'"],
            &[
                "Conv2DTranspose filters=3 kernel_size=3 strides=2 padding='same' activation='relu'",
                OUT,
            ],
        ),
        case(
            "conv-strides-odd",
            [13, 11, 3],
            &["Conv2D filters=4 kernel_size=3 strides=2 padding='same'"],
            &[
                "Conv2DTranspose filters=3 kernel_size=[4,5] strides=2 padding='same'",
                "Cropping2D cropping=[[1,0],[0,1]]",
            ],
        ),
        case(
            "strides-beyond-kernels",
            [12, 12, 3],
            &["Conv2D filters=4 kernel_size=[1,2] strides=[2,3] padding='same'"],
            &[
                "Conv2DTranspose filters=3 kernel_size=[1,2] strides=[2,3] padding='same' use_bias=false",
            ],
        ),
        case(
            "strides-beyond-kernels-valid",
            [12, 12, 3],
            &["Conv2D filters=4 kernel_size=[1,2] strides=3"],
            &["Conv2DTranspose filters=3 kernel_size=[1,2] strides=3"],
        ),
        case(
            "transposed-valid",
            [13, 11, 3],
            &["Conv2D filters=4 kernel_size=3 strides=2"],
            &["Conv2DTranspose filters=3 kernel_size=3 strides=2"],
        ),
        case(
            "transposed-one-stride",
            [6, 7, 3],
            &[MIX],
            &["Conv2DTranspose filters=3 kernel_size=[4,3] padding='same'"],
        ),
        case(
            "nearest",
            [12, 10, 3],
            &["AveragePooling2D pool_size=[3,5]", MIX],
            &["UpSampling2D size=[3,5]", OUT],
        ),
        case(
            "nearest-41",
            [41, 2, 1],
            &["MaxPooling2D pool_size=[41,1]"],
            &["UpSampling2D size=[41,1]", OUT_GREY],
        ),
        case(
            "bilinear",
            [12, 10, 3],
            &["MaxPooling2D pool_size=[3,2]", MIX],
            &["UpSampling2D size=[3,2] interpolation='bilinear'", OUT],
        ),
        case(
            "dense-on-images",
            [5, 6, 3],
            &["Dense units=4 activation='softmax'"],
            &["Dense units=3 use_bias=false"],
        ),
        case(
            "rows",
            [6, 5, 3],
            &[
                "Flatten",
                "Dense units=20 activation='softmax'",
                "BatchNormalization",
                "LeakyReLU",
                "Dropout rate=0.2",
                "GaussianNoise stddev=0.1",
                "Flatten",
                "ReLU",
                "Activation activation='softmax'",
            ],
            &["Dense units=90 activation='elu'", "Reshape target_shape=[6,5,-1]", MIX],
        ),
        case(
            "reshapes",
            [6, 4, 3],
            &["Reshape target_shape=[4,-1,3]", MIX, "Reshape target_shape=[-1]"],
            &[
                "Dense units=72 use_bias=false",
                "Reshape target_shape=[72]",
                "Reshape target_shape=[6,4,3]",
            ],
        ),
        case(
            "noise-layers",
            [6, 5, 3],
            &[MIX, "Dropout rate=0.5", "GaussianNoise stddev=0.3"],
            &["Dropout rate=0.1", OUT, "GaussianNoise stddev=0.1"],
        ),
        case(
            "margins",
            [8, 7, 3],
            &[
                "ZeroPadding2D",
                "Cropping2D cropping=1",
                "ZeroPadding2D padding=[1,2]",
                MIX,
                "Cropping2D cropping=[1,0]",
            ],
            &[
                "ZeroPadding2D padding=[[2,0],[0,3]]",
                OUT,
                "Cropping2D cropping=[[0,2],[3,4]]",
                "Cropping2D",
            ],
        ),
        case(
            "slopes",
            [5, 4, 3],
            &[MIX, "LeakyReLU", "Dense units=3", "ReLU"],
            &[OUT, "ActivityRegularization l1=0.5", "LeakyReLU negative_slope=0.05"],
        ),
        Case {
            dtype: "float64",
            ..case(
                "float64",
                [13, 10, 1],
                &[
                    "Conv2D filters=4 kernel_size=3 strides=[2,1] padding='same' activation='softplus'",
                    "BatchNormalization",
                    "Dense units=5 activation='gelu'",
                    "MaxPooling2D pool_size=2 strides=1 padding='same'",
                    "AveragePooling2D pool_size=2 strides=1 padding='same'",
                ],
                &[
                    "Conv2DTranspose filters=4 kernel_size=3 strides=[2,1] padding='same'",
                    "Cropping2D cropping=[[0,1],[0,0]]",
                    OUT_GREY,
                ],
            )
        },
    ];
    cases.extend(filters());
    cases.extend(by_position());
    cases.extend(poolings());
    cases.extend(normalizations());
    cases.extend(ACTIVATIONS.map(activation));
    cases.extend(graphs::all());
    cases.extend(signals::all());
    cases
}

/// Kernels with gaps, and kernels that see some of the channels.
fn filters() -> Vec<Case> {
    vec![
        case(
            "dilated",
            [12, 11, 3],
            &[
                "Conv2D filters=4 kernel_size=[3,2] dilation_rate=[2,3] padding='same'",
                "Conv2DTranspose filters=3 kernel_size=[2,3] dilation_rate=2 padding='same'",
            ],
            &[
                "Conv2D filters=3 kernel_size=3 dilation_rate=2",
                "Conv2DTranspose filters=3 kernel_size=3 dilation_rate=2",
                // The bar is for outputs of about 1.
                "Rescaling scale=0.1",
            ],
        ),
        case(
            "groups",
            [8, 7, 3],
            &["Conv2D filters=6 kernel_size=3 groups=3 padding='same' activation='relu'"],
            &["Conv2D filters=4 kernel_size=2 groups=2 padding='same' use_bias=false", OUT],
        ),
        case(
            "depthwise",
            [12, 10, 3],
            &[
                "DepthwiseConv2D kernel_size=[3,2] depth_multiplier=2 activation='tanh' padding='same'",
                "DepthwiseConv2D kernel_size=3 strides=2 padding='same' use_bias=false",
            ],
            &[
                "UpSampling2D",
                "DepthwiseConv2D kernel_size=2 dilation_rate=[2,1]",
                "ZeroPadding2D padding=[[1,1],[0,1]]",
                OUT,
            ],
        ),
        case(
            "depthwise-strides-and-dilation",
            [13, 11, 3],
            &["DepthwiseConv2D kernel_size=3 strides=2 dilation_rate=2 padding='same'"],
            &["UpSampling2D", "Cropping2D cropping=[[0,1],[1,0]]", OUT],
        ),
        case(
            "separable",
            [12, 10, 3],
            &[
                "SeparableConv2D filters=4 kernel_size=[3,2] depth_multiplier=2 activation='relu' padding='same'",
                "SeparableConv2D filters=5 kernel_size=3 strides=2 padding='same' use_bias=false",
            ],
            &[
                "UpSampling2D",
                "SeparableConv2D filters=3 kernel_size=2 dilation_rate=[1,2]",
                "ZeroPadding2D padding=[[0,1],[1,1]]",
            ],
        ),
        case("alphas", [6, 5, 3], &[MIX, "PReLU shared_axes=[1,2]"], &[OUT]),
        case("alphas-of-rows", [6, 5, 3], &[MIX, "PReLU shared_axes=[1]", "PReLU"], &[OUT]),
        case(
            "alphas-of-values",
            [6, 5, 3],
            &["Flatten", "PReLU", "PReLU shared_axes=[1]"],
            &["Reshape target_shape=[6,5,3]", OUT],
        ),
    ]
}

/// Layers that compute on each position, along an axis, or on the whole image.
#[allow(clippy::too_many_lines)] // a table
fn by_position() -> Vec<Case> {
    vec![
        case(
            "layer-normalizations",
            [6, 5, 3],
            &[MIX, "LayerNormalization", MIX, "LayerNormalization scale=false epsilon=0.1"],
            &["Flatten", "LayerNormalization center=false", "Reshape target_shape=[6,5,3]", OUT],
        ),
        case(
            "group-normalizations",
            [6, 5, 3],
            &[
                "Conv2D filters=6 kernel_size=3 padding='same'",
                "GroupNormalization groups=3 epsilon=0.1",
                "GroupNormalization groups=-1 scale=false",
                "GroupNormalization groups=1 center=false",
            ],
            &[OUT],
        ),
        case(
            "row-of-groups",
            [4, 4, 2],
            &["Flatten", "GroupNormalization"],
            &["Reshape target_shape=[4,4,2]", "Conv2D filters=2 kernel_size=1"],
        ),
        case("unit-normalization", [6, 5, 3], &[MIX, "UnitNormalization"], &[OUT]),
        case(
            "squeeze-and-excite",
            [8, 7, 3],
            &[
                "Conv2D name='a' filters=4 kernel_size=3 padding='same'",
                "GlobalAveragePooling2D keepdims=true",
                "Dense name='weights' units=4 activation='sigmoid'",
                "Multiply name='weighed' inputs=['a','weights']",
                "GlobalMaxPooling2D",
                "Reshape name='largest' target_shape=[1,1,4]",
                "GlobalAveragePooling2D inputs=['a']",
                "Reshape name='mean' target_shape=[1,1,4]",
                "GlobalMaxPooling2D keepdims=true inputs=['a']",
                "Add name='of_all' inputs=['mean','largest','global_max_pooling2d_1']",
                "Add inputs=['weighed','of_all']",
            ],
            &[OUT],
        ),
        case(
            "pixel-shuffle",
            [6, 5, 3],
            &[
                "Conv2D name='s_blocks' filters=12 kernel_size=3 padding='same'",
                "DepthToSpace name='s' block_size=2",
                MIX,
            ],
            &[
                "MaxPooling2D",
                "Conv2D filters=27 kernel_size=1",
                "DepthToSpace block_size=3",
                OUT,
                "AveragePooling2D pool_size=3",
            ],
        ),
        case(
            "permutations",
            [6, 5, 3],
            &[
                "Permute dims=[3,1,2]",
                "Conv2D filters=5 kernel_size=3 padding='same' activation='tanh'",
            ],
            &[
                "Permute dims=[2,3,1]",
                "Flatten",
                "Permute dims=[1]",
                "Reshape target_shape=[6,5,3]",
            ],
        ),
        case(
            "lines",
            [5, 4, 3],
            &["Rescaling scale=2 offset=-0.5", MIX, "Identity"],
            &[OUT, "Rescaling scale=-0.25"],
        ),
        Case {
            values: [-4.0, 4.0],
            ..case(
                "relus",
                [5, 4, 3],
                &["ReLU max_value=2 negative_slope=0.1", "ELU", "Rescaling scale=3 offset=-1"],
                &[
                    "ReLU threshold=0.5 max_value=6",
                    "ELU alpha=0.5",
                    OUT,
                    "ReLU negative_slope=0.2 threshold=0.1",
                ],
            )
        },
        case(
            "softmaxes",
            [5, 4, 3],
            &[MIX, "Softmax", "Softmax axis=1"],
            &[OUT, "Softmax axis=2", "Flatten", "Softmax axis=1", "Reshape target_shape=[5,4,3]"],
        ),
        case(
            "noise-of-channels",
            [6, 5, 3],
            &[
                MIX,
                "SpatialDropout2D rate=0.5",
                "GaussianDropout rate=0.3",
                "AlphaDropout rate=0.2",
            ],
            &[OUT],
        ),
    ]
}

/// Padded windows of which some lie half outside, and windows that leave gaps.
fn poolings() -> Vec<Case> {
    let of = |kind: &'static str| {
        let layer = |options: &str| format!("{kind} {options}");
        [
            case(&format!("{kind}-default"), [12, 10, 3], &[MIX, kind], &["UpSampling2D", OUT]),
            case(
                &format!("{kind}-same-odd"),
                [13, 11, 3],
                &[MIX, &layer("pool_size=3 strides=2 padding='same'")],
                &["UpSampling2D", "Cropping2D cropping=[[0,1],[1,0]]", OUT],
            ),
            case(
                &format!("{kind}-same-even"),
                [12, 10, 3],
                &[MIX, &layer("pool_size=3 strides=2 padding='same'")],
                &["UpSampling2D", OUT],
            ),
            case(
                &format!("{kind}-same-one-stride"),
                [7, 6, 3],
                &[MIX, &layer("pool_size=[3,2] strides=1 padding='same'")],
                &[OUT],
            ),
            case(
                &format!("{kind}-strides"),
                [12, 10, 3],
                &[MIX, &layer("strides=[2,1]")],
                &["UpSampling2D size=[2,1]", "ZeroPadding2D padding=[[0,0],[1,0]]", OUT],
            ),
            case(
                &format!("{kind}-gaps"),
                [12, 12, 3],
                &[MIX, &layer("pool_size=2 strides=3 padding='same'")],
                &["UpSampling2D size=3", OUT],
            ),
        ]
    };
    ["MaxPooling2D", "AveragePooling2D"].into_iter().flat_map(of).collect()
}

fn normalizations() -> Vec<Case> {
    let options = [
        ("both", "momentum=0.9 epsilon=0.1"),
        ("no-center", "center=false"),
        ("no-scale", "scale=false"),
        ("neither", "center=false scale=false epsilon=0.01"),
    ];
    let of = |(name, options): (&str, &str)| {
        let layer = format!("BatchNormalization {options}");
        case(&format!("norm-{name}"), [5, 6, 3], &[MIX, &layer], &[OUT])
    };
    options.into_iter().map(of).collect()
}

/// On the images themselves, which go far beyond 0..1, and after a layer with weights.
fn activation(name: &str) -> Case {
    let layers = [format!("Activation activation='{name}'"), OUT.to_owned()];
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let last = format!("Dense units=3 activation='{name}'");
    // e^8 in float32 has no fifth decimal.
    let most = if name == "exponential" { 1.0 } else { 8.0 };
    let values = [-most, most];
    Case { values, ..case(&format!("activation-{name}"), [5, 6, 3], &layers, &[&last]) }
}

fn case(name: &str, shape: impl AsRef<[isize]>, encoder: &[&str], decoder: &[&str]) -> Case {
    let lists = format!("encoder = [\n{}]\ndecoder = [\n{}]\n", list(encoder), list(decoder));
    let shape = shape.as_ref().to_vec();
    Case { name: name.to_owned(), shape, lists, values: [0.0, 1.0], dtype: "float32" }
}

/// `Conv2D filters=3 padding='same'` as a table of TOML, one layer a line.
fn list(layers: &[&str]) -> String {
    let table = |layer: &&str| {
        let (kind, options) = layer.split_once(' ').unwrap_or((layer, ""));
        let options =
            options.split_whitespace().fold(String::new(), |all, option| all + ", " + option);
        format!("  {{ layer = \"{kind}\"{options} }},\n")
    };
    layers.iter().map(table).collect()
}

impl Case {
    /// The whole config.
    pub fn config(&self) -> String {
        let Self { name, shape, lists, dtype, .. } = self;
        format!(
            "name = \"{name}\"\n[model]\ninput_shape = {shape:?}\n{lists}[train]\ndtype = \
             \"{dtype}\"\nloss = \"mse\"\ndevice = \"cpu\"\n"
        )
    }
}
