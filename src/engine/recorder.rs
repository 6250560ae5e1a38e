//! Work that is captured once and replayed, for batches of a few sizes: a GPU's fastest way.

use std::fmt::Debug;

use tch::Tensor;

use crate::data::BatchPart;
use crate::system::cuda::CudaGraph;
use crate::system::terminal::complain;

/// How often work of one form is done as it comes before it is captured: there libraries choose their ways and take the
/// memory that they keep.
const WARM_UP: usize = 3;

/// Forms that are captured: those of an epoch's batches and of its last one, in training and in validation.
const MOST: usize = 4;

/// Values that are judged or predicted at once at most where that is captured: a few hundred digits.
const FEW: usize = 1 << 18;

/// What work reads, on the device.
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
    pub fn images(&self) -> i64 {
        self.input.size()[0]
    }

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

/// What is done with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Its loss and gradient.
    Derive,
    /// The same, and the weights that are learned from it.
    Learn,
    /// Its loss and the outputs.
    Judge,
    /// The outputs.
    Predict,
}

/// What is alike in work that is captured once for all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    work: Work,
    /// Where the weights lie.
    weights: usize,
    /// Its loss counts as much as it has of the whole batch, and what is drawn for that is drawn at its place.
    part: Option<BatchPart>,
    sizes: Vec<Vec<i64>>,
}

impl Form {
    pub fn new(work: Work, weights: &Tensor, part: Option<BatchPart>, fields: &Fields) -> Self {
        Self { work, weights: weights.data_ptr() as usize, part, sizes: fields.sizes() }
    }

    /// Whether starting kernels one by one takes a part of the time that counts, and the graph little memory.
    pub fn gains(&self, fields: &Fields) -> bool {
        matches!(self.work, Work::Derive | Work::Learn) || fields.input.numel() <= FEW
    }
}

/// Work that is captured.
pub(super) trait Graph: Debug + Sized {
    /// Captures some work, which is not done by that. It takes its memory from that of another graph, which is never replayed
    /// at the same time.
    fn capture<T>(
        device: usize,
        beside: Option<&Self>,
        work: impl FnOnce() -> T,
    ) -> Result<(Self, T), String>;

    /// Does it, on what now stands where it reads.
    fn replay(&self) -> Result<(), String>;
}

impl Graph for CudaGraph {
    fn capture<T>(
        device: usize,
        beside: Option<&Self>,
        work: impl FnOnce() -> T,
    ) -> Result<(Self, T), String> {
        Self::capture(device, beside, work)
    }

    fn replay(&self) -> Result<(), String> {
        self.replay()
    }
}

/// Captures the forms of work that come often enough; others are computed as they come.
#[derive(Debug)]
pub(super) struct Recorder<G = CudaGraph> {
    device: usize,
    forms: Vec<(Form, State<G>)>,
}

#[derive(Debug)]
enum State<G> {
    /// It has come so often.
    WarmingUp(usize),
    Recorded(Recorded<G>),
    /// It cannot be captured.
    GaveUp,
}

/// A graph, with what it reads and writes.
#[derive(Debug)]
struct Recorded<G> {
    graph: G,
    fields: Fields,
    results: Vec<Tensor>,
}

impl<G: Graph> Recorder<G> {
    /// Of a GPU.
    pub fn new(device: usize) -> Self {
        Self { device, forms: Vec::new() }
    }

    /// What `compute` gives for these fields of work of such a form, until the next work.
    pub fn results(
        &mut self,
        form: Form,
        fields: Fields,
        mut compute: impl FnMut(&Fields) -> Vec<Tensor>,
    ) -> Vec<Tensor> {
        let Some(place) = self.place_of(form) else { return compute(&fields) };
        match &mut self.forms[place].1 {
            State::Recorded(recorded) => {
                recorded.fields.take_over(&fields);
                return recorded.replay();
            }
            State::GaveUp => return compute(&fields),
            State::WarmingUp(count) if *count < WARM_UP => {
                *count += 1;
                return compute(&fields);
            }
            State::WarmingUp(_) => {}
        }
        let beside = self.forms.iter().find_map(|(_, state)| match state {
            State::Recorded(recorded) => Some(&recorded.graph),
            _ => None,
        });
        let captured = G::capture(self.device, beside, || compute(&fields));
        let state = &mut self.forms[place].1;
        match captured {
            Ok((graph, results)) => {
                let recorded = Recorded { graph, fields, results };
                let results = recorded.replay();
                *state = State::Recorded(recorded);
                results
            }
            Err(reason) => {
                complain(format_args!(
                    "work does not become a CUDA graph ({reason}), so its kernels are started one by one, which is slower; \
                     train.cuda_graphs = false leaves the attempt out"
                ));
                *state = State::GaveUp;
                compute(&fields)
            }
        }
    }

    /// Of a form that is captured, or may be.
    fn place_of(&mut self, form: Form) -> Option<usize> {
        let known = self.forms.iter().position(|(known, _)| *known == form);
        known.or_else(|| {
            (self.forms.len() < MOST).then(|| {
                self.forms.push((form, State::WarmingUp(0)));
                self.forms.len() - 1
            })
        })
    }
}

impl<G: Graph> Recorded<G> {
    /// # Panics
    /// As tch does where libtorch throws.
    fn replay(&self) -> Vec<Tensor> {
        if let Err(problem) = self.graph.replay() {
            panic!("{problem}");
        }
        self.results.iter().map(Tensor::shallow_clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static REPLAYS: Cell<usize> = const { Cell::new(0) };
        static WEIGHTS: [Tensor; 2] = [1.0_f32, 2.0].map(|weight| Tensor::from_slice(&[weight]));
    }

    /// Of work whose results are views of what it reads: they follow by themselves.
    #[derive(Debug)]
    struct Views;

    impl Graph for Views {
        fn capture<T>(
            _device: usize,
            _beside: Option<&Self>,
            work: impl FnOnce() -> T,
        ) -> Result<(Self, T), String> {
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
        fn capture<T>(
            _device: usize,
            _beside: Option<&Self>,
            _work: impl FnOnce() -> T,
        ) -> Result<(Self, T), String> {
            Err("it waits for the GPU".to_owned())
        }

        fn replay(&self) -> Result<(), String> {
            unreachable!("nothing was captured")
        }
    }

    /// A loss that is the target's first value, and a gradient that is the input.
    fn results<G: Graph>(
        recorder: &mut Recorder<G>,
        (work, weights, part): Kind,
        value: f32,
        count: usize,
    ) -> (f64, Vec<f32>) {
        let fields = Fields {
            input: Tensor::from_slice(&vec![value; count]),
            target: Some(Tensor::from_slice(&[value + 0.5])),
            places: None,
        };
        let form = WEIGHTS.with(|all| Form::new(work, &all[weights], part, &fields));
        let results = recorder.results(form, fields, |fields| {
            vec![fields.target.as_ref().unwrap().select(0, 0), fields.input.shallow_clone()]
        });
        (results[0].double_value(&[]), Vec::try_from(&results[1]).unwrap())
    }

    /// Work, the number of its weights, and a process's part.
    type Kind = (Work, usize, Option<BatchPart>);

    const ALONE: Kind = (Work::Learn, 0, None);

    /// Which of these steps were replayed.
    fn replayed(kinds: &[(Kind, usize)]) -> Vec<bool> {
        let mut recorder = Recorder::<Views>::new(0);
        let each = kinds.iter().enumerate().map(|(number, (kind, size))| {
            let (before, value) = (REPLAYS.get(), number as f32);
            let got = results(&mut recorder, *kind, value, *size);
            assert_eq!(got, (f64::from(value) + 0.5, vec![value; *size]), "step {number}");
            REPLAYS.get() > before
        });
        each.collect()
    }

    #[test]
    fn sizes_that_come_often_are_captured_and_each_step_has_its_own_values() {
        let sizes = [4, 4, 3, 4, 4, 4, 3, 4, 3, 3, 4, 3, 2, 1, 5, 5, 5, 5, 5];
        let kinds = sizes.map(|size| (ALONE, size));
        let first = |size| sizes.iter().enumerate().filter(move |(_, of)| **of == size);
        // Three of each were computed as they came; of the fifth size all.
        let wanted: Vec<usize> =
            [4, 3].into_iter().flat_map(|size| first(size).skip(3)).map(|(at, _)| at).collect();
        for (number, replayed) in replayed(&kinds).into_iter().enumerate() {
            assert_eq!(replayed, wanted.contains(&number), "step {number}");
        }
    }

    /// A gradient that was captured without what follows is no step of learning, nor is one process's part of a batch the
    /// same part of a smaller one.
    #[test]
    fn work_that_goes_farther_or_is_of_other_things_is_not_replayed_for_each_other() {
        let part = |whole| Some(BatchPart { first: 0, whole });
        let one = (Work::Derive, 0, part(4));
        let others = [
            (Work::Learn, 0, part(4)),
            (Work::Judge, 0, part(4)),
            (Work::Derive, 1, part(4)),
            (Work::Derive, 0, part(3)),
            (Work::Derive, 0, None),
        ];
        for other in others {
            let mut kinds = vec![(one, 2); 4];
            kinds.extend([(other, 2), (one, 2)]);
            assert_eq!(replayed(&kinds), [false, false, false, true, false, true]);
        }
    }

    #[test]
    fn what_cannot_be_captured_is_computed_as_it_comes() {
        let mut recorder = Recorder::<Refusing>::new(0);
        for number in 0..8_u8 {
            let value = f32::from(number);
            assert_eq!(
                results(&mut recorder, ALONE, value, 2),
                (f64::from(value) + 0.5, vec![value; 2])
            );
        }
        assert!(matches!(recorder.forms[..], [(_, State::GaveUp)]));
    }
}
