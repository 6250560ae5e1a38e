//! Which Keras wrote a file: some of its words changed their meaning.

use serde_json::Value;

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1, 2 or 3.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// Whether it is TensorFlow's own, `2.2.4-tf`, or unknown.
    pub of_tensorflow: bool,
}

impl Version {
    /// As the file says, `2.2.4-tf`; where it says nothing, as its model is written.
    pub fn of(said: Option<&str>, model: &Value) -> Self {
        said.and_then(Self::parse)
            .or_else(|| model.get("keras_version")?.as_str().and_then(Self::parse))
            .unwrap_or_else(|| Self::guess(model))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(['.', '-']).map(str::parse);
        let major = numbers.next()?.ok().filter(|major| (1..100).contains(major))?;
        let minor = numbers.next().and_then(Result::ok).unwrap_or(0);
        Some(Self { major, minor, of_tensorflow: text.ends_with("-tf") })
    }

    /// Whether it is Keras for several backends, up to 2.3.
    pub fn is_multi_backend(self) -> bool {
        !self.of_tensorflow && (self.major == 1 || (self.major == 2 && self.minor <= 3))
    }

    /// Keras 3 names modules, Keras 1 has words that no later one has.
    fn guess(model: &Value) -> Self {
        let text = model.get("config").map(ToString::to_string).unwrap_or_default();
        let major = match () {
            () if text.contains("\"keras_history\"") || text.contains("\"batch_shape\"") => 3,
            () if text.contains("\"border_mode\"") || text.contains("\"output_dim\"") => 1,
            () => 2,
        };
        Self { major, minor: 0, of_tensorflow: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_is_read_in_every_form() {
        let of = |text: &str| Version::of(Some(text), &Value::Null);
        assert_eq!(of("2.2.4-tf"), Version { major: 2, minor: 2, of_tensorflow: true });
        assert_eq!(of("3.15.1"), Version { major: 3, minor: 15, of_tensorflow: false });
        assert_eq!(of("1.2.2"), Version { major: 1, minor: 2, of_tensorflow: false });
        let old = json!({ "config": [{ "config": { "border_mode": "same" } }], "keras_version": "1.2.0" });
        assert_eq!(Version::of(None, &old), Version { major: 1, minor: 2, of_tensorflow: false });
        let old = json!({ "config": [{ "config": { "border_mode": "same" } }] });
        assert_eq!(Version::of(Some("new"), &old).major, 1);
    }
}
