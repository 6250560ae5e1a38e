//! Files that somebody made to do harm: code, paths, bombs, claims. Each is one sentence, no file is made,
//! and memory stays a small multiple of the file. Single malformations are in `refusals.rs`.

use std::fs;
use std::io::{Cursor, Write};

use convae::formats::checkpoint::{Checkpoint, load};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::builder::{
    Tensor, dict, example, loaded, program, pt_file, refusal, saved, scratch, text, zip_file,
};

/// The pickle of the one tensor that [`pt_file`] has a storage for.
fn one_tensor() -> Vec<u8> {
    program(&dict(&[("w", Tensor::default().pickle())]))
}

fn storage() -> Vec<u8> {
    [0.0_f32, 1.0, 2.0, 3.0].map(f32::to_le_bytes).concat()
}

#[track_caller]
fn refuses(file: &[u8], words: &str) {
    let message = refusal(file);
    assert!(message.contains(words), "{message}");
    assert!(message.len() < 400 && !message.contains('\n'), "{message}");
}

#[test]
fn no_callable_is_called_wherever_it_stands() {
    let (folder, path) = scratch("x.pt");
    let mark = folder.path().join("called");
    let order = text(&format!("touch {}", mark.display()));
    let call = |callable: &[u8]| [callable, b"(", &order, b"tR"].concat();
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("numpy.core.multiarray", "_reconstruct"),
    ] {
        let global = format!("c{module}\n{name}\n").into_bytes();
        // As the whole, among the tensors, in place of a storage, and as a state to be set.
        for value in [
            call(&global),
            dict(&[("w", call(&global))]),
            [b"((", &text("storage")[..], &global, &text("0"), &text("cpu"), b"K\x04tQ"].concat(),
            [&dict(&[])[..], &call(&global), b"b"].concat(),
        ] {
            fs::write(&path, pt_file(&program(&value))).unwrap();
            let message = load(&path).unwrap_err().to_string();
            assert!(message.contains("refused: save only"), "{message}");
        }
    }
    assert!(!mark.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// What other instructions than REDUCE would call, or reach by other names.
#[test]
fn instructions_that_make_objects_are_refused_by_number() {
    for (instruction, code) in [
        (&b"ios\nsystem\n"[..], 0x69), // INST
        (b"(cos\nsystem\no", 0x63),    // OBJ; its GLOBAL is refused before
        (b"\x93", 0x93),               // STACK_GLOBAL
        (b"\x82\x01", 0x82),           // EXT1
        (b"\x92", 0x92),               // NEWOBJ_EX
        (b"\x97", 0x97),               // NEXT_BUFFER
    ] {
        let message = refusal(&pt_file(&program(instruction)));
        let number = format!("instruction {code:#04x}");
        assert!(message.contains(&number) || message.contains("`os.system`"), "{message}");
    }
}

#[test]
fn a_record_that_would_lead_out_of_a_folder_is_refused() {
    for name in ["../../evil", "/etc/evil", "a/b", "..\\evil"] {
        let (pickle, storage, path) = (one_tensor(), storage(), format!("archive/extra/{name}"));
        let file = zip_file(&[
            ("archive/data.pkl", &pickle),
            ("archive/data/0", &storage),
            (&path, b"harm"),
        ]);
        refuses(&file, "has no plain file's name");
    }
}

#[test]
fn a_storage_is_an_entry_of_the_archive_whatever_its_key() {
    for key in ["../0", "/etc/passwd", "../../../../etc/passwd"] {
        let pickle = program(&dict(&[("w", Tensor { key, ..Tensor::default() }.pickle())]));
        refuses(&pt_file(&pickle), "is missing");
    }
}

#[test]
fn folders_that_somebody_packed_are_passed_over() {
    let (pickle, storage) = (one_tensor(), storage());
    let file = zip_file(&[
        ("archive/", b""),
        ("archive/data.pkl", &pickle),
        ("archive/data/", b""),
        ("archive/data/0", &storage),
        ("archive/extra/", b""),
        ("archive/extra/note", b"mine"),
    ]);
    let found = loaded(&file).unwrap();
    assert_eq!(found.records, [("note".to_owned(), "mine".to_owned())].into());
    assert_eq!(found.tensors.len(), 1);
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let (pickle, storage) = (one_tensor(), storage());
    let mut file = zip_file(&[
        ("archive/data.pkl", &pickle),
        ("archive/data/0", &storage),
        ("archive/data/1", &storage),
    ]);
    // In the entry's own header and in the directory.
    while let Some(at) = file.windows(14).position(|name| name == b"archive/data/1") {
        file[at + 13] = b'0';
    }
    refuses(&file, "two zip entries have one name");
}

#[test]
fn a_bomb_of_packed_zeros_is_refused_unopened() {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for bomb in ["archive/data.pkl", "archive/data/0", "archive/byteorder"] {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in [("archive/data.pkl", one_tensor()), ("archive/data/0", storage())] {
            if name != bomb {
                let stored = options.compression_method(CompressionMethod::Stored);
                zip.start_file(name, stored).unwrap();
                zip.write_all(&content).unwrap();
            }
        }
        zip.start_file(bomb, options).unwrap();
        zip.write_all(&vec![0; 50_000_000]).unwrap();
        let file = zip.finish().unwrap().into_inner();
        assert!(file.len() < 100_000);
        refuses(&file, "claim more bytes than it has");
    }
}

/// The directory lists one entry's bytes again and again: memory follows the file, not the list.
#[test]
fn storages_that_overlap_take_no_more_than_eight_times_the_file() {
    let names: Vec<String> = (0..300).map(|index| format!("w{index}")).collect();
    let tensors = |count: usize| -> Vec<(&str, Vec<u8>)> {
        let names = names[..count].iter();
        names
            .map(|name| {
                (
                    name.as_str(),
                    Tensor { shape: vec![64, 64], strides: vec![0, 0], ..Tensor::default() }
                        .pickle(),
                )
            })
            .collect()
    };
    // 16 KB each out of a storage of 16 bytes, and about 150 bytes of pickle.
    refuses(&pt_file(&program(&dict(&tensors(300)))), "bytes of tensors in a file of");
}

#[test]
fn a_directory_that_claims_countless_entries_is_refused_at_once() {
    let mut file = saved("pt", &example());
    let end = file.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
    file[end + 8..end + 12].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    let message = refusal(&file);
    assert!(message.len() < 400, "{message}");
}

/// Many small objects are the most memory that a pickle can ask for; see `MAX_INSTRUCTIONS`.
#[test]
fn a_pickle_of_small_objects_is_read_or_refused_in_no_time() {
    for instructions in [&b"}"[..], b"(", b"N\x85", b"}q\0", b"K\0", b"]", b"))\x86"] {
        let started = std::time::Instant::now();
        let pickle = program(&instructions.repeat((1 << 20) / instructions.len()));
        if let Err(error) = loaded(&pt_file(&pickle)) {
            assert!(error.to_string().len() < 400, "{error}");
        }
        assert!(started.elapsed().as_secs() < 10);
    }
}

#[test]
fn an_archive_of_nothing_but_records_is_no_model() {
    let file = zip_file(&[("archive/extra/config.toml", b"name = \"x\"")]);
    refuses(&file, "without a `data.pkl`");
    let empty = Checkpoint::default();
    assert_eq!(loaded(&saved("pt", &empty)).unwrap(), empty);
}
