//! What weights are held to after each step: Keras's numbers, on both engines, and what is refused.

use convae::config::{ConfigError, Source};
use convae::data::Batch;
use convae::plan::Plan;
use convae::train::Trainer;
use tch::{Device, Kind, Tensor, no_grad};

/// A square root and a quotient.
const ROUNDING: f64 = 1e-12;

fn plan_of(keys: &str, engine: &str) -> Result<Plan, ConfigError> {
    let text = format!(
        "name = \"x\"\n[model]\ninput_shape = [4, 4, 2]\nlayers = [\
         {{ layer = \"Conv2D\", filters = 2, kernel_size = 2, padding = \"same\", {keys} }}]\n\
         [train]\nloss = \"mse\"\ndtype = \"float64\"\ndevice = \"cpu\"\nengine = \"{engine}\"\n\
         optimizer = {{ name = \"SGD\", learning_rate = 0.5 }}\n"
    );
    Plan::new(Source::parse(&text, "test.toml", &[])?)
}

/// The kernel `(h, w, in, out)` after a step, without the keys and with them.
fn kernels(keys: &str, engine: &str) -> [Tensor; 2] {
    ["", keys].map(|keys| {
        let mut trainer = Trainer::new(&plan_of(keys, engine).unwrap(), Device::Cpu).unwrap();
        let input = (0..64_u8).map(|i| f32::from(i % 7) / 7.0).collect();
        trainer.train_step(&Batch { len: 2, input, ..Batch::default() }, 1, 1);
        no_grad(|| trainer.predictor.parameters().trainable()[0].permute([2, 3, 1, 0]).copy())
    })
}

fn norms(kernel: &Tensor, axes: &[i64]) -> Tensor {
    kernel.square().sum_dim_intlist(axes, true, Kind::Double).sqrt()
}

fn check(keys: &str, wanted: impl Fn(&Tensor) -> Tensor) {
    for engine in ["native", "libtorch"] {
        let [free, held] = kernels(keys, engine);
        let off = (&held - wanted(&free)).abs().max().double_value(&[]);
        assert!(off < ROUNDING, "{engine}: {keys} is {off} off");
        assert!((held - free).abs().max().double_value(&[]) > 1e-3, "{keys} changes nothing");
    }
}

#[test]
fn weights_are_held_to_keras_s_formulas_in_keras_s_layout() {
    check("kernel_constraint = \"non_neg\"", |w| w.maximum(&w.zeros_like()));
    check("kernel_constraint = \"unit_norm\"", |w| w / (norms(w, &[0]) + 1e-7));
    check("kernel_constraint = { name = \"UnitNorm\", axis = [0, 1, 2] }", |w| {
        w / (norms(w, &[0, 1, 2]) + 1e-7)
    });
    check("kernel_constraint = { name = \"MaxNorm\", max_value = 0.25, axis = -2 }", |w| {
        let norms = norms(w, &[2]);
        w * (norms.clamp(0.0, 0.25) / (norms + 1e-7))
    });
    let keys = "{ name = \"MinMaxNorm\", min_value = 0.5, max_value = 0.75, rate = 0.5 }";
    check(&format!("kernel_constraint = {keys}"), |w| {
        let norms = norms(w, &[0]);
        let wanted: Tensor = norms.clamp(0.5, 0.75) * 0.5 + &norms * 0.5;
        w * (wanted / (norms + 1e-7))
    });
}

#[test]
fn an_axis_that_a_weight_does_not_have_is_refused_with_the_key() {
    for (keys, words) in [
        (
            "bias_constraint = { name = \"UnitNorm\", axis = 1 }",
            ["bias_constraint with axis = 1", "shape [2]", "from -1 to 0"],
        ),
        ("kernel_constraint = { name = \"UnitNorm\", axis = 4 }", ["axis", "is 4", "from -4 to 3"]),
        ("kernel_constraint = \"norm\"", ["kernel_constraint", "\"norm\"", "max_norm"]),
    ] {
        let error = plan_of(keys, "auto").unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn a_config_with_constraints_reads_back_as_itself() {
    let keys = "kernel_constraint = { name = \"MaxNorm\", axis = [0, 1, 2] }, bias_constraint = \"non_neg\"";
    let plan = plan_of(keys, "auto").unwrap();
    let written = plan.config.to_toml();
    assert!(
        written.contains("axis = [0, 1, 2]") && written.contains("bias_constraint = \"non_neg\"")
    );
    assert_eq!(Source::parse(&written, "again", &[]).unwrap().config, plan.config);
}

#[test]
fn an_axis_is_named_once() {
    for axes in ["[0, -4]", "[1, 1]"] {
        let keys = format!("kernel_constraint = {{ name = \"MaxNorm\", axis = {axes} }}");
        let refused = plan_of(&keys, "native").unwrap_err().to_string();
        assert!(refused.contains("has kernel_constraint with axis = "), "{refused}");
        assert!(refused.contains("give axes from -4 to 3, each once"), "{refused}");
    }
}
