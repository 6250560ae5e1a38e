//! BatchNormalization as Keras documents it, over the last axis
//! (`layers/normalization/batch_normalization.py`).

#![allow(dead_code)] // each test program uses its own part

use super::image_batch::ImageBatch;

/// A batch normalisation with one entry per channel in each vector.
#[derive(Debug, Clone)]
pub struct Norm {
    pub gamma: Vec<f64>,
    pub beta: Vec<f64>,
    pub moving_mean: Vec<f64>,
    pub moving_variance: Vec<f64>,
    pub momentum: f64,
    pub epsilon: f64,
}

impl Norm {
    /// As Keras starts it.
    pub fn new(channels: usize, momentum: f64, epsilon: f64) -> Self {
        Self {
            gamma: vec![1.0; channels],
            beta: vec![0.0; channels],
            moving_mean: vec![0.0; channels],
            moving_variance: vec![1.0; channels],
            momentum,
            epsilon,
        }
    }

    /// By the batch's own statistics.
    pub fn train(&self, x: &ImageBatch) -> ImageBatch {
        let (mean, variance) = moments(x);
        self.normalised(x, &mean, &variance)
    }

    /// What training on `x` does to the moving statistics.
    pub fn follow(&mut self, x: &ImageBatch) {
        let (mean, variance) = moments(x);
        let keep = self.momentum;
        for c in 0..mean.len() {
            self.moving_mean[c] = self.moving_mean[c] * keep + mean[c] * (1.0 - keep);
            self.moving_variance[c] = self.moving_variance[c] * keep + variance[c] * (1.0 - keep);
        }
    }

    /// By the moving statistics.
    pub fn infer(&self, x: &ImageBatch) -> ImageBatch {
        self.normalised(x, &self.moving_mean, &self.moving_variance)
    }

    fn normalised(&self, x: &ImageBatch, mean: &[f64], variance: &[f64]) -> ImageBatch {
        let mut y = x.clone();
        for (i, value) in y.values.iter_mut().enumerate() {
            let c = i % mean.len();
            let standard = (*value - mean[c]) / (variance[c] + self.epsilon).sqrt();
            *value = self.gamma[c] * standard + self.beta[c];
        }
        y
    }
}

/// Mean and biased variance of each channel.
fn moments(x: &ImageBatch) -> (Vec<f64>, Vec<f64>) {
    let channels = x.shape[3];
    let count = (x.values.len() / channels) as f64;
    let channel = |c: usize| x.values.iter().skip(c).step_by(channels);
    let mean: Vec<f64> = (0..channels).map(|c| channel(c).sum::<f64>() / count).collect();
    let spread = |c: usize| channel(c).map(|value| (value - mean[c]).powi(2)).sum::<f64>();
    let variance = (0..channels).map(|c| spread(c) / count).collect();
    (mean, variance)
}
