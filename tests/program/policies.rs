//! Policies, schedules, moving averages and accumulated gradients against Keras's own on the same
//! numbers, and whole runs with them.
//!
//! `tests/golden/policies.json` is from `scripts/make_policies_golden.py`, which names Keras's version in
//! it. Where CONVAE_PYTHON names an interpreter, the script also draws other sequences on the spot.

use std::path::Path;
use std::process::Command;

use convae::config::Source;
use convae::data::Dataset;
use convae::infer::evaluation::mean_loss;
use convae::optim::{Optimizer, Variable};
use convae::plan::Plan;
use convae::train::policies::{Action, Metrics, Policies};
use convae::train::{Checkpointer, History, NoCheckpoints, Outcome, Trainer, TrainingState, fit};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::common::{Folder, digits, names, python, root, tiny, train};

/// Keras's backends differ by as much in the last bits of a power or a cosine; relative to the largest
/// rate of the schedule, since what cancels to 0 keeps the rounding of what it came from.
const RATE_FLOAT32: f64 = 1e-6;
const RATE_FLOAT64: f64 = 1e-15;
/// Twenty-four steps of ten roundings; a wrong order of average and update leaves 1e-3.
const WEIGHTS_FLOAT64: f64 = 1e-13;
const WEIGHTS_FLOAT32: f64 = 2e-6;
/// Whole fits in float64: rounding leaves 4e-14.
const FIT: f64 = 1e-11;

#[derive(Deserialize)]
struct Golden {
    callbacks: Vec<Sequence>,
    schedules: Vec<Paced>,
    optimizers: Optimizers,
    #[serde(default)]
    fits: Vec<Fit>,
}

/// Callbacks on a sequence of losses.
#[derive(Deserialize)]
struct Sequence {
    floatx: String,
    train: Map<String, Value>,
    learning_rate: f64,
    /// Of each epoch, until it stopped: loss and val_loss.
    losses: Vec<(f64, f64)>,
    /// After each epoch.
    rates: Vec<f64>,
    stopped: bool,
    weights_of_epoch: usize,
}

#[derive(Deserialize)]
struct Paced {
    floatx: String,
    learning_rate: f64,
    schedule: Value,
    steps: Vec<i32>,
    rates: Vec<f64>,
}

/// Many optimizers with the same gradients.
#[derive(Deserialize)]
struct Optimizers {
    lengths: Vec<i64>,
    start: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    every: usize,
    cases: Vec<OptimizerCase>,
}

#[derive(Deserialize)]
struct OptimizerCase {
    floatx: String,
    optimizer: Value,
    /// After every few steps, and after training's end.
    snapshots: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Fit {
    model: Value,
    train: Value,
    initial: Vec<f64>,
    rates: Vec<f64>,
    stopped: bool,
    losses: Vec<f64>,
    val_losses: Vec<f64>,
    weights: Vec<f64>,
}

fn golden() -> Golden {
    read(&root().join("tests/golden/policies.json"))
}

fn read(path: &Path) -> Golden {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The plan of a small model on the tests' digits, with this `[train]`.
fn plan(model: Option<&Value>, train: &Value) -> Plan {
    let conv = json!({"layer": "Conv2D", "filters": 1, "kernel_size": 1});
    let default = json!({"encoder": [conv], "decoder": []});
    let config = json!({
        "name": "golden",
        "data": {"dir": digits(), "train_samples": 64, "test_samples": 20},
        "model": model.unwrap_or(&default),
        "train": train,
    });
    let text = toml::to_string(&toml::Value::try_from(config).unwrap()).unwrap();
    Plan::new(Source::parse(&text, "the golden file", &[]).unwrap()).unwrap()
}

fn plan_of(sequence: &Sequence) -> Plan {
    let mut train = sequence.train.clone();
    train.insert("dtype".to_owned(), json!(sequence.floatx));
    let sgd = json!({"name": "SGD", "learning_rate": sequence.learning_rate});
    train.insert("optimizer".to_owned(), sgd);
    plan(None, &Value::Object(train))
}

/// What a run would do with the policies' actions.
#[derive(Debug, Default, PartialEq)]
struct Followed {
    rates: Vec<f64>,
    stopped: bool,
    weights_of_epoch: usize,
}

/// Follows the policies through a sequence; `between` epochs they may be saved and restored.
fn follow(sequence: &Sequence, between: impl Fn(&Plan, Policies) -> Policies) -> Followed {
    let plan = plan_of(sequence);
    let mut policies = Policies::new(&plan.config.train);
    let mut followed = Followed::default();
    let mut rate = sequence.learning_rate;
    let mut remembered = None;
    for (epoch, &(loss, val_loss)) in (1..).zip(&sequence.losses) {
        assert!(
            !followed.stopped,
            "{:?}: Keras trained on after epoch {}",
            sequence.train,
            epoch - 1
        );
        followed.weights_of_epoch = epoch;
        for action in policies.epoch_end(epoch, Metrics { loss, val_loss }, rate) {
            match action {
                Action::SetLearningRate { from, to, .. } => {
                    assert_eq!(from.to_bits(), rate.to_bits());
                    rate = to;
                }
                Action::Stop { .. } => followed.stopped = true,
                Action::RememberWeights { epoch: now } => {
                    assert_eq!(now, epoch);
                    remembered = Some(epoch);
                }
                other => panic!("{other:?} within training"),
            }
        }
        followed.rates.push(rate);
        policies = between(&plan, policies);
    }
    if let Some(action) = policies.train_end() {
        let Action::RestoreWeights { epoch } = action else { panic!("{action:?} at the end") };
        assert_eq!(remembered, Some(epoch), "what is to come back was not remembered last");
        followed.weights_of_epoch = epoch;
    }
    followed
}

/// As Keras keeps a rate.
fn kept(floatx: &str, rates: &[f64]) -> Vec<f64> {
    match floatx {
        "float32" => rates.iter().map(|&rate| f64::from(rate as f32)).collect(),
        _ => rates.to_vec(),
    }
}

fn follows_keras(sequence: &Sequence, followed: Followed) {
    let Sequence { floatx, train, losses, .. } = sequence;
    let ours = Followed { rates: kept(floatx, &followed.rates), ..followed };
    let keras = Followed {
        rates: kept(floatx, &sequence.rates),
        stopped: sequence.stopped,
        weights_of_epoch: sequence.weights_of_epoch,
    };
    assert_eq!(ours, keras, "ours, Keras's: {floatx}, {train:?} on {losses:?}");
}

fn callbacks_are_keras_s(golden: &Golden) {
    for sequence in &golden.callbacks {
        follows_keras(sequence, follow(sequence, |_, policies| policies));
    }
}

#[test]
fn policies_do_what_keras_s_callbacks_do() {
    callbacks_are_keras_s(&golden());
}

#[test]
fn policies_that_go_through_json_after_every_epoch_do_the_same() {
    for sequence in &golden().callbacks {
        let followed = follow(sequence, |plan, policies| {
            let text = serde_json::to_string(&policies.state()).unwrap();
            let mut resumed = Policies::new(&plan.config.train);
            resumed.restore(&serde_json::from_str(&text).unwrap());
            assert_eq!(resumed.state(), policies.state(), "{text}");
            resumed
        });
        follows_keras(sequence, followed);
    }
}

/// Without this, the sequences could be such that nothing ever happens.
#[test]
fn the_sequences_make_policies_act_and_their_memory_and_precision_matter() {
    let golden = golden();
    let count = |holds: &dyn Fn(&Sequence) -> bool| {
        golden.callbacks.iter().filter(|sequence| holds(sequence)).count()
    };
    let rates = |s: &Sequence| [&[s.learning_rate], s.rates.as_slice()].concat();
    assert!(count(&|s| s.stopped && s.losses.len() > 2) >= 20, "few stop");
    assert!(count(&|s| rates(s).windows(2).any(|r| r[1] < 0.99 * r[0])) >= 20, "few lower");
    assert!(count(&|s| s.weights_of_epoch < s.losses.len()) >= 20, "few restore");
    let differs = |s: &Sequence, followed: Followed| {
        let mut pairs = followed.rates.iter().zip(&s.rates);
        followed.stopped != s.stopped
            || followed.weights_of_epoch != s.weights_of_epoch
            || pairs.any(|(ours, keras)| (ours - keras).abs() > 1e-3 * keras)
    };
    let forgetful = |s: &Sequence| {
        // They may go on after Keras stopped, which `follow` does not mind.
        let fresh = |plan: &Plan, _| Policies::new(&plan.config.train);
        std::panic::catch_unwind(|| differs(s, follow(s, fresh))).unwrap_or(true)
    };
    assert!(count(&forgetful) >= 50, "policies without a memory are not noticed");
    let in_float64 = |s: &Sequence| {
        let copy = Sequence {
            floatx: "float64".to_owned(),
            train: s.train.clone(),
            losses: s.losses.clone(),
            rates: s.rates.clone(),
            ..*s
        };
        let found = std::panic::catch_unwind(|| {
            let followed = follow(&copy, |_, policies| policies);
            differs(s, followed)
        });
        s.floatx == "float32" && found.unwrap_or(true)
    };
    let noticed = count(&in_float64);
    assert!(noticed >= 1, "{noticed}: the precision of comparisons is not noticed");
}

fn kind(floatx: &str) -> Kind {
    if floatx == "float32" { Kind::Float } else { Kind::Double }
}

/// The largest difference, as a share of the largest rate.
fn schedules_are_keras_s(golden: &Golden) {
    let mut worst = std::collections::BTreeMap::new();
    for case in &golden.schedules {
        let Paced { floatx, learning_rate, schedule, steps, rates } = case;
        let sgd = json!({"name": "SGD", "learning_rate": learning_rate});
        let plan = plan(None, &json!({"optimizer": sgd, "learning_rate_schedule": schedule}));
        let train = &plan.config.train;
        let weights = Tensor::zeros([1], (kind(floatx), Device::Cpu));
        let mut optimizer =
            Optimizer::new(&train.optimizer, &weights, vec![Variable::new("w", &[1])])
                .paced(train.learning_rate_schedule.clone(), None);
        let largest = rates.iter().copied().fold(*learning_rate, f64::max);
        for (&step, &expected) in steps.iter().zip(rates) {
            optimizer.restore(step, &[]).unwrap();
            let error = (optimizer.current_rate() - expected).abs() / largest;
            let (bar, name) = match floatx.as_str() {
                "float32" => (RATE_FLOAT32, "float32"),
                _ => (RATE_FLOAT64, "float64"),
            };
            let ours = optimizer.current_rate();
            assert!(error <= bar, "{floatx} {schedule}: step {step} is {ours}, Keras's {expected}");
            let entry = worst.entry((name, schedule["name"].to_string())).or_insert(0.0_f64);
            *entry = entry.max(error);
        }
    }
    println!("schedules, largest differences: {worst:?}");
}

#[test]
fn schedules_give_keras_s_rates() {
    schedules_are_keras_s(&golden());
}

fn optimizers_are_keras_s(golden: &Golden) {
    let Optimizers { lengths, start, gradients, every, cases } = &golden.optimizers;
    let mut worst = [0.0_f64; 2];
    for OptimizerCase { floatx, optimizer: options, snapshots } in cases {
        let kind = kind(floatx);
        let train = plan(None, &json!({"optimizer": options})).config.train;
        let mut weights = Tensor::from_slice(start).to_kind(kind);
        let variables = lengths.iter().map(|&length| Variable::new("w", &[length])).collect();
        let mut optimizer = Optimizer::new(&train.optimizer, &weights, variables);
        let mut found = Vec::new();
        for (step, gradient) in (1..).zip(gradients) {
            optimizer.step(&mut weights, &Tensor::from_slice(gradient).to_kind(kind));
            if step % every == 0 {
                found.push(numbers(&weights));
            }
        }
        optimizer.finalize(&mut weights);
        found.push(numbers(&weights));
        assert_eq!(found.len(), snapshots.len());
        for (index, (ours, keras)) in found.iter().zip(snapshots).enumerate() {
            let error = difference(ours, keras);
            let single = kind == Kind::Float;
            let bar = if single { WEIGHTS_FLOAT32 } else { WEIGHTS_FLOAT64 };
            assert!(error <= bar, "{floatx} {options}: snapshot {index} is {error:e} off");
            worst[usize::from(single)] = worst[usize::from(single)].max(error);
        }
    }
    println!("optimizers, largest differences in float64 and float32: {worst:?}");
}

#[test]
fn averages_and_accumulated_gradients_take_every_optimizer_where_keras_goes() {
    optimizers_are_keras_s(&golden());
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// The largest difference, relative to the expected value or to 1 where that is larger.
fn difference(ours: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    let pairs = ours.iter().zip(expected);
    pairs.map(|(ours, e)| (ours - e).abs() / e.abs().max(1.0)).fold(0.0, f64::max)
}

/// Trains from these weights on the tests' digits.
fn run(plan: &Plan, initial: Option<&[f64]>) -> (Dataset, Trainer, History, Outcome) {
    let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
    let mut trainer = Trainer::new(plan, Device::Cpu).unwrap();
    if let Some(initial) = initial {
        trainer.predictor.parameters().set_values(&Tensor::from_slice(initial));
    }
    let mut state = TrainingState::new(History::new(plan, &trainer));
    let outcome = fit(plan, &data, &mut trainer, &mut state, &mut [], &mut NoCheckpoints).unwrap();
    (data, trainer, state.history, outcome)
}

/// Counts states, and how many of them hold the weights of a best epoch.
struct Counting {
    states: usize,
    remembering: usize,
}

impl Checkpointer for Counting {
    fn wants_step(&self, _step: usize) -> bool {
        true
    }

    fn keep(&mut self, state: &TrainingState, _trainer: &Trainer) -> anyhow::Result<()> {
        self.states += 1;
        self.remembering += usize::from(state.remembered.is_some());
        Ok(())
    }
}

#[test]
fn a_run_that_goes_on_keeps_the_best_weights_within_its_first_epoch_too() {
    let patient = json!({"patience": 9, "restore_best_weights": true});
    let plan_of = |epochs: usize| {
        plan(None, &json!({"epochs": epochs, "batch_size": 16, "early_stopping": &patient}))
    };
    let (first, second) = (plan_of(1), plan_of(2));
    let data = Dataset::open(&first.config.data, first.input_shape).unwrap();
    let mut trainer = Trainer::new(&first, Device::Cpu).unwrap();
    let mut state = TrainingState::new(History::new(&first, &trainer));
    fit(&first, &data, &mut trainer, &mut state, &mut [], &mut NoCheckpoints).unwrap();
    let mut checkpointer = Counting { states: 0, remembering: 0 };
    fit(&second, &data, &mut trainer, &mut state, &mut [], &mut checkpointer).unwrap();
    assert_eq!((checkpointer.states, checkpointer.remembering), (4, 4));
}

#[test]
fn whole_fits_are_keras_s_epoch_by_epoch() {
    let fits = golden().fits;
    assert!(fits.len() >= 15);
    let mut worst = 0.0_f64;
    for case in &fits {
        let (_, trainer, history, outcome) =
            run(&plan(Some(&case.model), &case.train), Some(&case.initial));
        assert_eq!(outcome, Outcome::Finished);
        let of = |figure: fn(&convae::train::EpochRecord) -> f64| {
            history.epochs.iter().map(figure).collect::<Vec<_>>()
        };
        for (what, ours, keras) in [
            ("losses", of(|epoch| epoch.loss), &case.losses),
            ("val_losses", of(|epoch| epoch.val_loss), &case.val_losses),
            ("rates", of(|epoch| epoch.learning_rate), &case.rates),
            ("weights", numbers(&trainer.predictor.parameters().values()), &case.weights),
        ] {
            assert_eq!(ours.len(), keras.len(), "{what} of {}", case.train);
            let error = difference(&ours, keras);
            assert!(error <= FIT, "{what} of {} are {error:e} off", case.train);
            worst = worst.max(error);
        }
        assert_eq!(history.stopped.is_some(), case.stopped, "{}", case.train);
    }
    assert!(fits.iter().filter(|case| case.stopped).count() >= 2, "no fit stops early");
    println!("fits, largest difference: {worst:e}");
}

/// Training that gets worse: its rate is far too high.
fn wild(extra: Value) -> Plan {
    let mut train = json!({
        "epochs": 12,
        "batch_size": 16,
        "optimizer": {"name": "Adam", "learning_rate": 0.5},
        "early_stopping": {"patience": 2, "restore_best_weights": true},
    });
    let (train_keys, Value::Object(extra)) = (train.as_object_mut().unwrap(), extra) else {
        panic!("a table")
    };
    train_keys.extend(extra);
    let conv = json!({"layer": "Conv2D", "filters": 2, "kernel_size": 3, "padding": "same"});
    let last = json!({"layer": "Conv2D", "filters": 1, "kernel_size": 3, "padding": "same",
        "activation": "sigmoid"});
    let model = json!({
        "encoder": [conv, {"layer": "BatchNormalization", "momentum": 0.5}],
        "decoder": [last],
    });
    plan(Some(&model), &train)
}

#[test]
fn a_run_that_gets_worse_stops_and_ends_with_the_weights_of_its_best_epoch() {
    let plan = wild(json!({}));
    let (data, mut trainer, history, outcome) = run(&plan, None);
    assert_eq!(outcome, Outcome::Finished);
    let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.val_loss).collect();
    assert!(losses.len() < 12, "it did not stop: {losses:?}");
    let best = history.restored_epoch.expect("an epoch came back");
    assert_eq!(best, losses.len() - 2, "patience is 2: {losses:?}");
    assert!(losses.iter().all(|&loss| loss >= losses[best - 1]), "{losses:?}");
    let reason = history.stopped.expect("a reason");
    let words = ["early_stopping", "val_loss", "2 epochs", &format!("epoch {best}")];
    assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
    // The last bit needs the moving statistics, too.
    let again = mean_loss(&plan, &data.test, &mut trainer.predictor).unwrap();
    assert_eq!(again.to_bits(), losses[best - 1].to_bits());
    assert_ne!(again.to_bits(), losses.last().unwrap().to_bits());
}

#[test]
fn without_restoring_the_last_weights_stay() {
    let plan = wild(json!({"early_stopping": {"patience": 2}}));
    let (data, mut trainer, history, _) = run(&plan, None);
    assert!(history.stopped.is_some() && history.restored_epoch.is_none());
    let again = mean_loss(&plan, &data.test, &mut trainer.predictor).unwrap();
    assert_eq!(again.to_bits(), history.epochs.last().unwrap().val_loss.to_bits());
}

#[test]
fn the_history_has_the_rate_of_every_epoch() {
    let steps = json!({"name": "PiecewiseConstantDecay", "boundaries": [4, 8],
        "values": [0.5, 0.25, 0.125]});
    let plan = wild(json!({"epochs": 3, "early_stopping": {"patience": 9},
        "learning_rate_schedule": steps}));
    let (_, _, history, _) = run(&plan, None);
    // Four steps an epoch; at its end the boundary's own step, which still has the value before.
    let rates: Vec<f64> = history.epochs.iter().map(|epoch| epoch.learning_rate).collect();
    assert_eq!(rates, [0.5, 0.25, 0.125]);
}

#[test]
fn our_own_warm_up_rises_in_a_straight_line_and_then_leaves_the_rate_alone() {
    let sgd = json!({"name": "SGD", "learning_rate": 0.25});
    let train = plan(None, &json!({"optimizer": sgd, "warmup_steps": 4})).config.train;
    let weights = Tensor::zeros([1], (Kind::Float, Device::Cpu));
    let mut optimizer = Optimizer::new(&train.optimizer, &weights, vec![Variable::new("w", &[1])])
        .paced(train.learning_rate_schedule.clone(), train.warmup_steps);
    let rates = [0, 1, 2, 3, 4, 1000].map(|step| {
        optimizer.restore(step, &[]).unwrap();
        optimizer.current_rate()
    });
    assert_eq!(rates.to_vec(), [0.0625, 0.125, 0.1875, 0.25, 0.25, 0.25]);
}

/// A command's run of the tiny model with a rate that is far too high.
fn told(changes: &[&str], folder: &Folder) -> (String, History) {
    let config = folder.write("tiny.toml", tiny());
    let call = train(config).out(folder.at("run")).set("train.epochs=8");
    let said = changes.iter().fold(call, |call, change| call.set(change)).succeeds();
    let history = std::fs::read_to_string(folder.at("run/history.json")).unwrap();
    (said, serde_json::from_str(&history).unwrap())
}

#[test]
fn the_command_says_what_policies_do_and_why_in_a_line_each() {
    let folder = Folder::new();
    let (said, history) = told(
        &[
            "train.optimizer={ name = \"SGD\", learning_rate = 1e-6 }",
            "train.reduce_lr_on_plateau={ patience = 1, min_delta = 0.5, factor = 0.5 }",
            "train.early_stopping={ patience = 3, min_delta = 0.5, restore_best_weights = true }",
        ],
        &folder,
    );
    let lowered = "reduce_lr_on_plateau: val_loss has not improved for 1 epoch; learning rate \
                   0.000001 -> 0.0000005\n";
    assert_eq!(said.matches("reduce_lr_on_plateau: ").count(), 3, "{said}");
    assert!(said.contains(lowered), "{said}");
    let stops = "early_stopping: val_loss has not improved for 3 epochs, the best was ";
    assert!(said.contains(stops), "{said}");
    assert!(said.contains("in epoch 1; training stops\n"), "{said}");
    assert!(said.contains("early_stopping: the weights of epoch 1 are back\n"), "{said}");
    let rates: Vec<f64> = history.epochs.iter().map(|epoch| epoch.learning_rate).collect();
    assert_eq!(rates, [1e-6, 1e-6, 5e-7, 2.5e-7]);
    assert!(history.stopped.is_some_and(|reason| said.contains(&reason)));
    assert!(!history.interrupted);
    assert!(names(&folder.at("run")).contains(&"tiny.pt".to_owned()));
}

#[test]
fn a_history_of_before_there_were_policies_still_reads() {
    let old = r#"{"name":"noise","seed":1,"device":"cpu","engine":"native","dtype":"float32",
        "parameters":39,"versions":{"convae":"0.1.0","tch":"0.26.0","libtorch":"2.13.0"},
        "interrupted":false,"epochs":[{"epoch":1,"loss":0.5,"val_loss":0.4,"seconds":1.0,
        "images_per_second":2.0}],"curve":[]}"#;
    let history: History = serde_json::from_str(old).unwrap();
    assert_eq!((history.stopped, history.epochs[0].learning_rate), (None, 0.0));
}

/// What the user wrote is wrong; the message has these words.
fn refuses(changes: &[&str], words: &[&str]) {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let call = train(config).out(folder.at("run"));
    changes.iter().fold(call, |call, change| call.set(change)).refused(words);
    assert_eq!(names(folder.path()), ["tiny.toml"], "nothing is begun");
}

#[test]
fn options_that_are_wrong_are_refused_with_the_remedy() {
    for (change, words) in [
        (
            "train.early_stopping={ patiens = 3 }",
            ["early_stopping.patiens`", "did you mean `patience`"],
        ),
        ("train.early_stopping.patience=-1", ["early_stopping.patience` is -1", "whole number"]),
        ("train.early_stopping.monitor=val_los", ["monitor` is \"val_los\"", "`val_loss`"]),
        (
            "train.early_stopping.mode=max",
            ["early_stopping.mode` is not a key", "known here: monitor"],
        ),
        ("train.early_stopping=true", ["train.early_stopping` is true", "a table"]),
        ("train.reduce_lr_on_plateau.factor=1.0", ["factor` is 1", "above 0, below 1"]),
        ("train.reduce_lr_on_plateau.factor=0", ["factor` is 0", "above 0, below 1"]),
        ("train.learning_rate_schedule={ decay_steps = 3 }", ["has no `name`", "CosineDecay"]),
        ("train.learning_rate_schedule={ name = \"Cosine\" }", ["\"Cosine\"", "`CosineDecay`"]),
        (
            "train.learning_rate_schedule={ name = \"CosineDecay\" }",
            ["learning_rate_schedule.decay_steps` is missing", "from 1"],
        ),
        (
            "train.learning_rate_schedule={ name = \"CosineDecay\", decay_steps = 0 }",
            ["decay_steps` is 0", "from 1"],
        ),
        (
            "train.optimizer={ name = \"SGD\", gradient_accumulation_steps = 1 }",
            ["steps` is 1", "from 2"],
        ),
        (
            "train.optimizer={ name = \"SGD\", ema_momentum = 1.5 }",
            ["ema_momentum` is 1.5", "from 0 to 1"],
        ),
        (
            "train.optimizer={ name = \"SGD\", ema_overwrite_frequency = 3 }",
            ["use_ema is false", "set use_ema = true"],
        ),
        ("train.warmup_steps=0", ["train.warmup_steps` is 0", "from 1"]),
    ] {
        refuses(&[change], &words);
    }
}

#[test]
fn options_that_do_not_go_together_are_refused_with_the_remedy() {
    let cosine = "train.learning_rate_schedule={ name = \"CosineDecay\", decay_steps = 9 }";
    refuses(
        &[cosine, "train.reduce_lr_on_plateau.patience=3"],
        &["`train.reduce_lr_on_plateau` cannot set", "(CosineDecay)", "leave one of the two out"],
    );
    refuses(
        &[cosine, "train.learning_rate_schedule.warmup_steps=3"],
        &["warmup_steps` is 3", "no warmup_target", "set warmup_target"],
    );
    let target = "train.learning_rate_schedule.warmup_target=0.1";
    refuses(
        &[cosine, target, "train.warmup_steps=5"],
        &["train.warmup_steps` is 5", "warms up, too", "leave one of the two out"],
    );
    let steps = |boundaries: &str, values: &str| {
        format!(
            "train.learning_rate_schedule={{ name = \"PiecewiseConstantDecay\", boundaries = \
             {boundaries}, values = {values} }}"
        )
    };
    refuses(&[&steps("[]", "[0.001]")], &["boundaries` is []", "each larger than"]);
    refuses(&[&steps("[5, 5]", "[0.001, 1, 1]")], &["boundaries` is [5, 5]", "each larger than"]);
    refuses(&[&steps("[5]", "[0.001]")], &["values` has 1 entries for 1", "one value more"]);
    refuses(
        &[&steps("[5]", "[0.1, 0.01]")],
        &["values` begins with 0.1, but", "learning_rate is 0.001", "the same number in both"],
    );
}

#[test]
fn every_schedule_and_policy_reads_back_from_the_written_config_as_itself() {
    for case in golden().schedules {
        let sgd = json!({"name": "SGD", "learning_rate": case.learning_rate});
        let train = json!({"optimizer": sgd, "learning_rate_schedule": case.schedule});
        reads_back(&plan(None, &train));
    }
    for sequence in golden().callbacks {
        reads_back(&plan_of(&sequence));
    }
    for case in golden().optimizers.cases {
        reads_back(&plan(None, &json!({"optimizer": case.optimizer})));
    }
}

fn reads_back(plan: &Plan) {
    let written = plan.config.to_toml();
    let again = Source::parse(&written, "config.toml", &[]).unwrap().config;
    assert_eq!(again, plan.config, "{written}");
}

#[test]
fn keras_itself_does_the_same_on_sequences_drawn_now() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let drawn = folder.at("drawn.json");
    // The same ones each time; CONVAE_POLICIES_SEED draws others.
    let seed = std::env::var("CONVAE_POLICIES_SEED").unwrap_or_else(|_| "1".to_owned());
    let script = root().join("scripts/make_policies_golden.py");
    let run = Command::new(python)
        .arg(script)
        .args(["--quick", "--seed", &seed, "--out"])
        .arg(&drawn)
        .env("CONVAE", env!("CARGO_BIN_EXE_convae"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let golden = read(&drawn);
    assert!(golden.callbacks.len() >= 50 && golden.schedules.len() >= 20);
    callbacks_are_keras_s(&golden);
    schedules_are_keras_s(&golden);
    optimizers_are_keras_s(&golden);
}
