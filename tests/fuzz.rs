//! The fuzzers' functions (`fuzz/src/readers.rs`) on their seeds, on what they found once, and on random
//! damage to both: no reader panics, takes more memory than a file warrants, or says more than a sentence.
//! Then the way to a file and back, for what has a writer.
//!
//! `CONVAE_FUZZ_SECONDS=600` goes on for so long with each reader.

#[path = "../fuzz/src/allocator.rs"]
mod allocator;
#[path = "../fuzz/src/readers.rs"]
mod readers;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use convae::config::data::{Data, IdxFiles, Npz, SampleCounts};
use convae::config::schema::Section;
use convae::data::Dataset;
use convae::formats::codes::Codes;
use convae::formats::npy::Header;
use convae::system::random::Stream;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use readers::Reader;

#[global_allocator]
static COUNTED: allocator::Counted = allocator::Counted;

/// Damaged inputs for each reader, where no time is given.
const ROUND: u32 = 300;

/// The reader, and where its inputs lie: the name of both is that of its fuzz target.
fn reader(name: &str) -> (Reader, Vec<Vec<u8>>) {
    let (_, read) = readers::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("fuzz/seeds").join(name), root.join("fuzz/cases").join(name)];
    if name == "config" {
        folders.push(root.join("configs"));
    }
    let mut files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    (*read, files.iter().map(|file| fs::read(file).unwrap()).collect())
}

#[test]
fn every_seed_and_every_case_keeps_the_promises() {
    for (name, read) in readers::ALL {
        let (_, inputs) = reader(name);
        assert!(inputs.len() >= 2, "{name} has no seeds");
        for input in inputs {
            read(&input);
        }
    }
}

// ---- damage ----

/// One change to the bytes.
#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    /// Of 1, 2, 4 or 8 bytes, and which end comes first.
    Number(Index, u64, u8, bool),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, Index),
    /// From here on as another input has it.
    Splice(Index, Index, Index),
}

/// Where lengths and counts go wrong.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    1 << 20,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

fn any_damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let number = prop::sample::select(NUMBERS.to_vec());
    let bytes = prop::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        6 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        4 => (at(), number, 0_u8..4, any::<bool>())
            .prop_map(|(at, number, size, big)| Damage::Number(at, number, size, big)),
        1 => at().prop_map(Damage::Cut),
        2 => (at(), bytes).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (at(), 1_usize..40).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => (at(), at(), at()).prop_map(|(at, other, from)| Damage::Splice(at, other, from)),
    ]
}

fn damage(bytes: &mut Vec<u8>, damage: &Damage, others: &[Vec<u8>]) {
    let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
    match damage {
        Damage::Replace(at, byte) => {
            let at = place(at, bytes);
            if let Some(old) = bytes.get_mut(at) {
                *old = *byte;
            }
        }
        Damage::Number(at, number, size, big) => {
            let at = place(at, bytes);
            let mut digits = number.to_le_bytes()[..1 << size].to_vec();
            if *big {
                digits.reverse();
            }
            for (old, new) in bytes[at..].iter_mut().zip(digits) {
                *old = new;
            }
        }
        Damage::Cut(at) => bytes.truncate(place(at, bytes)),
        Damage::Insert(at, new) => {
            let at = place(at, bytes);
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Remove(at, count) => {
            let at = place(at, bytes);
            bytes.drain(at..bytes.len().min(at + count));
        }
        Damage::Repeat(from, to) => {
            let (from, to) = (place(from, bytes), place(to, bytes));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(to..to, part);
        }
        Damage::Splice(at, other, from) => {
            let other = other.get(others);
            bytes.truncate(place(at, bytes));
            bytes.extend_from_slice(&other[place(from, other)..]);
        }
    }
}

/// How long each reader is to be tried, where that is asked for.
fn fuzz_time() -> Duration {
    let seconds = std::env::var("CONVAE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// Repeats the damage as long as it is to last, from other random numbers in every round.
fn survives_damage(name: &str) {
    let (read, inputs) = reader(name);
    let (started, length) = (Instant::now(), fuzz_time());
    let strategy = (any::<Index>(), prop::collection::vec(any_damage(), 1..5));
    let mut round = 0;
    while round == 0 || started.elapsed() < length {
        let config = ProptestConfig {
            rng_seed: RngSeed::Fixed(round),
            failure_persistence: None,
            ..ProptestConfig::with_cases(ROUND)
        };
        let outcome = TestRunner::new(config).run(&strategy, |(which, damages)| {
            let mut input = which.get(&inputs).clone();
            for one in &damages {
                damage(&mut input, one, &inputs);
            }
            let begun = Instant::now();
            read(&input);
            prop_assert!(
                begun.elapsed() < Duration::from_secs(10),
                "it took {:?}",
                begun.elapsed()
            );
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{name}, round {round}: {failure}"));
        round += 1;
    }
    println!("{} damaged inputs for {name}", round * u64::from(ROUND));
}

#[test]
fn a_damaged_config_does_no_harm() {
    survives_damage("config");
}

#[test]
fn damaged_images_of_mnist_do_no_harm() {
    survives_damage("idx");
}

#[test]
fn damaged_arrays_do_no_harm() {
    survives_damage("npz");
}

#[test]
fn a_damaged_table_does_no_harm() {
    survives_damage("csv");
}

#[test]
fn a_damaged_image_does_no_harm() {
    survives_damage("image");
}

#[test]
fn a_damaged_file_of_pytorch_does_no_harm() {
    survives_damage("pt");
}

#[test]
fn damaged_safetensors_do_no_harm() {
    survives_damage("safetensors");
}

#[test]
fn damaged_hdf5_does_no_harm() {
    survives_damage("hdf5");
}

#[test]
fn a_damaged_file_of_keras_does_no_harm() {
    survives_damage("keras");
}

// ---- damage to a model's JSON: it stays JSON ----

/// Values that stand where others are expected.
fn odd(stream: &mut Stream) -> Value {
    let values = [
        json!(null),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("conv2d"),
        json!("same"),
        json!([]),
        json!([1, 2]),
        json!([null, null, null, 3]),
        json!({}),
        json!([[["in", 0, 0, {}], ["add", 7, 3]]]),
        json!({ "class_name": "Sequential", "config": [] }),
        json!(true),
    ];
    values[stream.random_range(0..values.len())].clone()
}

/// Some value of a document.
fn any_part<'a>(value: &'a Value, stream: &mut Stream) -> &'a Value {
    let parts: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(items) => items.values().collect(),
        _ => vec![],
    };
    if parts.is_empty() || stream.random_range(0..4) == 0 {
        return value;
    }
    any_part(parts[stream.random_range(0..parts.len())], stream)
}

/// Puts an odd value somewhere, or a part of another model, takes something away, or says something twice.
fn mutate(value: &mut Value, other: &Value, stream: &mut Stream) {
    let stop = stream.random_range(0..6) == 0;
    let what = stream.random_range(0..8);
    match value {
        Value::Array(items) if !items.is_empty() && !stop => {
            let index = stream.random_range(0..items.len());
            match what {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => mutate(&mut items[index], other, stream),
            }
        }
        Value::Object(items) if !items.is_empty() && !stop => {
            let index = stream.random_range(0..items.len());
            let key = items.keys().nth(index).unwrap().clone();
            match what {
                0 => drop(items.remove(&key)),
                _ => mutate(&mut items[&key], other, stream),
            }
        }
        _ if what < 3 => *value = any_part(other, stream).clone(),
        _ => *value = odd(stream),
    }
}

#[test]
fn a_damaged_model_of_keras_does_no_harm() {
    let (read, inputs) = reader("model");
    let models: Vec<(u8, Value)> = inputs
        .iter()
        .filter_map(|input| Some((input[0], serde_json::from_slice(&input[1..]).ok()?)))
        .collect();
    let length = fuzz_time();
    let (started, mut stream) = (Instant::now(), Stream::seed_from_u64(17));
    let mut count = 0_u64;
    while count < 4 * u64::from(ROUND) || started.elapsed() < length {
        let (mode, model) = &models[stream.random_range(0..models.len())];
        let (_, other) = &models[stream.random_range(0..models.len())];
        let mut odd = model.clone();
        for _ in 0..stream.random_range(1..5) {
            mutate(&mut odd, other, &mut stream);
        }
        let mut input = vec![*mode];
        serde_json::to_writer(&mut input, &odd).unwrap();
        let begun = Instant::now();
        read(&input);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}: {odd}", begun.elapsed());
        count += 1;
    }
    println!("{count} damaged inputs for model");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn bytes_of_any_kind_do_no_harm(input in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, read) in readers::ALL {
            read(&input);
        }
    }
}

// ---- there and back ----

/// The values of all images, training and test, as bytes.
fn pixels(data: &Data, shape: [usize; 3]) -> Vec<u8> {
    let Dataset { train, test } = Dataset::open(data, shape).unwrap();
    let of = |images: &convae::data::Images| -> Vec<f32> {
        (0..images.len()).flat_map(|index| images.clean(index).unwrap()).collect()
    };
    let byte = |value: f32| (value * 255.0).round() as u8;
    of(&train).into_iter().chain(of(&test)).map(byte).collect()
}

/// Two or more images: their height, width and channels, and their pixels.
fn any_images() -> impl Strategy<Value = ([usize; 3], Vec<u8>)> {
    let shape = (1_usize..6, 1_usize..6, prop::sample::select(vec![1_usize, 3]), 2_usize..7);
    shape.prop_flat_map(|(height, width, channels, count)| {
        let pixels = prop::collection::vec(any::<u8>(), count * height * width * channels);
        (Just([height, width, channels]), pixels)
    })
}

fn any_codes() -> impl Strategy<Value = Codes> {
    let shape = prop::collection::vec(1_usize..4, 1..4);
    (shape, 1_usize..6).prop_flat_map(|(shape, count)| {
        let values =
            prop::collection::vec(-1e30_f32..1e30, count * shape.iter().product::<usize>());
        // NumPy's texts cannot end in a zero.
        let names = prop::collection::vec("[^\0]{0,12}", count);
        (names, Just(shape), values).prop_map(|(names, shape, values)| Codes {
            names,
            shape,
            values,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn images_of_mnists_format_come_back(([height, width, channels], values) in any_images()) {
        let folder = tempfile::tempdir().unwrap();
        let train = folder.path().join("x");
        let count = values.len() / (height * width * channels);
        let mut sizes = vec![count, height, width];
        if channels == 3 {
            sizes.push(3);
        }
        let mut file = vec![0, 0, 8, sizes.len() as u8];
        file.extend(sizes.iter().flat_map(|&size| (size as u32).to_be_bytes()));
        fs::write(&train, [file, values.clone()].concat()).unwrap();
        let data = Data::Idx(IdxFiles {
            train,
            test: None,
            test_fraction: Some(0.5),
            samples: SampleCounts::defaults(),
        });
        prop_assert_eq!(pixels(&data, [height, width, channels]), values);
    }

    #[test]
    fn images_in_an_array_come_back(([height, width, channels], values) in any_images()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.npy");
        let count = values.len() / (height * width * channels);
        let header = Header::bytes("|u1", &[count, height, width, channels]);
        fs::write(&file, [header, values.clone()].concat()).unwrap();
        let name = String::new;
        let (train, test) = (name(), name());
        let data = Data::Npz(Npz {
            file,
            train,
            test,
            test_fraction: Some(0.5),
            any_values: false,
            scale: None,
            samples: SampleCounts::defaults(),
        });
        prop_assert_eq!(pixels(&data, [height, width, channels]), values);
    }

    #[test]
    fn codes_come_back_from_either_format(codes in any_codes()) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.npz", "x.safetensors"] {
            let path = folder.path().join(name);
            codes.save(&path).unwrap();
            prop_assert_eq!(&Codes::open(&path).unwrap(), &codes);
        }
    }
}

// ---- time ----

#[test]
fn a_hundred_thousand_values_take_no_longer_than_their_reading() {
    for text in [
        format!("name = [\n{}]\n", "1,\n".repeat(100_000)),
        (0..100_000).map(|i| format!("a{i} = 1\n")).collect::<Vec<_>>().concat(),
        format!("{}x = 1\n", "[[a]]\n".repeat(50_000)),
        format!("name = \"{}\"\n", "x".repeat(1_000_000)),
    ] {
        let started = Instant::now();
        readers::config(text.as_bytes());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}

#[test]
fn a_pickle_of_small_objects_takes_a_hundred_bytes_for_each_of_its_own_at_most() {
    for instructions in
        [&b"}"[..], b"(", b"N", b")", b"]", b"N\x85", b"}q\0", b"K\0", b"))\x86", b"(t"]
    {
        let mut input = vec![1];
        input.extend(instructions.repeat((1 << 16) / instructions.len()));
        readers::pt(&input);
    }
}
