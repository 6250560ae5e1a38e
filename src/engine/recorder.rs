//! A step of training that is captured once and replayed, for batches of one size: a GPU's fastest way.

use std::fmt::Debug;

use tch::Tensor;

use super::Step;
use crate::system::cuda::CudaGraph;
use crate::system::terminal::complain;

/// Steps of one size that are computed as they come before one is captured: in these, libraries choose their ways and take
/// the memory that they keep.
const WARM_UP: usize = 3;

/// What a step reads, on the device.
#[derive(Debug)]
pub(super) struct Fields {
    /// What the model sees.
    pub input: Tensor,
    /// What it should give, where that is not the input.
    pub target: Option<Tensor>,
    /// Which values the loss looks at, where that is not all of them.
    pub places: Option<Tensor>,
}

impl Fields {
    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [&self.input].into_iter().chain(&self.target).chain(&self.places)
    }

    fn sizes(&self) -> Vec<Vec<i64>> {
        self.tensors().map(Tensor::size).collect()
    }

    /// Takes over the values of fields of the same sizes.
    fn take_over(&self, others: &Self) {
        for (own, other) in self.tensors().zip(others.tensors()) {
            own.shallow_clone().copy_(other);
        }
    }
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// To the gradient.
    Derive,
    /// To the weights that are learned from it.
    Learn,
}

/// What is alike in steps of which one is captured for all: how far they go, and the sizes of what they read.
type Form = (Work, Vec<Vec<i64>>);

/// Work that is captured.
pub(super) trait Graph: Debug + Sized {
    /// Captures some work, which is not done by that.
    fn capture<T>(device: usize, work: impl FnOnce() -> T) -> Result<(Self, T), String>;

    /// Does it, on what now stands where it reads.
    fn replay(&self) -> Result<(), String>;
}

impl Graph for CudaGraph {
    fn capture<T>(device: usize, work: impl FnOnce() -> T) -> Result<(Self, T), String> {
        Self::capture(device, work)
    }

    fn replay(&self) -> Result<(), String> {
        self.replay()
    }
}

/// Captures the first form of steps that comes often enough; others, such as an epoch's last batch, are computed as they
/// come.
#[derive(Debug)]
pub(super) struct Recorder<G = CudaGraph> {
    device: usize,
    state: State<G>,
}

#[derive(Debug)]
enum State<G> {
    /// So many steps of such a form came one after the other, where there was one.
    WarmingUp(Option<Form>, usize),
    Recorded(Recorded<G>),
    /// It cannot be captured.
    GaveUp,
}

/// A graph, with what it reads and writes.
#[derive(Debug)]
struct Recorded<G> {
    graph: G,
    form: Form,
    fields: Fields,
    step: Step,
}

impl<G: Graph> Recorder<G> {
    /// Of a GPU.
    pub fn new(device: usize) -> Self {
        Self { device, state: State::WarmingUp(None, 0) }
    }

    /// What `compute`, which goes so far, gives for these fields, until the next step.
    pub fn step(
        &mut self,
        work: Work,
        fields: Fields,
        mut compute: impl FnMut(&Fields) -> Step,
    ) -> Step {
        let form = (work, fields.sizes());
        match &mut self.state {
            State::Recorded(recorded) if recorded.form == form => {
                recorded.fields.take_over(&fields);
                return recorded.replay();
            }
            State::WarmingUp(before, count)
                if before.as_ref() == Some(&form) && *count >= WARM_UP => {}
            State::WarmingUp(before, count) => {
                *count = if before.as_ref() == Some(&form) { *count + 1 } else { 1 };
                *before = Some(form);
                return compute(&fields);
            }
            State::Recorded(_) | State::GaveUp => return compute(&fields),
        }
        match G::capture(self.device, || compute(&fields)) {
            Ok((graph, step)) => {
                let recorded = Recorded { graph, form, fields, step };
                let step = recorded.replay();
                self.state = State::Recorded(recorded);
                step
            }
            Err(reason) => {
                complain(format_args!(
                    "a step does not become a CUDA graph ({reason}), so its kernels are started one by one, which is slower; \
                     train.cuda_graphs = false leaves the attempt out"
                ));
                self.state = State::GaveUp;
                compute(&fields)
            }
        }
    }
}

impl<G: Graph> Recorded<G> {
    /// # Panics
    /// As tch does where libtorch throws.
    fn replay(&self) -> Step {
        if let Err(problem) = self.graph.replay() {
            panic!("{problem}");
        }
        let Step { loss, gradient } = &self.step;
        Step { loss: loss.shallow_clone(), gradient: gradient.shallow_clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static REPLAYS: Cell<usize> = const { Cell::new(0) };
    }

    /// Of work whose results are views of what it reads: they follow by themselves.
    #[derive(Debug)]
    struct Views;

    impl Graph for Views {
        fn capture<T>(_device: usize, work: impl FnOnce() -> T) -> Result<(Self, T), String> {
            Ok((Self, work()))
        }

        fn replay(&self) -> Result<(), String> {
            REPLAYS.set(REPLAYS.get() + 1);
            Ok(())
        }
    }

    #[derive(Debug)]
    struct Refusing;

    impl Graph for Refusing {
        fn capture<T>(_device: usize, _work: impl FnOnce() -> T) -> Result<(Self, T), String> {
            Err("it waits for the GPU".to_owned())
        }

        fn replay(&self) -> Result<(), String> {
            unreachable!("nothing was captured")
        }
    }

    /// A loss that is the target's first value, and a gradient that is the input.
    fn step<G: Graph>(
        recorder: &mut Recorder<G>,
        work: Work,
        value: f32,
        count: usize,
    ) -> (f64, Vec<f32>) {
        let fields = Fields {
            input: Tensor::from_slice(&vec![value; count]),
            target: Some(Tensor::from_slice(&[value + 0.5])),
            places: None,
        };
        let Step { loss, gradient } = recorder.step(work, fields, |fields| Step {
            loss: fields.target.as_ref().unwrap().select(0, 0),
            gradient: fields.input.shallow_clone(),
        });
        (loss.double_value(&[]), Vec::try_from(&gradient).unwrap())
    }

    #[test]
    fn the_size_that_comes_often_is_captured_and_each_step_has_its_own_values() {
        let mut recorder = Recorder::<Views>::new(0);
        let sizes = [4, 4, 3, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 4];
        for (number, size) in sizes.into_iter().enumerate() {
            let before = REPLAYS.get();
            let value = number as f32;
            let got = step(&mut recorder, Work::Learn, value, size);
            assert_eq!(got, (f64::from(value) + 0.5, vec![value; size]), "step {number}");
            // Three in a row were computed as they came: the steps 3, 4 and 5.
            let replayed = size == 4 && number > 5;
            assert_eq!(REPLAYS.get() - before, usize::from(replayed), "step {number}");
        }
    }

    /// A gradient that was captured without what follows is no step of learning.
    #[test]
    fn steps_that_go_farther_are_not_replayed_as_those_that_go_less_far() {
        let mut recorder = Recorder::<Views>::new(0);
        for number in 0..6_u8 {
            step(&mut recorder, Work::Derive, f32::from(number), 2);
        }
        let replays = |recorder: &mut Recorder<Views>, work| {
            let before = REPLAYS.get();
            step(recorder, work, 1.0, 2);
            REPLAYS.get() - before
        };
        assert_eq!(replays(&mut recorder, Work::Learn), 0);
        assert_eq!(replays(&mut recorder, Work::Derive), 1);
    }

    #[test]
    fn what_cannot_be_captured_is_computed_as_it_comes() {
        let mut recorder = Recorder::<Refusing>::new(0);
        for number in 0..8_u8 {
            let value = f32::from(number);
            assert_eq!(
                step(&mut recorder, Work::Learn, value, 2),
                (f64::from(value) + 0.5, vec![value; 2])
            );
        }
        assert!(matches!(recorder.state, State::GaveUp));
    }
}
