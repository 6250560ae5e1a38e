//! Models of signals, matrices and vectors.

use super::{Case, case};

/// All of them.
#[allow(clippy::too_many_lines)] // a table
pub fn all() -> Vec<Case> {
    let conv = |name: &str, steps: isize, encoder: &str, decoder: &[&str]| {
        case(&format!("signal-{name}"), [steps, 3], &[encoder], decoder)
    };
    let out = "Conv1D filters=3 kernel_size=1";
    let mix = "Conv1D filters=4 kernel_size=3 padding='same' activation='tanh'";
    let mut cases = vec![
        conv(
            "valid",
            12,
            "Conv1D filters=4 kernel_size=4 activation='relu'",
            &["Conv1DTranspose filters=3 kernel_size=4"],
        ),
        conv(
            "strides-even",
            12,
            "Conv1D filters=4 kernel_size=5 strides=2 padding='same' use_bias=false",
            &[
                "Conv1DTranspose filters=5 kernel_size=3 strides=2 padding='same' activation='elu'",
                out,
            ],
        ),
        conv(
            "strides-odd",
            13,
            "Conv1D filters=4 kernel_size=3 strides=2 padding='same' activation='softmax'",
            &[
                "Conv1DTranspose filters=3 kernel_size=4 strides=2 padding='same' use_bias=false",
                "Cropping1D cropping=[0,1]",
            ],
        ),
        conv(
            "strides-beyond-kernels",
            12,
            "Conv1D filters=4 kernel_size=2 strides=3 padding='same'",
            &["Conv1DTranspose filters=3 kernel_size=2 strides=3"],
        ),
        case(
            "signal-groups",
            [12, 4],
            &[
                "Conv1D filters=4 kernel_size=3 groups=2 dilation_rate=2 padding='same'",
                "SpatialDropout1D rate=0.5",
                "Conv1D name='a' filters=4 kernel_size=2 activation='relu' dilation_rate=3",
            ],
            &["Conv1DTranspose filters=4 kernel_size=2 dilation_rate=3"],
        ),
        case(
            "signal-open",
            [-1, 3],
            &[
                "Conv1D name='a' filters=4 kernel_size=4 strides=2 padding='same' activation='tanh'",
                "PReLU shared_axes=[1]",
                "GlobalAveragePooling1D keepdims=true",
                "Multiply inputs=['p_re_lu','global_average_pooling1d']",
            ],
            &[
                "UpSampling1D",
                "Conv1D filters=3 kernel_size=3 padding='causal' dilation_rate=2",
                "Conv1DTranspose filters=3 kernel_size=3 padding='same'",
            ],
        ),
        case(
            "signal-causal",
            [13, 4],
            &[
                "Conv1D filters=4 kernel_size=3 padding='causal' dilation_rate=2 activation='tanh'",
                "Conv1D filters=4 kernel_size=4 padding='causal' strides=2 groups=2",
                "Conv1D filters=4 kernel_size=2 padding='causal' strides=3",
            ],
            &["UpSampling1D size=5", "Cropping1D cropping=[0,2]"],
        ),
        case(
            "signal-separable",
            [12, 3],
            &[
                "SeparableConv1D filters=4 kernel_size=3 padding='same' dilation_rate=2 depth_multiplier=2",
                "SeparableConv1D filters=5 kernel_size=4 padding='same' strides=2 activation='tanh'",
            ],
            &["UpSampling1D", "SeparableConv1D filters=3 kernel_size=1 use_bias=false"],
        ),
        case("vector-repeated-once", [1, 3], &["Flatten", "Dense units=3"], &["RepeatVector n=1"]),
        case(
            "vector-repeated",
            [12, 3],
            &["Flatten", "Dense units=5"],
            &["RepeatVector n=12", "Conv1D filters=3 kernel_size=3 padding='same'"],
        ),
        case(
            "signal-global",
            [6, 2],
            &[
                "Conv1D name='a' filters=3 kernel_size=3 padding='same'",
                "GlobalAveragePooling1D keepdims=true",
                "Multiply name='b' inputs=['a','global_average_pooling1d']",
                "GlobalMaxPooling1D",
            ],
            &[
                "GlobalMaxPooling1D keepdims=true inputs=['b']",
                "Add name='c' inputs=['b','global_max_pooling1d_1']",
                "GlobalAveragePooling1D",
                "Concatenate inputs=['global_max_pooling1d','global_average_pooling1d_1']",
                "Dense units=12",
                "Reshape target_shape=[6,2]",
            ],
        ),
        case(
            "signal-margins",
            [9, 3],
            &[
                "ZeroPadding1D",
                mix,
                "Cropping1D",
                "ZeroPadding1D padding=[2,0]",
                "BatchNormalization",
            ],
            &["Cropping1D cropping=[0,2]", "Dense units=3 activation='softmax'"],
        ),
        case(
            "signal-rows",
            [6, 2],
            &[
                "Activation activation='softmax'",
                "Flatten",
                "Dense units=8",
                "Reshape target_shape=[4,-1]",
            ],
            &[
                "LeakyReLU",
                "UpSampling1D size=3",
                "Dropout rate=0.2",
                "Reshape target_shape=[6,2,2]",
                "MaxPooling2D pool_size=[1,2]",
                "Reshape target_shape=[6,2]",
            ],
        ),
        case(
            "signal-merges",
            [6, 3],
            &[
                "Conv1D name='a' filters=3 kernel_size=3 padding='same'",
                "Conv1D name='b' filters=3 kernel_size=6 inputs=['input']",
                "Multiply inputs=['a','b']",
                "Concatenate name='c' inputs=['multiply','a']",
                "Concatenate name='d' inputs=['multiply','a'] axis=1",
            ],
            &[
                "MaxPooling1D name='e' inputs=['d']",
                "Concatenate inputs=['c','e','input'] axis=2",
                out,
            ],
        ),
        case(
            "matrix",
            [6, 5],
            &["Flatten", "Dense units=8 activation='relu'"],
            &["Dense units=30", "Reshape target_shape=[6,5]", "Activation activation='softmax'"],
        ),
        case(
            "vector",
            [20],
            &["Dense units=8 activation='selu'", "BatchNormalization"],
            &["Dense units=20 activation='sigmoid'"],
        ),
    ];
    for kind in ["MaxPooling1D", "AveragePooling1D"] {
        let pool = |options: &str| format!("{kind} {options}");
        cases.extend([
            case(&format!("{kind}-default"), [12, 3], &[mix, &pool("")], &["UpSampling1D", out]),
            case(
                &format!("{kind}-same"),
                [13, 3],
                &[mix, &pool("pool_size=3 strides=2 padding='same'")],
                &["UpSampling1D", "Cropping1D cropping=[1,0]", out],
            ),
            case(
                &format!("{kind}-one-stride"),
                [12, 3],
                &[mix, &pool("pool_size=4 strides=1 padding='same'")],
                &[out],
            ),
        ]);
    }
    cases
}
