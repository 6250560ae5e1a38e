//! Models whose layers read others than the one before: merges, skip connections, layers used twice, open sizes.

use super::{Case, MIX, OUT, case, list};

/// Two values of one shape, and one that each merge with sides of 1 spreads over them.
const BRANCHES: [&str; 5] = [
    "Conv2D name='a' filters=3 kernel_size=3 padding='same' activation='tanh'",
    "Conv2D name='b' inputs=['input'] filters=3 kernel_size=[1,2] padding='same'",
    "Conv2D name='grey' inputs=['a'] filters=1 kernel_size=1",
    "Conv2D name='pixel' inputs=['b'] filters=3 kernel_size=[6,5]",
    "Conv2D name='row' inputs=['b'] filters=1 kernel_size=[6,1]",
];

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in ["Add", "Multiply", "Average", "Maximum", "Minimum"] {
        cases.push(merge(kind, "two", "'a','b'"));
        cases.push(merge(kind, "four", "'b','input','a','b'"));
        cases.push(merge(kind, "broadcast", "'pixel','a','grey','row'"));
    }
    cases.push(merge("Subtract", "two", "'a','b'"));
    cases.push(merge("Sampling", "two", "'a','b'"));
    cases.push(merge("Sampling kl_weight=0.25", "weighted", "'a','b'"));
    cases.push(merge("Subtract", "broadcast", "'pixel','grey'"));
    cases.extend(concatenations());
    cases.extend(skips());
    cases.extend(shared());
    cases.extend(open_sizes());
    cases
}

/// A merge, with its options, of values of the one list in the other.
fn merge(kind: &str, name: &str, inputs: &str) -> Case {
    let merged = format!("{kind} name='merged' inputs=[{inputs}]");
    // Every branch has to be read by somebody.
    let all = "Add inputs=['merged','a','b','grey','pixel','row']";
    let encoder = [BRANCHES.as_slice(), &[merged.as_str(), all]].concat();
    let kind = kind.split(' ').next().expect("a layer");
    case(&format!("{}-{name}", kind.to_lowercase()), [6, 5, 3], &encoder, &[OUT])
}

fn concatenations() -> Vec<Case> {
    let of = |(axis, cropping, crop): (i64, &str, &str)| {
        let joined = format!("Concatenate inputs=['a','b','a'] axis={axis}");
        let b = format!("Cropping2D name='b' inputs=['input'] cropping={cropping}");
        let crop = format!("Cropping2D cropping={crop}");
        let encoder = ["Conv2D name='a' filters=3 kernel_size=1", &b, &joined];
        case(&format!("concatenate{axis}"), [6, 5, 3], &encoder, &[&crop, OUT])
    };
    let (rows, columns, none) = ("[[2,1],[0,0]]", "[[0,0],[1,2]]", "0");
    let mut cases: Vec<Case> = [
        (1, rows, "[[4,5],[0,0]]"),
        (2, columns, "[[0,0],[3,4]]"),
        (3, none, none),
        (-1, none, none),
        (-2, columns, "[[0,0],[3,4]]"),
        (-3, rows, "[[4,5],[0,0]]"),
    ]
    .map(of)
    .into();
    let vectors = |name: &str, joined: &str| {
        let encoder = [
            "Flatten",
            "Dense name='a' units=7 activation='tanh'",
            "Dense name='b' inputs=['flatten'] units=7",
            "Multiply name='product' inputs=['a','b']",
            joined,
        ];
        let decoder = ["Dense units=60", "Reshape target_shape=[4,5,3]"];
        case(&format!("vectors-{name}"), [4, 5, 3], &encoder, &decoder)
    };
    cases.push(vectors("last", "Concatenate inputs=['a','product','b']"));
    cases.push(vectors("first", "Concatenate inputs=['a','product','b'] axis=1"));
    cases.push(vectors("maximum", "Maximum inputs=['a','product','b']"));
    cases
}

/// Connections past other layers, and past the code.
fn skips() -> Vec<Case> {
    let half = "Conv2D filters=4 kernel_size=3 strides=2 padding='same' activation='relu'";
    vec![
        case(
            "skip-past-the-code",
            [12, 8, 3],
            &[
                "Conv2D name='fine' filters=4 kernel_size=3 padding='same' activation='relu'",
                "MaxPooling2D",
                "Conv2D name='coarse' filters=5 kernel_size=3 padding='same' activation='elu'",
                "AveragePooling2D",
                "Conv2D filters=6 kernel_size=3 padding='same' activation='relu'",
            ],
            &[
                "UpSampling2D",
                "Concatenate inputs=['up_sampling2d','coarse']",
                "Conv2DTranspose filters=4 kernel_size=3 strides=2 padding='same'",
                "Add inputs=['conv2d_transpose','fine']",
                OUT,
            ],
        ),
        case(
            "residual",
            [9, 7, 3],
            &[
                "Conv2D name='start' filters=4 kernel_size=3 padding='same'",
                "BatchNormalization",
                "ReLU name='one'",
                "Conv2D filters=4 kernel_size=3 padding='same' use_bias=false",
                "BatchNormalization",
                "Dropout rate=0.3",
                "Add inputs=['start','dropout']",
            ],
            &[
                "ReLU",
                MIX,
                "Conv2D filters=3 kernel_size=1 name='noise'",
                "Subtract inputs=['input','noise']",
            ],
        ),
        case(
            "one-value-twice",
            [5, 6, 3],
            &[
                MIX,
                "Multiply inputs=['conv2d','conv2d']",
                "Concatenate inputs=['multiply','multiply']",
            ],
            &[OUT, "Add inputs=['conv2d_1','conv2d_1','input']"],
        ),
        whole(
            "no-halves",
            [12, 8, 3],
            "",
            &[half, "UpSampling2D", OUT, "Maximum inputs=['input','conv2d_1']"],
        ),
        whole(
            "a-code-within",
            [12, 8, 3],
            "code = 'multiply'\n",
            &[
                half,
                "Conv2D name='gate' inputs=['conv2d'] filters=4 kernel_size=1 activation='sigmoid'",
                "Multiply inputs=['conv2d','gate']",
                "UpSampling2D",
                OUT,
            ],
        ),
        whole(
            "colours-of-grey",
            [7, 8, 1],
            "",
            &["Conv2D filters=4 kernel_size=3", "Concatenate inputs=['conv2d','conv2d']", OUT],
        ),
    ]
}

/// Layers that stand in more than one place.
fn shared() -> Vec<Case> {
    let conv = "Conv2D name='conv' filters=3 kernel_size=3 padding='same' activation='tanh'";
    let strided = "Conv2D name='half' filters=3 kernel_size=[2,5] strides=2 padding='same'";
    vec![
        case(
            "shared-convolution",
            [6, 8, 3],
            &[conv, "Shared of='conv'", "Shared name='third' of='conv' inputs=['input']"],
            &["Shared of='conv' inputs=['shared']", "Add inputs=['shared_1','third','conv']"],
        ),
        case(
            "shared-strides-of-odd-sizes",
            [13, 9, 3],
            &[strided, "Shared of='half'", "UpSampling2D size=4"],
            &["Cropping2D cropping=[[1,2],[1,2]]", "Add inputs=['cropping2d','input']"],
        ),
        case(
            "shared-normalization",
            [6, 8, 3],
            &["BatchNormalization name='norm'", MIX, "Shared of='norm'"],
            &[OUT, "Average inputs=['conv2d_1','norm']"],
        ),
        case(
            "shared-dense-of-two-ranks",
            [1, 1, 4],
            &[
                "Dense name='dense' units=4 activation='softmax'",
                "Flatten",
                "Shared of='dense'",
                "Shared of='dense'",
            ],
            &["Reshape target_shape=[1,1,4]", "Shared of='dense' inputs=['reshape']"],
        ),
        case(
            "shared-reshape-and-flatten",
            [4, 6, 2],
            &[
                "Reshape name='wide' target_shape=[2,-1,2]",
                "Conv2D filters=2 kernel_size=1 strides=2",
                "Shared name='narrow' of='wide'",
                "Flatten name='row'",
                "Dense units=48",
                // Keeps the native engine out, which the other cases are of.
                "BatchNormalization",
                "Shared of='row'",
            ],
            &[
                "Shared name='again' of='wide'",
                "Add inputs=['again','wide']",
                "Reshape target_shape=[4,6,2]",
            ],
        ),
        case(
            "shared-without-weights",
            [8, 8, 3],
            &[
                "MaxPooling2D name='pool'",
                MIX,
                "Shared of='pool'",
                "UpSampling2D name='up'",
                "Activation name='soft' activation='softmax'",
            ],
            &["Shared of='up'", "Shared of='soft'", OUT],
        ),
    ]
}

/// Any height and width.
fn open_sizes() -> Vec<Case> {
    let unet = [
        "Conv2D name='one' filters=3 kernel_size=3 padding='same' activation='relu'",
        "MaxPooling2D padding='same'",
        "Conv2D name='two' filters=4 kernel_size=3 padding='same' activation='relu'",
        "Conv2D filters=5 kernel_size=3 strides=2 padding='same'",
        "BatchNormalization",
    ];
    let decoder = [
        "Conv2DTranspose filters=4 kernel_size=2 strides=2",
        "Concatenate inputs=['conv2d_transpose','two']",
        "UpSampling2D interpolation='bilinear'",
        "Conv2D filters=3 kernel_size=3 padding='same'",
        "Add inputs=['conv2d_1','one','input']",
    ];
    let residual =
        ["Conv2D filters=2 kernel_size=3 padding='same'", "Subtract inputs=['input','conv2d']"];
    vec![
        case("open-unet", [-1, -1, 3], &unet, &decoder),
        whole("open-residual", [-1, -1, 2], "", &residual),
        whole("open-width", [10, -1, 2], "", &residual),
        whole(
            "open-enlarging",
            [-1, -1, 1],
            "",
            &["Conv2D filters=3 kernel_size=3 padding='same'", "UpSampling2D", OUT],
        ),
    ]
}

/// A model of one list.
fn whole(name: &str, shape: [isize; 3], code: &str, layers: &[&str]) -> Case {
    let lists = format!("layers = [\n{}]\n{code}", list(layers));
    Case { lists, ..case(name, shape, &[], &[]) }
}
