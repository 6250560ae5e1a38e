//! The batch of which a process computes its share: layers that draw numbers for it, or look at it as a whole, do what they
//! would do in one process.

use std::sync::{Arc, Mutex, MutexGuard};

use tch::Tensor;

use crate::system::ranks::Ranks;

/// Which batch goes through the layers that hold this.
#[derive(Debug, Clone, Default)]
pub struct WholeBatch(Arc<Mutex<Place>>);

/// Where images stand in the batch that several processes share; without any of it they are the whole batch.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The number of the first image.
    pub first: usize,
    /// Images of the whole batch; 0 where it is what the layers see.
    pub whole: usize,
    /// Those who have the other images, where statistics are those of the whole batch.
    pub ranks: Option<Arc<Ranks>>,
}

impl WholeBatch {
    /// What goes through the layers next stands there.
    pub fn begin(&self, place: Place) {
        *self.held() = place;
    }

    /// What `draw` draws for a tensor like `x`, `(N, ...)`: of a share what it draws for these images of the whole batch.
    pub(super) fn draw(&self, x: &Tensor, draw: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let Place { first, whole, .. } = *self.held();
        let mut sizes = x.size();
        let images = sizes[0];
        if whole == 0 || images == whole as i64 {
            return draw(x);
        }
        // Numbers are drawn in the order in which values lie, which follows from the strides. That from one image to the next
        // means nothing where there is one alone.
        let mut strides = x.stride();
        if images == 1 {
            let others = sizes[1..].iter().zip(&strides[1..]);
            strides[0] = 1 + others.map(|(size, stride)| (size - 1) * stride).sum::<i64>();
        }
        sizes[0] = whole as i64;
        let like = Tensor::empty_strided(sizes, strides, (x.kind(), x.device()));
        draw(&like).narrow(0, first as i64, images)
    }

    /// Images of the whole batch, where others have a part of them and statistics are those of all.
    pub(super) fn synchronized(&self) -> Option<usize> {
        let place = self.held();
        place.ranks.as_ref().map(|_| place.whole)
    }

    /// The sums of a row of values over all that have a part of the batch; gradients go through it.
    pub(super) fn sum(&self, own: &Tensor) -> Tensor {
        // Not held while others are waited for.
        let ranks = self.held().ranks.clone();
        ranks.map_or_else(|| own.shallow_clone(), |ranks| ranks.summed(own))
    }

    fn held(&self) -> MutexGuard<'_, Place> {
        self.0.lock().expect("nobody panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::nn::resize::in_channels_last;

    #[test]
    fn a_share_draws_what_the_whole_batch_would() {
        let whole = Tensor::zeros([5, 8, 3, 2], (Kind::Double, Device::Cpu));
        let reshaped =
            |x: &Tensor| x.permute([0, 2, 3, 1]).reshape([-1, 6, 1, 8]).permute([0, 3, 1, 2]);
        let as_it_is = Tensor::shallow_clone;
        let shapes: [&dyn Fn(&Tensor) -> Tensor; 2] = [&as_it_is, &reshaped];
        let channels_last = in_channels_last(&whole);
        for (x, shape) in
            [&whole, &channels_last].iter().flat_map(|x| shapes.map(|shape| (x, shape)))
        {
            let drawn = |batch: &WholeBatch, x: &Tensor| {
                tch::manual_seed(3);
                batch.draw(&shape(x), Tensor::randn_like)
            };
            let all = drawn(&WholeBatch::default(), x);
            for (first, images) in [(0, 2), (2, 3), (4, 1), (0, 5)] {
                let batch = WholeBatch::default();
                batch.begin(Place { first, whole: 5, ranks: None });
                let share = x.narrow(0, first as i64, images);
                assert_eq!(drawn(&batch, &share), all.narrow(0, first as i64, images));
            }
        }
    }
}
