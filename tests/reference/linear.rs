//! Keras's layers that are linear in their input, each as a plain list of the terms that it sums.
//!
//! The list is the definition: forward, gradient by the input and gradient by the weights are one
//! loop each over the same list, and nothing is shared with `convae::nn`. Written after Keras 3.15.1
//! (`layers/`, `backend/jax/nn.py`, `backend/common/backend_utils.py`), channels last throughout.

#![allow(dead_code)] // each test program uses its own part

use super::image_batch::{ImageBatch, position};

/// One term: `output += input * factor`, each named by its index.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    pub output: usize,
    pub input: usize,
    pub factor: usize,
}

/// A layer of which every output value is a sum of terms.
#[derive(Debug, Clone)]
pub struct Linear {
    pub input: [usize; 4],
    pub output: [usize; 4],
    /// A kernel in Keras's layout, or constants.
    pub factors: Vec<f64>,
    pub terms: Vec<Term>,
}

impl Linear {
    pub fn forward(&self, x: &ImageBatch) -> ImageBatch {
        assert_eq!(x.shape, self.input);
        let mut y = ImageBatch::zeros(self.output);
        for term in &self.terms {
            y.values[term.output] += x.values[term.input] * self.factors[term.factor];
        }
        y
    }

    /// What the input must change by, given what the output should change by.
    pub fn input_gradient(&self, upstream: &ImageBatch) -> ImageBatch {
        assert_eq!(upstream.shape, self.output);
        let mut gradient = ImageBatch::zeros(self.input);
        for term in &self.terms {
            gradient.values[term.input] += upstream.values[term.output] * self.factors[term.factor];
        }
        gradient
    }

    /// The same for the kernel.
    pub fn factor_gradient(&self, x: &ImageBatch, upstream: &ImageBatch) -> Vec<f64> {
        let mut gradient = vec![0.0; self.factors.len()];
        for term in &self.terms {
            gradient[term.factor] += upstream.values[term.output] * x.values[term.input];
        }
        gradient
    }

    /// A layer whose every output value is input values times constants.
    fn constant(input: [usize; 4], output: [usize; 4], parts: &[(usize, usize, f64)]) -> Self {
        let terms = parts.iter().enumerate();
        Self {
            input,
            output,
            factors: parts.iter().map(|part| part.2).collect(),
            terms: terms
                .map(|(i, part)| Term { output: part.0, input: part.1, factor: i })
                .collect(),
        }
    }
}

/// The sum over images and pixels, for each channel: the gradient of a bias.
pub fn by_channel(image: &ImageBatch) -> Vec<f64> {
    let channels = image.shape[3];
    let mut sums = vec![0.0; channels];
    for (i, value) in image.values.iter().enumerate() {
        sums[i % channels] += value;
    }
    sums
}

/// Adds a bias to every pixel.
pub fn add_bias(image: &mut ImageBatch, bias: &[f64]) {
    for (i, value) in image.values.iter_mut().enumerate() {
        *value += bias[i % bias.len()];
    }
}

/// A window that slides over rows and columns.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Rows and columns.
    pub size: (usize, usize),
    pub strides: (usize, usize),
    /// Keras's padding: `same`, else `valid`.
    pub same: bool,
}

impl Window {
    fn rows(&self, length: usize) -> Positions {
        Positions::new(length, self.size.0, self.strides.0, self.same)
    }

    fn columns(&self, length: usize) -> Positions {
        Positions::new(length, self.size.1, self.strides.1, self.same)
    }
}

/// Where a window stands along one side.
struct Positions {
    length: isize,
    window: usize,
    stride: usize,
    before: usize,
    /// Number of positions.
    count: usize,
}

impl Positions {
    /// `same`: ceil(n / s) positions, and max(0, (positions - 1) * s + k - n) pixels of padding, the
    /// odd one after; `valid`: ceil((n - k + 1) / s) positions (Keras's documentation of Conv2D).
    fn new(length: usize, window: usize, stride: usize, same: bool) -> Self {
        let ceil = |a: usize, b: usize| a.div_ceil(b);
        let count = if same { ceil(length, stride) } else { ceil(length - window + 1, stride) };
        let reach = (count - 1) * stride + window;
        let before = if same && reach > length { (reach - length) / 2 } else { 0 };
        Self { length: length as isize, window, stride, before, count }
    }

    /// The pixels under the window at position `p`, with their places in the window; padding is
    /// left out.
    fn under(&self, p: usize) -> Vec<(usize, usize)> {
        let pixel = |k: usize| (p * self.stride + k) as isize - self.before as isize;
        let places = (0..self.window).map(|k| (k, pixel(k)));
        let real = places.filter(|&(_, pixel)| (0..self.length).contains(&pixel));
        real.map(|(k, pixel)| (k, pixel as usize)).collect()
    }
}

/// Conv2D without bias; the kernel is `(rows, columns, in, filters)`.
pub fn conv2d(input: [usize; 4], window: Window, filters: usize, kernel: &[f64]) -> Linear {
    let [images, height, width, channels] = input;
    let (rows, columns) = (window.rows(height), window.columns(width));
    let output = [images, rows.count, columns.count, filters];
    let mut terms = Vec::new();
    for n in 0..images {
        for oy in 0..rows.count {
            for ox in 0..columns.count {
                for (ky, y) in rows.under(oy) {
                    for (kx, x) in columns.under(ox) {
                        for c in 0..channels {
                            for f in 0..filters {
                                let tap = (ky * window.size.1 + kx) * channels + c;
                                terms.push(Term {
                                    output: position(output, n, oy, ox, f),
                                    input: position(input, n, y, x, c),
                                    factor: tap * filters + f,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    Linear { input, output, factors: kernel.to_vec(), terms }
}

/// Conv2DTranspose without bias; the kernel is `(rows, columns, filters, in)`.
///
/// As JAX computes it: the input is spread out with `stride - 1` zeros between pixels, padded, and
/// convolved with the kernel turned round.
pub fn conv2d_transpose(
    input: [usize; 4],
    window: Window,
    filters: usize,
    kernel: &[f64],
) -> Linear {
    let [images, height, width, channels] = input;
    let rows = Spread::new(height, window.size.0, window.strides.0, window.same);
    let columns = Spread::new(width, window.size.1, window.strides.1, window.same);
    let output = [images, rows.count, columns.count, filters];
    let mut terms = Vec::new();
    for n in 0..images {
        for oy in 0..rows.count {
            for ox in 0..columns.count {
                for (ky, y) in rows.under(oy) {
                    for (kx, x) in columns.under(ox) {
                        for f in 0..filters {
                            for c in 0..channels {
                                let tap = (ky * window.size.1 + kx) * filters + f;
                                terms.push(Term {
                                    output: position(output, n, oy, ox, f),
                                    input: position(input, n, y, x, c),
                                    factor: tap * channels + c,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    Linear { input, output, factors: kernel.to_vec(), terms }
}

/// One side of a transposed convolution.
struct Spread {
    length: usize,
    kernel: usize,
    stride: usize,
    before: usize,
    count: usize,
}

impl Spread {
    /// Padding after `_convert_conv_transpose_padding_args_from_keras_to_jax`, with no output
    /// padding and no dilation.
    fn new(length: usize, kernel: usize, stride: usize, same: bool) -> Self {
        let (before, after) = if same {
            let total = stride + kernel - 2;
            let before = (total / 2 + total % 2).min(kernel - 1);
            (before, total - before)
        } else {
            (kernel - 1, kernel - 1 + kernel.max(stride) - kernel)
        };
        let spread = (length - 1) * stride + 1;
        Self { length, kernel, stride, before, count: spread + before + after + 1 - kernel }
    }

    /// The input pixels that output pixel `o` sees, with their places in the kernel.
    fn under(&self, o: usize) -> Vec<(usize, usize)> {
        let mut seen = Vec::new();
        for place in 0..self.kernel {
            let Some(spread) = (o + place).checked_sub(self.before) else { continue };
            let pixel = spread / self.stride;
            if spread % self.stride == 0 && pixel < self.length {
                seen.push((self.kernel - 1 - place, pixel));
            }
        }
        seen
    }
}

/// Dense over the last axis, without bias; the kernel is `(in, units)`.
pub fn dense(input: [usize; 4], units: usize, kernel: &[f64]) -> Linear {
    let pixel = Window { size: (1, 1), strides: (1, 1), same: false };
    conv2d(input, pixel, units, kernel)
}

/// AveragePooling2D: the mean of the pixels that exist.
pub fn average_pooling(input: [usize; 4], window: Window) -> Linear {
    pooling(input, window, |pixels| {
        pixels.iter().map(|&pixel| (pixel, 1.0 / pixels.len() as f64)).collect()
    })
}

/// MaxPooling2D of `x`, whose values must differ: around `x` it is linear.
pub fn max_pooling(x: &ImageBatch, window: Window) -> Linear {
    pooling(x.shape, window, |pixels| {
        let larger = |&&a: &&usize, &&b: &&usize| x.values[a].total_cmp(&x.values[b]);
        vec![(*pixels.iter().max_by(larger).expect("a window holds a pixel"), 1.0)]
    })
}

/// For each window and channel, what `share` gives of the positions under it.
fn pooling(
    input: [usize; 4],
    window: Window,
    share: impl Fn(&[usize]) -> Vec<(usize, f64)>,
) -> Linear {
    let [images, height, width, channels] = input;
    let (rows, columns) = (window.rows(height), window.columns(width));
    let output = [images, rows.count, columns.count, channels];
    let mut parts = Vec::new();
    for n in 0..images {
        for oy in 0..rows.count {
            for ox in 0..columns.count {
                for c in 0..channels {
                    let mut pixels = Vec::new();
                    for (_, y) in rows.under(oy) {
                        for (_, x) in columns.under(ox) {
                            pixels.push(position(input, n, y, x, c));
                        }
                    }
                    for (pixel, factor) in share(&pixels) {
                        parts.push((position(output, n, oy, ox, c), pixel, factor));
                    }
                }
            }
        }
    }
    Linear::constant(input, output, &parts)
}

/// UpSampling2D that repeats every pixel.
pub fn upsampling_nearest(input: [usize; 4], factors: (usize, usize)) -> Linear {
    upsampling(input, factors, |o, _, factor| vec![(o / factor, 1.0)])
}

/// UpSampling2D that blends neighbours. Output pixel o has its centre at (o + 1/2) / factor of the
/// input; what lies beyond the outermost centres takes the outermost value.
pub fn upsampling_bilinear(input: [usize; 4], factors: (usize, usize)) -> Linear {
    upsampling(input, factors, |o, length, factor| {
        let centre = (o as f64 + 0.5) / factor as f64 - 0.5;
        let below = centre.floor();
        let inside = |pixel: f64| pixel.clamp(0.0, length as f64 - 1.0) as usize;
        let share = centre - below;
        vec![(inside(below), 1.0 - share), (inside(below + 1.0), share)]
    })
}

/// `along` gives, for output pixel, input length and factor, the input pixels with their shares.
fn upsampling(
    input: [usize; 4],
    factors: (usize, usize),
    along: impl Fn(usize, usize, usize) -> Vec<(usize, f64)>,
) -> Linear {
    let [images, height, width, channels] = input;
    let output = [images, height * factors.0, width * factors.1, channels];
    let mut parts = Vec::new();
    for n in 0..images {
        for oy in 0..output[1] {
            for ox in 0..output[2] {
                for (y, down) in along(oy, height, factors.0) {
                    for (x, across) in along(ox, width, factors.1) {
                        for c in 0..channels {
                            let (to, from) =
                                (position(output, n, oy, ox, c), position(input, n, y, x, c));
                            parts.push((to, from, down * across));
                        }
                    }
                }
            }
        }
    }
    Linear::constant(input, output, &parts)
}

/// Rows at top and bottom, columns at left and right.
#[derive(Debug, Clone, Copy)]
pub struct Margins {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

/// ZeroPadding2D.
pub fn zero_padding(input: [usize; 4], margins: Margins) -> Linear {
    let Margins { top, bottom, left, right } = margins;
    let [images, height, width, channels] = input;
    let output = [images, height + top + bottom, width + left + right, channels];
    moved(input, output, input, (0, 0), (top, left))
}

/// Cropping2D.
pub fn cropping(input: [usize; 4], margins: Margins) -> Linear {
    let Margins { top, bottom, left, right } = margins;
    let [images, height, width, channels] = input;
    let output = [images, height - top - bottom, width - left - right, channels];
    moved(input, output, output, (top, left), (0, 0))
}

/// Copies a rectangle of size `kept` that starts at `from` in the input to `to` in the output.
fn moved(
    input: [usize; 4],
    output: [usize; 4],
    kept: [usize; 4],
    from: (usize, usize),
    to: (usize, usize),
) -> Linear {
    let mut parts = Vec::new();
    for n in 0..kept[0] {
        for y in 0..kept[1] {
            for x in 0..kept[2] {
                for c in 0..kept[3] {
                    let source = position(input, n, y + from.0, x + from.1, c);
                    parts.push((position(output, n, y + to.0, x + to.1, c), source, 1.0));
                }
            }
        }
    }
    Linear::constant(input, output, &parts)
}
