//! JPEGs of the fuzzers' seeds, which a library wrote that has progressive scans and restarts: 40x24 pixels of
//! noise, in groups of 16x16.

use image::ImageFormat;

use super::*;
use crate::formats::image_file::MOST_PIXELS;

const SEQUENTIAL: &[u8] = include_bytes!("../../../../fuzz/seeds/image/restarts.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../../../../fuzz/seeds/image/scans.jpg");
const BOTH: &[u8] = include_bytes!("../../../../fuzz/seeds/image/scans_restarts.jpg");
const ALL: [&[u8]; 3] = [SEQUENTIAL, PROGRESSIVE, BOTH];

fn checked(file: &[u8]) -> Result<[u32; 2], String> {
    check(file, MOST_PIXELS).map(|whole| whole.size).map_err(|problem| problem.to_string())
}

/// Where scans begin: behind their headers.
fn scans(file: &[u8]) -> Vec<usize> {
    let begins = |&at: &usize| file[at..].starts_with(&[0xff, 0xda]);
    let behind = |at: usize| at + 2 + usize::from(file[at + 3]);
    (0..file.len() - 4).filter(begins).map(behind).collect()
}

#[test]
fn whole_ones_are_taken_with_whatever_follows_their_end() {
    for file in ALL {
        assert_eq!(checked(file), Ok([24, 40]));
        for behind in [&b"\0\0\0\x18ftypmp42\xff\xda\0\x08 and more"[..], SEQUENTIAL, &[0xff]] {
            assert_eq!(checked(&[file, behind].concat()), Ok([24, 40]));
        }
    }
    let made = image::RgbImage::from_fn(33, 17, |x, y| image::Rgb([x as u8, y as u8, 9]));
    let mut file = std::io::Cursor::new(Vec::new());
    made.write_to(&mut file, ImageFormat::Jpeg).unwrap();
    assert_eq!(checked(file.get_ref()), Ok([17, 33]));
}

#[test]
fn a_scan_that_breaks_off_is_damaged_whatever_stands_behind_it() {
    // One text in a thousand would end by chance where the last block does; JPEG has no sum to tell it by.
    let text = [&b"neither codes nor pixels; ".repeat(20)[..], &[0xff, 0xd9]].concat();
    for file in ALL {
        let first = scans(file)[0];
        for end in first..file.len() - 3 {
            let cut = &file[..end];
            assert!(checked(cut).is_err(), "nothing behind {end}");
            assert!(checked(&[cut, SEQUENTIAL].concat()).is_err(), "a second image behind {end}");
            assert!(checked(&[cut, &text[..]].concat()).is_err(), "text behind {end}");
        }
    }
}

#[test]
fn an_end_within_a_scan_is_no_end_of_the_image() {
    let [scan] = scans(SEQUENTIAL)[..] else { panic!("a sequential image has one scan") };
    for end in scan..SEQUENTIAL.len() - 3 {
        assert!(checked(&[&SEQUENTIAL[..end], &[0xff, 0xd9]].concat()).is_err(), "{end}");
    }
    // Of a progressive image, also whole scans may be missing; but a scan that was begun has to end.
    for file in [PROGRESSIVE, BOTH] {
        let starts = scans(file);
        for (&start, next) in starts.iter().zip(starts.iter().skip(1)) {
            let ends = |&at: &usize| file[at] == 0xff && matches!(file[at + 1], 0xc4 | 0xda);
            let end = (start..*next).find(ends).unwrap();
            for cut in start..end - 2 {
                assert!(checked(&[&file[..cut], &[0xff, 0xd9]].concat()).is_err(), "{cut}");
            }
        }
    }
}

#[test]
fn a_scan_that_never_begins_is_missed() {
    let first = PROGRESSIVE.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    assert!(checked(&[&PROGRESSIVE[..first], &[0xff, 0xd9]].concat()).is_err());
    assert!(checked(b"\xff\xd8\xff\xd9").unwrap_err().contains("no image"));
}

#[test]
fn filling_before_a_marker_does_no_harm() {
    let end = SEQUENTIAL.len() - 2;
    for filling in [&[0xff_u8; 3][..], &[0; 5], &[0xff, 0, 0xff, 0]] {
        let file = [&SEQUENTIAL[..end], filling, &SEQUENTIAL[end..]].concat();
        assert_eq!(checked(&file), Ok([24, 40]));
    }
    let other = [&SEQUENTIAL[..end], b"text", &SEQUENTIAL[end..]].concat();
    assert!(checked(&other).unwrap_err().contains("other bytes"));
}

#[test]
fn a_restart_that_is_missing_or_comes_out_of_turn_is_damage() {
    let [scan] = scans(SEQUENTIAL)[..] else { panic!("a sequential image has one scan") };
    let is = |&at: &usize| SEQUENTIAL[at] == 0xff && (0xd0..=0xd7).contains(&SEQUENTIAL[at + 1]);
    let restarts: Vec<usize> = (scan..SEQUENTIAL.len() - 1).filter(is).collect();
    assert!(restarts.len() >= 2);
    for &at in &restarts {
        let mut other = SEQUENTIAL.to_vec();
        other[at + 1] ^= 1;
        assert!(checked(&other).is_err());
    }
    // A part of the scan is left out between two restarts.
    let short = [&SEQUENTIAL[..restarts[0]], &SEQUENTIAL[restarts[1]..]].concat();
    assert!(checked(&short).is_err());
}

#[test]
fn kinds_that_no_decoder_takes_are_named() {
    let frame = SEQUENTIAL.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for (marker, words) in [(0xc3, "lossless"), (0xc5, "hierarchical"), (0xc9, "arithmetic")] {
        let mut other = SEQUENTIAL.to_vec();
        other[frame + 1] = marker;
        let refused = checked(&other).unwrap_err();
        assert!(refused.contains(words) && !refused.contains("damaged"), "{refused}");
    }
    let mut deep = SEQUENTIAL.to_vec();
    deep[frame + 4] = 12;
    assert!(checked(&deep).unwrap_err().contains("12 bits a value"));
    let refused = check(SEQUENTIAL, 24 * 40 - 1);
    assert!(matches!(refused, Err(ImageProblem::TooLarge { width: 40, height: 24, .. })));
}
