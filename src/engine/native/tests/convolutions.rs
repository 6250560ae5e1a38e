//! Convolutions of the other kinds on random geometries, in both precisions.

use super::*;

/// Random numbers from a list.
fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}

/// Keys that all layers with windows have.
fn window(random: &mut ChaCha8Rng) -> String {
    let rate = [pick(random, &[1, 1, 2, 3, 5]), pick(random, &[1, 1, 2, 4])];
    format!(
        "kernel_size = [{}, {}], strides = {}, dilation_rate = {rate:?}, padding = \"{}\", activation = \"{}\", use_bias = {}",
        pick(random, &[1, 2, 3, 4]),
        pick(random, &[1, 2, 3, 5]),
        pick(random, &[1, 1, 2, 3]),
        pick(random, &["same", "valid"]),
        pick(random, &["relu", "linear", "tanh"]),
        pick(random, &[true, false]),
    )
}

fn layer(random: &mut ChaCha8Rng) -> String {
    let keys = window(random);
    let filters = pick(random, &[6, 12, 18, 36]);
    let multiplier = pick(random, &[1, 1, 2, 3]);
    match random.random_range(0..4) {
        0 => {
            let groups = pick(random, &[1, 2, 3, 6]);
            format!("{{ layer = \"Conv2D\", filters = {filters}, groups = {groups}, {keys} }}")
        }
        1 => format!("{{ layer = \"Conv2DTranspose\", filters = {filters}, {keys} }}"),
        2 => format!("{{ layer = \"DepthwiseConv2D\", depth_multiplier = {multiplier}, {keys} }}"),
        _ => format!(
            "{{ layer = \"SeparableConv2D\", filters = {filters}, depth_multiplier = {multiplier}, {keys} }}"
        ),
    }
}

/// Whatever geometry the config language allows.
#[test]
fn random_convolutions_of_the_other_kinds() {
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let mut done = 0;
    while done < 40 {
        let shape = [random.random_range(1..14), random.random_range(1..14), 1];
        let channels = pick(&mut random, &[6, 12, 18]);
        let first = format!("{{ layer = \"Dense\", units = {channels}, activation = \"tanh\" }}");
        let resized = match random.random_range(0..4) {
            0 => {
                let size: [usize; 2] = std::array::from_fn(|_| random.random_range(1..4));
                let kind = pick(&mut random, &["nearest", "bilinear"]);
                format!(
                    "{{ layer = \"UpSampling2D\", size = {size:?}, interpolation = \"{kind}\" }}, "
                )
            }
            1 => "{ layer = \"MaxPooling2D\", padding = \"same\" }, ".to_owned(),
            _ => String::new(),
        };
        let (one, two) = (layer(&mut random), layer(&mut random));
        let encoder = format!("{first}, {one}, {resized}{two}, {{ layer = \"Flatten\" }}");
        let values: usize = shape.iter().product();
        let decoder = format!(
            "{{ layer = \"Dense\", units = {values}, activation = \"sigmoid\" }}, {{ layer = \"Reshape\", target_shape = {shape:?} }}"
        );
        let text = format!(
            "name = \"case\"\n[model]\ninput_shape = {shape:?}\nencoder = [{encoder}]\ndecoder = [{decoder}]\n"
        );
        // Windows that do not fit are the plan's matter.
        let plan = Plan::new(Source::parse(&text, "case", &[]).unwrap());
        let small =
            |plan: Plan| plan.graph.nodes.iter().all(|node| node.trainable() < MOST_WEIGHTS);
        if plan.is_ok_and(small) {
            for (threads, images) in [(1, 1), (2, 5)] {
                let case = Case::new(shape, &encoder, &decoder, "", images);
                case.check::<f64>(threads);
                case.check::<f32>(threads);
            }
            done += 1;
        }
    }
}
