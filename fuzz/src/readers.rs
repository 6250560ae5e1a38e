//! One function for each reader: it takes any bytes, and panics where a promise is broken. A reader may
//! refuse, in one sentence that names the file; it may not panic, nor hold more memory than the bytes
//! warrant; and what it accepts can be written and read again.
//!
//! Checksums and lengths would keep a fuzzer out of what lies behind them, so the first byte of most
//! inputs chooses what is put around the rest: nothing, or a sound container.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use convae::config::Source;
use convae::config::data::{Data, IdxFiles, Npz, SampleCounts};
use convae::config::schema::Section;
use convae::data::{Dataset, samples};
use convae::formats::checkpoint::{self, Checkpoint};
use convae::formats::codes::Codes;
use convae::formats::hdf5::{self, Group, Source as Bytes};
use convae::formats::image_file::{Album, Format, ImageFile, Samples, decode_bytes, measure};
use convae::formats::keras_file::KerasFile;
use convae::keras::{KerasError, Options, import_open};
use convae::plan::Plan;
use convae::report::summary::summary;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::allocator;

/// Reads any bytes; panics where a promise is broken.
pub type Reader = fn(&[u8]);

/// Every reader by its name.
pub const ALL: [(&str, Reader); 10] = [
    ("config", config),
    ("idx", idx),
    ("npz", npz),
    ("csv", csv),
    ("image", image),
    ("pt", pt),
    ("safetensors", safetensors),
    ("hdf5", hdf5),
    ("keras", keras),
    ("model", model),
];

/// The longest message that still passes for a sentence, in letters: of a config, 90 for the place, 250 for
/// the problem, and as many for all the layers that there are.
const LONGEST_SENTENCE: usize = 600;
/// What the best deflate stream makes of a byte.
const DEFLATE: usize = 1032;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A config, then `--set` arguments, each behind a zero.
pub fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split('\0');
    let document = parts.next().unwrap_or_default();
    let changes: Vec<String> = parts.map(str::to_owned).collect();
    // Every value has its place and its path beside it.
    let limit = MIB + 1000 * input.len();
    let read = within(limit, || Source::parse(document, "x.toml", &changes));
    let source = match read {
        Ok(source) => source,
        Err(error) => return one_sentence(&error, &["x.toml", "--set "]),
    };
    let again = Source::parse(&source.config.to_toml(), "again.toml", &[]);
    assert_eq!(again.expect("what we write we read").config, source.config);
    match within(limit, || Plan::new(source)) {
        Ok(plan) => drop(within(limit, || summary(&plan))),
        Err(error) => one_sentence(&error, &["x.toml", "--set "]),
    }
}

/// Images of MNIST's format: 0 as they are, 1 gzipped.
pub fn idx(input: &[u8]) {
    let Some((&mode, content)) = input.split_first() else { return };
    let (bytes, limit) = match mode % 2 {
        0 if content.starts_with(&[0x1f, 0x8b]) => (content.to_vec(), 4 * DEFLATE * content.len()),
        0 => (content.to_vec(), 4 * content.len()),
        _ => (gzipped(content), 6 * content.len()),
    };
    let path = file("x", &bytes);
    let data = Data::Idx(IdxFiles {
        train: path,
        test: None,
        test_fraction: Some(0.5),
        samples: SampleCounts::defaults(),
    });
    for shape in [[2, 2, 1], [2, 2, 3]] {
        if let Err(error) = within(256 * KIB + limit, || Dataset::open(&data, shape)) {
            one_sentence(&error, &["/x"]);
        }
    }
}

/// NumPy's arrays, as images (0: the file, 1 and 2: two arrays for a stored or packed archive) and as
/// codes (3, 4, 5).
pub fn npz(input: &[u8]) {
    let Some((&mode, content)) = input.split_first() else { return };
    let (names, method) = (
        if mode % 6 < 3 { ["x_train", "x_test"] } else { ["codes", "names"] },
        if mode % 3 == 1 { CompressionMethod::Stored } else { CompressionMethod::Deflated },
    );
    let bytes = if mode % 3 == 0 {
        content.to_vec()
    } else {
        let arrays = names.map(|name| format!("{name}.npy"));
        let parts = divided(content);
        zipped(&[(arrays[0].as_str(), parts[0]), (arrays[1].as_str(), parts[1])], method)
    };
    let unpacked = if mode % 3 == 0 { DEFLATE * bytes.len() } else { content.len() };
    if mode % 6 < 3 {
        images(&file("x.npz", &bytes), MIB + 8 * unpacked);
    } else {
        // The name of a code takes more than the code, if that is a single number.
        codes(&file("x.npz", &bytes), MIB + 24 * unpacked);
    }
}

/// A table, as images and as samples.
pub fn csv(input: &[u8]) {
    let path = file("x.csv", input);
    // A digit and its comma become a float, once in a list that has grown, and once in that of all samples.
    let limit = MIB + 16 * input.len();
    images(&path, limit);
    match within(limit, || samples(&path)) {
        Err(error) => one_sentence(&error, &["x.csv"]),
        Ok((shape, values)) => {
            let [samples, columns] = shape[..] else { panic!("a table has lines and columns") };
            assert!(columns > 0 && values.len() == samples * columns);
            assert!(values.iter().all(|value| value.is_finite()));
        }
    }
}

fn images(path: &Path, limit: usize) {
    let data = |test_fraction, any_values| {
        Data::Npz(Npz {
            file: path.to_owned(),
            train: "x_train".to_owned(),
            test: "x_test".to_owned(),
            test_fraction,
            any_values,
            scale: None,
            samples: SampleCounts::defaults(),
        })
    };
    for (test_fraction, any_values) in [(None, false), (Some(0.5), false), (Some(0.5), true)] {
        let data = data(test_fraction, any_values);
        if let Err(error) = within(limit, || Dataset::open(&data, [2, 2, 1])) {
            one_sentence(&error, &["x.npz", "x.csv"]);
        }
    }
}

fn codes(path: &Path, limit: usize) {
    match within(limit, || Codes::open(path)) {
        Err(error) => one_sentence(&error, &["x.npz"]),
        Ok(codes) => {
            for name in ["again.npz", "again.safetensors"] {
                let again = path.with_file_name(name);
                codes.save(&again).expect("codes that were read can be written");
                let found = Codes::open(&again).expect("what we write we read");
                let names = |codes: &Codes| -> Vec<String> {
                    // NumPy's texts end where their zeros begin.
                    codes.names.iter().map(|name| name.trim_end_matches('\0').to_owned()).collect()
                };
                assert_eq!((&found.shape, names(&found)), (&codes.shape, names(&codes)));
                let bits = |codes: &Codes| -> Vec<u32> {
                    codes.values.iter().map(|v| v.to_bits()).collect()
                };
                assert_eq!(bits(&found), bits(&codes));
            }
        }
    }
}

/// The images of a file of any format.
pub fn image(input: &[u8]) {
    /// Pixels that we take.
    const MOST: u64 = 1 << 16;
    /// Pages that are looked at.
    const PAGES: usize = 8;
    // 48 bytes a pixel, and what the decoders may take beside.
    let limit = MOST as usize * 48 + 72 * MIB + 16 * input.len();
    // Of a directory, its tags and as much to find it by.
    let mut album = match within(64 * KIB + 64 * input.len(), || Album::of(Cursor::new(input))) {
        Ok(album) => album,
        Err(error) => return one_sentence(&error, &[""]),
    };
    for page in 0..album.len().min(PAGES) {
        let measured = within(limit, || album.measure(page, MOST));
        match within(limit, || album.decode(page, MOST)) {
            Err(error) => one_sentence(&error, &[""]),
            Ok(image) => {
                let [height, width, _] = image.shape;
                assert_eq!(measured.expect("what is decoded can be measured"), (height, width));
                an_image(image, MOST as usize);
            }
        }
    }
    if album.len() > 1 {
        assert!(decode_bytes(input, MOST).is_err() && measure(input, MOST).is_err());
    }
}

/// What was read is an image, and comes back from a file.
fn an_image(image: ImageFile, most: usize) {
    /// Larger ones would take up the time.
    const SMALL: usize = 1 << 12;
    let [height, width, channels] = image.shape;
    assert!(height * width <= most);
    assert_eq!(image.samples.len(), height * width * channels);
    for channels in [1, 3] {
        let same = image.clone().with_channels(channels);
        assert_eq!(same.samples.len(), height * width * channels);
    }
    if height * width > SMALL {
        return;
    }
    let floats = matches!(image.samples, Samples::Float(_));
    for format in [Format::Png, Format::Tiff] {
        if floats && format == Format::Png {
            assert!(image.encode(format).is_err(), "a PNG holds no floats");
            continue;
        }
        let bytes = image.encode(format).expect("what was read can be written");
        let again = decode_bytes(&bytes, most as u64).expect("what we write we read");
        assert_eq!((again.shape, &again.samples), (image.shape, &image.samples));
    }
}

/// PyTorch's files: 0 as they are, 1 a pickle with a storage of 16 bytes for a sound archive, 2 a list
/// of entries for one.
pub fn pt(input: &[u8]) {
    let Some((&mode, content)) = input.split_first() else { return };
    let bytes = match mode % 3 {
        0 => content.to_vec(),
        1 => {
            let storage: Vec<u8> = [0.0_f32, 1.0, 2.0, 3.0].map(f32::to_le_bytes).concat();
            let entries = [("a/data.pkl", content), ("a/data/0", storage.as_slice())];
            zipped(&entries, CompressionMethod::Stored)
        }
        _ => zipped(&entries(content), CompressionMethod::Stored),
    };
    weights(&file("x.pt", &bytes), bytes.len());
}

/// What safetensors wrote: 0 as it is, 1 a header and data behind its length.
pub fn safetensors(input: &[u8]) {
    let Some((&mode, content)) = input.split_first() else { return };
    let bytes = if mode % 2 == 0 {
        content.to_vec()
    } else {
        let [header, data] = divided(content);
        [&(header.len() as u64).to_le_bytes(), header, data].concat()
    };
    weights(&file("x.safetensors", &bytes), bytes.len());
}

/// What reading a checkpoint of this size may take: a pickle's instruction is a byte, and at most a hundred
/// in memory.
pub(crate) fn weights_limit(size: usize) -> usize {
    64 * KIB + 100 * size
}

fn weights(path: &Path, size: usize) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let checkpoint = match within(weights_limit(size), || checkpoint::load(path)) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return one_sentence(&error, &[name]),
    };
    let bytes: usize = checkpoint.tensors.iter().map(|(_, array)| array.bytes().len()).sum();
    assert!(bytes <= 8 * size, "{bytes} bytes of tensors in {size}");
    for name in ["again.pt", "again.safetensors"] {
        let again = path.with_file_name(name);
        // There are names that only one of the formats can have.
        if let Err(error) = checkpoint::save(&again, &checkpoint) {
            one_sentence(&error, &[name]);
        } else {
            let found = checkpoint::load(&again).expect("what we write we read");
            assert_eq!(sorted(found), sorted(checkpoint.clone()));
        }
    }
}

/// Everything in an HDF5 file: groups, attributes, arrays.
pub fn hdf5(input: &[u8]) {
    let file = || hdf5::File::open(Bytes::memory(input.to_vec()));
    let read = || file().and_then(|file| visit(&file.root()?, &mut HashSet::new()));
    if let Err(fault) = within(hdf5_limit(input.len()), read) {
        one_sentence(&format!("x.h5 {fault}"), &["x.h5"]);
    }
}

/// Reads one array at a time. What is damaged does not keep its neighbours from being read.
fn visit(group: &Group, seen: &mut HashSet<u64>) -> Result<(), hdf5::Hdf5Error> {
    const DEEPEST: usize = 50;
    if !seen.insert(group.id()) || group.path().split('/').count() > DEEPEST {
        return Ok(());
    }
    let say = |fault: hdf5::Hdf5Error| one_sentence(&format!("x.h5 {fault}"), &["x.h5"]);
    let attributes = group.attributes()?;
    for name in attributes.names() {
        let _ = attributes.get(name).map_err(say);
    }
    let members = group.members()?;
    for dataset in &members.datasets {
        match dataset.read() {
            Ok(array) => assert_eq!(Some(array.bytes().len() as u64), dataset.byte_len()),
            Err(fault) => say(fault),
        }
    }
    for inner in &members.groups {
        let _ = visit(inner, seen).map_err(say);
    }
    Ok(())
}

/// What reading an HDF5 file of this size may take: what is unpacked from it, twice while its type is
/// changed, and what is remembered of its groups; and the 65535 messages that one header may announce.
fn hdf5_limit(size: usize) -> usize {
    16 * MIB + 2 * hdf5::most_bytes(size as u64) as usize + 200 * size
}

/// Keras's files: 0 and 1 as they are, 2 and 3 a config and weights for a stored or packed archive.
pub fn keras(input: &[u8]) {
    let Some((&mode, content)) = input.split_first() else { return };
    let bytes = if mode % 4 < 2 {
        content.to_vec()
    } else {
        let [config, weights] = divided(content);
        let method =
            if mode % 4 == 2 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let metadata = br#"{"keras_version": "3.1.0"}"#.as_slice();
        let entries =
            [("metadata.json", metadata), ("config.json", config), ("model.weights.h5", weights)];
        zipped(&entries, method)
    };
    let size = bytes.len();
    let path = Path::new("x.keras");
    let file = match within(hdf5_limit(size), || KerasFile::from_bytes(path, bytes)) {
        Ok(file) => file,
        Err(error) => return one_sentence(&error, &["x.keras"]),
    };
    for weight in file.all_weights().chain(&file.optimizer) {
        if let Err(error) = within(hdf5_limit(size), || weight.read()) {
            one_sentence(&error, &["x.keras"]);
        }
    }
}

/// The JSON of a Keras model: 0 alone, 1 in an archive, with what it is compiled with; as far as its weights, which
/// are missing.
pub fn model(input: &[u8]) {
    let Some((&mode, json)) = input.split_first() else { return };
    let bytes = match mode % 2 {
        0 => json.to_vec(),
        _ => zipped(&[("config.json", json)], CompressionMethod::Stored),
    };
    let path = Path::new("x.keras");
    let limit = hdf5_limit(bytes.len());
    let Ok(file) = within(limit, || KerasFile::from_bytes(path, bytes)) else { return };
    let options = Options { weights: None, config: None, code: None, layers: &[], name: "x" };
    // A layer is named in many places, and a plan has its lines.
    let limit = 16 * MIB + 2000 * json.len();
    match within(limit, || import_open(path, &file, &options)) {
        Ok(_) => panic!("there are no weights"),
        // A line for each of the layers.
        Err(KerasError::Refused { refusals, .. }) => assert!(!refusals.0.is_empty()),
        Err(error) => one_sentence(&error, &["x.keras"]),
    }
}

/// Safetensors sorts its tensors by name.
fn sorted(mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    checkpoint
}

/// Up to eight entries: a byte for the name, one for the length in units of 8 bytes.
pub(crate) fn entries(mut content: &[u8]) -> Vec<(&'static str, &[u8])> {
    const NAMES: [&str; 16] = [
        "a/data.pkl",
        "a/data/0",
        "a/data/1",
        "a/byteorder",
        "a/version",
        "a/extra/config.toml",
        "a/extra/history.json",
        "a/extra/convae.json",
        "a/extra/../../x",
        "/a/data/0",
        "b/data.pkl",
        "data.pkl",
        "a/constants.pkl",
        "a/data/",
        "a/extra/",
        "",
    ];
    let mut entries: Vec<(&str, &[u8])> = Vec::new();
    while let [name, length, rest @ ..] = content
        && entries.len() < 8
    {
        let (part, rest) = rest.split_at(rest.len().min(usize::from(*length) * 8));
        let name = NAMES[usize::from(*name) % NAMES.len()];
        if entries.iter().all(|(taken, _)| *taken != name) {
            entries.push((name, part));
        }
        content = rest;
    }
    entries
}

/// The first two bytes say how long the first part is.
fn divided(content: &[u8]) -> [&[u8]; 2] {
    let [low, high, rest @ ..] = content else { return [content, &[]] };
    let (first, second) =
        rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
    [first, second]
}

pub(crate) fn zipped(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(method);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, options).expect("a name that is not taken");
        zip.write_all(content).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(content).expect("memory takes it");
    packer.finish().expect("memory takes it")
}

/// Writes a file that the thread's next of that name replaces; in memory where the system offers it.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    thread_local! {
        static FOLDER: TempDir = {
            let memory = Path::new("/dev/shm");
            let folder = tempfile::Builder::new();
            let made = folder.tempdir_in(memory).or_else(|_| folder.tempdir());
            made.expect("there is a place for temporary files")
        };
    }
    let path = FOLDER.with(|folder| folder.path().join(name));
    fs::write(&path, bytes).expect("there is room for a small file");
    path
}

pub(crate) fn within<T>(limit: usize, work: impl FnOnce() -> T) -> T {
    let (result, peak) = allocator::peak(work);
    assert!(peak <= limit, "{peak} bytes of memory, {limit} are allowed");
    result
}

/// The message names one of the places, and is short enough to be read.
pub(crate) fn one_sentence(error: &impl Display, places: &[&str]) {
    let text = error.to_string();
    assert!(places.iter().any(|place| text.contains(place)), "{text} does not name its file");
    assert!(text.chars().count() <= LONGEST_SENTENCE, "{text}");
}
