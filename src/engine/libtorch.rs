//! The `libtorch` engine: `nn::SequentialT` with autograd, on the CPU or a GPU.

use std::collections::VecDeque;
use std::sync::Arc;

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::criterion::{Criterion, batch_of, sides};
use super::kept::{KeptSets, room};
use super::model::Layers;
use super::recorder::{Fields, Form, Recorder, Work};
use super::{Engine, Model, Pending, Step, values_of};
use crate::config::layers::Layer;
use crate::config::sections::{Precision, Train};
use crate::data::{Batch, BatchPart, DataLoader, Kept};
use crate::nn::{Parameters, Place, channels_last, in_channels_first};
use crate::plan::{Part, Plan};
use crate::system::cuda::{self, Event};
use crate::system::ranks::Ranks;

/// Steps that a GPU may be behind.
const BEHIND: usize = 4;

/// What is needed beside the model.
#[derive(Debug)]
pub(super) struct Libtorch {
    criterion: Criterion,
    part: Part,
    /// Of what goes in, as layers compute on it ([`crate::plan::Shape::computed`]).
    shape: Vec<i64>,
    /// Of what comes out, in Keras's shape.
    given: Vec<i64>,
    draws_in_training: bool,
    normalizes_batches: bool,
    /// Those who have the other parts of a batch, where it is normalised as a whole.
    ranks: Option<Arc<Ranks>>,
    /// What the layers' values added to the loss in the last prediction.
    activity: Option<Tensor>,
    /// Images that lie on a GPU.
    sets: KeptSets,
    /// Starts whole steps on a GPU, where they can be captured.
    recorder: Option<Recorder>,
    /// Steps that a GPU may not have done yet.
    under_way: VecDeque<Event>,
    /// What it is called where steps are not captured.
    name: String,
    /// Whether images lie channels first in memory, instead of as they come.
    channels_first: bool,
    /// The layers that compute in place of the model's, where they do so in bfloat16.
    rounded: Option<Layers>,
}

impl Libtorch {
    /// # Panics
    /// When a connection leads past the code and the part is the decoder.
    pub fn new(plan: &Plan, part: Part, device: Device, kind: Kind) -> Self {
        let section = plan.graph.section(part).expect("it was asked for before");
        let train = &plan.config.train;
        let any = |is: fn(&Layer) -> bool| plan.graph.nodes.iter().any(|node| is(&node.layer));
        Self {
            criterion: Criterion::new(&train.loss, &section, device, kind),
            part,
            shape: sides(&section.input_shape().computed()),
            given: sides(section.output_shape()),
            draws_in_training: any(Layer::draws),
            normalizes_batches: any(|layer| matches!(layer, Layer::BatchNormalization(_))),
            ranks: None,
            activity: None,
            sets: KeptSets::default(),
            name: name(train, device),
            recorder: recorder(train, device),
            under_way: VecDeque::new(),
            channels_first: device != Device::Cpu && !uses_tensor_cores(train),
            rounded: (train.dtype == Precision::MixedBfloat16)
                .then(|| Layers::new(plan, Parameters::in_bfloat16(device))),
        }
    }

    /// Those that compute, with the model's values.
    fn layers<'a>(&'a self, model: &'a Model) -> &'a Layers {
        let Some(rounded) = &self.rounded else { return &model.layers };
        rounded.take_over(&model.layers);
        rounded
    }

    /// What layers read.
    fn computed(&self, input: &Tensor) -> Tensor {
        match self.rounded {
            Some(_) => input.to_kind(Kind::BFloat16),
            None if self.channels_first => in_channels_first(input),
            None => input.shallow_clone(),
        }
    }

    /// What a step on a batch reads.
    fn fields(&self, batch: &Batch) -> Fields {
        let images = 0..batch.len;
        let input = || self.criterion.tensor(&batch.input, &self.shape);
        if let Some(kept) = &batch.kept {
            return self.sets.fields(kept, self.criterion.device, input);
        }
        let target = match &batch.clean {
            None if self.criterion.target == self.shape => None,
            // For an image a vector, perhaps: the same values in other sides.
            _ => Some(self.criterion.target_of(batch, &images)),
        };
        Fields { input: input(), target, places: self.criterion.places_of(batch, &images) }
    }

    /// Keeps of a set what can be kept, if it takes no more bytes than there is room.
    fn keep_within(&mut self, images: &DataLoader<'_>, room: u64) -> Kept {
        let what = images.keepable();
        let mut sets = std::mem::take(&mut self.sets);
        // Its memory first: the new one may need it.
        sets.drop(images.split);
        let is_kept = what != Kept::Nothing
            && self.bytes(images, what) <= room
            && sets.keep(images, what, |batch| self.fields(batch));
        self.sets = sets;
        if is_kept { what } else { Kept::Nothing }
    }

    /// What so much of a set takes.
    fn bytes(&self, images: &DataLoader<'_>, what: Kept) -> u64 {
        let values = |sides: &[i64]| sides.iter().product::<i64>() as u64;
        let has_targets = images.changes_images() || self.criterion.target != self.shape;
        let inputs = if what == Kept::All { values(&self.shape) } else { 0 };
        let targets = if has_targets { values(&self.criterion.target) } else { 0 };
        let each = (inputs + targets) * self.criterion.kind.elt_size_in_bytes() as u64;
        images.images.len() as u64 * each
    }

    /// Loss and outputs of a batch.
    fn run(&self, layers: &Layers, fields: &Fields, train: bool) -> (Tensor, Tensor) {
        let Fields { input, target, places } = fields;
        layers.activity.take();
        // The loss is not rounded: Keras computes it in float32 under any policy.
        let output = layers.forward_t(&self.computed(input), train).to_kind(input.kind());
        let target = target.as_ref().unwrap_or(input);
        let loss = self.criterion.loss_at(places.as_ref(), &output, target);
        let loss = match layers.activity.take() {
            Some(penalty) => loss + penalty,
            None => loss,
        };
        (loss, output)
    }

    /// Loss and gradient of a batch; of a process's share of one, what it adds to those of the whole.
    fn derived(&self, model: &Model, fields: &Fields, part: Option<BatchPart>) -> Step {
        let layers = self.layers(model);
        let BatchPart { first, whole } = part.unwrap_or_default();
        layers.parameters.batch.begin(Place { first, whole, ranks: self.ranks.clone() });
        let (loss, _) = self.run(layers, fields, true);
        // Before the gradient: through what all have normalised, one process's loss reaches the values of another.
        let loss = match part {
            Some(_) => loss * (fields.images() as f64 / whole as f64),
            None => loss,
        };
        let gradients = Tensor::run_backward(&[&loss], &layers.trainable, false, false);
        let row = |tensor: &Tensor| tensor.to_kind(loss.kind()).flatten(0, -1);
        let rows: Vec<Tensor> = gradients.iter().map(row).collect();
        Step { loss: loss.detach(), gradient: Tensor::cat(&rows, 0) }
    }
}

impl Libtorch {
    /// What is made of a batch's loss and gradient.
    fn trained(
        &mut self,
        work: Work,
        model: &Model,
        batch: &Batch,
        seed: u64,
        then: &mut dyn FnMut(Step) -> Step,
    ) -> Step {
        if self.draws_in_training {
            tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        }
        let fields = self.fields(batch);
        let form = Form::new(work, &model.weights, batch.part, &fields);
        let mut results = self.recorded(form, fields, |own, fields| {
            let Step { loss, gradient } = then(own.derived(model, fields, batch.part));
            vec![loss, gradient]
        });
        self.wait_for_steps_before();
        let gradient = results.pop().expect("it stands behind the loss");
        Step { loss: results.remove(0), gradient }
    }

    /// Lets a GPU be no more than a few steps behind: each holds memory from which its batch is fetched.
    fn wait_for_steps_before(&mut self) {
        let Device::Cuda(number) = self.criterion.device else { return };
        self.under_way.extend(Event::record(number));
        if self.under_way.len() <= BEHIND {
            return;
        }
        if let Some(Err(problem)) = self.under_way.pop_front().map(|event| event.wait()) {
            panic!("{problem}");
        }
    }

    /// Loss and outputs of a batch that is not learned from, until the next one.
    fn judged(&mut self, model: &Model, batch: &Batch) -> (Tensor, Tensor) {
        let fields = self.fields(batch);
        let form = Form::new(Work::Judge, &model.weights, None, &fields);
        let mut results = self.recorded(form, fields, |own, fields| {
            let (loss, output) = no_grad(|| own.run(own.layers(model), fields, false));
            vec![loss, output]
        });
        let output = results.pop().expect("it stands behind the loss");
        // Losses of several batches are held at a time.
        (results.remove(0).copy(), output)
    }

    /// Outputs of samples, in Keras's shape, until the next ones.
    fn predicted(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let input = self.criterion.tensor(input, &self.shape);
        let fields = Fields { input, target: None, places: None };
        let form = Form::new(Work::Predict, &model.weights, None, &fields);
        let mut results = self.recorded(form, fields, |own, fields| {
            let input = &fields.input;
            let (layers, computed) = (own.layers(model), own.computed(input));
            layers.activity.take();
            let output = no_grad(|| match own.part {
                Part::Whole => layers.forward_t(&computed, false),
                Part::Encoder => layers.encode(&computed, false),
                Part::Decoder => layers.decode(&computed, false),
            });
            let output = channels_last(&output.to_kind(input.kind())).reshape(batch_of(&own.given));
            [output].into_iter().chain(layers.activity.take()).collect()
        });
        let output = results.remove(0);
        self.activity = results.pop();
        output
    }

    /// What `compute` gives for these fields; as one piece of work, where a GPU takes it so.
    fn recorded(
        &mut self,
        form: Form,
        fields: Fields,
        mut compute: impl FnMut(&Self, &Fields) -> Vec<Tensor>,
    ) -> Vec<Tensor> {
        let mut recorder = self.recorder.take();
        let results = match recorder.as_mut().filter(|_| form.gains(&fields)) {
            Some(recorder) => recorder.results(form, fields, |fields| compute(self, fields)),
            None => compute(self, &fields),
        };
        self.recorder = recorder;
        results
    }
}

/// Whether a GPU multiplies by Tensor Cores, which want images channels last, as they come; its other units want them
/// channels first. A chain of convolutions of 64 channels took 1.80 instead of 2.33 ms a step in TF32 (NVIDIA H100, PyTorch
/// 2.11, 2026-11-26).
fn uses_tensor_cores(train: &Train) -> bool {
    match train.dtype {
        Precision::Float32 => train.allow_tf32,
        Precision::Float64 => false,
        Precision::MixedBfloat16 => true,
    }
}

/// Where a GPU can start whole steps, and is asked to.
fn recorder(train: &Train, device: Device) -> Option<Recorder> {
    let Device::Cuda(number) = device else { return None };
    let asked_for = train.cuda_graphs;
    (asked_for && cuda::prepare(number).is_ok()).then(|| Recorder::new(number))
}

/// With all that makes it less exact than float32, or less repeatable.
fn name(train: &Train, device: Device) -> String {
    let on_gpu = device != Device::Cpu;
    let tf32 = on_gpu && train.allow_tf32 && train.dtype == Precision::Float32;
    let labels = [
        (train.dtype == Precision::MixedBfloat16, ", mixed_bfloat16"),
        (tf32, ", TF32"),
        (on_gpu && !train.deterministic, ", not deterministic"),
    ];
    let labels = labels.into_iter().filter(|(holds, _)| *holds);
    labels.fold("libtorch".to_owned(), |name, (_, label)| name + label)
}

impl Engine for Libtorch {
    fn name(&self) -> String {
        let faster = if self.recorder.is_some() { ", CUDA graphs" } else { "" };
        format!("{}{faster}", self.name)
    }

    fn join(&mut self, ranks: &Arc<Ranks>) {
        if self.normalizes_batches {
            self.ranks = Some(Arc::clone(ranks));
            // Others are waited for within the step.
            self.recorder = None;
        }
    }

    fn keep(&mut self, images: &DataLoader<'_>) -> Kept {
        self.keep_within(images, room(self.criterion.device))
    }

    fn loss_and_gradient(&mut self, model: &Model, batch: &Batch, seed: u64) -> Step {
        self.trained(Work::Derive, model, batch, seed, &mut |step| step)
    }

    fn step(
        &mut self,
        model: &Model,
        batch: &Batch,
        seed: u64,
        learn: &mut dyn FnMut(Step) -> Step,
    ) -> Step {
        match batch.part {
            None => self.trained(Work::Learn, model, batch, seed, learn),
            Some(_) => learn(self.loss_and_gradient(model, batch, seed)),
        }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        self.judged(model, batch).0
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let output = self.predicted(model, input);
        // A graph's results last until its next ones.
        if self.recorder.is_some() { output.copy() } else { output }
    }

    fn predict(&mut self, model: &Model, input: &[f32]) -> Vec<f32> {
        values_of(&self.predicted(model, input))
    }

    fn begin(&mut self, model: &Model, input: &[f32]) -> Pending {
        Pending::of(&self.predicted(model, input))
    }

    fn activity(&self, _model: &Model) -> Option<Tensor> {
        self.activity.as_ref().map(Tensor::copy)
    }

    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        let (loss, output) = self.judged(model, batch);
        (loss, values_of(&channels_last(&output)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::config::schema::Section;
    use crate::data::Dataset;
    use crate::data::corruption::Split;
    use crate::plan::method_loader;

    /// With layers whose results may lie in memory as their inputs do.
    const MIXED: &str = r#"name = "mixed"
[model]
input_shape = [8, 8, 2]
encoder = [
  { layer = "Conv2D", filters = 3, kernel_size = 3, padding = "same", activation = "relu" },
  { layer = "MaxPooling2D" },
  { layer = "BatchNormalization" },
]
decoder = [
  { layer = "UpSampling2D" },
  { layer = "Conv2DTranspose", filters = 2, kernel_size = 3, padding = "same", activation = "sigmoid" },
]
"#;

    #[test]
    fn how_images_lie_in_memory_changes_rounding_alone() {
        let plan = Plan::new(Source::parse(MIXED, "mixed", &[]).unwrap()).unwrap();
        let value = |i: usize| (i * 37 % 101) as f32 / 101.0;
        let batch =
            Batch { len: 3, input: (0..3 * 8 * 8 * 2).map(value).collect(), ..Batch::default() };
        let [last, first] = [false, true].map(|channels_first| {
            let model = Model::new(&plan, Device::Cpu, Kind::Double);
            let engine = Libtorch::new(&plan, Part::Whole, Device::Cpu, Kind::Double);
            let mut engine = Libtorch { channels_first, ..engine };
            let Step { loss, gradient } = engine.loss_and_gradient(&model, &batch, 0);
            let outputs = engine.outputs(&model, &batch.input).flatten(0, -1);
            Tensor::cat(&[loss.view([1]), gradient, outputs], 0)
        });
        let apart = (&last - &first).abs().max().double_value(&[]);
        assert!(apart < 1e-12, "{apart}");
    }

    /// Digits; the last batch is a smaller one.
    const DIGITS: &str = r#"name = "kept"
[data]
dir = "tests/digits"
train_samples = 40
test_samples = 24
[model]
encoder = [{ layer = "Conv2D", filters = 2, kernel_size = 3, strides = 4, padding = "same" }]
decoder = [{ layer = "Conv2DTranspose", filters = 1, kernel_size = 3, strides = 4, padding = "same", activation = "sigmoid" }]
[train]
batch_size = 16
"#;

    fn rows(engine: &mut Libtorch, model: &Model, loader: &DataLoader<'_>) -> Vec<(f64, f64, f64)> {
        let order = loader.order(2, true);
        let batches = loader.batches(2, &order);
        let each = batches.map(|batch| {
            let batch = batch.unwrap();
            assert_eq!(batch.input.is_empty(), loader.kept == Kept::All);
            let Step { loss, gradient } = engine.loss_and_gradient(model, &batch, 0);
            let judged = engine.loss(model, &batch);
            (loss.double_value(&[]), gradient.norm().double_value(&[]), judged.double_value(&[]))
        });
        each.collect()
    }

    #[test]
    fn batches_of_kept_sets_are_those_that_are_brought() {
        let noise =
            |resample| format!("[corruption]\nkind = \"gaussian\"\nresample = {resample:?}\n");
        let smaller = "[corruption]\nkind = \"downscale\"\nenlarge = false\n";
        for (corruption, of_train) in [
            (String::new(), Kept::All),
            (noise("never"), Kept::All),
            (noise("epoch"), Kept::Targets),
            (smaller.to_owned(), Kept::All),
        ] {
            let digits = if corruption == smaller {
                DIGITS
                    .replacen("strides = 4", "strides = 2", 1)
                    .replace("[model]\n", "[model]\ninput_shape = [14, 14, 1]\n")
            } else {
                DIGITS.to_owned()
            };
            let source = Source::parse(&format!("{digits}{corruption}"), "kept", &[]).unwrap();
            let plan = Plan::new(source).unwrap().for_data().unwrap();
            let target = plan.objective().unwrap().target;
            let data = Dataset::open(&plan.config.data, target).unwrap();
            let (device, kind) = (Device::Cpu, Kind::Float);
            let model = Model::new(&plan, device, kind);
            let mut engine = Libtorch::new(&plan, Part::Whole, device, kind);
            for (images, split, kept) in
                [(&data.train, Split::Train, of_train), (&data.test, Split::Test, Kept::All)]
            {
                let loader = method_loader(&plan, images, split);
                let brought = rows(&mut engine, &model, &loader);
                let bytes = engine.bytes(&loader, kept);
                assert_eq!(engine.keep_within(&loader, bytes), kept);
                assert_eq!(engine.sets.bytes(split), bytes);
                assert_eq!(rows(&mut engine, &model, &DataLoader { kept, ..loader }), brought);
                // Too large by a byte.
                assert_eq!(engine.keep_within(&loader, bytes - 1), Kept::Nothing);
            }
        }
    }

    #[test]
    fn what_is_less_exact_or_less_repeatable_stands_in_the_name() {
        let exact = Train::defaults();
        assert_eq!(name(&exact, Device::Cuda(0)), "libtorch");
        let fast = Train { allow_tf32: true, deterministic: false, ..Train::defaults() };
        assert_eq!(name(&fast, Device::Cuda(0)), "libtorch, TF32, not deterministic");
        assert_eq!(name(&fast, Device::Cpu), "libtorch", "these are of GPUs");
    }
}
