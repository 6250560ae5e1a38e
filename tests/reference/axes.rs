//! Keras's layers that look along some axes at once, or put axes in another order, as plain loops over
//! `(N, H, W, C)`.

#![allow(dead_code)] // each test program uses its own part

use super::image_batch::ImageBatch;

/// Any image by its value at each position (n, y, x, c).
pub fn image(shape: [usize; 4], value: impl Fn(usize, usize, usize, usize) -> f64) -> ImageBatch {
    let mut image = ImageBatch::zeros(shape);
    for n in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                for c in 0..shape[3] {
                    let at = image.at(n, y, x, c);
                    image.values[at] = value(n, y, x, c);
                }
            }
        }
    }
    image
}

/// The values of a sample whose position passes.
fn those(image: &ImageBatch, n: usize, passes: impl Fn(usize, usize, usize) -> bool) -> Vec<f64> {
    let [_, height, width, channels] = image.shape;
    let mut found = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in (0..channels).filter(|&c| passes(y, x, c)) {
                found.push(image.values[image.at(n, y, x, c)]);
            }
        }
    }
    found
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn normal(value: f64, among: &[f64], epsilon: f64) -> f64 {
    let mean = mean(among);
    let squares: f64 = among.iter().map(|value| (value - mean).powi(2)).sum();
    (value - mean) / (squares / among.len() as f64 + epsilon).sqrt()
}

/// Each value among the channels of its position.
pub fn layer_normalization(x: &ImageBatch, epsilon: f64) -> ImageBatch {
    image(x.shape, |n, y, w, c| {
        let pixel = those(x, n, |row, column, _| (row, column) == (y, w));
        normal(pixel[c], &pixel, epsilon)
    })
}

/// Each value among its group of channels, all over the image.
pub fn group_normalization(x: &ImageBatch, groups: usize, epsilon: f64) -> ImageBatch {
    let each = x.shape[3] / groups;
    image(x.shape, |n, y, w, c| {
        let group = those(x, n, |_, _, other| other / each == c / each);
        normal(x.values[x.at(n, y, w, c)], &group, epsilon)
    })
}

/// By the Euclidean norm of each position's channels.
pub fn unit_normalization(x: &ImageBatch) -> ImageBatch {
    image(x.shape, |n, y, w, c| {
        let pixel = those(x, n, |row, column, _| (row, column) == (y, w));
        pixel[c] / pixel.iter().map(|value| value * value).sum::<f64>().sqrt()
    })
}

/// Along the rows: Keras's axis 1.
pub fn softmax_of_rows(x: &ImageBatch) -> ImageBatch {
    image(x.shape, |n, y, w, c| {
        let column = those(x, n, |_, column, channel| (column, channel) == (w, c));
        column[y].exp() / column.iter().map(|value| value.exp()).sum::<f64>()
    })
}

/// Each channel as one pixel.
pub fn global(x: &ImageBatch, of: impl Fn(&[f64]) -> f64) -> ImageBatch {
    image([x.shape[0], 1, 1, x.shape[3]], |n, _, _, c| of(&those(x, n, |_, _, other| other == c)))
}

pub fn global_average(x: &ImageBatch) -> ImageBatch {
    global(x, mean)
}

pub fn global_max(x: &ImageBatch) -> ImageBatch {
    global(x, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// TensorFlow's `depth_to_space`: the channel `(i * block + j) * C + c` becomes channel c of row i and column j
/// of a block.
pub fn depth_to_space(x: &ImageBatch, block: usize) -> ImageBatch {
    let [count, height, width, channels] = x.shape;
    let fewer = channels / (block * block);
    image([count, height * block, width * block, fewer], |n, y, w, c| {
        let channel = (y % block * block + w % block) * fewer + c;
        x.values[x.at(n, y / block, w / block, channel)]
    })
}

/// Height and width change places.
pub fn turned_over(x: &ImageBatch) -> ImageBatch {
    let [count, height, width, channels] = x.shape;
    image([count, width, height, channels], |n, y, w, c| x.values[x.at(n, w, y, c)])
}

/// Each value with the factor and the offset of its channel.
pub fn by_channel(mut x: ImageBatch, factors: &[f64], offsets: &[f64]) -> ImageBatch {
    for (i, value) in x.values.iter_mut().enumerate() {
        let channel = i % factors.len();
        *value = *value * factors[channel] + offsets[channel];
    }
    x
}
