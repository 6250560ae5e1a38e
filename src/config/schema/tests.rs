//! `flatten`: a section whose keys stand in another one's table.

use super::*;

section! {
    /// A camera.
    pub struct Camera {
        /// In seconds.
        exposure: f64, in Bounds::above(0.0, 60.0);
        flatten lens: Lens { length = 35, filter = Some("red".to_owned()) };
        flatten film: Film;
    }
}

section! {
    /// What lies before the film.
    pub struct Lens {
        /// In millimetres.
        length: usize = 50, in Bounds::closed(1.0, 1000.0);
        /// Its colour.
        filter: Option<String> = None;
        flatten aperture: Aperture;
    }
}

section! {
    /// Where the light comes in.
    pub struct Aperture {
        /// The f-number.
        stop: f64 = 2.8;
    }
}

section! {
    /// What the light falls on.
    pub struct Film {
        /// Its sensitivity.
        iso: usize = 100;
    }
}

fn read(text: &str) -> Result<Camera, ConfigError> {
    Camera::read_table(&Node::parse(text, "test.toml").expect("TOML"))
}

fn refusal(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

/// The default of each key, as the reference shows it.
fn defaults<S: Section>() -> Vec<(&'static str, Unwritten)> {
    S::keys().into_iter().map(|key| (key.name, key.default)).collect()
}

#[test]
fn flattened_keys_follow_the_sections_own_with_the_defaults_that_they_have_there() {
    let value = |value: toml::Value| Unwritten::Value(value);
    let expected = [
        ("exposure", Unwritten::Refused),
        ("length", value(35.into())),
        ("filter", value("red".into())),
        ("stop", value(2.8.into())),
        ("iso", value(100.into())),
    ];
    assert_eq!(defaults::<Camera>(), expected);
    let alone =
        [("length", value(50.into())), ("filter", Unwritten::Unset), ("stop", value(2.8.into()))];
    assert_eq!(defaults::<Lens>(), alone);
    let camera = Camera::keys();
    assert_eq!(
        (camera[1].doc, &*camera[1].takes),
        (" In millimetres.", "a whole number from 1 to 1000")
    );
}

#[test]
fn what_is_not_written_takes_the_changed_default_where_there_is_one() {
    let Camera { exposure, lens, film } = read("exposure = 0.5").unwrap();
    assert_eq!((exposure, lens.length, lens.filter.as_deref()), (0.5, 35, Some("red")));
    assert_eq!((lens.aperture.stop, film.iso), (2.8, 100));
    assert_eq!((Lens::defaults().length, Lens::defaults().filter), (50, None));
}

#[test]
fn what_is_written_wins_over_the_changed_default() {
    // 50 is what the flattened section alone would have: a value like any other here.
    let camera = read("exposure = 1\nlength = 50\nstop = 8\niso = 400").unwrap();
    assert_eq!((camera.lens.length, camera.lens.filter.as_deref()), (50, Some("red")));
    assert_eq!((camera.lens.aperture.stop, camera.film.iso), (8.0, 400));
}

#[test]
fn a_section_with_flattened_ones_is_written_as_one_table_and_reads_back_as_itself() {
    let text = "exposure = 1.0\nlength = 85\nfilter = \"blue\"\nstop = 8.0\niso = 400\n";
    let camera = read(text).unwrap();
    assert_eq!(camera.write_table().to_string(), text);
    let defaults = read("exposure = 1").unwrap();
    assert_eq!(read(&defaults.write_table().to_string()).unwrap(), defaults);
}

#[test]
fn a_key_that_was_renamed_is_read_under_both_names_and_written_under_the_new_one() {
    use crate::config::data::Patches;
    let read = |text: &str| Patches::read_table(&Node::parse(text, "old.toml").unwrap());
    let old = read("per_picture = 3\nturns = true").unwrap();
    assert_eq!(old, read("per_image = 3\nrotations = true").unwrap());
    assert!(old.write_table().contains_key("rotations"));
    let both = read("rotations = true\nturns = false").unwrap_err().to_string();
    assert!(both.contains("`turns` is the old name of `rotations`"), "{both}");
}

#[test]
fn an_unknown_key_is_refused_in_view_of_all_keys() {
    let misspelt = refusal("exposure = 1\nlenght = 85");
    assert!(misspelt.contains("`lenght` is not a key (received 85)"), "{misspelt}");
    assert!(misspelt.contains("did you mean `length`?"), "{misspelt}");
    let strange = refusal("exposure = 1\nzzz = 1");
    assert!(strange.contains("known here: exposure, length, filter, stop, iso"), "{strange}");
    // In a config they are keys of the one table, not tables of their own.
    let nested = refusal("exposure = 1\nlens = { length = 85 }");
    assert!(nested.contains("`lens` is not a key"), "{nested}");
}

#[test]
fn a_flattened_key_is_held_against_its_bounds() {
    let long = refusal("exposure = 1\nlength = 1001");
    assert!(long.contains("`length` is 1001"), "{long}");
    assert!(long.contains("a whole number from 1 to 1000"), "{long}");
}
