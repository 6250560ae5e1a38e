//! Each layer of the config language as lines of code that take `x`, `(N, C, H, W)` or `(N, F)`, to
//! the layer's output. Sizes are asked of `x`, so that none is fixed. A signal is an image of one row.

use super::activation::{activation, leaky_relu};
use crate::config::layers::{
    Conv2D, Convolution, Dense, DepthwiseConv2D, Layer, Pair, Pooling, ReLU, Sides, UpSampling2D,
    Windows, of_signals,
};
use crate::nn::{Activation, Interpolation, Padding, SMALLEST_NORM};
use crate::plan::{Node, Shape, channels_first_axis};

/// The end of an axis in a slice.
const END: i64 = i64::MAX;

/// The lines of a layer that holds these tensors, for an input and an output of these shapes.
#[allow(clippy::too_many_lines)] // a table: an arm for each layer
pub fn code(layer: &Layer, [input, output]: [&Shape; 2], held: &[&str]) -> Vec<String> {
    let (is_signal, given) = (input.0.len() == 2, output);
    let [input, output] = [input.computed(), output.computed()];
    let axes = input.0.len();
    let in_2d = layer.in_2d();
    // PyTorch's kernel of signals has no height.
    let with_height = |kernel: &str| {
        if in_2d.is_some() { format!("torch.unsqueeze({kernel}, 2)") } else { kernel.to_owned() }
    };
    let kernel = &with_height("self.weight");
    match in_2d.as_ref().unwrap_or(layer) {
        Layer::Conv2D(conv) => convolution(conv, kernel, held),
        Layer::DepthwiseConv2D(conv) => {
            let mut lines = depthwise(conv, input.channels(), kernel, held);
            lines.extend(activated(conv.each.activation));
            lines
        }
        Layer::SeparableConv2D(conv) => {
            let kernel = with_height("self.depthwise_weight");
            let mut lines = depthwise(&conv.depthwise, input.channels(), &kernel, &[]);
            let (kernel, bias) = (with_height("self.pointwise_weight"), or_none("bias", held));
            lines.push(convolve(&kernel, &bias, Pair(1, 1), Pair(1, 1), 1));
            lines.extend(activated(conv.depthwise.each.activation));
            lines
        }
        Layer::PReLU(_) => {
            let alpha = if is_signal { "torch.unsqueeze(self.weight, 1)" } else { "self.weight" };
            let negative = format!("torch.mul({alpha}, torch.relu(torch.neg(x)))");
            vec![format!("x = torch.sub(torch.relu(x), {negative})")]
        }
        Layer::Conv2DTranspose(conv) => transposed(conv, kernel, held),
        Layer::MaxPooling2D(pool) => max_pooling(pool),
        Layer::AveragePooling2D(pool) => average_pooling(pool),
        Layer::UpSampling2D(up) => vec![upsample(up)],
        Layer::Dense(layer) => dense(layer, axes, held),
        Layer::Flatten(_) => vec![channels_last(axes), "x = torch.flatten(x, 1)".to_owned()],
        Layer::Reshape(_) => {
            let sides: Vec<String> = output.0.iter().map(ToString::to_string).collect();
            vec![
                channels_last(axes),
                format!("x = torch.reshape(x, [torch.size(x, 0), {}])", sides.join(", ")),
                channels_first(output.0.len()),
            ]
        }
        Layer::RepeatVector(repeat) => vec![
            "x = torch.unsqueeze(torch.unsqueeze(x, 2), 3)".to_owned(),
            format!("x = torch.repeat(x, [1, 1, 1, {}])", repeat.n),
        ],
        Layer::BatchNormalization(norm) => vec![format!(
            "x = torch.batch_norm(x, {}, {}, self.running_mean, self.running_var, False, 0., {:?}, \
             False)",
            or_none("weight", held),
            or_none("bias", held),
            norm.epsilon
        )],
        // They act while training and pass everything through after.
        Layer::Dropout(_)
        | Layer::GaussianNoise(_)
        | Layer::GaussianDropout(_)
        | Layer::AlphaDropout(_)
        | Layer::SpatialDropout2D(_)
        | Layer::ActivityRegularization(_)
        | Layer::Identity(_) => Vec::new(),
        Layer::LayerNormalization(norm) => vec![
            channels_last(axes),
            format!(
                "x = torch.layer_norm(x, [{}], {}, {}, {:?}, False)",
                input.channels(),
                or_none("weight", held),
                or_none("bias", held),
                norm.epsilon
            ),
            channels_first(axes),
        ],
        Layer::GroupNormalization(layer) => vec![format!(
            "x = torch.group_norm(x, {}, {}, {}, {:?}, False)",
            layer.groups_of(input.channels()).expect("the plan has checked it"),
            or_none("weight", held),
            or_none("bias", held),
            layer.norm.epsilon
        )],
        Layer::UnitNormalization(_) => vec![
            "squares = torch.sum(torch.mul(x, x), [1], True)".to_owned(),
            format!(
                "x = torch.mul(x, torch.clamp(torch.rsqrt(squares), None, {:?}))",
                1.0 / SMALLEST_NORM
            ),
        ],
        Layer::GlobalAveragePooling2D(pool) => {
            vec![format!("x = torch.mean(x, [2, 3], {})", python(pool.keepdims))]
        }
        Layer::GlobalMaxPooling2D(pool) => {
            vec![format!("x = torch.amax(x, [2, 3], {})", python(pool.keepdims))]
        }
        Layer::DepthToSpace(layer) => depth_to_space(layer.block_size, output.channels()),
        Layer::Permute(permute) => permutation(&permute.dims),
        Layer::Rescaling(layer) => {
            vec![format!("x = torch.add(torch.mul(x, {:?}), {:?})", layer.scale, layer.offset)]
        }
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, bottom, left, right } = pad.padding;
            vec![format!("x = torch.constant_pad_nd(x, [{left}, {right}, {top}, {bottom}], 0.)")]
        }
        Layer::Cropping2D(crop) => {
            let Sides { top, bottom, left, right } = crop.cropping;
            vec![cut(2, top, bottom), cut(3, left, right)]
        }
        Layer::ReLU(relu) => relu_with_options(relu),
        Layer::ELU(elu) => vec![format!("x = torch.elu(x, {:?})", elu.alpha)],
        Layer::Softmax(softmax) => {
            vec![format!("x = torch.softmax(x, {})", channels_first_axis(given, softmax.axis))]
        }
        Layer::LeakyReLU(leaky) => vec![format!("x = {}", leaky_relu(leaky.negative_slope))],
        Layer::Activation(layer) => activated(layer.activation),
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_)
        | Layer::Sampling(_)
        | Layer::Concatenate(_) => unreachable!("a merge is no module"),
        of_signals!() => unreachable!("a layer of signals is that of images on one row"),
    }
}

/// What a merge makes of the values of these names.
pub fn merged(node: &Node, inputs: &[String]) -> String {
    let (first, others) = inputs.split_first().expect("a merge has inputs");
    let fold = |function: &str| {
        others.iter().fold(first.clone(), |all, one| format!("torch.{function}({all}, {one})"))
    };
    match &node.layer {
        Layer::Add(_) => fold("add"),
        Layer::Subtract(_) => fold("sub"),
        Layer::Multiply(_) => fold("mul"),
        Layer::Average(_) => format!("torch.div({}, {})", fold("add"), inputs.len()),
        Layer::Maximum(_) => fold("maximum"),
        Layer::Minimum(_) => fold("minimum"),
        Layer::Sampling(_) => first.clone(), // the mean
        Layer::Concatenate(concatenate) => {
            let axis = channels_first_axis(&node.output, concatenate.axis);
            format!("torch.cat([{}], {axis})", inputs.join(", "))
        }
        layer => unreachable!("{} is no merge", layer.name()),
    }
}

fn activated(which: Activation) -> Vec<String> {
    activation(which).map(|expression| format!("x = {expression}")).into_iter().collect()
}

fn python(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// As in [`crate::nn::ReLU`].
fn relu_with_options(relu: &ReLU) -> Vec<String> {
    let ReLU { max_value, negative_slope, threshold } = *relu;
    let positive = if threshold > 0.0 {
        format!("torch.where(torch.gt(x, {threshold:?}), x, torch.zeros_like(x))")
    } else {
        "torch.relu(x)".to_owned()
    };
    let limited = max_value.map_or_else(
        || positive.clone(),
        |most| format!("torch.clamp({positive}, None, {most:?})"),
    );
    if negative_slope == 0.0 {
        return vec![format!("x = {limited}")];
    }
    let below = format!("torch.relu(torch.add(torch.neg(x), {threshold:?}))");
    vec![format!("x = torch.sub({limited}, torch.mul({below}, {negative_slope:?}))")]
}

fn depth_to_space(block: usize, channels: usize) -> Vec<String> {
    let side = |axis: usize| format!("torch.mul(torch.size(x, {axis}), {block})");
    vec![
        format!("rows = {}", side(2)),
        format!("columns = {}", side(3)),
        format!(
            "x = torch.reshape(x, [torch.size(x, 0), {block}, {block}, {channels}, torch.size(x, 2), \
             torch.size(x, 3)])"
        ),
        "x = torch.permute(x, [0, 3, 4, 1, 5, 2])".to_owned(),
        format!("x = torch.reshape(x, [torch.size(x, 0), {channels}, rows, columns])"),
    ]
}

/// Of axes with the channels last.
fn permutation(dims: &[usize]) -> Vec<String> {
    match *dims {
        // A signal is an image of one row.
        [2, 1] => vec!["x = torch.transpose(x, 1, 3)".to_owned()],
        [a, b, c] => vec![
            channels_last(3),
            format!("x = torch.permute(x, [0, {a}, {b}, {c}])"),
            channels_first(3),
        ],
        _ => Vec::new(),
    }
}

fn or_none(tensor: &str, held: &[&str]) -> String {
    if held.contains(&tensor) { format!("self.{tensor}") } else { "None".to_owned() }
}

fn list(Pair(height, width): Pair) -> String {
    format!("[{height}, {width}]")
}

/// Keras's `same`: the windows' overhang is shared out, the odd pixel at the end. With a stride it
/// depends on the size of the image. `causal`: all of it at the begin.
fn padded(
    Windows { size: Pair(height, width), strides: Pair(down, across), padding }: Windows,
    value: &str,
) -> Vec<String> {
    if padding == Padding::Causal {
        let (top, left) = (height - 1, width - 1);
        return vec![format!("x = torch.constant_pad_nd(x, [{left}, 0, {top}, 0], {value})")];
    }
    let none = height == 1 && width == 1 && down == 1 && across == 1;
    if padding == Padding::Valid || none {
        return Vec::new();
    }
    let overhang = |name: &str, axis: usize, window: usize, stride: usize| {
        if stride == 1 {
            return format!("{name} = {}", window - 1);
        }
        format!(
            "{name} = ops.prim.max(torch.sub(torch.add(torch.mul(torch.floordiv(torch.sub(\
             torch.size(x, {axis}), 1), {stride}), {stride}), {window}), torch.size(x, {axis})), 0)"
        )
    };
    vec![
        overhang("rows", 2, height, down),
        overhang("columns", 3, width, across),
        "top = torch.floordiv(rows, 2)".to_owned(),
        "left = torch.floordiv(columns, 2)".to_owned(),
        format!(
            "x = torch.constant_pad_nd(x, [left, torch.sub(columns, left), top, torch.sub(rows, \
             top)], {value})"
        ),
    ]
}

fn convolution(Conv2D { conv, groups }: &Conv2D, kernel: &str, held: &[&str]) -> Vec<String> {
    let mut lines = padded(conv.windows(), "0.");
    let bias = or_none("bias", held);
    lines.push(convolve(kernel, &bias, conv.strides, conv.dilation_rate, *groups));
    lines.extend(activated(conv.activation));
    lines
}

/// Filters of one channel each, by the kernel that this expression gives.
fn depthwise(conv: &DepthwiseConv2D, channels: usize, kernel: &str, held: &[&str]) -> Vec<String> {
    let mut lines = padded(conv.windows(), "0.");
    let kernel = format!("torch.unsqueeze(torch.flatten({kernel}, 0, 1), 1)");
    let bias = or_none("bias", held);
    lines.push(convolve(&kernel, &bias, conv.strides, conv.dilation_rate, channels));
    lines
}

fn convolve(kernel: &str, bias: &str, strides: Pair, rate: Pair, groups: usize) -> String {
    let (strides, rate) = (list(strides), list(rate));
    format!("x = torch.conv2d(x, {kernel}, {bias}, {strides}, [0, 0], {rate}, {groups})")
}

/// Run unpadded, then cut to Keras's length; where the stride exceeds the kernel, what the unpadded
/// result is short of is added.
fn transposed(conv: &Convolution, kernel: &str, held: &[&str]) -> Vec<String> {
    let Windows { size: Pair(height, width), strides: Pair(down, across), .. } = conv.windows();
    let missing = Pair(down.saturating_sub(height), across.saturating_sub(width));
    let mut lines = vec![format!(
        "x = torch.conv_transpose2d(x, {kernel}, {}, {}, [0, 0], {}, 1, {})",
        or_none("bias", held),
        list(conv.strides),
        list(missing),
        list(conv.dilation_rate)
    )];
    if conv.padding == Padding::Same {
        for (axis, kernel, stride) in [(2, height, down), (3, width, across)] {
            let (before, after) = conv.padding.cut(kernel, stride);
            lines.push(cut(axis, before, after));
        }
    }
    lines.extend(activated(conv.activation));
    lines
}

/// Removes so much at both ends of an axis.
fn cut(axis: usize, before: usize, after: usize) -> String {
    if before == 0 && after == 0 {
        return String::new();
    }
    let end = if after == 0 { END } else { -(after as i64) };
    format!("x = torch.slice(x, {axis}, {before}, {end}, 1)")
}

fn pooled(pool: &Pooling) -> Windows {
    let strides = pool.strides.unwrap_or(pool.pool_size);
    Windows { size: pool.pool_size, strides, padding: pool.padding }
}

/// Padding is minus infinity, so that it never wins.
fn max_pooling(pool: &Pooling) -> Vec<String> {
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let mut lines = padded(pooled(pool), "-inf");
    let (size, strides) = (list(pool.pool_size), list(strides));
    lines.push(format!("x = torch.max_pool2d(x, {size}, {strides}, [0, 0], [1, 1], False)"));
    lines
}

/// Padding counts neither in the sum nor in the number of pixels.
fn average_pooling(pool: &Pooling) -> Vec<String> {
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let (size, steps) = (list(pool.pool_size), list(strides));
    let pad = padded(pooled(pool), "0.");
    if pad.is_empty() {
        return vec![format!(
            "x = torch.avg_pool2d(x, {size}, {steps}, [0, 0], False, True, None)"
        )];
    }
    let sum = format!("torch.avg_pool2d(x, {size}, {steps}, [0, 0], False, True, 1)");
    let mut lines = vec!["given = x".to_owned()];
    lines.extend(pad.iter().cloned());
    lines.extend([
        format!("sum = {sum}"),
        "x = torch.ones_like(torch.slice(torch.slice(given, 0, 0, 1, 1), 1, 0, 1, 1))".to_owned(),
    ]);
    lines.extend(pad);
    lines.push(format!("x = torch.div(sum, {sum})"));
    lines
}

fn upsample(up: &UpSampling2D) -> String {
    let Pair(rows, columns) = up.size;
    match up.interpolation {
        Interpolation::Bilinear => {
            format!("x = torch.upsample_bilinear2d(x, None, False, [{rows}., {columns}.])")
        }
        // libtorch multiplies by 1 / size, which only for powers of two is exact.
        Interpolation::Nearest if rows.is_power_of_two() && columns.is_power_of_two() => {
            format!("x = torch.upsample_nearest2d(x, None, [{rows}., {columns}.])")
        }
        Interpolation::Nearest => format!(
            "x = torch.repeat_interleave(torch.repeat_interleave(x, {rows}, 2), {columns}, 3)"
        ),
    }
}

fn dense(layer: &Dense, axes: usize, held: &[&str]) -> Vec<String> {
    let mut lines = vec![
        channels_last(axes),
        format!("x = torch.linear(x, self.weight, {})", or_none("bias", held)),
        channels_first(axes),
    ];
    lines.extend(activated(layer.activation));
    lines
}

/// A signal `(N, steps, channels)` as an image of one row; nothing for others.
pub fn to_row(shape: &Shape) -> String {
    let line = "x = torch.unsqueeze(torch.permute(x, [0, 2, 1]), 2)";
    if shape.0.len() == 2 { line.to_owned() } else { String::new() }
}

/// The way back.
pub fn from_row(shape: &Shape) -> String {
    let line = "x = torch.permute(torch.squeeze(x, 2), [0, 2, 1])";
    if shape.0.len() == 2 { line.to_owned() } else { String::new() }
}

/// An image in the order in which Keras counts its values.
fn channels_last(axes: usize) -> String {
    if axes == 3 { "x = torch.permute(x, [0, 2, 3, 1])".to_owned() } else { String::new() }
}

fn channels_first(axes: usize) -> String {
    if axes == 3 { "x = torch.permute(x, [0, 3, 1, 2])".to_owned() } else { String::new() }
}
