//! Images written by the `image` crate's own encoders, or by hand where they have none.

use std::fs;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::tempdir;

use super::*;

const SHAPE: [usize; 2] = [5, 7];

fn eight(channels: usize) -> ImageFile {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let values = (0..SHAPE[0] * SHAPE[1] * channels).map(|_| random.random()).collect();
    let shape = [SHAPE[0], SHAPE[1], channels];
    ImageFile::new(shape, Samples::Eight(values)).unwrap()
}

fn sixteen(channels: usize) -> ImageFile {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let values = (0..SHAPE[0] * SHAPE[1] * channels).map(|_| random.random()).collect();
    let shape = [SHAPE[0], SHAPE[1], channels];
    ImageFile::new(shape, Samples::Sixteen(values)).unwrap()
}

fn dynamic(image: &ImageFile) -> DynamicImage {
    let (height, width) = (image.shape[0] as u32, image.shape[1] as u32);
    match (image.samples.clone(), image.shape[2]) {
        (Samples::Eight(v), 1) => image::GrayImage::from_raw(width, height, v).unwrap().into(),
        (Samples::Eight(v), _) => image::RgbImage::from_raw(width, height, v).unwrap().into(),
        (Samples::Sixteen(v), 1) => {
            DynamicImage::ImageLuma16(image::ImageBuffer::from_raw(width, height, v).unwrap())
        }
        (Samples::Sixteen(v), _) => {
            DynamicImage::ImageRgb16(image::ImageBuffer::from_raw(width, height, v).unwrap())
        }
        (Samples::Float(_), _) => panic!("only TIFFs have floats"),
    }
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Formats that keep every value of an image.
fn keepers(image: &ImageFile) -> Vec<ImageFormat> {
    let mut formats = vec![ImageFormat::Png, ImageFormat::Tiff];
    if matches!(image.samples, Samples::Eight(_)) {
        formats.extend([ImageFormat::Bmp, ImageFormat::Pnm]);
    }
    formats
}

#[test]
fn every_format_gives_back_what_its_encoder_was_given() {
    for image in [eight(1), eight(3), sixteen(1), sixteen(3)] {
        for format in keepers(&image) {
            let read = decode_bytes(&encoded(&dynamic(&image), format), MOST_PIXELS).unwrap();
            if format == ImageFormat::Bmp {
                // Grey BMPs are palettes, which decode as colour.
                assert_eq!(read.with_channels(image.shape[2]), image, "{format:?}");
            } else {
                assert_eq!(read, image, "{format:?}");
            }
        }
    }
    let webp = encoded(&dynamic(&eight(3)), ImageFormat::WebP); // without loss
    assert_eq!(decode_bytes(&webp, MOST_PIXELS).unwrap(), eight(3));
}

#[test]
fn sixteen_bits_of_a_pnm_are_read_in_its_own_order_of_bytes() {
    let bytes = [&b"P5 2 1 65535\n"[..], &[0x12, 0x34, 0xfe, 0xdc]].concat();
    let image = decode_bytes(&bytes, MOST_PIXELS).unwrap();
    assert_eq!(image.samples, Samples::Sixteen(vec![0x1234, 0xfedc]));
}

#[test]
fn a_jpeg_is_read_near_enough() {
    let smooth = image::GrayImage::from_fn(16, 8, |x, y| image::Luma([(8 * x + 4 * y) as u8]));
    let jpeg = encoded(&smooth.clone().into(), ImageFormat::Jpeg);
    let image = decode_bytes(&jpeg, MOST_PIXELS).unwrap();
    assert_eq!(image.shape, [8, 16, 1]);
    let Samples::Eight(values) = image.samples else { panic!("a JPEG has 8 bits") };
    assert!(values.iter().zip(smooth.as_raw()).all(|(&a, &b)| a.abs_diff(b) <= 8));
}

#[test]
fn what_we_write_is_read_back_whole() {
    let folder = tempdir().unwrap();
    for image in [eight(1), eight(3), sixteen(1), sixteen(3)] {
        for (format, name) in [(Format::Png, "a.png"), (Format::Tiff, "a.tif")] {
            let path = folder.path().join(name);
            image.write(&path, format).unwrap();
            assert_eq!(decode(&path, MOST_PIXELS).unwrap(), image, "{format:?}");
            assert_eq!(Format::for_result_of(&path), format);
        }
    }
    assert_eq!(Format::for_result_of(Path::new("x.JPEG")), Format::Png);
    assert_eq!(Format::for_result_of(Path::new("x.TIF")), Format::Tiff);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let refused = eight(1).write(Path::new("/nowhere/at/all.png"), Format::Png).unwrap_err();
    assert!(refused.to_string().starts_with("/nowhere/at/all.png: it cannot be written"));
}

#[test]
fn alpha_is_dropped_and_the_colours_stay() {
    let rgba = image::RgbaImage::from_pixel(2, 1, image::Rgba([10, 20, 30, 40]));
    let image = decode_bytes(&encoded(&rgba.into(), ImageFormat::Png), MOST_PIXELS).unwrap();
    assert_eq!(image.shape, [1, 2, 3]);
    assert_eq!(image.samples, Samples::Eight(vec![10, 20, 30, 10, 20, 30]));
    assert!(image.alpha_dropped);
    let grey = image::GrayAlphaImage::from_pixel(2, 1, image::LumaA([10, 0]));
    let image = decode_bytes(&encoded(&grey.into(), ImageFormat::Png), MOST_PIXELS).unwrap();
    assert_eq!((image.shape, image.alpha_dropped), ([1, 2, 1], true));
    assert_eq!(image.samples, Samples::Eight(vec![10, 10]));
}

/// A JPEG whose EXIF block says how it has to be turned.
fn oriented(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let jpeg = encoded(image, ImageFormat::Jpeg);
    let exif = [
        &b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
        &[orientation, 0, 0, 0, 0, 0, 0],
    ];
    let exif = exif.concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn an_image_is_turned_as_its_exif_says() {
    // Bright on the left half; in memory 16 wide, 8 high.
    let lying = image::GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 250 } else { 5 }]));
    let folder = tempdir().unwrap();
    let path = folder.path().join("turned.jpg");
    fs::write(&path, oriented(&lying.into(), 6)).unwrap(); // to be turned clockwise
    let image = decode(&path, MOST_PIXELS).unwrap();
    assert_eq!(image.shape, [16, 8, 1]);
    let Samples::Eight(values) = &image.samples else { panic!("a JPEG has 8 bits") };
    assert!(values[..8 * 8].iter().all(|&value| value > 200), "the left side is now on top");
    assert!(values[8 * 8..].iter().all(|&value| value < 50));
    assert_eq!(dimensions(&path).unwrap(), (16, 8));
}

#[test]
fn dimensions_are_height_and_width() {
    let folder = tempdir().unwrap();
    for format in keepers(&eight(3)) {
        let path = folder.path().join("a");
        fs::write(&path, encoded(&dynamic(&eight(3)), format)).unwrap();
        assert_eq!(dimensions(&path).unwrap(), (5, 7), "{format:?}");
    }
}

fn problem(bytes: &[u8]) -> ImageProblem {
    decode_bytes(bytes, MOST_PIXELS).unwrap_err()
}

#[test]
fn a_file_that_was_cut_short_is_damaged_in_every_format() {
    let (grey, colour) = (dynamic(&eight(1)), dynamic(&eight(3)));
    let formats = [ImageFormat::Jpeg, ImageFormat::WebP].map(|format| (&colour, format));
    let others = keepers(&eight(1)).into_iter().map(|format| (&grey, format));
    for (image, format) in others.chain(formats) {
        let bytes = encoded(image, format);
        for length in [bytes.len() / 2, bytes.len() * 9 / 10] {
            let problem = problem(&bytes[..length]);
            assert!(matches!(problem, ImageProblem::Damaged(_)), "{format:?}: {problem}");
        }
    }
}

#[test]
fn what_is_appended_to_a_jpeg_does_not_damage_it() {
    let jpeg = encoded(&dynamic(&eight(3)), ImageFormat::Jpeg);
    let image = decode_bytes(&jpeg, MOST_PIXELS).unwrap();
    let film = b"\0\0\0\x18ftypmp42\xff\xda\0\x08 and more";
    assert_eq!(decode_bytes(&[&jpeg, &film[..]].concat(), MOST_PIXELS).unwrap(), image);
}

#[test]
fn the_thumbnail_of_a_jpeg_does_not_end_it() {
    let jpeg = encoded(&dynamic(&eight(3)), ImageFormat::Jpeg);
    let length = (jpeg.len() as u16 + 2).to_be_bytes();
    let with_thumbnail = [&jpeg[..2], &[0xff, 0xe1], &length, &jpeg, &jpeg[2..]].concat();
    assert_eq!(decode_bytes(&with_thumbnail, MOST_PIXELS).unwrap().shape, [5, 7, 3]);
    // Within the scan that follows the thumbnail's end, and before it.
    for length in [with_thumbnail.len() - 2, jpeg.len() + 6 + 20] {
        let problem = problem(&with_thumbnail[..length]);
        assert!(problem.to_string().contains("its end is missing"), "{problem}");
    }
}

/// Takes the place of a decoder that fails.
struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("no byte")
    }
}

impl BufRead for Panics {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        panic!("no byte")
    }

    fn consume(&mut self, _: usize) {}
}

impl Seek for Panics {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        panic!("no place")
    }
}

#[test]
fn a_decoder_that_panics_while_it_measures_has_met_a_damaged_file() {
    let measured = || decode::measure(Panics, ImageFormat::Png, MOST_PIXELS);
    let refused = decode::caught(measured).unwrap_err();
    assert!(matches!(refused, ImageProblem::Damaged(_)), "{refused}");
}

#[test]
fn noise_after_a_genuine_beginning_never_ends_in_a_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let whole = keepers(&eight(3)).into_iter().chain([ImageFormat::Jpeg, ImageFormat::WebP]);
    for format in whole {
        let bytes = encoded(&dynamic(&eight(3)), format);
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..3 {
                let place = random.random_range(2..damaged.len());
                damaged[place] = random.random();
            }
            // Some damage shows in the pixels only.
            let _ = decode_bytes(&damaged, 1 << 20);
            let _ = measure(&damaged, 1 << 20);
        }
    }
}

#[test]
fn what_is_no_image_is_refused() {
    assert!(matches!(problem(b""), ImageProblem::Empty));
    assert!(matches!(problem(b"this is text"), ImageProblem::NotAnImage));
    assert!(matches!(problem(b"GIF89a\x01\0\x01\0"), ImageProblem::NotAnImage));
    let folder = tempdir().unwrap();
    let refused = decode(&folder.path().join("gone.png"), MOST_PIXELS).unwrap_err();
    assert!(refused.to_string().contains("gone.png: it cannot be read"), "{refused}");
}

#[test]
fn an_image_of_more_pixels_than_allowed_is_refused_before_they_are_read() {
    let bytes = encoded(&dynamic(&eight(1)), ImageFormat::Png);
    assert!(decode_bytes(&bytes, 35).is_ok());
    let refused = decode_bytes(&bytes, 34).unwrap_err();
    assert!(matches!(refused, ImageProblem::TooLarge { width: 7, height: 5, most: 34 }));
    // 10^10 pixels that are not there.
    let refused = decode_bytes(b"P5 100000 100000 255\n", MOST_PIXELS).unwrap_err();
    assert!(matches!(refused, ImageProblem::TooLarge { .. }), "{refused}");
}

#[test]
fn grey_is_repeated_and_comes_back_as_it_was() {
    for grey in [eight(1), sixteen(1)] {
        let colour = grey.clone().with_channels(3);
        assert_eq!(colour.shape, [5, 7, 3]);
        assert!(!colour.is_coloured());
        assert_eq!(colour.with_channels(1), grey);
    }
    assert!(eight(3).is_coloured() && sixteen(3).is_coloured());
    assert!(!eight(1).is_coloured());
}

#[test]
fn luma_is_the_one_of_pillow() {
    // Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)), Pillow 13.
    let cases = [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([10, 200, 99], 132)];
    for (colour, luma) in cases {
        let samples = Samples::Eight(colour.to_vec());
        let image = ImageFile::new([1, 1, 3], samples).unwrap();
        assert_eq!(image.with_channels(1).samples, Samples::Eight(vec![luma]), "{colour:?}");
    }
}

#[test]
fn values_go_to_unit_range_and_back() {
    for image in [eight(3), sixteen(3)] {
        let mut back = image.samples.zeros(image.samples.len());
        for (index, &value) in image.scaled().iter().enumerate() {
            assert!((0.0..=1.0).contains(&value));
            assert_eq!(image.samples.scaled(index).to_bits(), value.to_bits());
            back.set_scaled(index, value);
        }
        assert_eq!(back, image.samples);
    }
    let mut samples = Samples::Eight(vec![7; 3]);
    for (index, value) in [f32::NAN, -1.0, 2.0].into_iter().enumerate() {
        samples.set_scaled(index, value);
    }
    assert_eq!(samples, Samples::Eight(vec![0, 0, 255]));
}

fn relatives(paths: &[PathBuf]) -> Vec<String> {
    let found = find(paths).unwrap();
    found.iter().map(|found| found.relative.to_string_lossy().into_owned()).collect()
}

#[test]
fn folders_are_searched_in_order_and_files_are_taken_as_they_are() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("images/b/c")).unwrap();
    fs::create_dir_all(at("images/.hidden")).unwrap();
    let files = ["z.png", "b/c/a.JPG", "b/x.tiff", "notes.txt", ".a.png", ".hidden/a.png"];
    for name in files {
        fs::write(at("images").join(name), "").unwrap();
    }
    let paths = [at("gone.txt"), at("images")];
    assert_eq!(relatives(&paths), ["gone.txt", "b/c/a.JPG", "b/x.tiff", "z.png"]);
    assert_eq!(find(&paths).unwrap()[1].path, at("images/b/c/a.JPG"));
}

#[test]
#[cfg(unix)]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("images/deep")).unwrap();
    fs::create_dir_all(at("elsewhere")).unwrap();
    fs::write(at("elsewhere/a.png"), "").unwrap();
    symlink(at("elsewhere"), at("images/link")).unwrap();
    symlink(at("images"), at("images/deep/up")).unwrap();
    symlink("self.png", at("images/self.png")).unwrap();
    symlink("/dev/zero", at("images/endless.png")).unwrap();
    // The link to itself leads nowhere, which its reader will say.
    assert_eq!(relatives(&[at("images")]), ["link/a.png", "self.png"]);
}

// ---- beside the values ----

/// An ICC profile as far as its kind can be told.
fn profile(space: [u8; 4]) -> Vec<u8> {
    let mut profile = vec![7; 40];
    profile[16..20].copy_from_slice(&space);
    profile
}

fn with(image: ImageFile, profile: Option<Vec<u8>>, density: Option<Density>) -> ImageFile {
    let metadata = Metadata { profile: profile.map(Into::into), density, ..Metadata::default() };
    ImageFile { metadata, ..image }
}

#[test]
fn profile_and_resolution_come_back_from_png_and_tiff() {
    let density = |unit| Density { x: [300, 1], y: [150, 1], unit };
    for (image, space) in [(sixteen(3), b"RGB "), (eight(1), b"GRAY")] {
        let inch = with(image.clone(), Some(profile(*space)), Some(density(Unit::Inch)));
        let tiff = decode_bytes(&inch.encode(Format::Tiff).unwrap(), MOST_PIXELS).unwrap();
        assert_eq!(tiff, inch);
        let png = decode_bytes(&inch.encode(Format::Png).unwrap(), MOST_PIXELS).unwrap();
        assert_eq!(png.metadata.profile.as_deref(), Some(profile(*space).as_slice()));
        // 300 pixels per 0.0254 m.
        let metre = Density { x: [11_811, 1], y: [5906, 1], unit: Unit::Metre };
        assert_eq!(png.metadata.density, Some(metre));
        let again = decode_bytes(&png.encode(Format::Tiff).unwrap(), MOST_PIXELS).unwrap();
        let centimetre = Density { x: [11_811, 100], y: [5906, 100], unit: Unit::Centimetre };
        assert_eq!(again.metadata.density, Some(centimetre));
        let ratio = with(image.clone(), None, Some(density(Unit::Unknown)));
        for format in [Format::Png, Format::Tiff] {
            assert_eq!(decode_bytes(&ratio.encode(format).unwrap(), MOST_PIXELS).unwrap(), ratio);
        }
        assert!(inch.losses(Format::Png).is_empty() && inch.losses(Format::Tiff).is_empty());
    }
}

#[test]
fn a_profile_of_other_colours_than_the_image_has_is_left_out_and_said() {
    for (image, space) in [(eight(1), b"RGB "), (eight(3), b"GRAY"), (eight(3), b"CMYK")] {
        let image = with(image, Some(profile(*space)), None);
        for format in [Format::Png, Format::Tiff] {
            let again = decode_bytes(&image.encode(format).unwrap(), MOST_PIXELS).unwrap();
            assert_eq!(again.metadata.profile, None);
            assert_eq!(image.losses(format), [Loss::Profile]);
        }
    }
    // RGB that is made grey loses its profile by that.
    let grey = with(eight(3), Some(profile(*b"RGB ")), None).with_channels(1);
    assert_eq!(grey.losses(Format::Png), [Loss::Profile]);
}

/// A PNG with one more chunk behind its header.
fn with_chunk(png: &[u8], name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [&name[..], content].concat();
    let sum = crc32fast::hash(&named).to_be_bytes();
    let length = (content.len() as u32).to_be_bytes();
    [&png[..33], &length, &named, &sum, &png[33..]].concat()
}

#[test]
fn what_a_png_says_of_its_colours_stays_in_a_png() {
    let plain = eight(3).encode(Format::Png).unwrap();
    let gamma = 100_000_u32.to_be_bytes(); // linear light
    let file = with_chunk(&plain, *b"gAMA", &gamma);
    let image = decode_bytes(&file, MOST_PIXELS).unwrap();
    let again = image.encode(Format::Png).unwrap();
    assert!(again.windows(8).any(|bytes| bytes == [&b"gAMA"[..], &gamma].concat()));
    assert!(image.losses(Format::Png).is_empty());
    assert_eq!(image.losses(Format::Tiff), [Loss::Profile]);
}

#[test]
fn the_resolution_of_jpeg_exif_and_bmp_is_read() {
    let jpeg = encoded(&dynamic(&eight(3)), ImageFormat::Jpeg);
    let at = jpeg.windows(5).position(|bytes| bytes == b"JFIF\0").unwrap() + 7;
    let said = |unit: u8| {
        let mut file = jpeg.clone();
        file[at..at + 5].copy_from_slice(&[unit, 1, 44, 0, 150]);
        decode_bytes(&file, MOST_PIXELS).unwrap().metadata.density
    };
    let density = |unit| Some(Density { x: [300, 1], y: [150, 1], unit });
    assert_eq!([0, 1, 2].map(said), [Unit::Unknown, Unit::Inch, Unit::Centimetre].map(density));
    let mut bmp = encoded(&dynamic(&eight(3)), ImageFormat::Bmp);
    bmp[38..46].copy_from_slice(&[[44, 1, 0, 0], [150, 0, 0, 0]].concat());
    assert_eq!(decode_bytes(&bmp, MOST_PIXELS).unwrap().metadata.density, density(Unit::Metre));
}

#[test]
fn a_jpeg_gives_the_profile_of_its_colours() {
    let mut jpeg = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut jpeg);
    image::ImageEncoder::set_icc_profile(&mut encoder, profile(*b"RGB ")).unwrap();
    encoder.encode_image(&dynamic(&eight(3))).unwrap();
    let image = decode_bytes(&jpeg, MOST_PIXELS).unwrap();
    assert_eq!(image.metadata.profile.as_deref(), Some(profile(*b"RGB ").as_slice()));
    assert!(image.losses(Format::Png).is_empty());
}

// ---- files of several images ----

#[test]
fn an_animation_is_refused_with_the_number_of_its_frames() {
    let png = eight(3).encode(Format::Png).unwrap();
    let frames = |count: u32| with_chunk(&png, *b"acTL", &[count.to_be_bytes(), [0; 4]].concat());
    let refused = decode_bytes(&frames(3), MOST_PIXELS).unwrap_err();
    assert!(matches!(refused, ImageProblem::Several { images: 3, .. }), "{refused}");
    let webp = include_bytes!("../../../fuzz/seeds/image/two_frames.webp");
    let second = webp.windows(4).rposition(|name| name == b"ANMF").unwrap();
    let refused = decode_bytes(&webp[..second], MOST_PIXELS).unwrap_err();
    assert!(matches!(refused, ImageProblem::Kind { .. }), "{refused}");
    let refused = decode_bytes(webp, MOST_PIXELS).unwrap_err();
    assert!(matches!(refused, ImageProblem::Several { images: 2, .. }), "{refused}");
}

#[test]
fn a_pnm_that_another_one_follows_is_refused() {
    let one = b"P5 2 1 255\n\x01\x02";
    assert!(decode_bytes(one, MOST_PIXELS).is_ok());
    assert!(decode_bytes(&[&one[..], b"\n"].concat(), MOST_PIXELS).is_ok());
    for second in [&one[..], b"P2\n1 1\n9\n3\n", b"\nP6 1 1 255\nabc"] {
        let refused = decode_bytes(&[one, second].concat(), MOST_PIXELS).unwrap_err();
        assert!(matches!(refused, ImageProblem::Several { images: 2, .. }), "{refused}");
    }
    let text = b"P2\n2 1\n9\n3 9\n";
    let image = decode_bytes(text, MOST_PIXELS).unwrap();
    assert_eq!(image.samples, Samples::Eight(vec![85, 255]));
    assert!(decode_bytes(&[text, &one[..]].concat(), MOST_PIXELS).is_err());
}

#[test]
fn pages_are_written_and_read_again_as_they_were() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let images = [eight(1), sixteen(3), eight(3).with_channels(1)];
    ImageFile::save_pages(&path, &images).unwrap();
    assert_eq!(ImageFile::open_pages(&path).unwrap(), images);
    let refused = ImageFile::open(&path).unwrap_err().to_string();
    assert!(refused.contains("3 images"), "{refused}");
    let found = find_images(&[folder.path().to_owned()]).unwrap();
    assert_eq!(
        found.iter().map(FoundImage::name).collect::<Vec<_>>(),
        ["a.tif[0]", "a.tif[1]", "a.tif[2]"]
    );
    for (found, image) in found.iter().zip(&images) {
        assert_eq!(&found.place.decode(MOST_PIXELS).unwrap(), image);
        assert_eq!(found.place.dimensions().unwrap(), (5, 7));
    }
    assert!(found[1].place.to_string().ends_with("a.tif[1]"));
}

#[test]
fn a_page_that_has_changed_since_is_said_to_have() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    ImageFile::save_pages(&path, &[eight(1), eight(1)]).unwrap();
    let found = find_images(std::slice::from_ref(&path)).unwrap();
    let other = ImageFile::new([7, 5, 1], eight(1).samples).unwrap();
    ImageFile::save_pages(&path, &[other.clone(), other]).unwrap();
    let refused = found[1].place.decode(MOST_PIXELS).unwrap_err().to_string();
    assert!(refused.contains("a.tif[1]: ") && refused.contains("changed"), "{refused}");
}
