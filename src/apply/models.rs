//! The trained model, laid out for each size of pictures that it is given.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use tch::Device;

use crate::checkpoint::Checkpoint;
use crate::exit::Misuse;
use crate::plan::Plan;
use crate::saved_model::{SavedModelError, restore};
use crate::train::Learner;

/// Pixels of all layouts that are kept at hand; one larger one is kept alone. The shipped layers take
/// about 0.7 KB a pixel on two threads.
const MOST_PIXELS: usize = 1 << 18;

/// Layouts of one model, the one used last at the end.
#[derive(Debug)]
pub struct Models<'a> {
    path: PathBuf,
    plan: Cow<'a, Plan>,
    checkpoint: Cow<'a, Checkpoint>,
    device: Device,
    ready: Vec<([usize; 2], Learner)>,
}

impl<'a> Models<'a> {
    /// With the layout for the model's own size ready, which shows that the weights fit.
    ///
    /// # Errors
    /// When they do not.
    pub fn new(
        path: &Path,
        plan: &'a Plan,
        checkpoint: &'a Checkpoint,
        device: Device,
    ) -> Result<Self, SavedModelError> {
        let learner = restore(path, plan, checkpoint, device)?;
        let [height, width, _] = plan.input_shape;
        let ready = vec![([height, width], learner)];
        let (plan, checkpoint) = (Cow::Borrowed(plan), Cow::Borrowed(checkpoint));
        Ok(Self { path: path.to_owned(), plan, checkpoint, device, ready })
    }

    /// The same with a plan and weights of its own.
    #[must_use]
    pub fn into_owned(self) -> Models<'static> {
        let Self { path, plan, checkpoint, device, ready } = self;
        let (plan, checkpoint) =
            (Cow::Owned(plan.into_owned()), Cow::Owned(checkpoint.into_owned()));
        Models { path, plan, checkpoint, device, ready }
    }

    /// The model for pictures of that size.
    ///
    /// # Errors
    /// When it cannot be laid out for it.
    pub fn of(&mut self, size: [usize; 2]) -> Result<&mut Learner, SavedModelError> {
        let place = if let Some(place) = self.ready.iter().position(|(ready, _)| *ready == size) {
            self.ready[place..].rotate_left(1);
            self.ready.len() - 1
        } else {
            let plan = self.plan.with_input_size(size).map_err(|error| {
                Misuse(format!("the model cannot be laid out for {size:?}: it {}", error.problem))
            })?;
            self.make_room(size);
            self.ready.push((size, restore(&self.path, &plan, &self.checkpoint, self.device)?));
            self.ready.len() - 1
        };
        Ok(&mut self.ready[place].1)
    }

    fn make_room(&mut self, [height, width]: [usize; 2]) {
        let area = |&([height, width], _): &([usize; 2], Learner)| height * width;
        while !self.ready.is_empty()
            && self.ready.iter().map(area).sum::<usize>() + height * width > MOST_PIXELS
        {
            self.ready.remove(0);
        }
    }
}
