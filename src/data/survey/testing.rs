//! Scenes without noise, and noise of a known kind, in units of 255.

use rand::RngExt;
use rand_distr::StandardNormal;

use super::plane::Plane;
use crate::system::random::{Purpose, Stream, stream};

const HEIGHT: usize = 160;
const WIDTH: usize = 200;

/// A slope, discs with sharp edges, and a patch of texture: 160x200 pixels of 5 to 255.
pub(crate) fn scene(index: u64) -> Plane {
    let mut stream = random(index, 0);
    let mut values: Vec<f32> = (0..HEIGHT * WIDTH)
        .map(|place| 50.0 + 100.0 * (place % WIDTH) as f32 / WIDTH as f32)
        .collect();
    for _ in 0..12 {
        let mut below = |most: usize| stream.random_range(0..most) as f32;
        let (y, x, radius) = (below(HEIGHT), below(WIDTH), 6.0 + below(24));
        let shade = 20.0 + below(215);
        for (place, value) in values.iter_mut().enumerate() {
            let (dy, dx) = ((place / WIDTH) as f32 - y, (place % WIDTH) as f32 - x);
            if dy * dy + dx * dx < radius * radius {
                *value = shade;
            }
        }
    }
    for (y, x) in (0..40).flat_map(|y| (0..40).map(move |x| (y, x))) {
        values[y * WIDTH + x] += 20.0 * ((y as f32 * 1.3).sin() + (x as f32 * 0.9).cos());
    }
    for value in &mut values {
        *value = value.max(5.0);
    }
    Plane { height: HEIGHT, width: WIDTH, values }
}

fn random(index: u64, what: u64) -> Stream {
    stream(3, Purpose::Weights, what, index)
}

fn normal(stream: &mut Stream, count: usize, sigma: f32) -> Vec<f32> {
    (0..count).map(|_| sigma * stream.sample::<f32, _>(StandardNormal)).collect()
}

/// Independent noise.
pub(crate) fn white(index: u64, plane: &Plane, sigma: f32) -> Vec<f32> {
    normal(&mut random(index, 1), plane.values.len(), sigma)
}

/// An offset for each row.
pub(crate) fn offsets(index: u64, plane: &Plane, sigma: f32) -> Vec<f32> {
    let rows = normal(&mut random(index, 2), plane.height, sigma);
    rows.into_iter().flat_map(|offset| vec![offset; plane.width]).collect()
}

/// Noise of which each pixel is the mean of nine independent ones.
pub(crate) fn blurred(index: u64, plane: &Plane, sigma: f32) -> Vec<f32> {
    let (height, width) = (plane.height, plane.width);
    let wide = width + 2;
    let all = normal(&mut random(index, 3), (height + 2) * wide, sigma / 3.0);
    let sum = |y: usize, x: usize| {
        (0..3)
            .flat_map(|dy| (0..3).map(move |dx| (dy, dx)))
            .map(|(dy, dx)| all[(y + dy) * wide + x + dx])
            .sum()
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| sum(y, x)).collect()
}
