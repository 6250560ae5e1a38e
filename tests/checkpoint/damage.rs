//! Random damage to valid files: the readers may refuse or, where no content was hit, accept.
//! They may not panic, hang or take memory that the file does not warrant.

use std::io::Read;
use std::time::Instant;

use convae::formats::checkpoint::{Array, Checkpoint};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::builder::{example, loaded, pt_file, saved};

/// One change to a file's bytes.
#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, Index),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let bytes = prop::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        8 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), bytes).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1_usize..40).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match damage {
            Damage::Replace(at, byte) => {
                let at = place(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Damage::Cut(at) => bytes.truncate(place(at)),
            Damage::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + count));
            }
            Damage::Repeat(from, to) => {
                let (from, to) = (place(from), place(to));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

fn any_damages() -> impl Strategy<Value = Vec<Damage>> {
    prop::collection::vec(any_damage(), 1..4)
}

/// The pickle that `save` writes for the example.
fn example_pickle() -> Vec<u8> {
    let file = saved("pt", &example());
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
    let mut pickle = Vec::new();
    let mut entry = zip.by_name("archive/data.pkl").unwrap();
    entry.read_to_end(&mut pickle).unwrap();
    pickle
}

fn golden() -> Vec<u8> {
    include_bytes!("../fixtures/golden.pt").to_vec()
}

/// Reads a file; whatever comes of it must not be larger than the file warrants.
fn survives(file: &[u8]) -> Result<(), TestCaseError> {
    let started = Instant::now();
    if let Ok(checkpoint) = loaded(file) {
        let sizes = checkpoint.tensors.iter().map(|(_, array)| array.bytes().len());
        prop_assert!(sizes.sum::<usize>() <= 8 * file.len());
    }
    prop_assert!(started.elapsed().as_secs() < 5);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_damaged_pt_file_does_no_harm(damages in any_damages()) {
        survives(&damaged(saved("pt", &example()), &damages))?;
    }

    #[test]
    fn a_damaged_file_of_torch_does_no_harm(damages in any_damages()) {
        survives(&damaged(golden(), &damages))?;
    }

    #[test]
    fn a_damaged_safetensors_file_does_no_harm(damages in any_damages()) {
        survives(&damaged(saved("safetensors", &example()), &damages))?;
    }

    /// With a sound zip file around it, so that the damage gets past the checksums.
    #[test]
    fn a_damaged_pickle_does_no_harm(damages in any_damages()) {
        survives(&pt_file(&damaged(example_pickle(), &damages)))?;
    }

    #[test]
    fn random_instructions_do_no_harm(
        pickle in prop::collection::vec(
            prop_oneof![
                prop::sample::select(b"(.)}]NKMJGhjqrQRstuabe\x85\x86\x87\x88\x89\x8a".to_vec()),
                0_u8..4,
            ],
            0..200,
        )
    ) {
        survives(&pt_file(&pickle))?;
    }

    #[test]
    fn a_changed_element_never_passes_unnoticed(at in any::<Index>(), bit in 0_u8..8) {
        let array = Array::from_values(&[64], &[1.25_f32; 64]).unwrap();
        let checkpoint = Checkpoint {
            tensors: vec![("w".to_owned(), array)],
            ..Checkpoint::default()
        };
        let mut file = saved("pt", &checkpoint);
        let element = 1.25_f32.to_le_bytes();
        let start = file.windows(8).position(|bytes| bytes == [element, element].concat());
        file[start.unwrap() + at.index(256)] ^= 1 << bit;
        prop_assert!(loaded(&file).is_err());
    }
}
