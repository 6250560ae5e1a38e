//! Names for the config: Keras's own where a config may have them.

use std::collections::HashMap;

use crate::plan::name_refusal;

/// Longest name of an entry.
const LONGEST: usize = 80;

/// Gives each entry a name of its own.
#[derive(Debug)]
pub struct Names {
    /// How many entries have been given a name that begins so.
    taken: HashMap<String, usize>,
}

impl Names {
    /// None is taken.
    pub fn new() -> Self {
        Self { taken: HashMap::new() }
    }

    /// The wish where it is allowed and free; else with a number, or after the name of the model `within`
    /// which the layer stands.
    pub fn give(&mut self, wish: &str, within: Option<&str>) -> String {
        let plain = allowed(wish);
        if self.take(&plain) {
            return plain;
        }
        if let Some(within) = within {
            let longer = allowed(&format!("{within}_{wish}"));
            if self.take(&longer) {
                return longer;
            }
        }
        loop {
            let number = self.taken.get(&plain).copied().unwrap_or(1);
            self.taken.insert(plain.clone(), number + 1);
            let numbered = format!("{plain}_{number}");
            if self.take(&numbered) {
                return numbered;
            }
        }
    }

    fn take(&mut self, name: &str) -> bool {
        let free = !self.taken.contains_key(name) && name_refusal(name).is_none();
        if free {
            self.taken.insert(name.to_owned(), 1);
        }
        free
    }
}

/// Letters, digits and `_`, no digit first.
fn allowed(wish: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = wish.chars().take(LONGEST).map(letter).collect();
    match name.chars().next() {
        None => "layer".to_owned(),
        Some('0'..='9') => format!("layer_{name}"),
        Some(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_its_models_name_or_a_number() {
        let mut names = Names::new();
        assert_eq!(names.give("conv", None), "conv");
        assert_eq!(names.give("conv", Some("decoder")), "decoder_conv");
        assert_eq!(names.give("conv", Some("decoder")), "conv_1");
        assert_eq!(names.give("conv", None), "conv_2");
        assert_eq!(names.give("input", None), "input_1");
        assert_eq!(names.give("block1/conv-a:0", None), "block1_conv_a_0");
        assert_eq!(names.give("1st", None), "layer_1st");
        assert_eq!(names.give("forward", None), "forward_1");
        assert_eq!(names.give("", None), "layer");
    }

    #[test]
    fn ten_thousand_equal_names_take_no_quadratic_time() {
        let mut names = Names::new();
        for _ in 0..10_000 {
            names.give("same", None);
        }
        assert_eq!(names.give("same", None), "same_10000");
    }
}
